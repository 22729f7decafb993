/** Contexts over time: which certificate is served, and the messages about it. */

import { assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { after, test } from "node:test";
import { encodePem } from "../../src/codec/x509/pem.ts";
import { Log } from "../../src/log.ts";
import type { KeyPair, Runtime, TlsContext } from "../../src/runtime/runtime.ts";
import { Contexts } from "../../src/tls/context.ts";
import { endsSoon, timeLeft } from "../../src/tls/lifetime.ts";
import { certify, type Holder } from "./authority.ts";

const folder = fs.mkdtempSync(join(tmpdir(), "sslserver-contexts-"));
after(() => fs.rmSync(folder, { recursive: true }));

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const START = Date.UTC(2030, 0, 1);

/** The dates of a certificate that is valid since `age` before START until `left` after it, in
 *  milliseconds. */
const dates = (age: number, left: number): { from: number; until: number } => ({
  from: START - age,
  until: START + left,
});

interface Bench {
  contexts: Contexts;
  served(): string | undefined;
  said(): string[];
  go(ms: number): void;
}

function bench(...holders: [Holder, ...Holder[]]): Bench {
  const CERTFILE = join(folder, "chain.pem"), KEYFILE = join(folder, "key.pem");
  fs.writeFileSync(CERTFILE, holders.map(({ der }) => encodePem("CERTIFICATE", der)).join(""));
  fs.writeFileSync(KEYFILE, holders[0].privateKey.export({ type: "pkcs8", format: "pem" }));
  let said: string[] = [];
  let now = START;
  let served: KeyPair | undefined;
  const runtime = {
    cipherLists: false,
    tlsContext: ({ keyPairs }: { keyPairs: KeyPair[] }) => {
      [served] = keyPairs;
      return {} as TlsContext;
    },
  } as unknown as Runtime;
  const env: Record<string, string> = { CERTFILE, KEYFILE };
  const write = (lines: string): unknown => said.push(...lines.trimEnd().split("\n"));
  const log = new Log({ verbosity: 1, form: "text", name: "t", write });
  const contexts = new Contexts({ runtime, log, env: (name) => env[name], now: () => now });
  contexts.get();
  return {
    contexts,
    served: () => served?.chain,
    said() {
      log.flush();
      const lines = said;
      said = [];
      return lines.map((line) => line.replace(/^t: /, "").replace(folder, ""));
    },
    go(ms) {
      now += ms;
    },
  };
}

const pem = (...holders: Holder[]): string =>
  holders.map(({ der }) => encodePem("CERTIFICATE", der)).join("");
const root = certify({ name: "root", ca: true });

test("when the certificate that is served expires, its successor in the file takes over", () => {
  const int = certify({ name: "int", by: root, ca: true, ...dates(DAY, DAY) });
  const next = certify({ name: "int", by: root, ca: true, keyOf: int, ...dates(0, 99 * DAY) });
  const leaf = certify({ name: "leaf", by: int });
  const { contexts, served, go, said } = bench(leaf, int, next);
  assertStrictEquals(served(), pem(leaf, int));
  go(DAY);
  contexts.get();
  assertStrictEquals(served(), pem(leaf, int));
  go(1000);
  contexts.get();
  assertStrictEquals(served(), pem(leaf, next));
  assertEquals(said(), [], "nothing was renewed");
});

test("an intermediate that has expired or expires soon causes a warning", () => {
  const int = certify({ name: "int", by: root, ca: true, ...dates(90 * DAY, 3 * DAY) });
  const leaf = certify({ name: "leaf", by: int, ...dates(20 * DAY, 10 * HOUR) });
  const { contexts, go, said } = bench(leaf, int);
  contexts.warnOfExpiry();
  assertEquals(said(), [
    "warning: certificate /chain.pem expires in 10 hours, on 2030-01-01",
    "warning: certificate /chain.pem: /CN=int of its chain expires in 3 days, on 2030-01-04",
  ]);
  go(11 * HOUR);
  contexts.warnOfExpiry();
  assertEquals(said(), ["warning: certificate /chain.pem expired on 2030-01-01"]);
  contexts.warnOfExpiry();
  go(12 * HOUR);
  contexts.warnOfExpiry();
  assertEquals(said(), [], "once a day");
  go(HOUR);
  contexts.warnOfExpiry();
  assertStrictEquals(said().length, 1);
  go(3 * DAY);
  contexts.warnOfExpiry();
  assertMatch(said().join("\n"), /\/CN=int of its chain expired on 2030-01-04/);
});

test("a broken file is reported once, the old certificate stays, and the repair is reported", () => {
  const leaf = certify({ name: "leaf", by: root });
  const next = certify({ name: "leaf", by: root, keyOf: leaf });
  const { contexts, served, go, said } = bench(leaf);
  const path = join(folder, "chain.pem");
  const kept = "; the old certificate stays in use";
  const steps: [content: string | undefined, served: Holder, said: string[]][] = [
    ["", leaf, [`error: unable to use certificate /chain.pem: the file is empty${kept}`]],
    [pem(leaf), leaf, ["info: certificate good again: /chain.pem"]],
    [undefined, leaf, [
      `error: unable to read certificate /chain.pem: no such file or directory${kept}`,
    ]],
    [pem(next), next, ["info: certificate renewed: /chain.pem"]],
  ];
  for (const [content, holder, lines] of steps) {
    if (content === undefined) fs.rmSync(path);
    else fs.writeFileSync(path, content);
    for (let i = 0; i < 2; i++) {
      go(1000);
      contexts.get();
    }
    assertStrictEquals(served(), pem(holder));
    assertEquals(said(), lines);
  }
});

/** Lifetime and remaining lifetime in days; whether the expiry counts as soon, and its text. */
const LIFETIMES: [life: number, left: number, soon: boolean, text: string][] = [
  [6, 6, false, "6 days"],
  [6, 2, false, "2 days"],
  [6, 1.9, true, "45 hours"],
  [1, 0.3, true, "7 hours"],
  [1, 0.05, true, "1 hour"],
  [90, 30, false, "30 days"],
  [90, 29.9, true, "29 days"],
  [45, 15.1, false, "15 days"],
  [45, 14.9, true, "14 days"],
  [398, 31, false, "31 days"],
  [398, 29, true, "29 days"],
  [3650, 31, false, "31 days"],
  [3650, 29, true, "29 days"],
  [90, -1, false, "-24 hours"],
];

test("a warning comes in the last third of the lifetime, and at most 30 days before the end", () => {
  for (const [life, left, soon, text] of LIFETIMES) {
    const time = (ms: number) => ({ ms, text: "" });
    const dates = {
      notBefore: time(START - (life - left) * DAY),
      notAfter: time(START + left * DAY),
    };
    assertStrictEquals(endsSoon(dates, START), soon, `${left} of ${life}`);
    assertStrictEquals(timeLeft(dates, START), text);
  }
});

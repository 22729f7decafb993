/** Authorities from a file and a folder, each good, bad, missing or with dangling links: the result of a
 *  start and of a renewal for every combination. */

import { assert, assertEquals, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { after, test } from "node:test";
import { encodePem } from "../../src/codec/x509/pem.ts";
import { FatalError } from "../../src/errors.ts";
import { Log } from "../../src/log.ts";
import { sentChain } from "../../src/tls/sent_chain.ts";
import { ClientAuths, type ClientCertificate } from "../../src/tls/client_auth.ts";
import { certify, type Holder, NOW, revoke } from "./authority.ts";

const folder = fs.mkdtempSync(join(tmpdir(), "trust-sources-"));
after(() => fs.rmSync(folder, { recursive: true }));
const CAFILE = join(folder, "ca.pem");
const CADIR = join(folder, "ca");
const LIST = join(folder, "list.pem");

const A = certify({ name: "a", ca: true }), ofA = certify({ name: "of a", by: A });
const B = certify({ name: "b", ca: true }), ofB = certify({ name: "of b", by: B });
const C = certify({ name: "c", ca: true }), ofC = certify({ name: "of c", by: C });

const pem = (...holders: Holder[]): string =>
  holders.map(({ der }) => encodePem("CERTIFICATE", der)).join("");
const BROKEN = pem(B).replace("MI", "MJ");

/** The content of a folder by file name. A text that begins with `->` is a symbolic link, null a folder. */
type Content = Record<string, string | Uint8Array | null> | undefined;

function fill(content: Content): void {
  fs.rmSync(CADIR, { recursive: true, force: true });
  if (!content) return;
  fs.mkdirSync(CADIR);
  for (const [name, what] of Object.entries(content)) {
    const path = join(CADIR, name);
    if (what === null) fs.mkdirSync(path);
    else if (typeof what === "string" && what.startsWith("->")) fs.symlinkSync(what.slice(2), path);
    else fs.writeFileSync(path, what);
  }
}

function put(path: string, content: string | undefined): void {
  fs.rmSync(path, { recursive: true, force: true });
  if (content !== undefined) fs.writeFileSync(path, content);
}

interface Row<T> {
  name: string;
  unset?: true;
  content: T;
  /** The names of the authorities whose clients are accepted. */
  trusts: string;
  /** The message. */
  problem?: RegExp;
  /** The result when this content replaces a good one. */
  later?: { trusts: string; problem?: RegExp };
}

const OLD = /; the old authorities stay in use$/;
const PASSED = /; it is ignored$/;

const FILES: Row<string | undefined>[] = [
  { name: "no CAFILE", unset: true, content: undefined, trusts: "" },
  { name: "a good file", content: pem(A), trusts: "a" },
  ...([
    ["a missing file", undefined, /unable to read CA file \S+ca\.pem: no such file/],
    ["an empty file", "", /CA file \S+ca\.pem: the file is empty/],
    ["text", "hello", /CA file \S+ca\.pem: no certificate in it/],
    ["a broken certificate", pem(A).replace("MI", "MJ"), /CA file \S+ca\.pem: (x509|pem): /],
    [
      "a key",
      A.privateKey.export({ type: "pkcs8", format: "pem" }) as string,
      /it is a private key/,
    ],
  ] as const).map(([name, content, problem]) => ({
    name,
    content,
    trusts: "",
    problem,
    later: { trusts: "a", problem },
  })),
];

/** `later` is the result when the folder replaces the good one, `{ "b.pem": B }`. */
const FOLDERS: Row<Content>[] = [
  { name: "no CADIR", unset: true, content: undefined, trusts: "" },
  { name: "a good folder", content: { "b.pem": pem(B) }, trusts: "b" },
  {
    name: "a missing folder",
    content: undefined,
    trusts: "",
    problem: /unable to read CA folder \S+: no such file/,
    later: { trusts: "b", problem: OLD },
  },
  {
    name: "an empty folder",
    content: {},
    trusts: "",
    problem: /CA folder \S+: no file in it is named like a certificate/,
  },
  {
    name: "a folder with a broken file alone",
    content: { "b.pem": BROKEN },
    trusts: "",
    problem: /CA file \S+b\.pem: (x509|pem): /,
    later: { trusts: "b", problem: OLD },
  },
  {
    name: "a broken file beside a good one",
    content: { "b.pem": pem(B), "x.pem": BROKEN },
    trusts: "b",
    problem: PASSED,
  },
  {
    name: "a folder in the folder",
    content: { "b.pem": pem(B), "x.pem": null },
    trusts: "b",
    problem: /x\.pem: a directory, not a regular file; it is ignored/,
  },
  {
    name: "a link that leads nowhere, alone",
    content: { "00000000.0": "->gone.pem" },
    trusts: "",
    problem: /unable to read CA file \S+00000000\.0: no such file/,
  },
  {
    name: "a link that leads nowhere beside a good one",
    content: { "c.pem": pem(C), "00000000.0": "->gone.pem", "11111111.0": "->c.pem" },
    trusts: "c",
    problem: /unable to read CA file \S+00000000\.0: no such file or directory; it is ignored/,
  },
  {
    name: "the authority's file has gone, its link has not",
    content: { "b.pem": "->gone.pem", "c.pem": pem(C) },
    trusts: "c",
    problem: PASSED,
  },
];

interface Bench {
  auths: ClientAuths;
  trusts(): string;
  later(): void;
  said(): string[];
}

function bench(option: ClientCertificate, env: Record<string, string>): Bench {
  let lines: string[] = [];
  let now = NOW;
  const write = (text: string): unknown => lines.push(...text.trimEnd().split("\n"));
  const log = new Log({ verbosity: 1, form: "text", name: "t", write });
  const auths = new ClientAuths({ option, env: (name) => env[name], log, now: () => now });
  auths.get();
  const clients = { a: ofA, b: ofB, c: ofC };
  return {
    auths,
    trusts: () =>
      Object.entries(clients)
        .filter(([, { der }]) => auths.get()?.verify(sentChain([der]), undefined) === "SUCCESS")
        .map(([name]) => name).join(""),
    later() {
      now += 1000;
      auths.get();
    },
    said() {
      log.flush();
      const said = lines;
      lines = [];
      return said;
    },
  };
}

function environment(file: Row<unknown>, dir: Row<unknown>): Record<string, string> {
  return { ...file.unset ? {} : { CAFILE }, ...dir.unset ? {} : { CADIR } };
}

test("at a start a bad source beside a good one is a warning; with nothing left to trust it is fatal", () => {
  for (const file of FILES) {
    for (const dir of FOLDERS) {
      const name = `${file.name}, ${dir.name}`;
      put(CAFILE, file.content);
      fill(dir.content);
      const env = environment(file, dir);
      bench("none", env); // without client certificates nothing is read
      const problems = [file.problem, dir.problem].filter((one) => one !== undefined);
      if (file.trusts + dir.trusts === "") {
        const expected = file.unset && dir.unset ? /there is nothing to verify them/ : problems[0];
        const matches = (error: unknown): boolean =>
          error instanceof FatalError && !!error.hint &&
          (expected === PASSED || expected?.test(error.message) === true);
        assert(matches(assertThrows(() => bench("valid", env))), name);
        continue;
      }
      const { trusts, said } = bench("valid", env);
      assertStrictEquals(trusts(), file.trusts + dir.trusts, name);
      const lines = said();
      assertStrictEquals(lines.length, problems.length, `${name}: ${lines.join("\n")}`);
      for (const [i, line] of lines.entries()) {
        assertMatch(line, /^t: warning: .*; it is ignored$/, name);
        assertMatch(line, problems[i] as RegExp, name);
      }
    }
  }
});

test("a renewal keeps what a broken file held, and trusts no authority that has gone", () => {
  for (const file of FILES.filter(({ unset }) => !unset)) {
    for (const dir of FOLDERS.filter(({ unset }) => !unset)) {
      const name = `${file.name}, ${dir.name}`;
      put(CAFILE, pem(A));
      fill({ "b.pem": pem(B) });
      const { trusts, later, said } = bench("valid", { CAFILE, CADIR });
      assertStrictEquals(trusts(), "ab");
      put(CAFILE, file.content);
      fill(dir.content);
      later();
      const [first, second] = [file.later ?? file, dir.later ?? dir];
      assertStrictEquals(trusts(), first.trusts + second.trusts, name);
      const lines = said();
      const problems = [first.problem, second.problem].filter((one) => one !== undefined);
      assertStrictEquals(lines.length, problems.length, `${name}: ${lines.join("\n")}`);
      for (const [i, line] of lines.entries()) assertMatch(line, problems[i] as RegExp, name);
      later();
      assertEquals(said(), [], "said once");
    }
  }
});

test("without any authority left, no client is accepted", () => {
  for (const content of [{}, { "b.pem": "->gone.pem" }]) {
    fill({ "b.pem": pem(B) });
    const { trusts, later, said } = bench("valid", { CADIR });
    fill(content);
    later();
    assertStrictEquals(trusts(), "");
    assertMatch(said().at(-1) ?? "", /^t: error: no authority remains in \S+$/);
    fill({ "b.pem": pem(B) });
    later();
    assertStrictEquals(trusts(), "b");
  }
});

test("a bad revocation list never lets a revoked client in", () => {
  const list = (holder?: Holder): string =>
    encodePem("X509 CRL", revoke(B, ...holder ? [holder] : []));
  const good = certify({ name: "good", by: B });
  const verdicts = ({ auths }: Bench): string[] =>
    [ofB, good, ofA].map(({ der }) => auths.get()?.verify(sentChain([der]), undefined) ?? "");
  const unknown = "FAILED:unable to get certificate CRL";
  put(CAFILE, pem(A));
  const hashed = { "b.pem": pem(B), "00000000.0": "->b.pem" };
  const rows: [name: string, content: Content][] = [
    ["broken", { ...hashed, "00000000.r0": list(ofB).replace("MI", "MJ") }],
    ["empty", { ...hashed, "00000000.r0": "" }],
    ["a folder", { ...hashed, "00000000.r0": null }],
    ["a link that leads nowhere", { ...hashed, "00000000.r0": "->gone" }],
    ["broken, by its text", { "b.pem": pem(B), "x.pem": list(ofB).replace("MI", "MJ") }],
    ["broken, by its name", { "b.pem": pem(B), "x.crl": "nonsense" }],
  ];
  for (const [name, content] of rows) {
    fill(content);
    const one = bench("valid", { CAFILE, CADIR });
    assertMatch(one.said().join("\n"), /; revocation is checked without it$/, name);
    assertEquals(verdicts(one), [unknown, unknown, unknown], name);
  }
  fill({ ...hashed, "00000000.r0": list(ofB) });
  const one = bench("valid", { CADIR });
  assertEquals(verdicts(one).slice(0, 2), ["FAILED:certificate revoked", "SUCCESS"]);
  fs.writeFileSync(join(CADIR, "00000000.r0"), "nonsense");
  one.later();
  assertEquals(verdicts(one).slice(0, 2), ["FAILED:certificate revoked", "SUCCESS"]);
  assertMatch(one.said().join("\n"), OLD);
  put(LIST, list(ofB));
  fill({ "b.pem": pem(B) });
  const named = bench("valid", { CAFILE, CADIR, CRLFILE: LIST });
  put(LIST, undefined);
  fill({ "c.pem": pem(C) });
  named.later();
  assertStrictEquals(named.trusts(), "", "authorities are renewed although the list is missing");
});

test("CCAFILE and CCADIR are read in the same way", () => {
  const names = ({ auths }: Bench): number | undefined => auths.get()?.names.length;
  put(CAFILE, pem(A));
  fill({ "b.pem": pem(B), "x.pem": BROKEN });
  const env = { CCAFILE: CAFILE, CCADIR: CADIR };
  const one = bench("none", env);
  assertStrictEquals(names(one), 2);
  assertMatch(one.said().join("\n"), /warning: .*x\.pem: .*; it is ignored$/);
  put(CAFILE, "-----BEGIN nothing");
  fill({ "c.pem": pem(C), "d.pem": pem(B) });
  one.later();
  assertStrictEquals(names(one), 3, "the folder is renewed, the file stays");
  assertMatch(one.said().join("\n"), /error: unable to read CCAFILE .*; the old authorities stay/);
  fill(undefined);
  assertThrows(() => bench("none", env), Error, /unable to read CCAFILE/);
  put(CAFILE, "");
  assertStrictEquals(names(bench("none", env)), 0);
});

import {
  assert,
  assertMatch,
  assertNotStrictEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { after, test } from "node:test";
import { reasonWords } from "../../src/log/reasons.ts";
import { Log } from "../../src/log.ts";
import type { Runtime, TlsSettings } from "../../src/runtime/runtime.ts";
import { Contexts } from "../../src/tls/context.ts";
import type { Prepared } from "../../src/tls/prepared.ts";
import { makeSelfSigned } from "../../src/tls/self_signed.ts";
import { type HandshakeRefusal, ServerNames } from "../../src/tls/server_names.ts";
import { hostName, message, records, serverName } from "../codec/client_hello_samples.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "names-"));
after(() => fs.rmSync(dir, { recursive: true, force: true }));

const pair = makeSelfSigned(["own.example"]);
const KEY = join(dir, "key.pem");
fs.writeFileSync(KEY, pair.keyPem);

/** Writes a certificate file with this name. All files hold the same certificate. */
function file(name: string): string {
  const path = join(dir, `${name}.pem`);
  if (!fs.existsSync(path)) fs.writeFileSync(path, pair.certPem);
  return path;
}

interface Made {
  names: ServerNames;
  /** The number of contexts that the runtime has made. */
  count(): number;
  /** `undefined` in `overlay`: a rule removes the variable. */
  select(overlay: Record<string, string | undefined>, ...asked: string[]): string;
  log: string[];
}

/** The server names of an environment. The key of every certificate is in `KEY`. */
function made(env: Record<string, string>): Made {
  const log: string[] = [];
  let count = 0;
  const runtime = {
    cipherLists: false,
    tlsContext: (settings: TlsSettings) => ({ opaque: settings, number: count++ }),
  } as unknown as Runtime;
  const contexts = new Contexts({
    runtime,
    log: new Log({ verbosity: 1, form: "text", name: "x", write: (lines) => log.push(lines) }),
    env: (name) => env[name],
  });
  const names = new ServerNames(contexts, Object.entries(env));
  const known = new Map<Prepared, string>();
  const told = (chosen: Prepared | HandshakeRefusal): string => {
    if ("alert" in chosen) return `alert ${chosen.alert}: ${reasonWords(chosen.why)}`;
    if (!known.has(chosen)) known.set(chosen, `context ${known.size}`);
    return known.get(chosen) as string;
  };
  return {
    names,
    log,
    count: () => count,
    select(overlay, ...asked) {
      const hello = records(
        message(asked.length > 0 ? [serverName(...asked.map((name) => hostName(name)))] : []),
      );
      return told(names.select(new Map(Object.entries(overlay)), undefined, hello));
    },
  };
}

const named = (name: string, of = name.replace("*", "_")): Record<string, string> => ({
  [`CERTFILE:${name}`]: file(of),
  [`KEYFILE:${name}`]: KEY,
});
const DEFAULT = { CERTFILE: file("default"), KEYFILE: KEY };

test("exact names win over wildcards, in any case, with or without a dot at the end", () => {
  const { select } = made({ ...DEFAULT, ...named("A.b.example"), ...named("*.b.example") });
  const [exact, wild, other] = [
    select({}, "a.b.example"),
    select({}, "x.b.example"),
    select({}, "b.example"),
  ];
  assertStrictEquals(new Set([exact, wild, other]).size, 3);
  assertStrictEquals(select({}, "A.B.EXAMPLE"), exact);
  assertStrictEquals(select({}, "a.b.example."), exact);
  assertStrictEquals(select({}, "y.b.example"), wild);
  for (const name of ["a.b.c.example", ".b.example", "x.y.b.example", "example"]) {
    assertStrictEquals(select({}, name), other, name);
  }
  assertStrictEquals(select({}), other);
});

test("a malformed hello chooses nothing and is answered decode_error", () => {
  const { select } = made({ ...DEFAULT, ...named("a.example") });
  assertMatch(
    select({}, "a.example", "b.example"),
    /^alert 50: client hello: server name: second/,
  );
});

test("without names and SNI_STRICT the hello is not looked at", () => {
  const { select } = made(DEFAULT);
  assertStrictEquals(select({}, "a.example", "b.example"), select({}));
});

test("property names of objects are not server names", () => {
  const { select } = made({ ...DEFAULT, ...named("a.example") });
  for (const name of ["constructor", "__proto__", "toString"]) {
    assertStrictEquals(select({}, name), select({}));
  }
});

test("SNI_STRICT can come from a rule, and be taken back by one", () => {
  const loose = made({ ...DEFAULT, ...named("a.example") });
  assertMatch(loose.select({ SNI_STRICT: "1" }, "x.example"), /^alert 112: no certificate for/);
  assertMatch(loose.select({ SNI_STRICT: "1" }), /^alert 112: no server name/);
  assertStrictEquals(loose.select({ SNI_STRICT: "1" }, "OWN.example"), loose.select({}));
  const strict = made({ ...DEFAULT, SNI_STRICT: "1" });
  assertMatch(strict.select({ SNI_STRICT: "" }, "x.example"), /^context/);
  assertMatch(strict.select({ SNI_STRICT: undefined }, "x.example"), /^context/);
});

test("if a rule removes the certificate of a name, the default one is sent", () => {
  const { select } = made({ ...DEFAULT, ...named("a.example") });
  assertNotStrictEquals(select({}, "a.example"), select({}));
  const removed = { "CERTFILE:a.example": undefined, "KEYFILE:a.example": undefined };
  assertStrictEquals(select(removed, "a.example"), select({}));
});

test("a hostile name is cut and cleaned for the log", () => {
  const { select } = made({ ...DEFAULT, SNI_STRICT: "1" });
  const words = select({}, `\n\x1b[2J%${"x".repeat(240)}`);
  assertMatch(
    words,
    /^alert 112: no certificate for the server name '\?\?\[2j\?x{94}' \(SNI_STRICT\)$/,
  );
});

test("a rule adds names, replaces parts of them and switches them off", () => {
  const { select } = made({ ...DEFAULT, ...named("a.example"), ...named("*.example") });
  const [a, wild] = [select({}, "a.example"), select({}, "b.example")];
  const added = select(named("b.example"), "b.example");
  assert(![a, wild].includes(added));
  const other = select({ "CERTFILE:A.example": file("other") }, "a.example");
  assert(![a, wild, added].includes(other));
  assertStrictEquals(
    select({ "CERTFILE:a.example": "", "KEYFILE:a.example": "" }, "a.example"),
    wild,
  );
  assertThrows(
    () => select({ "CERTFILE:a.example": "" }, "a.example"),
    Error,
    /unable to use KEYFILE:a\.example: there is no CERTFILE:a\.example/,
  );
  assertThrows(
    () => select({ "CERTFILE:a b": "x" }, "c.example"),
    Error,
    /'a b' is not a host name/,
  );
});

test("a rule's own CERTFILE changes the default, not the names", () => {
  const { select } = made({ ...DEFAULT, ...named("a.example") });
  const rule = { CERTFILE: file("rule") };
  assertStrictEquals(select(rule, "a.example"), select({}, "a.example"));
  assertNotStrictEquals(select(rule, "b.example"), select({}, "b.example"));
});

test("hundreds of names are made once, at start, and stay", () => {
  const all = Array.from({ length: 400 }, (_, i) => `n${i}.example`);
  const { names, count, select } = made(
    Object.assign({ ...DEFAULT }, ...all.map((name) => named(name))),
  );
  names.prepare();
  assertStrictEquals(count(), 401);
  for (let i = 0; i < 300; i++) select({ ALPN: `p${i}` }, "none.example");
  assertStrictEquals(count(), 701);
  for (const name of all) select({}, name);
  assertStrictEquals(count(), 701);
});

test("with --self-signed a named certificate is still the file's", () => {
  const log = new Log({ verbosity: 0, form: "text", name: "x", write: () => {} });
  const own = { chain: pair.certPem, key: pair.keyPem };
  const env: Record<string, string> = named("a.example");
  const runtime = { tlsContext: (s: TlsSettings) => ({ opaque: s }) } as unknown as Runtime;
  const contexts = new Contexts({ runtime, log, env: (name) => env[name], keyPair: own });
  const names = new ServerNames(contexts, Object.entries(env));
  names.prepare();
  const chosen = (name: string) =>
    names.select(new Map(), undefined, records(message([serverName(hostName(name))])));
  assertNotStrictEquals(chosen("a.example"), chosen("b.example"));
  assertStrictEquals(chosen("c.example"), chosen("b.example"));
  contexts.reload();
});

test("a hello whose name cannot be read is refused where the name decides", () => {
  const whole = records(message([serverName(hostName("a.example"))]));
  const empty = Uint8Array.of(22, 3, 1, 0, 0);
  const warning = Uint8Array.of(21, 3, 1, 0, 2, 1, 0);
  const body = whole.subarray(5);
  const split = [...body].flatMap((byte) => [22, 3, 1, 0, 1, byte]);
  const odd = [[...empty, ...whole], [...warning, ...whole], split].map((all) =>
    Uint8Array.from(all)
  );
  const one = made({ ...DEFAULT }).names;
  for (const first of odd) {
    for (const more of [named("a.example"), { SNI_STRICT: "1" }]) {
      const chosen = made({ ...DEFAULT, ...more }).names.select(new Map(), undefined, first);
      assert("alert" in chosen && chosen.why.kind === "unreadable server name");
    }
    assert("context" in one.select(new Map(), undefined, first)); // one certificate serves all names
  }
  const http = new TextEncoder().encode("GET / HTTP/1.0\r\n\r\n");
  const { names } = made({ ...DEFAULT, ...named("a.example") });
  assert("context" in names.select(new Map(), undefined, http)); // the TLS library refuses it later
});

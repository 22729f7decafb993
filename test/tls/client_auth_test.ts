import {
  assert,
  assertEquals,
  assertMatch,
  assertNotStrictEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { join } from "@std/path";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { after, test } from "node:test";
import { encodePem } from "../../src/codec/x509/pem.ts";
import { FatalError } from "../../src/errors.ts";
import { Log } from "../../src/log.ts";
import { sentChain } from "../../src/tls/sent_chain.ts";
import { type ClientAuth, ClientAuths, type ClientCertificate } from "../../src/tls/client_auth.ts";
import { certify, type Holder, NOW, revoke } from "./authority.ts";

const folder = fs.mkdtempSync(join(tmpdir(), "client-auth-"));
after(() => fs.rmSync(folder, { recursive: true }));

/** Writes PEM blocks to a file, as an administrator should: to a new file, which is then renamed. */
function file(name: string, label: string, ...ders: Uint8Array[]): string {
  const path = join(folder, name);
  fs.writeFileSync(`${path}.new`, ders.map((der) => encodePem(label, der)).join(""));
  fs.renameSync(`${path}.new`, path);
  return path;
}
const authorities = (name: string, ...holders: Holder[]): string =>
  file(name, "CERTIFICATE", ...holders.map(({ der }) => der));
const lists = (name: string, ...ders: Uint8Array[]): string => file(name, "X509 CRL", ...ders);

const root = certify({ name: "root", ca: true });
const other = certify({ name: "other", ca: true });
const middle = certify({ name: "middle", by: root, ca: true });
const lower = certify({ name: "lower", by: middle, ca: true });
const leaf = certify({ name: "leaf.example", by: root });
const second = certify({ name: "second", by: root });
const stranger = certify({ name: "stranger", by: other });
const deep = certify({ name: "deep", by: lower });
const ROOT = authorities("root.pem", root);
const OTHER = authorities("other.pem", other);
const EMPTY = file("empty.pem", "CERTIFICATE");

type Variables = Record<string, string>;

interface Bench {
  auths: ClientAuths;
  said: string[];
  /** Advances the clock by the time after which files are checked again, and checks them. */
  later(): void;
}

function bench(option: ClientCertificate, env: Variables): Bench {
  const said: string[] = [];
  let now = NOW;
  const log = new Log({
    verbosity: 1,
    form: "text",
    name: "t",
    write: (lines) => said.push(...lines.trimEnd().split("\n")),
  });
  const auths = new ClientAuths({ option, env: (name) => env[name], log, now: () => now });
  return {
    auths,
    said,
    later() {
      now += 1000;
      auths.get();
      log.flush();
    },
  };
}

const asked = (option: ClientCertificate, env: Variables, rule?: Variables) =>
  bench(option, env).auths.get(rule && new Map(Object.entries(rule)));
const verdict = (auth: ClientAuth | undefined, ...chain: Holder[]): string =>
  auth?.verify(sentChain(chain.map(({ der }) => der)), undefined) ?? "not asked";

/** The results for a client with a good certificate, one of an untrusted authority, and none. */
function outcome(auth: ClientAuth | undefined): string {
  if (!auth) return "none";
  const demand = auth.required ? "required" : "optional";
  const words = [verdict(auth, leaf), verdict(auth, stranger), verdict(auth)]
    .map((text) => text.replace(/:.*/, ""));
  return [demand, auth.names.length, ...words].join(" ");
}

const JUDGED = "SUCCESS FAILED NONE";
const SEEN = "GENEROUS GENEROUS NONE";
const TABLE: [option: ClientCertificate, env: Variables, expected: string][] = [
  ["none", {}, "none"],
  ["none", { CAFILE: ROOT, CADIR: folder, VERIFYDEPTH: "3", CRLFILE: "/nowhere" }, "none"],
  ["none", { CCAFILE: "", CCADIR: "" }, "none"],
  ["none", { CCAFILE: "-" }, "none"],
  ["none", { CCAFILE: "-", CCAVERIFY: "1", CAFILE: ROOT }, "none"],
  ["none", { CCAFILE: "-", CCADIR: folder }, "none"],
  ["valid", { CCAFILE: "-", CAFILE: ROOT }, "none"],
  ["match", { CCAFILE: "-" }, "none"],
  ["none", { CCAFILE: EMPTY }, `optional 0 ${SEEN}`],
  ["none", { CCAFILE: "/dev/null" }, `optional 0 ${SEEN}`],
  ["none", { CCAFILE: OTHER }, `optional 1 ${SEEN}`],
  ["none", { CCAFILE: OTHER, CAFILE: ROOT }, `optional 1 ${JUDGED}`],
  ["none", { CCAFILE: EMPTY, CAFILE: ROOT }, `optional 0 ${JUDGED}`],
  ["none", { CCAVERIFY: "1", CAFILE: ROOT }, `required 1 ${JUDGED}`],
  ["none", { CCAVERIFY: "", CAFILE: ROOT }, `required 1 ${JUDGED}`],
  ["none", { CCAVERIFY: "1", CCAFILE: ROOT }, `required 1 ${JUDGED}`],
  ["valid", { CAFILE: ROOT }, `required 1 ${JUDGED}`],
  ["match", { CAFILE: ROOT }, `required 1 ${JUDGED}`],
  ["valid", { CCAFILE: ROOT }, `required 1 ${JUDGED}`],
  ["valid", { CCAFILE: OTHER, CAFILE: ROOT }, `required 1 ${JUDGED}`],
  ["valid", { CCAFILE: EMPTY, CAFILE: ROOT }, `required 0 ${JUDGED}`],
  ["asked", {}, `optional 0 ${SEEN}`],
  ["asked", { CAFILE: ROOT }, `optional 1 ${JUDGED}`],
  ["asked", { CAFILE: ROOT, CCAFILE: EMPTY }, `optional 0 ${JUDGED}`],
  ["sent", { CAFILE: ROOT }, `required 1 ${JUDGED}`],
  ["valid", { CAFILE: authorities("twice.pem", root, root) }, `required 1 ${JUDGED}`],
];

test("what is required of client certificates, and how they are verified", () => {
  for (const [option, env, expected] of TABLE) {
    assertStrictEquals(outcome(asked(option, env)), expected, `${option} ${JSON.stringify(env)}`);
  }
});

test("a certificate that is only asked for may be invalid, and one that is required too", () => {
  for (const [option, refuses] of [["asked", false], ["sent", false], ["valid", true]] as const) {
    assertStrictEquals(asked(option, { CAFILE: ROOT })?.refusesInvalid, refuses, option);
  }
});

test("revocation is checked for the leaf or for all, also without lists if that is asked for", () => {
  const inner = certify({ name: "inner", by: middle });
  const env: Variables = { CAFILE: authorities("both.pem", root, middle) };
  const none = "FAILED:unable to get certificate CRL";
  const rows: [revocation: "listed" | "leaf" | "all", lists: Uint8Array[], verdict: string][] = [
    ["listed", [], "SUCCESS"],
    ["leaf", [], none],
    ["all", [], none],
    ["listed", [revoke(middle)], none],
    ["leaf", [revoke(middle)], "SUCCESS"],
    ["all", [revoke(middle)], none],
    ["all", [revoke(middle), revoke(root)], "SUCCESS"],
    ["leaf", [revoke(middle, inner)], "FAILED:certificate revoked"],
  ];
  for (const [revocation, ders, expected] of rows) {
    const given: Variables = ders.length > 0
      ? { ...env, CRLFILE: lists("some.crl", ...ders) }
      : env;
    const log = new Log({ verbosity: 0, form: "text", name: "t" });
    const auths = new ClientAuths({
      option: "valid",
      revocation,
      env: (name) => given[name],
      log,
      now: () => NOW,
    });
    assertStrictEquals(verdict(auths.get(), inner), expected, `${revocation} ${ders.length}`);
  }
});

test("an unreadable certificate is FAILED, also without authorities", () => {
  const { auths } = bench("none", { CCAFILE: EMPTY });
  assertStrictEquals(verdict(auths.get(), leaf), "GENEROUS");
  const broken = { ...leaf, der: leaf.der.subarray(1) };
  assertMatch(verdict(auths.get(), broken), /^FAILED:unreadable certificate: x509: /);
});

test("folders have the same effect as files", () => {
  const some = join(folder, "some");
  fs.mkdirSync(some);
  fs.copyFileSync(ROOT, join(some, "root.pem"));
  assertStrictEquals(outcome(asked("valid", { CADIR: some })), `required 1 ${JUDGED}`);
  assertStrictEquals(outcome(asked("valid", { CCADIR: some })), `required 1 ${JUDGED}`);
  assertStrictEquals(outcome(asked("none", { CCADIR: some })), `optional 1 ${SEEN}`);
  const both = { CCADIR: some, CCAFILE: OTHER, CAFILE: OTHER };
  assertStrictEquals(outcome(asked("none", both)), "optional 2 FAILED SUCCESS NONE");
});

test("a rule overrides single variables of the server's environment", () => {
  const env = { CAFILE: ROOT };
  const rows: [option: ClientCertificate, rule: Variables, expected: string][] = [
    ["none", {}, "none"],
    ["none", { CCAVERIFY: "" }, `required 1 ${JUDGED}`],
    ["none", { CCAFILE: EMPTY }, `optional 0 ${JUDGED}`],
    ["none", { CCAFILE: EMPTY, CAFILE: OTHER }, "optional 0 FAILED SUCCESS NONE"],
    ["none", { CCAFILE: EMPTY, CAFILE: "" }, `optional 0 ${SEEN}`],
    ["valid", { CCAFILE: "-" }, "none"],
    ["valid", { CAFILE: OTHER }, "required 1 FAILED SUCCESS NONE"],
    ["valid", { LOOP: "x" }, `required 1 ${JUDGED}`],
  ];
  for (const [option, rule, expected] of rows) {
    assertStrictEquals(
      outcome(asked(option, env, rule)),
      expected,
      `${option} ${JSON.stringify(rule)}`,
    );
  }
  const auth = asked("valid", { ...env, CCAFILE: "-" }, { CCAFILE: OTHER });
  assertStrictEquals(outcome(auth), `required 1 ${JUDGED}`);
});

test("required certificates without authorities are fatal, and so are unusable files", () => {
  const damaged = join(folder, "damaged.pem");
  fs.writeFileSync(damaged, fs.readFileSync(ROOT, "utf8").replace(/\n.{8}/, "\nAAAAAAAA"));
  const rows: [option: ClientCertificate, env: Variables, message: RegExp][] = [
    ["valid", {}, /unable to require client certificates: there is nothing to verify them against/],
    ["match", { CRLFILE: "/nowhere" }, /nothing to verify them against/],
    ["none", { CCAVERIFY: "1" }, /nothing to verify them against/],
    ["valid", { CAFILE: "" }, /nothing to verify them against/],
    ["valid", { CAFILE: "/nowhere" }, /unable to read CA file \/nowhere: no such file/],
    ["valid", { CADIR: "/nowhere" }, /unable to read CA folder \/nowhere: no such file/],
    ["valid", { CAFILE: EMPTY }, /unable to use CA file .*: the file is empty/],
    ["valid", { CAFILE: damaged }, /unable to use CA file .*damaged\.pem: /],
    ["valid", { CCAFILE: EMPTY }, /unable to use CA file .*: the file is empty/],
    ["valid", { CAFILE: ROOT, CRLFILE: "/nowhere" }, /revocation list \/nowhere: no such file/],
    ["valid", { CAFILE: ROOT, CRLFILE: ROOT }, /revocation list .*: no X509 CRL in it/],
    ["valid", { CAFILE: ROOT, CCAFILE: "/nowhere" }, /unable to read CCAFILE \/nowhere: no such/],
    ["none", { CCAFILE: damaged }, /unable to read CCAFILE .*damaged\.pem: /],
    ["none", { CCADIR: "/nowhere" }, /unable to read CA folder \/nowhere: no such file/],
    ["valid", { CAFILE: ROOT, VERIFYDEPTH: "-1" }, /unable to use VERIFYDEPTH: '-1'/],
    ["valid", { CAFILE: ROOT, VERIFYDEPTH: "101" }, /unable to use VERIFYDEPTH: '101'/],
    ["valid", { CAFILE: ROOT, VERIFYDEPTH: "1e1" }, /unable to use VERIFYDEPTH: '1e1'/],
  ];
  for (const [option, env, message] of rows) {
    const matches = (error: unknown): boolean =>
      error instanceof FatalError && message.test(error.message);
    assert(matches(assertThrows(() => asked(option, env))), `${option} ${JSON.stringify(env)}`);
  }
});

test("VERIFYDEPTH counts intermediates; 1 unless set", () => {
  const rows: [env: Variables, one: string, two: string][] = [
    [{}, "SUCCESS", "FAILED:certificate chain too long"],
    [{ VERIFYDEPTH: "" }, "SUCCESS", "FAILED:certificate chain too long"],
    [
      { VERIFYDEPTH: "0" },
      "FAILED:certificate chain too long",
      "FAILED:certificate chain too long",
    ],
    [{ VERIFYDEPTH: "2" }, "SUCCESS", "SUCCESS"],
    [{ VERIFYDEPTH: "100" }, "SUCCESS", "SUCCESS"],
  ];
  const one = certify({ name: "one", by: middle });
  for (const [env, first, then] of rows) {
    const auth = asked("valid", { CAFILE: ROOT, ...env });
    assertStrictEquals(verdict(auth, one, middle), first, JSON.stringify(env));
    assertStrictEquals(verdict(auth, deep, lower, middle), then, JSON.stringify(env));
  }
});

test("-z requires the client's name in the certificate, if it is known; -m does not", () => {
  const chain = sentChain([leaf.der]);
  const [match, valid] = [asked("match", { CAFILE: ROOT }), asked("valid", { CAFILE: ROOT })];
  assertStrictEquals(match?.verify(chain, "leaf.example"), "SUCCESS");
  assertStrictEquals(match?.verify(chain, "other.example"), "FAILED:hostname mismatch");
  assertStrictEquals(match?.verify(chain, undefined), "SUCCESS");
  assertStrictEquals(valid?.verify(chain, "other.example"), "SUCCESS");
});

test("a renewed authority is noticed within a second, and the TLS context with its name", () => {
  const path = authorities("renewed.pem", root);
  const { auths, said, later } = bench("valid", { CAFILE: path });
  const before = auths.get();
  assertStrictEquals(verdict(before, leaf), "SUCCESS");
  authorities("renewed.pem", other);
  assertStrictEquals(verdict(auths.get(), leaf), "SUCCESS", "looked at before its time");
  later();
  assertMatch(verdict(auths.get(), leaf), /^FAILED/);
  assertStrictEquals(verdict(auths.get(), stranger), "SUCCESS");
  assertNotStrictEquals(auths.get()?.key, before?.key);
  assertEquals(said, []);
});

test("a renewed revocation list is noticed, and the TLS context stays for sessions to be resumed", () => {
  const CRLFILE = lists("renewed.crl", revoke(root));
  const { auths, later } = bench("valid", { CAFILE: ROOT, CRLFILE });
  const key = auths.get()?.key;
  assertStrictEquals(verdict(auths.get(), leaf), "SUCCESS");
  lists("renewed.crl", revoke(root, leaf));
  later();
  assertStrictEquals(verdict(auths.get(), leaf), "FAILED:certificate revoked");
  assertStrictEquals(verdict(auths.get(), second), "SUCCESS");
  assertStrictEquals(auths.get()?.key, key);
});

test("files that have not changed are not read again", () => {
  const path = authorities("still.pem", root);
  const some = join(folder, "still");
  fs.mkdirSync(some);
  fs.copyFileSync(OTHER, join(some, "other.pem"));
  for (const env of [{ CAFILE: path }, { CADIR: some }, { CAFILE: path, CCADIR: some }]) {
    const { auths, later } = bench("valid", env);
    const first = auths.get();
    later();
    assertStrictEquals(auths.get(), first, JSON.stringify(env));
  }
});

test("a change inside a folder is noticed, of trusted ones and of named ones", () => {
  for (const variable of ["CADIR", "CCADIR"]) {
    const some = join(folder, variable);
    fs.mkdirSync(some);
    fs.copyFileSync(ROOT, join(some, "one.pem"));
    const { auths, later } = bench("none", { CCAFILE: EMPTY, [variable]: some });
    const names = variable === "CADIR" ? 0 : 1;
    assertStrictEquals(auths.get()?.names.length, names);
    const first = auths.get();
    fs.writeFileSync(join(some, "one.pem"), fs.readFileSync(OTHER)); // in place: the folder stays the same
    fs.utimesSync(join(some, "one.pem"), 1, 1);
    later();
    const changed = auths.get();
    assertNotStrictEquals(changed, first, variable);
    fs.copyFileSync(ROOT, join(some, "two.pem"));
    later();
    assertNotStrictEquals(auths.get(), changed, variable);
    if (variable === "CCADIR") assertStrictEquals(auths.get()?.names.length, 2);
    else assertStrictEquals(verdict(auths.get(), stranger), "SUCCESS");
  }
});

test("a broken renewal is logged once, the old authorities stay, and the next good one is used", () => {
  const path = authorities("fragile.pem", root);
  const CRLFILE = lists("fragile.crl", revoke(root, second));
  const { auths, said, later } = bench("valid", { CAFILE: path, CRLFILE });
  auths.get();
  for (const broken of [path, CRLFILE]) {
    const good = fs.readFileSync(broken);
    for (const content of ["", "-----BEGIN nothing"]) {
      fs.writeFileSync(broken, content);
      later();
      later();
      assertStrictEquals(said.length, 1, said.join("\n"));
      assertMatch(
        said.pop() ?? "",
        /^t: error: unable to use .*; the old authorities stay in use$/,
      );
      assertStrictEquals(verdict(auths.get(), leaf), "SUCCESS");
      assertStrictEquals(verdict(auths.get(), second), "FAILED:certificate revoked");
    }
    fs.rmSync(broken);
    later();
    assertMatch(said.pop() ?? "", /unable to read .*: no such file or directory; the old/);
    assertStrictEquals(verdict(auths.get(), second), "FAILED:certificate revoked");
    fs.writeFileSync(broken, good);
    later();
    assertMatch(
      said.pop() ?? "",
      /^t: info: authorities good again: \S+fragile\.pem, \S+fragile\.crl$/,
    );
    assertEquals(said, []);
  }
  lists("fragile.crl", revoke(root, leaf));
  later();
  assertStrictEquals(verdict(auths.get(), leaf), "FAILED:certificate revoked");
  assertStrictEquals(verdict(auths.get(), second), "SUCCESS");
});

test("each new failure of a file is reported once, and again after a repair", () => {
  const path = authorities("kinds.pem", root);
  const good = fs.readFileSync(path);
  const { auths, said, later } = bench("valid", { CAFILE: path });
  auths.get();
  const nonsense = (text: string) => () => fs.writeFileSync(path, text);
  const steps: [make: () => void, says: RegExp | undefined][] = [
    [() => fs.mkdirSync(path), /a directory, not a regular file/],
    [() => execFileSync("mkfifo", [path]), /a pipe, not a regular file/],
    [() => fs.symlinkSync("/dev/zero", path), /a device, not a regular file/],
    [nonsense("one"), /no certificate in it/],
    [nonsense("two, which fails in the same way"), undefined],
    [() => {}, /no such file/],
    [nonsense("three"), /no certificate in it/],
    [() => fs.writeFileSync(path, good), /info: authorities good again: \S+kinds\.pem$/],
    [nonsense("four"), /no certificate in it/],
  ];
  for (const [make, says] of steps) {
    fs.rmSync(path, { recursive: true, force: true });
    make();
    later();
    later();
    assertStrictEquals(said.length, says ? 1 : 0, said.join("\n"));
    if (says) assertMatch(said.pop() ?? "", says);
    assertStrictEquals(verdict(auths.get(), leaf), "SUCCESS");
  }
  auths.reload();
  later();
  assertStrictEquals(said.length, 1, "SIGHUP asks for it again");
});

test("a broken new file in a folder is reported, and used after its repair", () => {
  for (const variable of ["CADIR", "CCADIR"]) {
    const some = join(folder, `repair-${variable}`);
    fs.mkdirSync(some);
    fs.copyFileSync(ROOT, join(some, "one.pem"));
    const { auths, said, later } = bench("none", { CCAFILE: EMPTY, [variable]: some });
    const first = auths.get();
    const two = join(some, "two.pem");
    fs.writeFileSync(two, "not yet");
    later();
    assertMatch(
      said.pop() ?? "",
      /unable to use CA file .*two\.pem: no certificate in it; it is ignored$/,
    );
    assertStrictEquals(auths.get()?.key, first?.key);
    // Written in place, so the folder itself does not change.
    fs.writeFileSync(two, "-----BEGIN CERTIFICATE-----\n");
    later();
    assertMatch(said.pop() ?? "", /two\.pem: pem: CERTIFICATE: no END line/);
    fs.writeFileSync(two, fs.readFileSync(OTHER));
    later();
    assertEquals(said, []);
    if (variable === "CCADIR") assertNotStrictEquals(auths.get()?.key, first?.key);
    else assertStrictEquals(verdict(auths.get(), stranger), "SUCCESS");
  }
});

test("reload() reads at once", () => {
  const path = authorities("hup.pem", root);
  const { auths } = bench("valid", { CAFILE: path });
  assertStrictEquals(verdict(auths.get(), leaf), "SUCCESS");
  authorities("hup.pem", other);
  auths.reload();
  assertMatch(verdict(auths.get(), leaf), /^FAILED/);
});

test("settings in use stay while rules name many others", () => {
  const { auths } = bench("valid", { CAFILE: ROOT });
  const first = auths.get();
  for (let depth = 0; depth < 100; depth++) {
    assert(auths.get(new Map([["VERIFYDEPTH", String(depth)]])));
    assertStrictEquals(auths.get(), first);
  }
});

test("too many names of authorities are an error with a remedy", () => {
  // Each name takes 1,025 bytes, and two for its length.
  const holders = Array.from(
    { length: 64 },
    (_, i) => certify({ name: `${i + 100}${"x".repeat(1003)}`, ca: true }),
  );
  const size = holders.reduce((sum, { name }) => sum + name.length + 2, 0);
  assert(size > 65_400 && size < 65_535 + 1100, String(size));
  const all = authorities("many.pem", ...holders);
  const fewer = authorities("fewer.pem", ...holders.slice(1));
  const refused = (error: unknown): boolean =>
    error instanceof FatalError && /names of 64 authorities have \d+ bytes/.test(error.message) &&
    /CCAFILE/.test(error.hint ?? "");
  assert(refused(assertThrows(() => asked("valid", { CAFILE: all }))));
  assert(refused(assertThrows(() => asked("none", { CCAFILE: all }))));
  assert(refused(assertThrows(() => asked("valid", { CAFILE: ROOT }, { CCAFILE: all }))));
  assertStrictEquals(asked("valid", { CAFILE: fewer })?.names.length, 63);
  assertStrictEquals(asked("valid", { CAFILE: all, CCAFILE: "/dev/null" })?.names.length, 0);
  assertStrictEquals(asked("none", { CAFILE: all }), undefined);
});

/** Checks that a start shares with --check: which findings stop it, and which are warnings with a remedy. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import * as os from "node:os";
import process from "node:process";
import { test } from "node:test";
import type { Env } from "../../src/config/variables.ts";
import { Findings } from "../../src/check/finding.ts";
import { checkCommand, checkOperands } from "../../src/check/start.ts";
import { concat } from "../../src/codec/bytes.ts";
import { CdbWriter } from "../../src/codec/cdb_write.ts";
import { compileRule } from "../../src/codec/rules_source.ts";
import { parseOptions } from "../../src/config/parse.ts";
import { FatalError } from "../../src/errors.ts";
import { Log } from "../../src/log.ts";
import { currentRuntime } from "../../src/runtime/current.ts";

const runtime = await currentRuntime();

/** Runs a start, up to the first call of the TLS library. */
function start(argv: readonly string[], env: Env = {}, form: "text" | "json" = "text") {
  const request = parseOptions(argv, env);
  assert("serve" in request);
  const findings = new Findings();
  const actors = checkCommand(request.serve, env, runtime, "cli.ts", findings);
  checkOperands(request.serve, env, runtime, actors, findings);
  let lines = "";
  const log = new Log({ verbosity: 1, form, name: "sslserver", write: (text) => lines += text });
  let fatal: FatalError | undefined;
  try {
    findings.start(log);
  } catch (error) {
    assert(error instanceof FatalError);
    fatal = error;
  }
  log.flush();
  return { lines, fatal, levels: findings.list.map(({ level }) => level) };
}

/** Only CERTFILE, CERTCHAINFILE and KEYFILE can have several files. */
const RULE =
  '127.:allow,CERTFILE="/no/cert:/no/other",CAFILE="/no/a:/no/b",CCAFILE="-",SSL_UID="1",UID="1"';

function compile(line: string): Uint8Array {
  const writer = new CdbWriter();
  const rule = compileRule(new TextEncoder().encode(line));
  for (const key of rule?.keys ?? []) writer.add(key, rule!.value);
  return concat(writer.finish());
}

/** Runs `use` with files in a new folder. */
function withFiles(use: (at: (name: string) => string) => void): void {
  const folder = fs.mkdtempSync(join(os.tmpdir(), "start-"));
  fs.chmodSync(folder, 0o755);
  const at = (name: string): string => join(folder, name);
  const put = (name: string, text: string, mode: number): void => {
    fs.writeFileSync(at(name), text, { mode });
    fs.chmodSync(at(name), mode);
  };
  put("good", "#!/bin/sh\n", 0o755);
  put("-v", "#!/bin/sh\n", 0o755);
  put("plain", "#!/bin/sh\n", 0o644);
  put("cr", "#!/bin/sh\r\n", 0o755);
  put("orphan", "#!/no/such/interpreter\n", 0o755);
  put("strange", "\x01\x02", 0o755);
  put("rules.txt", "127.:allow\n", 0o644);
  fs.writeFileSync(at("rules.cdb"), compile(RULE));
  put("empty", "", 0o644);
  put("key.pem", "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n", 0o600);
  try {
    use(at);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

const BASE = ["-HRl0"];
const TAIL = ["127.0.0.1", "0"];
const PATH = process.env["PATH"] ?? "/usr/bin:/bin";

test("settings that can serve no client stop the start, with a remedy", () => {
  withFiles((at) => {
    const rows: [string[], RegExp, RegExp][] = [
      [[...TAIL, "no-such-program-here"], /^program no-such-program-here: not found/, /full path/],
      [[...TAIL, at("missing")], /^program \S+missing: no such file/i, /path of a program/],
      [[...TAIL, at("")], /^program \S+: not a regular file/, /path of a program/],
      [[...TAIL, at("cr")], /its lines end with CR/, /sed -i/],
      [[...TAIL, at("orphan")], /interpreter \/no\/such\/interpreter: no such file/i, /install/],
      [[...TAIL, "-v", "cat"], /^program -v: not found/, /sslserver -v host port prog/],
      [["-x", at("rules.txt"), ...TAIL, at("good")], /^rules \S+rules\.txt: /, /tcprules/],
      [["-y", at("rules.txt"), "-X", ...TAIL, at("good")], /^rules \S+rules\.txt: /, /tcprules/],
      [["-x", at("empty"), ...TAIL, at("good")], /^rules \S+empty: /, /it is empty: compile/],
      [["-x", at(""), ...TAIL, at("good")], /^rules \S+: a directory/, /tcprules/],
    ];
    for (const [argv, text, remedy] of rows) {
      const { fatal } = start([...BASE, ...argv], { PATH });
      assertMatch(fatal?.message ?? "", text, argv.join(" "));
      assertMatch(fatal?.hint ?? "", remedy, argv.join(" "));
      assertStrictEquals(fatal?.code, 111);
    }
  });
});

test("mistakes that can be corrected while the server runs, and doubtful settings, are warnings", () => {
  withFiles((at) => {
    const good = [...TAIL, at("good")];
    const rows: [string[], Record<string, string>, RegExp][] = [
      [[...TAIL, at("plain")], {}, /program \S+plain: .*(execute|permission).* -- chmod a\+x/i],
      [[...TAIL, at("strange")], {}, /program \S+strange: neither an executable .* -- let its/],
      [[...TAIL, "-v"], { PATH: at("") }, /program -v: it looks like an option -- .*before host/],
      [["-x", at("none.cdb"), ...good], {}, /rules \S+none\.cdb: no such file: .* -- compile it/],
      [good, { TLS_MIN_VERSON: "1" }, /TLS_MIN_VERSON is not read .* -- did you mean TLS_MIN_V/],
      [good, { SSL_CHROT: "/jail" }, /SSL_CHROT is not read .* -- did you mean SSL_CHROOT\?/],
      [good, { TLS_UID: "1" }, /TLS_UID is not read by sslserver -- did you mean SSL_UID\?/],
      [good, { TLS_GID: "1" }, /TLS_GID is not read by sslserver -- did you mean SSL_GID\?/],
      [["-x", at("rules.cdb"), ...good], {}, /: CERTFILE \/no\/cert: no such file/],
      [["-x", at("rules.cdb"), ...good], {}, /: CERTFILE \/no\/other: no such file/],
      [["-x", at("rules.cdb"), ...good], {}, /: CAFILE \/no\/a:\/no\/b: no such file/],
      [["-x", at("rules.cdb"), ...good], {}, /: SSL_UID does nothing in a rule -- set it in the/],
      [["-X", ...good], {}, /-X does nothing without -x or -y -- name the rules file/],
      [["-p", ...good], {}, /-p does nothing with -H -- leave out one/],
      [good, { CAFILE: "/ca.pem" }, /CAFILE is set and not used: .* -- add -m/],
    ];
    for (const [argv, env, line] of rows) {
      const { lines, fatal } = start([...BASE, ...argv], env);
      assertStrictEquals(fatal, undefined, `${argv.join(" ")}: ${fatal?.message}`);
      const found = lines.split("\n").filter((text) => line.test(text));
      assertStrictEquals(found.length, 1, `${line} in: ${lines}`);
      assertMatch(found[0] ?? "", /^sslserver: warning: /);
    }
    const { lines } = start([...BASE, "-X", ...good], {}, "json");
    const said = lines.trim().split("\n").map((line) => JSON.parse(line) as Record<string, string>);
    const own = said.find(({ message }) => message?.startsWith("-X"));
    assertEquals([own?.["level"], own?.["event"]], ["warning", "warning"]);
    assertStrictEquals(own?.["message"], "-X does nothing without -x or -y");
    assertStrictEquals(own?.["remedy"], "name the rules file: -x FILE");
  });
});

test("a sound start warns only about programs that run as root", () => {
  withFiles((at) => {
    const { lines, fatal } = start([...BASE, ...TAIL, at("good")], { PATH });
    assertStrictEquals(fatal, undefined);
    assertMatch(
      lines,
      process.getuid?.() === 0 ? /^sslserver: warning: [^\n]*run as root[^\n]*\n$/ : /^$/,
    );
  });
});

test("a thousand warnings are a few lines and a summary", () => {
  const findings = new Findings();
  for (let i = 0; i < 1000; i++) findings.warning(`doubt ${i}`, "end it");
  const said: string[] = [];
  findings.start({ warning: (text) => void said.push(text) });
  assert(said.length < 50, `${said.length}`);
  assertMatch(said.at(-1) ?? "", /^9\d\d more warnings$/);
});

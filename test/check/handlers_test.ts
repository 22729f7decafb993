/** What --check and a start find about --www, --files and --handler. */

import { assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import * as os from "node:os";
import { test } from "node:test";
import type { ProcessUser } from "../../src/check/access.ts";
import { Findings } from "../../src/check/finding.ts";
import { checkHandler } from "../../src/check/handlers.ts";
import { checkSettings } from "../../src/check/options.ts";
import type { Env } from "../../src/config/variables.ts";
import { defaults, type HandlerChoice, type Options } from "../../src/config/options.ts";
import { currentRuntime } from "../../src/runtime/current.ts";

const runtime = await currentRuntime();
const STRANGER: ProcessUser = { uid: 65533, gid: 65533, groups: [], ourselves: false };

test("the folder of --files and the module of --handler must be readable", () => {
  const folder = fs.mkdtempSync(join(os.tmpdir(), "handlers-"));
  try {
    fs.chmodSync(folder, 0o755);
    const at = (name: string): string => join(folder, name);
    for (const [name, mode] of [["open", 0o755], ["shut", 0o700]] as const) {
      fs.mkdirSync(at(name));
      fs.chmodSync(at(name), mode);
      fs.writeFileSync(at(`${name}.ts`), "export default () => {};\n");
      fs.chmodSync(at(`${name}.ts`), mode & 0o644);
    }
    const files = (name: string): HandlerChoice => ({ kind: "files", folder: at(name) });
    const handler = (name: string): HandlerChoice => ({ kind: "handler", file: at(name) });
    const rows: [HandlerChoice, string, RegExp][] = [
      [files("open"), "ok", /open: a folder$/],
      [files("shut"), "error", /shut: user 65533 cannot execute it$/],
      [files("absent"), "error", /absent: no such file or directory$/],
      [files("open.ts"), "error", /open\.ts: not a folder$/],
      [handler("open.ts"), "ok", /open\.ts: readable$/],
      [handler("shut.ts"), "error", /shut\.ts: user 65533 cannot read it$/],
      [handler("absent.ts"), "error", /absent\.ts: no such file or directory$/],
      [handler("open"), "error", /open: no regular file$/],
    ];
    for (const [choice, level, text] of rows) {
      const findings = new Findings();
      checkHandler(choice, { worker: STRANGER, program: STRANGER }, findings);
      assertEquals(findings.list.map((one) => one.level), [level], text.source);
      assertMatch(findings.list[0]?.text ?? "", text);
    }
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});

test("--www and --files refuse h2 in ALPN, and s_server does not", () => {
  const errors = (options: Partial<Options>, ALPN: string): string[] => {
    const findings = new Findings();
    const env: Env = { ALPN };
    checkSettings({ ...defaults(), remoteName: false, ...options }, env, runtime, findings);
    return findings.list.filter(({ level, text }) => level === "error" && /ALPN/.test(text)).map((
      { text },
    ) => text);
  };
  const www: Partial<Options> = { handler: { kind: "www" } };
  const files: Partial<Options> = { handler: { kind: "files", folder: "/" } };
  const text = "ALPN=http/1.1, h2: --www and --files do not speak HTTP/2";
  for (const options of [www, files]) assertEquals(errors(options, "http/1.1, h2"), [text]);
  for (const ALPN of ["http/1.1", "x-h2,h22", ""]) assertEquals(errors(www, ALPN), []);
  assertEquals(errors({ ...www, name: "s_server" }, "h2"), []);
  assertEquals(errors({ handler: { kind: "echo" } }, "h2"), []);
  assertEquals(errors({}, "h2"), []);
});

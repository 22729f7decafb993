import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { tcprules } from "../../src/commands/tcprules.ts";
import { tcprulescheck } from "../../src/commands/tcprulescheck.ts";

type Env = Record<string, string | undefined>;

/** Runs a command. `chunks` is its standard input, piece by piece. */
async function run(
  command: typeof tcprules,
  args: string[],
  chunks: (string | Uint8Array)[] = [],
  env: Env = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  let stdout = "";
  let stderr = "";
  async function* stdin() {
    for (const chunk of chunks) {
      yield typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk;
    }
  }
  const code = await command(args, {
    stdin: stdin(),
    stdout: (text) => stdout += text,
    stderr: (text) => stderr += text,
    env,
  });
  return { code, stdout, stderr };
}

/** Runs `body` in a new folder. */
async function inFolder(body: (cdb: string, tmp: string, folder: string) => Promise<void>) {
  const folder = mkdtempSync(join(tmpdir(), "tcprules-"));
  try {
    await body(join(folder, "rules.cdb"), join(folder, "rules.tmp"), folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("--help prints the usage and exits with 0", async () => {
  const rows: [typeof tcprules, string][] = [[tcprules, "tcprules cdb tmp"], [
    tcprulescheck,
    "tcprulescheck cdb",
  ]];
  for (const [command, usage] of rows) {
    const { code, stdout, stderr } = await run(command, ["--help"], [":deny\n"]);
    assertEquals([code, stderr], [0, ""]);
    assert(stdout.startsWith(`usage: ${usage}\n\n`), stdout);
    assertEquals(stdout.split("\n").filter((line) => line.length > 80), []);
  }
});

test("rules are compiled, moved into place, and explained", () =>
  inFolder(async (cdb, tmp, folder) => {
    const lines = '# rules\n10.0.0.0/8:allow,A="1",B="x:y"\n\n=.example:deny\n:allow';
    assertEquals(await run(tcprules, [cdb, tmp], [lines]), { code: 0, stdout: "", stderr: "" });
    assertEquals(readdirSync(folder), ["rules.cdb"]);
    const rows: [Env, string][] = [
      [
        { TCPREMOTEIP: "10.1.2.3" },
        "rule 10./8:\nset environment variable A=1\nset environment variable B=x:y\n" +
        "allow connection\n",
      ],
      [
        { TCPREMOTEIP: "::1", TCPREMOTEHOST: "a.example" },
        "rule =.example:\ndeny connection\n",
      ],
      [{}, "rule :\nallow connection\n"],
    ];
    for (const [env, stdout] of rows) {
      assertEquals(await run(tcprulescheck, [cdb], [], env), { code: 0, stdout, stderr: "" });
    }
    await run(tcprules, [cdb, tmp]);
    assertStrictEquals((await run(tcprulescheck, [cdb])).stdout, "default:\nallow connection\n");
  }));

test("input is the same however it arrives", () =>
  inFolder(async (cdb, tmp) => {
    const lines = new TextEncoder().encode('1.2.3.4:deny\n\n#\n=ä.example:allow,A="ü"\n');
    await run(tcprules, [cdb, tmp], [lines]);
    const whole = readFileSync(cdb);
    await run(tcprules, [cdb, tmp], [...lines].map((byte) => Uint8Array.of(byte)));
    assertEquals(readFileSync(cdb), whole);
  }));

test("a bad line is named by number and text, exits 101, and changes nothing", () =>
  inFolder(async (cdb, tmp, folder) => {
    await run(tcprules, [cdb, tmp], [":deny\n"]);
    const before = readFileSync(cdb);
    const rows: [input: string | Uint8Array, message: RegExp][] = [
      [
        ":deny\n# x\n\n1.2.3.4:permit\n:allow\n",
        /^tcprules: fatal: unable to parse line 4: 1\.2\.3\.4:permit: rules: instruction: .*\n$/,
      ],
      ["1.2.3.4 deny", /line 1: 1\.2\.3\.4 deny: .*no colon/],
      [":deny\r\n", /line 1: :deny\\x0d: /],
      ["\x1b[2J:deny\\:", /line 1: \\x1b\[2J:deny\\\\:: /],
      [Uint8Array.of(0xff, 0x0a), /line 1: \\xff: /],
      [`:deny\n${"x".repeat(500)}\n`, /line 2: x{200}…: /],
      [`:deny\n${"x".repeat(70_000)}`, /line 2: longer than 65536 bytes\n$/],
    ];
    for (const [input, message] of rows) {
      const { code, stderr } = await run(tcprules, [cdb, tmp], [input]);
      assertStrictEquals(code, 101, stderr);
      assertMatch(stderr, message);
      assertStrictEquals(stderr.split("\n").length, 2);
      assertEquals(readFileSync(cdb), before);
      assertEquals(readdirSync(folder), ["rules.cdb"]);
    }
  }));

test("a line that can never match is stored with a warning", () =>
  inFolder(async (cdb, tmp) => {
    const { code, stderr } = await run(tcprules, [cdb, tmp], [":allow\n10.0:deny\n"]);
    assertStrictEquals(code, 0);
    assertMatch(
      stderr,
      /^tcprules: warning: neither an address nor a prefix .*: line 2: 10\.0:deny\n$/,
    );
  }));

test("wrong usage exits 100", async () => {
  for (const args of [[], ["a"], ["a", ""], ["a", "b", "c"], ["a", "a"], ["a", "./a"]]) {
    const { code, stderr } = await run(tcprules, args);
    assertStrictEquals(code, 100);
    assertMatch(stderr, /^tcprules: usage: tcprules cdb tmp.*\n$/);
  }
  for (const args of [[], [""], ["a", "b"]]) {
    const { code, stderr } = await run(tcprulescheck, args);
    assertStrictEquals(code, 100);
    assertStrictEquals(stderr, "tcprulescheck: usage: tcprulescheck cdb\n");
  }
  const { code, stderr } = await run(tcprulescheck, ["a"], [], { TCPREMOTEIP: "1.2.3" });
  assertStrictEquals(code, 100);
  assertMatch(stderr, /unable to parse TCPREMOTEIP/);
});

test("a failure of the system exits 111 and leaves no tmp", () =>
  inFolder(async (cdb, tmp, folder) => {
    const none = join(folder, "none");
    let result = await run(tcprules, [cdb, join(none, "tmp")], [":deny\n"]);
    assertStrictEquals(result.code, 111);
    assertMatch(result.stderr, /^tcprules: fatal: unable to create .*none\/tmp: ENOENT/);
    result = await run(tcprules, [join(none, "cdb"), tmp], [":deny\n"]);
    assertStrictEquals(result.code, 111);
    assertMatch(result.stderr, /unable to rename .*rules\.tmp to .*none\/cdb: ENOENT/);
    mkdirSync(none);
    result = await run(tcprules, [cdb, none], [":deny\n"]);
    assertStrictEquals(result.code, 111);
    assertEquals(readdirSync(folder), ["none"]);
    assertStrictEquals((await run(tcprulescheck, [cdb])).code, 111);
    writeFileSync(cdb, "short");
    result = await run(tcprulescheck, [cdb]);
    assertStrictEquals(result.code, 111);
    assertStrictEquals(result.stdout, "", "nothing that looks like a verdict");
    assertMatch(
      result.stderr,
      /^tcprulescheck: fatal: unable to read .*rules\.cdb: cdb: header: /,
    );
  }));

test("input that ends with an error gives no rules file", () =>
  inFolder(async (cdb, tmp) => {
    async function* broken() {
      yield new TextEncoder().encode(":allow\n");
      throw new Error("EIO: i/o error");
    }
    let stderr = "";
    const io = { stdin: broken(), stdout: () => {}, stderr: (s: string) => stderr += s, env: {} };
    assertStrictEquals(await tcprules([cdb, tmp], io), 111);
    assertStrictEquals(stderr, "tcprules: fatal: unable to read input: EIO: i/o error\n");
    assert(!existsSync(cdb));
  }));

test("a tmp that exists is replaced, and a link there is not followed", () =>
  inFolder(async (cdb, tmp, folder) => {
    const precious = join(folder, "precious");
    writeFileSync(precious, "keep");
    symlinkSync(precious, tmp);
    assertStrictEquals((await run(tcprules, [cdb, tmp], [":deny\n"])).code, 0);
    assertStrictEquals(readFileSync(precious, "utf8"), "keep");
    assert(statSync(cdb).size > 2048);
    writeFileSync(tmp, "left over");
    assertStrictEquals((await run(tcprules, [cdb, tmp], [":deny\n"])).code, 0);
    assert(!existsSync(tmp));
  }));

test("tcprulescheck replaces control characters in values by question marks", () =>
  inFolder(async (cdb, tmp) => {
    await run(tcprules, [cdb, tmp], [':allow,A="\x1b[2Jü"\n']);
    assertMatch((await run(tcprulescheck, [cdb])).stdout, /A=\?\[2Jü\n/);
  }));

/** Rules databases against Debian's programs: each side reads what the other wrote, and both must have the
 *  same result for every peer. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { RuleBook } from "../../src/admit/rulebook.ts";
import { PathRules } from "../../src/files/rules_file.ts";
import { latin1 } from "../../src/codec/bytes.ts";
import { formatIpFull, parseIp } from "../../src/codec/ip.ts";
import { type RulePeer, ruleWords } from "../../src/codec/rules.ts";
import { tcprules } from "../../src/commands/tcprules.ts";
import { tcprulescheck } from "../../src/commands/tcprulescheck.ts";

const PACKAGES = {
  tcprules: "ucspi-tcp",
  tcprulescheck: "ucspi-tcp",
  tcpserver: "ucspi-tcp",
  cdb: "tinycdb",
} as const;

/** Runs a Debian program. If it is missing, the error names its package. */
function debian(
  name: keyof typeof PACKAGES,
  args: string[],
  input: Uint8Array | string = "",
  env: Record<string, string> = {},
): { status: number | null; stdout: string; stderr: string } {
  const run = spawnSync(name, args, { input, env: { PATH: process.env["PATH"] ?? "", ...env } });
  if (run.error) throw new Error(`${name} does not run: install Debian's ${PACKAGES[name]}`);
  return { status: run.status, stdout: latin1(run.stdout), stderr: latin1(run.stderr) };
}

/** Runs `body` in a new folder. */
async function inFolder(body: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "interop-"));
  try {
    await body(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Runs one of our commands. */
async function ours(
  command: typeof tcprules,
  args: string[],
  input = "",
  env: Record<string, string> = {},
): Promise<string> {
  let text = "";
  async function* stdin() {
    yield new TextEncoder().encode(input);
  }
  const put = (part: string) => text += part;
  const code = await command(args, { stdin: stdin(), stdout: put, stderr: put, env });
  assertStrictEquals(code, 0, text);
  return text;
}

/** Rules of every kind except networks in CIDR form, which Debian's tools do not support. */
const RULES = `# table
10.1.2.3:allow,EXACT="1"
10.1.2.:deny
10.1.:allow,TWO="x",TWO="y",EMPTY=""
10.:deny,WHY="net 10"
127.0.0.2:deny
127.0.0.5-9:allow,RANGE=/5 to 9/
127.0.0.:allow,LOOP="1"
127.1-2.:deny
192.168.3-5.7:allow,MID="1"
=mail.example.org:allow,HOST="1"
=bad.example.org:deny
=.example.org:allow,SUFFIX="1"
=.org:deny
=.:deny
=:allow,NAMED="1"
joe@10.9.9.9:allow,JOE="ip"
joe@=mail.example.org:deny
@10.9.9.8:deny
root@=:allow
172.16.0.1:allow,TWICE="1"
172.16.0.1:deny
203.0.113.:allow,RBLSMTPD="-go=away, please"
:deny
`;

/** RULES for tinycdb, and keys with colons, which Debian's tcprules cannot write. */
const CDB_RULES: [key: string, value: string][] = [
  ["10.1.2.3", "+EXACT=1\0"],
  ["10.1.2.", "D\0"],
  ["10.", "+TEN=1\0D\0"],
  [`joe@${full("2001:db8::9")}`, "+JOE=six\0"],
  [full("2001:db8::1"), "+SIX=1\0"],
  [full("2001:db8::2"), "D\0"],
  ["=.example.org", "D\0"],
  ["=mail.example.org", "+HOST=1\0"],
  ["=", "+NAMED=1\0"],
  ["", "D\0"],
];

function full(ip: string): string {
  return formatIpFull(parseIp(ip));
}

const HOSTS = [
  undefined,
  "mail.example.org",
  "bad.example.org",
  "a.b.example.org",
  "example.org",
  "other.net",
  ".org",
  "x.",
  "",
];
const INFOS = [undefined, "joe", "root", "", "jo", "a@b"];
const ADDRESSES = [
  ...["10.1.2.3", "10.1.2.4", "10.1.3.1", "10.2.0.1", "10.9.9.9", "10.9.9.8", "11.1.2.3"],
  ...["127.0.0.1", "127.0.0.2", "127.0.0.4", "127.0.0.7", "127.0.0.9", "127.0.0.10", "127.1.0.1"],
  ...["192.168.3.7", "192.168.5.7", "192.168.6.7", "172.16.0.1", "203.0.113.200", "0.0.0.0"],
  ...["255.255.255.255", "2001:db8::1", "2001:db8::2", "2001:db8::9", "::", "fe80::1"],
];

/** Every address with several hosts and idents: over 300 peers, with each pair of values. */
const PEERS: RulePeer[] = ADDRESSES.flatMap((ip, i) =>
  HOSTS.flatMap((host, j) =>
    [INFOS[(i + j) % INFOS.length], INFOS[(i + 2 * j + 1) % INFOS.length]].map((info) => ({
      ip,
      host,
      info,
    }))
  )
);

function environment({ ip, host, info }: RulePeer): Record<string, string> {
  return {
    TCPREMOTEIP: ip.includes(":") ? full(ip) : ip,
    ...(host === undefined ? {} : { TCPREMOTEHOST: host }),
    ...(info === undefined ? {} : { TCPREMOTEINFO: info }),
  };
}

/** Asserts that Debian's tcprulescheck, ours and the rulebook agree on every peer. */
async function assertSameVerdicts(cdb: string): Promise<void> {
  const book = new RuleBook(new PathRules(cdb), { allowMissing: false, now: () => 0 });
  const words = new Set<string>();
  for (const peer of PEERS) {
    const env = environment(peer);
    const theirs = debian("tcprulescheck", [cdb], "", env).stdout;
    const what = JSON.stringify(peer);
    assertStrictEquals(await ours(tcprulescheck, [cdb], "", env), theirs, what);
    const verdict = book.evaluate(peer);
    assertStrictEquals(verdict.error, undefined, what);
    assertStrictEquals(verdict.allow, theirs.endsWith("allow connection\n"), what);
    const rule = ruleWords(verdict.rule);
    assertStrictEquals(`${rule}:`, theirs.split("\n")[0], what);
    words.add(rule);
  }
  book.close();
  assert(PEERS.length >= 300 && words.size >= 8, `${PEERS.length} peers, ${words.size} rules`);
}

test("a database of Debian's tcprules means the same here as there", () =>
  inFolder(async (folder) => {
    const cdb = join(folder, "cdb");
    assertStrictEquals(debian("tcprules", [cdb, join(folder, "tmp")], RULES).status, 0);
    await assertSameVerdicts(cdb);
  }));

test("our tcprules writes the bytes that Debian's writes", () =>
  inFolder(async (folder) => {
    const [theirs, mine, tmp] = ["theirs", "mine", "tmp"].map((name) => join(folder, name));
    const many = Array.from({ length: 3000 }, (_, i) => `10.${i >> 8}.${i & 255}.:deny,N="${i}"\n`);
    for (const rules of ["", ":deny\n", RULES, RULES + many.join("")]) {
      assertStrictEquals(debian("tcprules", [theirs!, tmp!], rules).status, 0);
      await ours(tcprules, [mine!, tmp!], rules);
      assertEquals(readFileSync(mine!), readFileSync(theirs!));
    }
    await assertSameVerdicts(mine!);
  }));

test("a database of tinycdb, with full IPv6 addresses, means the same here as there", () =>
  inFolder(async (folder) => {
    const cdb = join(folder, "cdb");
    const lines = CDB_RULES.map(([key, value]) =>
      `+${key.length},${value.length}:${key}->${value}\n`
    );
    assertStrictEquals(debian("cdb", ["-c", cdb], `${lines.join("")}\n`).status, 0);
    await assertSameVerdicts(cdb);
  }));

test("our database, networks included, is listed by tinycdb key for key", () =>
  inFolder(async (folder) => {
    const cdb = join(folder, "cdb");
    const rules = `10.0.0.0/8:deny
10./8:deny
2001:db8:1::/48:allow,A="1"
2001:db8::1:deny
joe@2001:db8::1:allow
ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128:deny
:allow
`;
    await ours(tcprules, [cdb, join(folder, "tmp")], rules);
    const address = "2001:0DB8:0000:0000:0000:0000:0000:0001";
    const ones = Array.from({ length: 128 }, (_, k) => String.fromCharCode(96 + k)).join("");
    assertStrictEquals(
      debian("cdb", ["-d", cdb]).stdout,
      "+9,2:_0000e0g0->D\0\n+9,2:_0000e0g0->D\0\n" +
        "+49,5:^00`000000000000a0000bc0de0fgh000000000000000000i->+A=1\0\n" +
        `+39,2:${address}->D\0\n+43,0:joe@${address}->\n+129,2:^${ones}->D\0\n+0,0:->\n\n`,
    );
    // tinycdb must find seven records and no error.
    assertMatch(debian("cdb", ["-s", cdb]).stdout, /number of records: 7/);
  }));

test("networks that Debian's tcprules stored as text apply here", () =>
  inFolder((folder) => {
    const cdb = join(folder, "cdb");
    const rules = "10.0.0.0/8:deny\n10.1.0.0/16:allow\n192.0.2.64/26:deny\n";
    assertStrictEquals(debian("tcprules", [cdb, join(folder, "tmp")], rules).status, 0);
    const book = new RuleBook(new PathRules(cdb), { allowMissing: false, now: () => 0 });
    const rows: [ip: string, rule: string][] = [
      ["10.2.0.1", "rule 10.0.0.0/8"],
      ["10.1.0.1", "rule 10.1.0.0/16"],
      ["192.0.2.127", "rule 192.0.2.64/26"],
      ["192.0.2.128", "default"],
    ];
    for (const [ip, rule] of rows) assertStrictEquals(ruleWords(book.evaluate({ ip }).rule), rule);
  }));

test("both refuse the same lines, except lines that Debian's stores although they cannot match", () =>
  inFolder(async (folder) => {
    const [cdb, tmp] = [join(folder, "cdb"), join(folder, "tmp")];
    const rows: [line: string, theirs: number, mine: number][] = [
      ["1.2.3.4:permit", 100, 101],
      ["1.2.3.4:allow,", 100, 101],
      ['1.2.3.4:allow,A="', 100, 101],
      ['1.2.3.4:allow,A="x"z', 100, 101],
      ["1.2.3.4:denyx", 100, 101],
      ["1.2.3.4-7-9:deny", 100, 101],
      ["mail-1.example:deny", 100, 101],
      ["1.2.3.4:deny \t", 0, 0],
      ["# 1.2.3.4:permit", 0, 0],
      ["host.example:deny", 0, 0],
      // Debian's tcprules stores or skips these without a message; here they are errors.
      ["1.2.3.4 deny", 0, 101],
      ["1.2.3.7-4:deny", 0, 101],
      ["1.2.3.4-300:deny", 0, 101],
      [" 1.2.3.4:deny", 0, 101],
      ['1.2.3.4:allow,A B="x"', 0, 101],
      ["10.0.0.0/33:deny", 0, 101],
      // Debian's tcprules does not support this; here it is valid.
      ["2001:db8::1:deny", 100, 0],
    ];
    for (const [line, theirs, mine] of rows) {
      assertStrictEquals(debian("tcprules", [cdb, tmp], `${line}\n`).status, theirs, line);
      const io = { stdin: bytes(`${line}\n`), stdout: () => {}, stderr: () => {}, env: {} };
      assertStrictEquals(await tcprules([cdb, tmp], io), mine, line);
    }
  }));

async function* bytes(text: string): AsyncGenerator<Uint8Array> {
  yield new TextEncoder().encode(text);
}

test("Debian's tcpserver and our rules admit the same clients, with the same variables", () =>
  inFolder(async (folder) => {
    const cdb = join(folder, "cdb");
    await ours(tcprules, [cdb, join(folder, "tmp")], RULES);
    const show = 'printf "in:%s:%s" "$LOOP" "$RANGE"';
    const args = ["-1", "-H", "-R", "-l0", "-x", cdb, "0", "0", "sh", "-c", show];
    const server = spawn("tcpserver", args, { stdio: ["ignore", "pipe", "inherit"] });
    try {
      const port = await new Promise<number>((resolve, reject) => {
        server.on("error", () => reject(new Error("install Debian's ucspi-tcp")));
        server.stdout.once("data", (data) => resolve(Number(String(data))));
      });
      const book = new RuleBook(new PathRules(cdb), { allowMissing: false, now: () => 0 });
      const visitors = [
        ...["127.0.0.1", "127.0.0.2", "127.0.0.4", "127.0.0.5", "127.0.0.9", "127.0.0.10"],
        ...["127.0.1.1", "127.1.0.1", "127.2.200.3", "127.3.0.1"],
      ];
      for (const ip of visitors) {
        const { allow, env } = book.evaluate({ ip });
        const set = new Map(env);
        const expected = allow ? `in:${set.get("LOOP") ?? ""}:${set.get("RANGE") ?? ""}` : "";
        assertStrictEquals(await visit(port, ip), expected, ip);
      }
    } finally {
      server.kill();
      await new Promise((resolve) => server.on("close", resolve));
    }
  }));

/** Everything that a server sends to a client at `from`. */
function visit(port: number, from: string): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect({ port, host: "127.0.0.1", localAddress: from });
    socket.on("data", (data) => text += latin1(data));
    socket.on("error", () => {}); // a denied connection may be reset
    socket.on("close", () => resolve(text));
  });
}

test("while Debian's tcprules replaces the file, a look-up gives the old or the new verdict", () =>
  inFolder(async (folder) => {
    const cdb = join(folder, "cdb");
    const replace = (rules: string) =>
      new Promise<void>((resolve, reject) => {
        const program = spawn("tcprules", [cdb, join(folder, "tmp")]);
        program.on("error", () => reject(new Error("install Debian's ucspi-tcp")));
        program.on("close", () => resolve());
        program.stdin.end(rules);
      });
    const large = Array.from({ length: 4000 }, (_, i) => `=h${i}.example:deny\n`).join("");
    await replace(":deny\n");
    const book = new RuleBook(new PathRules(cdb), { allowMissing: false, now: () => 0 });
    let [asked, allowed] = [0, 0];
    for (let i = 0; i < 40; i++) {
      let done = false;
      const allow = i % 2 === 0;
      replace(`${i % 4 < 2 ? large : ""}:${allow ? "allow" : "deny"}\n`).then(() => done = true);
      while (!done) {
        book.expire();
        const verdict = book.evaluate({ ip: "192.0.2.1" });
        assertStrictEquals(verdict.error, undefined);
        asked++;
        if (verdict.allow) allowed++;
        await new Promise((resolve) => setImmediate(resolve));
      }
      book.expire();
      assertStrictEquals(book.evaluate({ ip: "192.0.2.1" }).allow, allow);
    }
    book.close();
    assert(asked > 40 && allowed > 0 && allowed < asked, `${allowed} of ${asked}`);
  }));

test("a damaged file never admits a client that the intact one denies", () =>
  inFolder((folder) => {
    const cdb = join(folder, "cdb");
    assertStrictEquals(
      debian("tcprules", [cdb, join(folder, "tmp")], "10.:allow\n:deny\n").status,
      0,
    );
    const sound = readFileSync(cdb);
    for (let at = 0; at < sound.length; at++) {
      const damaged = Uint8Array.from(sound);
      damaged[at]! ^= 0xff;
      writeFileSync(cdb, damaged);
      const book = new RuleBook(new PathRules(cdb), { allowMissing: true, now: () => 0 });
      assertStrictEquals(book.evaluate({ ip: "192.0.2.1" }).allow, false, `byte ${at}`);
    }
  }));

/** tcprules and tcprulescheck as commands: called by name and with --as; exit codes and messages. However
 *  tcprules ends, the file has either the old rules or the new ones. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import { once } from "node:events";
import * as fs from "node:fs";
import process from "node:process";
import { denoDir, makeRules, ourCommand } from "./admission.ts";
import { claim, formCommand, type Outcome, type Trial } from "./harness.ts";

type Name = "tcprules" | "tcprulescheck";

/** Runs a command of ours: with --as, or by its name if the form is one binary. */
function run(
  t: Trial,
  name: Name,
  args: readonly string[],
  { input = "", env = {}, byName = false }: {
    input?: string | Uint8Array;
    env?: Record<string, string>;
    byName?: boolean;
  } = {},
): Promise<Outcome> {
  const [program = "", ...rest] = byName ? [named(t, name)] : ourCommand(t, name);
  return t.run(program, [...rest, ...args], { input, env: { DENO_DIR: denoDir(), ...env } });
}

/** Makes a link with that name to the binary. */
function named(t: Trial, name: Name): string {
  const link = join(t.dir, name);
  if (!fs.existsSync(link)) {
    fs.symlinkSync(fs.realpathSync(formCommand("binary", "")[0] ?? ""), link);
  }
  return link;
}

const stdout = ({ stdout }: Outcome): string => new TextDecoder().decode(stdout);

const RULES = `# comment
10.0.0.0/8:deny
192.0.2.1-3:allow,HELLO="to you",TWO=/a"b/
joe@192.0.2.9:allow,WHO="joe"
=.example.org:deny
2001:db8::/32:allow,SIX="yes"
:allow
`;

const ASKED: readonly [env: Record<string, string>, answer: string][] = [
  [{ TCPREMOTEIP: "10.1.2.3" }, "rule 10./8:\ndeny connection\n"],
  [
    { TCPREMOTEIP: "192.0.2.2" },
    "rule 192.0.2.2:\nset environment variable HELLO=to you\n" +
    'set environment variable TWO=a"b\nallow connection\n',
  ],
  [
    { TCPREMOTEIP: "192.0.2.9", TCPREMOTEINFO: "joe" },
    "rule joe@192.0.2.9:\nset environment variable WHO=joe\nallow connection\n",
  ],
  [
    { TCPREMOTEIP: "192.0.2.10", TCPREMOTEHOST: "a.example.org" },
    "rule =.example.org:\ndeny connection\n",
  ],
  [
    { TCPREMOTEIP: "2001:db8::1" },
    "rule 2001:db8::/32:\nset environment variable SIX=yes\nallow connection\n",
  ],
  [{ TCPREMOTEIP: "198.51.100.1" }, "rule :\nallow connection\n"],
];

async function compilesAndExplains(t: Trial, byName: boolean): Promise<void> {
  const [cdb, tmp] = [join(t.dir, "rules.cdb"), join(t.dir, "rules.tmp")];
  const made = await run(t, "tcprules", [cdb, tmp], { input: RULES, byName });
  assertEquals([made.status, made.stderr, stdout(made)], [0, "", ""]);
  assert(!fs.existsSync(tmp));
  for (const [env, answer] of ASKED) {
    const told = await run(t, "tcprulescheck", [cdb], { env, byName });
    assertEquals([told.status, told.stderr], [0, ""], JSON.stringify(env));
    assertStrictEquals(stdout(told), answer);
  }
}

claim(
  "tcprules compiles and tcprulescheck explains, by --as",
  (t) => compilesAndExplains(t, false),
);

claim("tcprules compiles and tcprulescheck explains, called by their names", (t) => {
  return compilesAndExplains(t, true);
}, { forms: ["binary"] });

claim("compile.sh leaves both names beside the binary", async (t) => {
  const folder = join(formCommand("binary", "")[0] ?? "", "..");
  for (const name of ["tcprules", "tcprulescheck"]) {
    const outcome = await t.run(join(folder, name), []);
    assertStrictEquals(outcome.status, 100);
    assertMatch(outcome.stderr, new RegExp(`^${name}: usage: ${name} cdb`));
  }
}, { forms: ["binary"] });

claim("Debian's tcprulescheck says the same about our file, ours about Debian's", async (t) => {
  const rules = "10.:deny\n192.0.2.1-3:allow,HELLO='you'\n=.example.org:deny\n=:allow\n:deny\n";
  const ours = await makeRules(t, rules, "ours", "ours.cdb");
  const theirs = await makeRules(t, rules, "tcprules", "theirs.cdb");
  for (
    const env of [
      { TCPREMOTEIP: "10.1.2.3" },
      { TCPREMOTEIP: "192.0.2.3" },
      { TCPREMOTEIP: "192.0.2.4", TCPREMOTEHOST: "b.example.org" },
      { TCPREMOTEIP: "192.0.2.4", TCPREMOTEHOST: "b.example.net" },
      { TCPREMOTEIP: "192.0.2.4" },
    ]
  ) {
    const reference = await t.run("tcprulescheck", [theirs], { env });
    for (
      const told of [
        await t.run("tcprulescheck", [ours], { env }),
        await run(t, "tcprulescheck", [ours], { env }),
        await run(t, "tcprulescheck", [theirs], { env }),
      ]
    ) assertStrictEquals(stdout(told), stdout(reference), JSON.stringify(env));
  }
});

claim("wrong usage exits 100", async (t) => {
  const rows: [Name, string[], Record<string, string>][] = [
    ["tcprules", [], {}],
    ["tcprules", ["a"], {}],
    ["tcprules", ["a", "b", "c"], {}],
    ["tcprules", ["same", "same"], {}],
    ["tcprulescheck", [], {}],
    ["tcprulescheck", ["a", "b"], {}],
    ["tcprulescheck", ["a"], { TCPREMOTEIP: "1.2.3.4.5" }],
  ];
  for (const [name, args, env] of rows) {
    const outcome = await run(t, name, args, { env });
    assertStrictEquals(outcome.status, 100, `${name} ${args}`);
    assertMatch(outcome.stderr, new RegExp(`^${name}: (usage|fatal): .+\n$`));
  }
});

claim("a bad line exits 101 with its number and text, and the file stays as it was", async (t) => {
  const cdb = await makeRules(t, ":deny\n");
  const before = fs.readFileSync(cdb);
  const tmp = join(t.dir, "tmp");
  const rows: [line: string, shown: string][] = [
    ["1.2.3.4:permit", "1.2.3.4:permit"],
    ['1.2.3.4:allow,A="x', '1.2.3.4:allow,A="x'],
    ["1.2.3.300-400:deny", "1.2.3.300-400:deny"],
    ["10.0.0.0/33:deny", "10.0.0.0/33:deny"],
    ["nothing", "nothing"],
    ["1.2.3.4:permit\x1b[2J", "1.2.3.4:permit\\x1b[2J"],
  ];
  for (const [line, shown] of rows) {
    const input = `# first\n10.:allow\n${line}\n:allow\n`;
    const outcome = await run(t, "tcprules", [cdb, tmp], { input });
    assertStrictEquals(outcome.status, 101, line);
    assert(
      outcome.stderr.startsWith(`tcprules: fatal: unable to parse line 3: ${shown}: `),
      outcome.stderr,
    );
    assertEquals(fs.readFileSync(cdb), before);
    assert(!fs.existsSync(tmp));
  }
});

claim("a failure of the system exits 111, and the file does not change", async (t) => {
  const cdb = await makeRules(t, ":deny\n");
  const before = fs.readFileSync(cdb);
  const noFolder = join(t.dir, "none", "tmp");
  const made = await run(t, "tcprules", [cdb, noFolder], { input: ":allow\n" });
  assertStrictEquals(made.status, 111);
  assert(made.stderr.startsWith(`tcprules: fatal: unable to create ${noFolder}: `), made.stderr);
  const folder = join(t.dir, "folder");
  fs.mkdirSync(join(folder, "full"), { recursive: true });
  const over = await run(t, "tcprules", [folder, join(t.dir, "tmp")], { input: ":allow\n" });
  assertStrictEquals(over.status, 111);
  assertMatch(over.stderr, /^tcprules: fatal: unable to rename /);
  assertEquals(fs.readFileSync(cdb), before);
  fs.writeFileSync(join(t.dir, "bad.cdb"), "no cdb");
  for (const [path, why] of [["none.cdb", "no such file"], ["bad.cdb", "cdb: "]] as const) {
    const told = await run(t, "tcprulescheck", [join(t.dir, path)]);
    assertStrictEquals(told.status, 111);
    assert(told.stderr.includes(`unable to read ${join(t.dir, path)}: ${why}`), told.stderr);
  }
});

claim("killed at any time, tcprules leaves the old rules or the new ones", async (t) => {
  const cdb = await makeRules(t, ":deny\n");
  const old = fs.readFileSync(cdb);
  const line = (i: number): string => `10.${i >> 8}.${i & 255}.1:allow,N="${i}"\n`;
  const input = `${Array.from({ length: 30_000 }, (_, i) => line(i)).join("")}:allow\n`;
  const whole = fs.readFileSync(await makeRules(t, input, "ours", "whole.cdb"));
  const [program = "", ...args] = ourCommand(t, "tcprules");
  let finished = 0;
  for (let i = 0; i < 12; i++) {
    fs.writeFileSync(cdb, old);
    const tmp = join(t.dir, `tmp${i}`);
    const child = t.spawn(program, [...args, cdb, tmp], { DENO_DIR: denoDir() });
    child.stdin?.on("error", () => {}); // the command is killed while it reads
    const gone = once(child, "exit");
    const kill = (): void => void child.kill("SIGKILL");
    // Killed in turn in the middle of its input, when tmp appears, and some milliseconds later.
    if (i % 3 === 0) {
      child.stdin?.write(input.slice(0, input.length / 2));
      setTimeout(kill, 20 * i);
    } else {
      child.stdin?.end(input);
      await appears(tmp, () => child.exitCode !== null);
      if (i % 3 === 1) kill();
      else setTimeout(kill, i);
    }
    await gone;
    const now = fs.readFileSync(cdb);
    if (now.equals(whole)) finished++;
    else assert(now.equals(old), `after ${i} the file is neither old nor new`);
  }
  assert(finished < 12, "never killed in time");
});

/** Waits until a file exists or `over` returns true. */
async function appears(path: string, over: () => boolean): Promise<void> {
  while (!fs.existsSync(path) && !over()) await new Promise((resolve) => setImmediate(resolve));
}

claim("two tcprules at once leave one of both databases, whole", async (t) => {
  const cdb = join(t.dir, "rules.cdb");
  const sources = ["1", "2"].map((n) =>
    Array.from({ length: 3000 }, (_, i) => `10.${i >> 8}.${i & 255}.${n}:deny\n`).join("")
  );
  const outcomes = await Promise.all(
    sources.map((input, i) => run(t, "tcprules", [cdb, join(t.dir, `tmp${i}`)], { input })),
  );
  for (const outcome of outcomes) assertStrictEquals(outcome.status, 0, outcome.stderr);
  const told = await t.run("cdb", ["-s", cdb]);
  assertMatch(stdout(told), /number of records: 3000/);
});

claim("if tmp cannot be written completely, tcprules exits 111 and removes it", async (t) => {
  const cdb = await makeRules(t, ":deny\n");
  const before = fs.readFileSync(cdb);
  const [program = "", ...args] = ourCommand(t, "tcprules");
  const input = Array.from({ length: 9000 }, (_, i) => `10.${i >> 8}.${i & 255}.1:deny\n`).join("");
  const tmp = join(t.dir, "tmp");
  const quoted = [program, ...args, cdb, tmp].map((word) => `'${word}'`).join(" ");
  // A limit on the file size simulates a full disk. With SIGXFSZ ignored, write fails instead.
  const outcome = await t.run("sh", ["-c", `trap '' XFSZ; ulimit -f 64; exec ${quoted}`], {
    input,
    env: { DENO_DIR: denoDir(), PATH: process.env["PATH"] ?? "/usr/bin:/bin" },
  });
  assertStrictEquals(outcome.status, 111, outcome.stderr);
  assert(outcome.stderr.startsWith(`tcprules: fatal: unable to write ${tmp}: `), outcome.stderr);
  assertEquals(fs.readFileSync(cdb), before);
  assert(!fs.existsSync(tmp));
}, { forms: ["binary"] });

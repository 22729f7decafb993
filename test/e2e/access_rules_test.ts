/** s6's access rules, in a folder and in a cdb file: which clients are admitted, with which variables, and what
 *  runs in place of the program. */

import { assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { type AccessTree, compileTree, writeTree } from "../admit/access_trees.ts";
import { assertDenied, visit } from "./admission.ts";
import { claim, formCommand, needsRoot, type Trial, WITH_FFI } from "./harness.ts";

const SHOW = ["sh", "-c", 'printf "prog %s %s" "${WHO-unset}" "${INHERITED-unset}"'];
const ENV = { INHERITED: "yes" };

const TREE: AccessTree = {
  "ip4/127.0.0.0_8": {},
  "ip4/127.0.0.2_32": "deny",
  "ip4/127.0.0.3_32": { env: { WHO: "three \nmore", INHERITED: "" } },
  "ip4/127.0.0.4_32": { env: { WHO: "four" }, exec: 'importas WHO WHO\nprintf "exec %s" $WHO\n' },
  "ip4/127.64.0.0_10": "deny",
  "ip4/127.65.0.0_16": { env: { WHO: "inner" } },
  "ip6/::1_128": { env: { WHO: "six" } },
};

const VISITS: readonly [from: string, text: string][] = [
  ["127.0.0.1", "prog unset yes"],
  ["127.0.0.2", ""],
  ["127.0.0.3", "prog three unset"],
  ["127.0.0.4", "exec four"],
  ["127.127.9.9", ""],
  ["127.65.1.1", "prog inner yes"],
  ["::1", "prog six yes"],
];

/** The command of the form. Deno without FFI also needs permission to run execlineb. */
function command(t: Trial): string[] {
  return formCommand(t.form, "sh").map((word) =>
    t.form === "deno-noffi" ? word.replace(/^--allow-run=/, "$&execlineb,") : word
  );
}

/** Makes the rules in the trial's folder. */
function make(t: Trial, tree: AccessTree): { folder: string; cdb: string } {
  const [folder, cdb] = [join(t.dir, "rules"), join(t.dir, "rules.cdb")];
  writeTree(folder, tree);
  compileTree(folder, cdb);
  return { folder, cdb };
}

claim(
  "a folder and its cdb file admit the same clients, with the same variables and commands",
  async (t) => {
    const { folder, cdb } = make(t, TREE);
    for (const options of [["--access-dir", folder], ["--access-cdb", cdb]]) {
      const server = await t.start({
        command: command(t),
        options: ["-vHl0", ...options],
        host: ":0",
        program: SHOW,
        env: ENV,
      });
      for (const [from, text] of VISITS) {
        const { received, ...visited } = await visit(server, from);
        assertStrictEquals(visited.text, text, `${from} ${options}`);
        if (text === "") assertStrictEquals(received, 0);
      }
      await server.stop();
    }
  },
  { together: true },
);

claim(
  "a client without a rule is denied, and rules for names apply if names are looked up",
  async (t) => {
    const { folder } = make(t, { "ip4/127.0.0.9_32": {}, "reversedns/localhost": { env: ENV } });
    const alone = await t.start({ options: ["-Hl0", "--access-dir", folder], program: SHOW });
    await assertDenied(alone, "127.0.0.1");
    await assertDenied(alone, "127.0.0.8");
    assertStrictEquals((await visit(alone, "127.0.0.9")).text, "prog unset unset");
    const named = await t.start({ options: ["-l0", "--access-dir", folder], program: SHOW });
    assertStrictEquals((await visit(named, "127.0.0.1")).text, "prog unset yes");
  },
  { together: true },
);

claim(
  "a changed folder applies at once, and a hostile or truncated cdb file denies",
  async (t) => {
    const { folder, cdb } = make(t, { "ip4/127.0.0.0_8": { env: { WHO: "one" } } });
    const byFolder = await t.start({ options: ["-Hl0", "--access-dir", folder], program: SHOW });
    const text = async (): Promise<string> => (await visit(byFolder)).text;
    assertStrictEquals(await text(), "prog one unset");
    writeTree(folder, { "ip4/127.0.0.1_32": "deny" });
    await assertDenied(byFolder);
    fs.rmSync(join(folder, "ip4/127.0.0.1_32/deny"));
    fs.symlinkSync("/etc/passwd", join(folder, "ip4/127.0.0.1_32/allow"));
    await assertDenied(byFolder);
    await byFolder.waitFor(
      /error: unable to use access rules: \S+\/ip4\/127\.0\.0\.1_32\/allow: a link$/,
    );
    fs.rmSync(join(folder, "ip4/127.0.0.1_32"), { recursive: true });
    assertStrictEquals(await text(), "prog one unset");

    const whole = fs.readFileSync(cdb);
    fs.truncateSync(cdb, whole.length - 1);
    const byFile = await t.start({ options: ["-Hl0", "--access-cdb", cdb], program: SHOW });
    await assertDenied(byFile);
    await byFile.waitFor(/error: unable to use access rules: \S+\.cdb: cdb: /);
    // A value whose lengths are wrong: the file is sound, its rule is not.
    const hostile = Uint8Array.from(whole);
    const at = whole.indexOf("A\0\bWHO=one");
    hostile[at + 1] = 0xff;
    fs.writeFileSync(`${cdb}.new`, hostile);
    fs.renameSync(`${cdb}.new`, cdb);
    byFile.signal("SIGHUP");
    await byFile.waitFor(/access rules/); // the first denial
    const denied = /ip4\/127\.0\.0\.0_8: s6 rules: variables: over 4096/;
    while (byFile.lines(denied).length === 0) await assertDenied(byFile);
    fs.writeFileSync(`${cdb}.new`, whole);
    fs.renameSync(`${cdb}.new`, cdb);
    byFile.signal("SIGHUP");
    while ((await visit(byFile)).text !== "prog one unset");
  },
  { together: true },
);

claim(
  "exec runs as -u and -g, and rules that only root can read serve a jailed worker",
  async (t) => {
    const { folder, cdb } = make(t, {
      "ip4/127.0.0.1_32": { exec: "id -u" },
      "ip4/127.0.0.2_32": { env: { PATH: "" }, exec: "/usr/bin/id -g" },
      "ip4/127.0.0.3_32": "deny",
    });
    fs.chmodSync(folder, 0o700);
    fs.chmodSync(cdb, 0o600);
    const jail = join(t.dir, "jail");
    fs.mkdirSync(jail);
    const env = { SSL_UID: "65533", SSL_GID: "65533", SSL_CHROOT: jail };
    for (const options of [["--access-dir", folder], ["--access-cdb", cdb]]) {
      const server = await t.start({
        options: ["--workers", "1", "-Hl0", "-u", "65534", "-g", "65532", ...options],
        program: SHOW,
        env,
      });
      assertStrictEquals((await visit(server, "127.0.0.1")).text, "65534\n");
      assertStrictEquals((await visit(server, "127.0.0.2")).text, "65532\n");
      await assertDenied(server, "127.0.0.3");
      await server.stop();
    }
  },
  { forms: WITH_FFI, skip: needsRoot, together: true },
);

claim("without execlineb a rule with exec denies, and --check says so", async (t) => {
  const { folder } = make(t, TREE);
  const options = ["-Hl0", "--access-dir", folder];
  const env = { ...ENV, PATH: join(t.dir, "bin") };
  fs.mkdirSync(env.PATH);
  fs.symlinkSync("/bin/sh", join(env.PATH, "sh"));
  const server = await t.start({ options, program: SHOW, env });
  await assertDenied(server, "127.0.0.4");
  await server.waitFor(
    /unable to use access rules: exec of ip4\/127\.0\.0\.4_32: execlineb: not found in PATH/,
  );
  const checked = await t.fails({ options: [...options, "--check"], program: SHOW, env });
  assertMatch(
    new TextDecoder().decode(checked.stdout),
    /^error: access rules \S+: ip4\/127\.0\.0\.4_32: execlineb: not found in PATH/m,
  );
}, { together: true });

claim("different kinds of rules cannot be combined", async (t) => {
  const rows = [
    [["--access-dir", "a", "--access-cdb", "b"], "--access-dir and --access-cdb exclude each"],
    [["--access-dir", "a", "-x", "b"], "--access-dir and -x exclude each other"],
    [["-y", "b", "--access-cdb=a"], "--access-cdb and -y exclude each other"],
    [["-X", "--access-cdb=a"], "--access-cdb and -X exclude each other"],
  ] as const;
  for (const [options, message] of rows) {
    const { status, stderr } = await t.fails({ options });
    assertEquals([status, stderr.includes(message)], [100, true], stderr);
  }
}, { forms: ["binary"] });

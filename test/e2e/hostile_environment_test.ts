/** The compiled program and the npm package in a hostile folder, and the compiled program in a hostile
 *  environment: they read and run nothing of it.
 *
 *  By default, a compiled Bun program reads files in its working directory, and variables that load code,
 *  open a debugger, write files or stop it from listening. compile.sh disables both.
 *  Each attack is first run against an unprotected build of a tiny program, where it must succeed: an
 *  attack that no longer works proves nothing. SSLSERVER_BIN names the program under test
 *  (default dist/sslserver, built if missing). Every run has a time limit and starts no other process. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertStrictEquals,
} from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { after, before, test } from "node:test";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));
const PROGRAM = process.env["SSLSERVER_BIN"] ?? join(ROOT, "dist/sslserver");
const BUN = join(ROOT, "node_modules/bun/bin/bun.exe");
const LIMIT = 20_000; // ms for one run, which takes about 20 ms
const SERVE = ["--self-signed", "-1", "127.0.0.1", "0", "cat"];

let scratch = "";
let control = ""; // the unprotected program
let folders = 0;

/** Prints a version for --version, and otherwise listens and prints the port, like the program under
 *  test. */
const CONTROL = `
import { createServer } from "node:net";
if (process.argv.includes("--version")) { console.log("control 0"); process.exit(0); }
const server = createServer(() => {});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
`;

before(() => {
  scratch = fs.mkdtempSync(join(tmpdir(), "hostile-"));
  if (!fs.existsSync(PROGRAM)) {
    const built = spawnSync(join(ROOT, "compile.sh"), { encoding: "utf8" });
    assertStrictEquals(built.status, 0, built.stderr);
  }
  fs.writeFileSync(join(scratch, "control.ts"), CONTROL);
  control = join(scratch, "control");
  const built = spawnSync(BUN, [
    "build",
    "--compile",
    "--compile-autoload-dotenv",
    "--compile-autoload-bunfig",
    `--outfile=${control}`,
    join(scratch, "control.ts"),
  ], { cwd: scratch, encoding: "utf8" });
  assertStrictEquals(built.status, 0, built.stderr);
});

after(() => fs.rmSync(scratch, { recursive: true, force: true }));

/** A new folder with a script that creates the file `sprung` when run. */
function folder(): string {
  const dir = join(scratch, String(++folders));
  fs.mkdirSync(join(dir, "bin"), { recursive: true });
  fs.writeFileSync(join(dir, "trap.js"), `require("fs").writeFileSync("${dir}/sprung", "");`);
  fs.writeFileSync(join(dir, "bin/curl"), `#!/bin/sh\n: >"${dir}/sprung"\n`, { mode: 0o755 });
  return dir;
}

/** The result of one `--version`: status, output, and the files in the folder afterwards. */
function version(program: string, dir: string, env: Record<string, string>) {
  const run = spawnSync(program, ["--version"], {
    cwd: dir,
    env: { PATH: "/usr/bin:/bin", ...env },
    encoding: "utf8",
    timeout: LIMIT,
    killSignal: "SIGKILL",
  });
  const files = fs.readdirSync(dir).sort();
  return { status: run.status, signal: run.signal, out: run.stdout, err: run.stderr, files };
}

/** Variables with an effect that shows in `--version`. `@` stands for the folder of the run. */
const VARIABLES: Record<string, string> = {
  BUN_OPTIONS: "--preload=@/trap.js",
  BUN_BE_BUN: "1",
  BUN_BYTECODE_ORDER_OUT: "@/order",
  BUN_BYTECODE_DIGEST_OUT: "@/digest",
  BUN_JSC_functionOverrides: "@/missing", // a file that replaces the bodies of functions
  BUN_JSC_dumpOptions: "1",
  BUN_JSC_nonsense: "1",
  NODE_CHANNEL_FD: "none",
};

for (const [name, value] of Object.entries(VARIABLES)) {
  test(`${name} does not reach the program`, () => {
    const seen = (program: string) => {
      const dir = folder();
      return version(program, dir, { [name]: value.replaceAll("@", dir) });
    };
    assertNotEquals(seen(control), version(control, folder(), {}), "the trap is dull");
    assertEquals(seen(PROGRAM), version(PROGRAM, folder(), {}));
  });
}

test("a name with its first byte changed does not reach the program", () => {
  // execve accepts any string as an entry. If compile.sh replaced the first byte of the names with "=",
  // glibc would find these.
  const dir = folder();
  const env = { "=UN_OPTIONS": `--preload=${dir}/trap.js`, "=UN_BE_BUN": "1", UN_BE_BUN: "1" };
  assertEquals(version(PROGRAM, dir, env), version(PROGRAM, folder(), {}));
});

test("files in the working directory are neither run nor read", () => {
  const traps = (dir: string) => {
    fs.writeFileSync(join(dir, "bunfig.toml"), `preload = ["./trap.js"]\n`);
    fs.writeFileSync(join(dir, ".env"), `BUN_OPTIONS=--preload=${dir}/trap.js\nNODE_UNIQUE_ID=1\n`);
    fs.writeFileSync(join(dir, "package.json"), `{"type":"commonjs","main":"./trap.js"}`);
    fs.writeFileSync(
      join(dir, "tsconfig.json"),
      `{"compilerOptions":{"paths":{"*":["${dir}/trap.js"]}}}`,
    );
    for (const name of ["@peculiar/asn1-x509", "@peculiar/asn1-schema", "bun", "node"]) {
      fs.mkdirSync(join(dir, "node_modules", name), { recursive: true });
      fs.copyFileSync(join(dir, "trap.js"), join(dir, "node_modules", name, "index.js"));
    }
    return dir;
  };
  version(control, traps(folder()), {});
  assert(fs.existsSync(join(scratch, String(folders), "sprung")), "the trap is dull");

  const dir = traps(folder());
  const files = fs.readdirSync(dir).sort();
  const clean = version(PROGRAM, folder(), {});
  assertEquals(version(PROGRAM, dir, {}), { ...clean, files });

  // Opening a FIFO without a writer blocks, so a program that reads one of these runs into LIMIT.
  const fifos = folder();
  const names = [".env", ".env.local", ".env.production", ".npmrc", "bunfig.toml", "package.json"];
  const made = spawnSync("mkfifo", [...names, "tsconfig.json"].map((name) => join(fifos, name)));
  assertStrictEquals(made.status, 0);
  const files2 = fs.readdirSync(fifos).sort();
  const env = { HOME: fifos, XDG_CONFIG_HOME: fifos };
  assertEquals(version(PROGRAM, fifos, env), { ...clean, files: files2 });
});

/** The command of the npm package, with `bun` in a folder of PATH, as `npm install` sets them up. */
function npmForm(dir: string): { program: string; env: Record<string, string> } {
  fs.symlinkSync(BUN, join(dir, "bin/bun"));
  return { program: join(ROOT, "bin/sslserver.ts"), env: { PATH: `${dir}/bin:/usr/bin:/bin` } };
}

test("the npm package's processes neither run nor read files in the working directory", async () => {
  const preload = (dir: string): string => {
    fs.writeFileSync(join(dir, "bunfig.toml"), `preload = ["./trap.js"]\n`);
    return dir;
  };
  const dull = preload(folder());
  spawnSync(BUN, [join(scratch, "control.ts"), "--version"], { cwd: dull });
  assert(fs.existsSync(join(dull, "sprung")), "the trap is dull");

  // When the server prints its port, its worker has started, too.
  const dir = preload(folder());
  const { program, env } = npmForm(dir);
  const server = await serve(program, dir, env);
  assertMatch(server.port, /^\d+$/);
  assertStrictEquals(fs.existsSync(join(dir, "sprung")), false);
  await server.end("SIGTERM");

  // Opening a FIFO without a writer blocks, so a monitor or worker that opens one never serves.
  const fifos = folder();
  const names = [".env", ".env.local", ".env.production", ".npmrc", "bun.lock", "bunfig.toml"];
  const made = spawnSync(
    "mkfifo",
    [...names, "jsconfig.json", "node_modules", "package.json", "tsconfig.json"]
      .map((name) => join(fifos, name)),
  );
  assertStrictEquals(made.status, 0);
  const other = npmForm(fifos);
  const second = await serve(other.program, fifos, other.env);
  assertMatch(second.port, /^\d+$/);
  await second.end("SIGTERM");
});

/** Starts a server and waits for its port. */
async function serve(program: string, dir: string, env: Record<string, string>) {
  const child = spawn(program, SERVE, {
    cwd: dir,
    env: { PATH: `${dir}/bin:/usr/bin:/bin`, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const limit = setTimeout(() => child.kill("SIGKILL"), LIMIT);
  const port = await new Promise<string>((resolve) => {
    let text = "";
    child.stdout.on("data", (data: Uint8Array) => {
      text += new TextDecoder().decode(data);
      if (text.includes("\n")) resolve(text.trim());
    });
    child.stderr.resume();
    child.once("close", () => resolve(""));
  });
  const end = async (signal: "SIGKILL" | "SIGSEGV" | "SIGTERM") => {
    child.kill(signal);
    await ended;
    clearTimeout(limit);
  };
  return { port, pid: child.pid ?? 0, end };
}

/** The number of listening TCP sockets of a process: inodes of its descriptors that /proc/net/tcp has in
 *  state 0A. */
function listening(pid: number): number {
  const inodes = fs.readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return fs.readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return ""; // closed since readdir
    }
  });
  const table = fs.readFileSync(`/proc/${pid}/net/tcp`, "latin1") +
    fs.readFileSync(`/proc/${pid}/net/tcp6`, "latin1");
  return table.split("\n").map((line) => line.trim().split(/\s+/))
    .filter((f) => f[3] === "0A" && inodes.includes(`socket:[${f[9]}]`)).length;
}

test("BUN_INSPECT opens no debugger in the server", async () => {
  const env = { BUN_INSPECT: "ws://127.0.0.1:0/x", BUN_INSPECT_CONNECT_TO: "ws://127.0.0.1:1/" };
  const counts = [];
  for (const program of [control, PROGRAM]) {
    const server = await serve(program, folder(), env);
    assertMatch(server.port, /^\d+$/);
    counts.push(listening(server.pid));
    await server.end("SIGKILL");
  }
  assertEquals(counts, [2, 1]);
});

test("NODE_UNIQUE_ID does not keep the server from listening", async () => {
  const trapped = await serve(control, folder(), { NODE_UNIQUE_ID: "1" });
  assertStrictEquals(trapped.port, "", "the trap is dull");
  await trapped.end("SIGKILL");
  const server = await serve(PROGRAM, folder(), { NODE_UNIQUE_ID: "1" });
  assertMatch(server.port, /^\d+$/);
  await server.end("SIGKILL");
});

test("a crash runs no program from PATH", async () => {
  const env = { BUN_ENABLE_CRASH_REPORTING: "1", BUN_CRASH_REPORT_URL: "http://127.0.0.1:1" };
  const sprung = [];
  for (const program of [control, PROGRAM]) {
    const dir = folder();
    const server = await serve(program, dir, env);
    assertMatch(server.port, /^\d+$/);
    // "close" comes when all processes with stderr open have ended, `curl` included.
    await server.end("SIGSEGV");
    sprung.push(fs.existsSync(join(dir, "sprung")));
  }
  assertEquals(sprung, [true, false]);
});

/** False for a process that has ended, is a zombie, or has a pending SIGKILL. */
function living(pid: number): boolean {
  try {
    const status = fs.readFileSync(`/proc/${pid}/status`, "latin1");
    const pending = /^ShdPnd:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "";
    return !/^State:\s*[ZX]/m.test(status) && (BigInt(`0x${pending}`) & 0x100n) === 0n;
  } catch {
    return false;
  }
}

test("BUN_FEATURE_FLAG_NO_ORPHANS does not tie the server to its parent", () => {
  // The shell exits when the port is printed. With the flag in effect, the kernel then kills its child.
  const script = 'mkfifo port; "$@" >port 2>/dev/null & read -r x <port && echo $!';
  const alive = [control, PROGRAM].map((program) => {
    const dir = folder();
    const env = { PATH: "/usr/bin:/bin", BUN_FEATURE_FLAG_NO_ORPHANS: "1" };
    const run = spawnSync("sh", ["-c", script, "sh", program, ...SERVE], {
      cwd: dir,
      env,
      encoding: "utf8",
      timeout: LIMIT,
    });
    const pid = Number(run.stdout);
    assert(pid > 1, run.stderr);
    const lives = living(pid);
    if (lives) process.kill(pid, "SIGKILL");
    return lives;
  });
  assertEquals(alive, [false, true]);
});

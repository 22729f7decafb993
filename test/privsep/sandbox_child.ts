/** Run by sandbox_test.ts: enters the sandbox, does what a worker does, tries what an intruder would, and
 *  prints the results as one line of JSON. Then it waits for the end of its input, so that the test can
 *  inspect its threads. The only program that it tries to start is /bin/true, which must fail. */

import { once } from "node:events";
import fs from "node:fs";
import process from "node:process";
import { sandbox, type SandboxOptions } from "../../src/privsep/sandbox.ts";
import { thisRuntime } from "../runtime/kits.ts";
import { libcHere } from "../runtime/libc/here.ts";
import { NUMBERS, rawSyscall, syscallElsewhere } from "./raw_syscall.ts";
import {
  collections,
  crypto,
  echoServer,
  fromAddress,
  hot,
  pipesByMessage,
  pool,
  signal,
  timers,
  udp,
} from "./sandbox_work.ts";

if (process.env["SANDBOX_CHILD"] !== "1") throw new Error("run by sandbox_test.ts only");

const [mode = "", files = "none", folder = "", place = "plain"] = process.argv.slice(2);
const libc = await libcHere();
const raw = await rawSyscall();

async function codeOf(go: () => unknown): Promise<string> {
  try {
    await go();
    return "none";
  } catch (error) {
    const { code, message } = error as { code?: string; message?: string };
    return code ?? /EPERM|EACCES|ENOSYS|os error \d+|denied/.exec(message ?? "")?.[0] ??
      String(error);
  }
}

async function codes<K extends string>(
  attempts: Record<K, () => unknown>,
): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const [name, go] of Object.entries<() => unknown>(attempts)) found[name] = await codeOf(go);
  return found;
}

/** An address for raw calls. These calls are refused before the kernel reads from it. */
const POINTER = 4096;
const EXEC = [POINTER, POINTER, POINTER];

/** Raw system calls that bypass the library. Returns the result of each. */
function rawAttempts(): Record<string, number> {
  const found: Record<string, number> = {};
  const attempt = (name: string, ...args: number[]) => {
    if (!NUMBERS.has(name)) return;
    const result = raw(name, ...args);
    // A fork returns 0 in the child if the sandbox fails; the child must not continue.
    if (result === 0 && /fork|clone/.test(name)) raw("exit_group", 0);
    found[name] = result;
  };
  attempt("clone", 17, 0, 0, 0, 0); // SIGCHLD: a fork
  attempt("clone3", POINTER, 88);
  attempt("fork");
  attempt("vfork");
  attempt("process_vm_readv", process.ppid, POINTER, 1, POINTER, 1, 0);
  attempt("kill", process.ppid, 0);
  attempt("tgkill", process.ppid, process.ppid, 0);
  attempt("tkill", process.ppid, 0);
  attempt("pidfd_open", process.ppid, 0);
  attempt("unshare", 0x10000000);
  attempt("setns", 0, 0);
  attempt("mount", 0, POINTER, 0, 4096, 0);
  attempt("pivot_root", POINTER, POINTER);
  attempt("setresuid", 0, 0, 0);
  attempt("keyctl", 0, 0);
  attempt("bpf", 0, POINTER, 64);
  attempt("perf_event_open", POINTER, 0, -1, -1, 0);
  attempt("userfaultfd", 1);
  attempt("io_uring_setup", 8, POINTER);
  attempt("init_module", POINTER, 0, POINTER);
  attempt("openat", -100, POINTER, 0x200); // O_RDONLY | O_TRUNC
  attempt("openat2", -100, POINTER, POINTER, 24);
  attempt("memfd_secret", 0);
  attempt("seccomp", 1, 0, POINTER);
  attempt("prlimit64", 0, 7, POINTER, 0);
  attempt("prctl", 4, 1, 0, 0, 0); // PR_SET_DUMPABLE
  attempt("ioctl", 0, 0x5412, POINTER); // TIOCSTI
  attempt("fcntl", 0, 8, process.ppid); // F_SETOWN
  return found;
}

function socketAttempts(): Record<string, number> {
  return {
    packet: raw("socket", 17, 3, 0),
    netlink: raw("socket", 16, 3, 0),
    unix: raw("socket", 1, 1, 0),
    vsock: raw("socket", 40, 1, 0),
    alg: raw("socket", 38, 5, 0),
    rawIp: raw("socket", 2, 3, 1),
    sctp: raw("socket", 2, 1, 132),
    mptcp: raw("socket", 2, 1, 262),
    inetPair: raw("socketpair", 2, 1, 0, POINTER),
    streamPair: raw("socketpair", 1, 1, 0, POINTER),
    datagramPair: raw("socketpair", 1, 2, 0, POINTER),
    packetPair: raw("socketpair", 1, 5, 0, POINTER),
  };
}

/** Attempts on files by the main thread (`here`) and by a thread of the runtime's pool (`elsewhere`). */
function fileAttempts(path: (name: string) => string) {
  const secret = path("secret");
  const here = {
    read: () => fs.readFileSync(secret),
    write: () => fs.writeFileSync(secret, "x"),
    append: () => fs.appendFileSync(secret, "x"),
    create: () => fs.writeFileSync(path("new"), "x"),
    unlink: () => fs.unlinkSync(secret),
    rename: () => fs.renameSync(secret, path("other")),
    link: () => fs.linkSync(secret, path("other")),
    symlink: () => fs.symlinkSync("secret", path("other")),
    mkdir: () => fs.mkdirSync(path("other")),
    chmod: () => fs.chmodSync(secret, 0o666),
    list: () => fs.readdirSync(path("")),
  };
  const elsewhere = {
    read: () => fs.promises.readFile(secret),
    write: () => fs.promises.writeFile(secret, "x"),
    create: () => fs.promises.writeFile(path("new"), "x"),
    unlink: () => fs.promises.unlink(secret),
    rename: () => fs.promises.rename(secret, path("other")),
    mkdir: () => fs.promises.mkdir(path("other")),
  };
  return { here, elsewhere };
}

interface Spawners {
  Bun?: { spawn(command: string[]): { exited: Promise<number> } };
  Deno?: { Command: new (path: string) => { output(): Promise<unknown> } };
}

function spawnAttempts() {
  const { Bun, Deno } = globalThis as unknown as Spawners;
  return {
    runtime: async () =>
      Bun ? await Bun.spawn(["/bin/true"]).exited : await new Deno!.Command("/bin/true").output(),
    libc: () => libc.spawn("/bin/true", ["true"], {}, [0, 1, 2]),
  };
}

async function work(): Promise<void> {
  const runtime = await thisRuntime();
  const server = echoServer(runtime, libc);
  await server.handshakes(1);
  await fs.promises.readFile(`${folder}/secret`); // makes the runtime start a thread of its pool
  const [pair, hangUp] = [libc.socketpair("stream"), signal(runtime)];
  const path = (name: string) => `${place === "jail" ? "" : folder}/${name}`;
  if (place === "jail") {
    libc.chroot(folder);
    libc.setGroups([]);
    libc.setGid(65534);
    libc.setUid(65534);
    libc.prctlNoNewPrivs();
    libc.prctlDumpable(false);
  }
  const result = sandbox(libc, { files: files as SandboxOptions["files"] });
  const attempts = fileAttempts(path);
  const report = {
    result,
    here: await codes(attempts.here),
    elsewhere: await codes(attempts.elsewhere),
    spawn: await codes(spawnAttempts()),
    raw: rawAttempts(),
    sockets: socketAttempts(),
    works: {
      tls: await server.handshakes(30),
      udp: await udp(),
      fromAddress: await fromAddress(server.port),
      timers: await timers(3000),
      signal: await hangUp(),
      collections: collections(),
      hot: hot(),
      crypto: await crypto(),
      pool: await pool(path("secret")),
      pipes: await pipesByMessage(runtime, libc, pair),
      resumed: await resumed(server),
    },
  };
  server.listener.close();
  libc.write(1, new TextEncoder().encode(JSON.stringify(report) + "\n"));
  process.stdin.resume();
  await once(process.stdin, "end");
}

/** Pauses and resumes a listener, for which Bun calls listen again. */
function resumed({ listener, handshakes }: ReturnType<typeof echoServer>): Promise<number> {
  listener.pause();
  listener.resume();
  return handshakes(3);
}

/** Makes a call that must end the process. If the call returns, prints that. */
async function die(call: string): Promise<void> {
  sandbox(libc, { files: "none" });
  const elsewhere = call.startsWith("elsewhere:");
  const name = call.replace("elsewhere:", "");
  const result = elsewhere ? await syscallElsewhere(name, ...EXEC) : raw(name, ...EXEC);
  libc.write(1, new TextEncoder().encode(`${name} returned ${result}\n`));
}

if (mode === "work") await work();
else await die(files);
process.exit(0);

/** Runs the server under test from outside: starts it in each form, watches it through /proc, and at
 *  the end stops it and everything that it started.
 *
 *  SSLSERVER_FORM lists the forms: `binary` (SSLSERVER_BIN, default dist/sslserver), `deno` and
 *  `deno-noffi` (`deno run` with the permissions of `denoPermissions` only), `bun`. E2E_WORKERS
 *  is the number of workers; without it the server uses its default.
 *  A test is a `claim`: it runs once per form. Every wait in it is for an event and has a time limit.
 *  Linux only: it reads /proc. The programs it needs are named by the error when one is missing. */

import { assert, assertEquals } from "@std/assert";
import { basename, dirname, fromFileUrl, join } from "@std/path";
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { test } from "node:test";

export type Form = "binary" | "deno" | "deno-noffi" | "bun";

export const ROOT = fromFileUrl(new URL("../..", import.meta.url)).replace(/\/$/, "");
const CACHE = join(ROOT, "dist/.e2e");

/** The forms of this run. */
export const FORMS = (process.env["SSLSERVER_FORM"] ?? "binary,deno,deno-noffi").split(
  ",",
) as Form[];
/** Everything but Deno without FFI. */
export const WITH_FFI: readonly Form[] = ["binary", "deno", "bun"];
/** The forms whose TLS library is BoringSSL. */
export const ON_BUN: readonly Form[] = ["binary", "bun"];
/** One process without workers. privsep_*_test.ts test servers with workers. */
export const ALONE = ["--workers", "0"] as const;
export const ON_DENO: readonly Form[] = ["deno", "deno-noffi"];

/** The value of `--workers` for forms that can have workers. */
const WORKERS = process.env["E2E_WORKERS"];

/** The default limit of one wait, in milliseconds. */
export const LIMIT = 20_000;

export const isRoot = process.getuid?.() === 0;

/** The skip reason for claims that switch users or change the owner of files. */
export const needsRoot: string | false = !isRoot && "it needs root";

export interface ClaimOptions {
  forms?: readonly Form[];
  /** The limit for one form, in milliseconds. */
  timeout?: number;
  /** Runs all forms at the same time. For claims that mostly wait for timers and need little CPU. */
  together?: boolean;
  /** Why the claim cannot run on this machine. */
  skip?: string | false;
}

/** Tests one claim about the server in each form. Stops whatever the claim started, and fails if a
 *  process is left or a server ended with the wrong status. */
export function claim(
  name: string,
  body: (t: Trial) => Promise<void>,
  { forms, timeout = 60_000, together = false, skip }: ClaimOptions = {},
): void {
  const chosen = FORMS.filter((one) => forms?.includes(one) ?? true);
  if (skip || chosen.length === 0) {
    test(name, { skip: skip || `it is about ${forms?.join()}` }, () => {});
    return;
  }
  const begun = new Map<Form, Promise<void>>();
  const begin = (form: Form): void => {
    const done = attempt(form, body, timeout);
    done.catch(() => {}); // its own test reports it
    begun.set(form, done);
  };
  for (const form of chosen) {
    test(`${name} [${form}]`, { timeout: timeout + 20_000 }, async () => {
      if (!begun.has(form)) (together ? chosen : [form]).forEach(begin);
      await begun.get(form);
    });
  }
}

async function attempt(
  form: Form,
  body: (t: Trial) => Promise<void>,
  timeout: number,
): Promise<void> {
  const trial = new Trial(form);
  let failure: unknown;
  try {
    await within(body(trial), timeout, `the claim was not settled`);
  } catch (error) {
    failure = error;
  }
  const { wrong, logs } = await trial.end();
  if (failure) throw withLogs(failure, logs);
  assertEquals(wrong, [], `left behind, or ended badly:\n${logs}`);
}

function withLogs(error: unknown, logs: string): Error {
  const text = error instanceof Error ? error.stack ?? error.message : String(error);
  return new Error(`${text}\n--- the server's log:\n${logs}`);
}

export interface StartOptions {
  /** Replaces the command of the form; see `formCommand`. */
  command?: readonly string[];
  /** Options before host and port. Default: none. `-1` is always added. */
  options?: readonly string[];
  host?: string;
  port?: number;
  /** Default: `cat`. */
  program?: readonly string[];
  /** Variables added to a small clean environment. */
  env?: Readonly<Record<string, string>>;
  /** Shell text that runs before the shell executes the server: `ulimit`, redirections. */
  prelude?: string;
  cwd?: string;
  /** False: the server cannot have workers, so E2E_WORKERS does not count. */
  workers?: false;
  /** Adds --self-signed. Default: true unless `env` names certificates. */
  selfSigned?: boolean;
}

/** The exit status and output of a program that has ended. */
export interface Outcome {
  status: number | null;
  signal: string | null;
  stdout: Uint8Array;
  stderr: string;
}

/** One run of a claim on one form. */
export class Trial {
  /** The temporary folder of this trial. */
  readonly dir: string;
  readonly #mark = `e2e-${process.pid}-${Math.random().toString(36).slice(2)}`;
  readonly #servers: Server[] = [];
  readonly #children = new Set<ChildProcess>();

  constructor(readonly form: Form) {
    this.dir = fs.mkdtempSync(join(tmpdir(), "e2e-"));
    fs.chmodSync(this.dir, 0o755);
  }

  /** True if the server is one process. */
  get alone(): boolean {
    return this.form === "deno-noffi" || WORKERS === "0";
  }

  /** Options that limit the server to one worker. With several, each has its own TLS sessions and DNS
   *  answers, and a share of --pending. */
  get oneSpeaker(): readonly string[] {
    return !this.alone && Number(WORKERS) > 1 ? ["--workers", "1"] : [];
  }

  /** True if the form can call libc. */
  get ffi(): boolean {
    return this.form !== "deno-noffi";
  }

  get onDeno(): boolean {
    return this.form.startsWith("deno");
  }

  /** Starts a server. Resolves when the server has printed its port. */
  async start(options: StartOptions = {}): Promise<Server> {
    const server = this.launch(options);
    this.#servers.push(server);
    await server.ready;
    return server;
  }

  /** Runs a server that is expected to end without a signal. */
  async fails(options: StartOptions = {}): Promise<Outcome> {
    const server = this.launch(options);
    this.#servers.push(server);
    server.expected = undefined;
    server.ready.catch(() => {});
    const status = await within(server.exited, LIMIT, "the server did not end");
    return { ...status, stdout: new TextEncoder().encode(server.stdout), stderr: server.log() };
  }

  /** Starts a server and returns at once. */
  launch(options: StartOptions): Server {
    const { host = "127.0.0.1", port = 0, program = ["cat"], env = {}, prelude = "" } = options;
    const certificates = Object.keys(env).some((name) => /^CERT(CHAIN)?FILE/.test(name));
    const own = options.selfSigned ?? !certificates ? ["--self-signed"] : [];
    const log = join(this.dir, `log-${this.#servers.length}`);
    fs.writeFileSync(log, "");
    const command = [
      ...(options.command ?? formCommand(this.form, program[0] ?? "")),
      ...own,
      ...(WORKERS === undefined || this.form === "deno-noffi" || options.workers === false
        ? []
        : ["--workers", WORKERS]),
      ...(options.options ?? []),
      "-1",
      host,
      String(port),
      ...program,
    ];
    const child = spawn("/bin/sh", [
      "-c",
      `exec 2>>"$1"; shift; ${prelude}\nexec "$@"`,
      "sh",
      log,
      ...command,
    ], {
      cwd: options.cwd ?? this.dir,
      env: { ...cleanEnvironment(), E2E_MARK: this.#mark, ...env },
      stdio: ["ignore", "pipe", "ignore"],
      detached: true, // a new session, which identifies everything that the server starts
    });
    this.#children.add(child);
    return new Server(child, log);
  }

  /** Runs a program to its end. */
  async run(
    command: string,
    args: readonly string[],
    { input = "", env = {}, limit = LIMIT }: {
      input?: string | Uint8Array;
      env?: Record<string, string>;
      limit?: number;
    } = {},
  ): Promise<Outcome> {
    const child = this.spawn(command, args, env);
    const [out, err] = [collect(child.stdout), collect(child.stderr)];
    child.stdin?.on("error", () => {}); // the program may end without reading
    child.stdin?.end(input);
    const { status, signal } = await within(
      ended(child),
      limit,
      `${basename(command)} did not end`,
    );
    const [stdout, stderr] = await Promise.all([out, err]);
    return { status, signal, stdout, stderr: new TextDecoder().decode(stderr) };
  }

  /** Starts a program with pipes. The end of the trial kills it if it still runs. */
  spawn(command: string, args: readonly string[], env: Record<string, string> = {}): ChildProcess {
    const path = found(command);
    const child = spawn(path, [...args], {
      cwd: this.dir,
      env: { ...cleanEnvironment(), ...env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#children.add(child);
    child.on("exit", () => this.#children.delete(child));
    return child;
  }

  /** The last 4000 characters of each server's log. */
  logs(): string {
    return this.#servers.map((server) => server.log().slice(-4000)).join("---\n");
  }

  /** Stops everything. Returns the failures found (`wrong`: processes left, wrong exit codes) and the
   *  servers' logs. */
  async end(): Promise<{ wrong: string[]; logs: string }> {
    const wrong: string[] = [];
    for (const server of this.#servers) {
      const complaint = await server.stop().catch(String);
      if (complaint) wrong.push(complaint);
    }
    for (const child of this.#children) child.kill("SIGKILL");
    const sessions = new Set(this.#servers.map((server) => server.pid));
    const left = (): Stray[] => strayProcesses(this.#mark, sessions);
    const strays = await settled(left, (found) => found.length === 0, 5000);
    for (const { pid, command } of strays) {
      wrong.push(`process ${pid} is left: ${command}`);
      kill(pid, "SIGKILL");
    }
    const logs = this.logs();
    fs.rmSync(this.dir, { recursive: true, force: true });
    return { wrong, logs };
  }
}

/** A server that the trial has started. */
export class Server {
  port = 0;
  stdout = "";
  readonly #workers = new Set<number>();
  readonly #programs = new Set<number>();
  /** Resolves when the server has printed its port. Rejects if it ends before that. */
  readonly ready: Promise<void>;
  readonly exited: Promise<{ status: number | null; signal: string | null }>;
  /** The expected exit code; undefined: any. */
  expected: number | undefined = 0;

  constructor(readonly child: ChildProcess, readonly logFile: string) {
    this.exited = ended(child);
    const printed = new Promise<void>((resolve) => {
      child.stdout?.on("data", (bytes: Uint8Array) => {
        this.stdout += new TextDecoder().decode(bytes);
        const line = /^([0-9]+)\n/.exec(this.stdout);
        if (!line) return;
        this.port = Number(line[1]);
        resolve();
      });
    });
    const gone = this.exited.then(({ status, signal }) => {
      if (this.port === 0) throw new Error(`the server ended at once: ${status ?? signal}`);
    });
    this.ready = within(Promise.race([printed, gone]), LIMIT, "the server printed no port");
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** The log so far. */
  log(): string {
    try {
      return fs.readFileSync(this.logFile, "utf8");
    } catch {
      return "";
    }
  }

  /** The lines of the log that match. */
  lines(pattern: RegExp): string[] {
    return this.log().split("\n").filter((line) => pattern.test(line));
  }

  /** The number of log lines that begin with `beginning` after the server's name. Includes lines that
   *  the server suppressed and reported as "... and n more like it". */
  count(beginning: string): number {
    const text = beginning.replace(/^error: /, "");
    return this.lines(/^sslserver: /).reduce((sum, line) => {
      if (line.startsWith(`sslserver: ${beginning}`)) return sum + 1;
      const more = /: \.\.\. and ([0-9,]+) more like it in [0-9]+ s: (.*)/.exec(line);
      if (!more?.[2]?.startsWith(text)) return sum;
      return sum + Number(more[1]?.replaceAll(",", ""));
    }, 0);
  }

  /** Waits until `count` lines match; returns them. */
  async waitFor(pattern: RegExp, count = 1, limit = LIMIT): Promise<string[]> {
    const lines = await settled(() => this.lines(pattern), (l) => l.length >= count, limit);
    assert(lines.length >= count, `${lines.length} of ${count} lines match ${pattern}`);
    return lines;
  }

  /** The processes of the server: the monitor and its workers, or the single process. */
  processes(): number[] {
    return [this.pid, ...this.workers()];
  }

  /** The first process that speaks to the network. */
  get speaker(): number {
    return this.workers()[0] ?? this.pid;
  }

  /** The pids of all processes that speak to the network, as part of a regular expression. */
  get speakers(): string {
    const workers = this.workers();
    return `(?:${(workers.length > 0 ? workers : [this.pid]).join("|")})`;
  }

  workers(): number[] {
    return childrenOf(this.pid).filter(isWorker);
  }

  /** The open descriptors of the server's processes, as "pid fd target". */
  descriptors(): string[] {
    return this.processes().flatMap((pid) => {
      const folder = `/proc/${pid}/fd`;
      return fs.readdirSync(folder).flatMap((fd) => {
        try {
          return [`${pid} ${fd} ${fs.readlinkSync(join(folder, fd))}`];
        } catch {
          return []; // closed since readdir
        }
      });
    });
  }

  /** Waits until at most `before` descriptors are open, plus one for each worker after the first. A
   *  worker keeps one descriptor (its set of watched pipes) after its first connection, and that may
   *  have come after `before` was counted. */
  async descriptorsBackTo(before: number, limit = LIMIT): Promise<void> {
    const count = before + Math.max(0, this.workers().length - 1);
    const left = await settled(() => this.descriptors(), (fds) => fds.length <= count, limit);
    assert(
      left.length <= count,
      `${left.length} descriptors, ${count} before:\n${left.join("\n")}`,
    );
  }

  /** Programs that the server has started and not yet reaped. */
  children(): number[] {
    return childrenOf(this.pid).filter((pid) => !isWorker(pid));
  }

  async noChildren(limit = LIMIT): Promise<void> {
    const left = await settled(() => this.children(), (pids) => pids.length === 0, limit);
    assertEquals(left, [], "programs are left");
  }

  /** The memory of all processes of the server, in MiB. */
  memory(): number {
    return this.processes().reduce((sum, pid) => sum + memoryOf(pid), 0);
  }

  /** The largest `memory()` until `work` settles. */
  async peakDuring(work: Promise<unknown>): Promise<number> {
    let peak = this.memory();
    let over = false;
    const done = work.finally(() => over = true);
    done.catch(() => {});
    while (!over) {
      peak = Math.max(peak, this.memory());
      await Promise.race([done, tick(20)]);
    }
    await done;
    return peak;
  }

  signal(name: "SIGTERM" | "SIGHUP" | "SIGINT" | "SIGQUIT" | "SIGKILL" | "SIGPIPE"): void {
    this.#note();
    kill(this.pid, name);
  }

  /** Remembers the pids of workers and programs. They may outlive the monitor, and can be found only
   *  while it runs. */
  #note(): void {
    if (!this.running) return;
    for (const pid of this.workers()) this.#workers.add(pid);
    if (this.#workers.size > 0) { for (const pid of this.children()) this.#programs.add(pid); }
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Ends the server with SIGTERM, a second SIGTERM, then SIGKILL. Returns what was wrong, if anything. */
  async stop(): Promise<string | undefined> {
    this.#note();
    for (const signal of ["SIGTERM", "SIGTERM", "SIGKILL"] as const) {
      if (!this.running) break;
      this.signal(signal);
      const done = await Promise.race([this.exited, tick(signal === "SIGKILL" ? LIMIT : 4000)]);
      if (done) break;
    }
    const { status, signal } = await this.exited;
    await this.#endWorkers();
    if (this.expected === undefined || status === this.expected) return undefined;
    return `the server ended with ${status ?? signal}, not ${this.expected}`;
  }

  /** Ends what the monitor left. Workers get SIGTERM. Programs that ignore end of file get SIGKILL,
   *  because the server does not end them. */
  async #endWorkers(): Promise<void> {
    const workers = (): number[] => [...this.#workers].filter(isWorker);
    if (workers().length === 0 && this.#programs.size === 0) return;
    for (const name of ["SIGTERM", "SIGKILL"] as const) {
      const left = await settled(workers, (pids) => pids.length === 0, 1500);
      for (const pid of left) kill(pid, name);
    }
    const programs = (): number[] => [...this.#programs].filter((pid) => this.#isOurs(pid));
    for (const pid of await settled(programs, (pids) => pids.length === 0, 500)) {
      kill(pid, "SIGKILL");
    }
  }

  /** True if the process is in the server's session. Otherwise its number has been reused. */
  #isOurs(pid: number): boolean {
    return sessionOf(pid) === this.pid;
  }
}

function sessionOf(pid: number | string): number | undefined {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "latin1");
    const [state, , , session] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return state === "Z" ? undefined : Number(session);
  } catch {
    return undefined; // gone
  }
}

/** Children of a process that are not reaped yet. */
function childrenOf(parent: number): number[] {
  const found: number[] = [];
  for (const task of fs.readdirSync(`/proc/${parent}/task`)) {
    try {
      const text = fs.readFileSync(`/proc/${parent}/task/${task}/children`, "utf8");
      found.push(...text.split(" ").filter((pid) => pid !== "").map(Number));
    } catch {
      // the thread has ended
    }
  }
  return found;
}

function isWorker(pid: number): boolean {
  return commandLine(pid).includes("sslserver-worker");
}

function commandLine(pid: number): string[] {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0");
  } catch {
    return [];
  }
}

/** The memory of a process in MiB: Pss, which counts shared pages once, or else VmRSS. */
function memoryOf(pid: number): number {
  for (const [file, name] of [["smaps_rollup", "Pss"], ["status", "VmRSS"]] as const) {
    try {
      const text = fs.readFileSync(`/proc/${pid}/${file}`, "utf8");
      const kib = new RegExp(`^${name}:\\s+([0-9]+) kB`, "m").exec(text)?.[1];
      if (kib !== undefined) return Number(kib) / 1024;
    } catch {
      // no permission: try the next file
    }
  }
  throw new Error("unable to read the memory of the server");
}

/** The command of a form, up to the server's own options. */
export function formCommand(form: Form, program: string, file = executable(form)): string[] {
  switch (form) {
    case "binary":
      return [file];
    case "bun":
      return [file, "--no-install", join(ROOT, "cli.ts")];
    case "deno":
    case "deno-noffi":
      return [
        file,
        "run",
        ...denoPermissions(program, form === "deno", file),
        join(ROOT, "cli.ts"),
      ];
  }
}

/** The file that a form's processes run. */
export function executable(form: Form): string {
  if (form === "binary") return process.env["SSLSERVER_BIN"] ?? join(ROOT, "dist/sslserver");
  return join(ROOT, form === "bun" ? "node_modules/bun/bin/bun.exe" : "node_modules/deno/deno");
}

/** The smallest set that works: network, files to read (certificates, rules, $PATH), environment,
 *  the system's names and addresses for --self-signed, one program unless it is empty, and libc if
 *  `ffi`. */
export function denoPermissions(
  program: string,
  ffi: boolean,
  deno = executable("deno"),
): string[] {
  // With workers, the server runs its own executable. A handler needs no program.
  const run = [...(program === "" ? [] : [program]), ...(ffi ? [deno] : [])];
  return [
    "--no-prompt",
    "--v8-flags=--max-semi-space-size=1",
    "--allow-net",
    "--allow-read",
    "--allow-env",
    "--allow-sys=hostname,networkInterfaces,uid",
    ...(run.length > 0 ? [`--allow-run=${run}`] : []),
    ...(ffi ? ["--allow-ffi"] : []),
  ];
}

/** The environment of every process of a test, independent of the user who runs the tests. */
function cleanEnvironment(): Record<string, string> {
  return {
    PATH: "/usr/bin:/bin:/usr/sbin:/sbin",
    LC_ALL: "C.UTF-8",
    DENO_DIR: process.env["DENO_DIR"] ?? join(ROOT, "dist/.deno"),
  };
}

/** The machine's settings of npm: registry, cache and proxy. */
export function npmEnvironment(): Record<string, string> {
  const set = Object.entries(process.env).filter(([name]) =>
    /^npm_config_|^https?_proxy$/i.test(name)
  );
  return Object.fromEntries(set) as Record<string, string>;
}

const PACKAGE: Record<string, string> = { gcc: "gcc", ss: "iproute2", python3: "python3" };

/** The path of a program. If it is missing, throws an error that names the Debian package. */
export function found(command: string): string {
  if (command.includes("/")) return command;
  for (const folder of ["/usr/bin", "/bin", "/usr/sbin", "/sbin"]) {
    if (fs.existsSync(join(folder, command))) return join(folder, command);
  }
  throw new Error(`${command} is missing: install Debian's ${PACKAGE[command] ?? command}`);
}

/** The path of the compiled helper `client` or `program`. Compiled again when its source changes. */
export function helper(name: "client" | "program"): Promise<string> {
  return helpers[name] ??= compile(name);
}

const helpers: Partial<Record<"client" | "program", Promise<string>>> = {};

async function compile(name: "client" | "program"): Promise<string> {
  const folder = dirname(fromFileUrl(import.meta.url));
  const sources = [join(folder, `${name}.c`), join(folder, "stream.h")];
  const built = join(CACHE, name);
  const newest = Math.max(...sources.map((file) => fs.statSync(file).mtimeMs));
  if (fs.existsSync(built) && fs.statSync(built).mtimeMs > newest) return built;
  fs.mkdirSync(CACHE, { recursive: true });
  const scratch = `${built}.${process.pid}`;
  const libraries = name === "client" ? ["-lssl", "-lcrypto", "-lpthread"] : [];
  const compiler = spawn(
    found("gcc"),
    ["-O2", "-o", scratch, `${folder}/${name}.c`, ...libraries],
    {
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  const words = collect(compiler.stderr);
  const { status } = await ended(compiler);
  if (status !== 0) {
    const text = new TextDecoder().decode(await words);
    throw new Error(`unable to compile ${name}.c (Debian: gcc libc6-dev libssl-dev): ${text}`);
  }
  fs.renameSync(scratch, built);
  return built;
}

/** Resolves with the exit of a child. */
function ended(child: ChildProcess): Promise<{ status: number | null; signal: string | null }> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) {
      resolve({ status: child.exitCode, signal: child.signalCode });
    }
    child.once("exit", (status, signal) => resolve({ status, signal }));
    child.once("error", () => resolve({ status: 127, signal: null }));
  });
}

async function collect(stream: AsyncIterable<unknown> | null): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  if (stream) { for await (const chunk of stream) chunks.push(chunk as Uint8Array); }
  const all = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

interface Stray {
  pid: number;
  command: string;
}

/** Finds servers and the processes that they started: those in one of the sessions, or with the mark
 *  in their environment. Zombies do not count, because their parent has to reap them. */
function strayProcesses(mark: string, sessions: ReadonlySet<number>): Stray[] {
  return fs.readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name)).flatMap((name) => {
    try {
      const session = sessionOf(name);
      if (session === undefined) return [];
      const ours = sessions.has(session) ||
        fs.readFileSync(`/proc/${name}/environ`, "latin1").includes(mark);
      if (!ours) return [];
      return [{ pid: Number(name), command: commandLine(Number(name)).join(" ") }];
    } catch {
      return []; // gone, or another user's
    }
  });
}

function kill(pid: number, signal: string): void {
  try {
    process.kill(pid, signal);
  } catch {
    // gone already
  }
}

const tick = (ms: number): Promise<undefined> =>
  new Promise((resolve) => setTimeout(resolve, ms, undefined));

/** Calls `look` until `good` accepts its result or the limit is reached. Returns the last result. */
export async function settled<T>(
  look: () => T | Promise<T>,
  good: (seen: T) => boolean,
  limit = LIMIT,
): Promise<T> {
  const end = performance.now() + limit;
  for (;;) {
    const seen = await look();
    if (good(seen) || performance.now() > end) return seen;
    await tick(5);
  }
}

/** Rejects when `promise` takes longer than `limit` milliseconds. */
export function within<T>(promise: Promise<T>, limit: number, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${what} within ${limit} ms`)), limit);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** A real monitor whose workers are puppets: the process is real (sleep), but the test holds its ends of the
 *  sockets and sends what a hostile worker would. When the process has ended, the ends are closed, as the
 *  kernel would do. With `fake` there are no processes, for a test that would need a million of them. */

import { assert, assertStrictEquals } from "@std/assert";
import fs from "node:fs";
import { makeAccessRules } from "../../src/admit/access_rules.ts";
import { parseOptions } from "../../src/config/parse.ts";
import { localFiles } from "../../src/files/files.ts";
import { Log } from "../../src/log.ts";
import { Frames } from "../../src/privsep/frame.ts";
import { workerIdentity } from "../../src/privsep/identity.ts";
import { FROM_MONITOR, FROM_WORKER } from "../../src/privsep/message_codec.ts";
import type {
  MessageKind,
  MessageOf,
  MonitorMessage,
  WorkerMessage,
} from "../../src/privsep/messages.ts";
import { Monitor } from "../../src/privsep/monitor/monitor.ts";
import { WorkerProcesses } from "../../src/privsep/monitor/worker_process.ts";
import type { MonitorOptions } from "../../src/privsep/monitor/options.ts";
import type { Libc } from "../../src/runtime/libc/libc.ts";
import type { Launched, LaunchOptions, Runtime, Stream } from "../../src/runtime/runtime.ts";
import { thisRuntime } from "../runtime/kits.ts";
import { within } from "../runtime/tools.ts";

/** The test's control of one worker. */
export class Puppet {
  /** Messages received and not yet taken by `hear`. */
  readonly came: MonitorMessage[] = [];
  /** Resolves when the process has ended. */
  readonly ended: Promise<void>;
  gone = false;
  #open = true;
  #passes = true;
  #asked: (() => void)[] = [];
  readonly #frames = new Frames(FROM_MONITOR.maxLength);

  constructor(
    readonly libc: Libc,
    readonly launched: Launched,
    readonly stream: Stream,
    /** A copy of the descriptor under `stream`. */
    readonly control: number,
    readonly pass: number,
    /** A copy of the worker's stderr. */
    readonly log: number,
  ) {
    stream.take({
      data: (chunk) => {
        for (const { kind, body } of this.#frames.push(chunk)) {
          this.came.push(FROM_MONITOR.decode(kind, body));
        }
        this.#look();
      },
    });
    this.ended = launched.exited.then(() => {
      this.gone = true;
      this.close();
      this.#look();
    });
    stream.resume();
  }

  #look(): void {
    for (const look of this.#asked.splice(0)) look();
  }

  get pid(): number {
    return this.launched.pid;
  }

  say(...frames: Uint8Array[]): void {
    for (const frame of frames) this.stream.write(frame);
  }

  /** Sends a well-formed message. */
  send(message: WorkerMessage): void {
    this.say(FROM_WORKER.encode(message));
  }

  /** Waits for the next message of this kind. Drops others before it. */
  async hear<K extends MessageKind<"monitor">>(kind: K, ms = 20_000): Promise<MessageOf<K>> {
    for (;;) {
      const next = this.came.shift();
      if (next?.kind === kind) return next as MessageOf<K>;
      if (next) continue;
      assert(!this.gone, `the worker ended before ${kind}`);
      const look = new Promise<void>((look) => this.#asked.push(look));
      await within(look, kind, ms);
    }
  }

  /** Resolves when at least one message is in `came`. */
  async hears(ms = 20_000): Promise<void> {
    while (this.came.length === 0) {
      assert(!this.gone, "the worker ended");
      await within(new Promise<void>((look) => this.#asked.push(look)), "a frame", ms);
    }
  }

  /** Takes `count` descriptors that were sent with frames. */
  fds(count: number): number[] {
    const got = this.libc.receiveDescriptors(this.pass, 1, count);
    assertStrictEquals(got?.fds.length, count);
    return got?.fds ?? [];
  }

  /** Brings the worker to the state "serving". */
  async serve(): Promise<void> {
    this.libc.close(await this.serveOn());
  }

  /** Like `serve`, but returns the listening socket instead of closing it. */
  async serveOn(): Promise<number> {
    await this.hear("INIT");
    this.dropDescriptors();
    this.send({ kind: "READY" });
    await this.hear("LISTEN");
    const [fd] = this.fds(1) as [number];
    this.send({ kind: "SERVING" });
    await this.hear("SLOTS");
    return fd;
  }

  dropDescriptors(): void {
    for (;;) {
      const got = this.libc.receiveDescriptors(this.pass, 1, 253);
      if (!got || got.fds.length === 0) return;
      for (const fd of got.fds) this.libc.close(fd);
    }
  }

  dropDescriptorsIfOpen(): void {
    if (this.#open) this.dropDescriptors();
  }

  kill(): void {
    this.launched.kill("SIGKILL");
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.stream.destroy();
    this.libc.close(this.control);
    this.libc.close(this.log);
    if (this.#passes) this.libc.close(this.pass);
  }

  /** Closes the worker's socket for descriptors. */
  closePass(): void {
    this.#passes = false;
    this.libc.close(this.pass);
  }
}

export interface Stage {
  readonly runtime: Runtime;
  readonly libc: Libc;
  readonly monitor: Monitor;
  /** What the monitor has logged. */
  readonly lines: string[];
  /** The programs that the monitor has started: their commands and environments. */
  readonly programs: LaunchOptions[];
  /** The programs that still run. */
  readonly running: Set<Launched>;
  /** Waits for the next worker that the monitor starts or has started. */
  next(): Promise<Puppet>;
  /** Ends everything. */
  close(): Promise<void>;
}

export interface StageOptions {
  argv?: readonly string[];
  program?: readonly string[];
  workers?: number;
  env?: Record<string, string>;
  base?: Record<string, string>;
  fake?: boolean;
  /** True: the host is a name, which the worker looks up. */
  named?: boolean;
  timeouts?: NonNullable<MonitorOptions["timeouts"]>;
  /** True: the workers' processes ignore SIGTERM. */
  deaf?: boolean;
  /** The call of the monitor that fails. The test can change it at any time. */
  breaks?: Breaks;
}

/** A call that fails: a method of libc, `launch`, or `kill` of a program. */
export interface Breaks {
  call: string | undefined;
  code: string;
  /** How often it has failed. */
  failures?: number;
}

/** `libc`, except that the call in `breaks` fails. */
function breaking(libc: Libc, breaks: Breaks): Libc {
  return new Proxy(libc, {
    get(target, name) {
      const method = Reflect.get(target, name);
      if (typeof method !== "function") return method;
      return (...args: unknown[]) => {
        if (breaks.call === name) throw refusal(breaks);
        return Reflect.apply(method, target, args);
      };
    },
  });
}

function refusal(breaks: Breaks): Error {
  const { call, code } = breaks;
  breaks.failures = (breaks.failures ?? 0) + 1;
  return Object.assign(new Error(`${call}: it fails`), { code });
}

/** A fake process that ends when it is killed. */
function fakeProcess(): Launched {
  const { promise, resolve } = Promise.withResolvers<number | undefined>();
  let over = false;
  return {
    pid: 1,
    exited: promise,
    kill(signal) {
      if (over) return false;
      over = true;
      resolve(signal === "SIGKILL" ? 9 : 15);
      return true;
    },
  };
}

const DEAF = ["/bin/sh", "-c", "trap '' TERM; exec sleep 100"];

/** Starts a monitor with its workers. The first workers are in `puppets`. */
export async function stage(
  {
    argv = [],
    program = ["cat"],
    workers = 1,
    env = {},
    base,
    fake = false,
    named = false,
    timeouts,
    deaf = false,
    breaks,
  }: StageOptions = {},
): Promise<Stage & { puppets: Puppet[]; started: Promise<void> }> {
  const runtime = await thisRuntime();
  const libc = runtime.libc as Libc;
  const words = ["-q", ...argv, named ? "localhost" : "127.0.0.1", "0", ...program];
  const request = parseOptions(words, env);
  assert("serve" in request);
  const options = { ...request.serve, verbosity: 1 as const };
  const lines: string[] = [];
  const programs: LaunchOptions[] = [];
  const running = new Set<Launched>();
  const puppets: Puppet[] = [];
  const waiting: Puppet[] = [];
  const asked: ((puppet: Puppet) => void)[] = [];
  const workerProcesses = new Set<Launched>();
  const play: Runtime = Object.create(runtime, {
    launch: {
      value(wanted: LaunchOptions): Launched {
        const { command, descriptors } = wanted;
        if (!command.includes("sslserver-worker")) {
          if (breaks?.call === "launch") throw refusal(breaks);
          programs.push(wanted);
          const real = fake ? fakeProcess() : runtime.launch(wanted);
          const launched = {
            ...real,
            kill: (name: "SIGTERM" | "SIGKILL") => breaks?.call !== "kill" && real.kill(name),
          };
          running.add(launched);
          launched.exited.then(() => running.delete(launched));
          return launched;
        }
        if (breaks?.call === "launch worker") throw refusal(breaks);
        const sleep = { command: deaf ? DEAF : ["/bin/sleep", "100"], env: {} };
        const launched = fake
          ? fakeProcess()
          : runtime.launch({ ...sleep, descriptors: Array(3).fill(descriptors[0]) });
        workerProcesses.add(launched);
        launched.exited.then(() => workerProcesses.delete(launched));
        const copy = (n: number): number => libc.dup(descriptors[n] as number);
        const [adopted, control, pass, log] = [copy(3), copy(3), copy(4), copy(2)];
        runtime.adoptSocket(adopted).then((stream) => {
          const puppet = new Puppet(libc, launched, stream, control, pass, log);
          const give = asked.shift();
          if (give) give(puppet);
          else waiting.push(puppet);
        });
        return launched;
      },
    },
  });
  const self = { command: ["/nowhere"], confine: ["/nowhere"], env: {} };
  const monitorLibc = breaks ? breaking(libc, breaks) : libc;
  const processes = new WorkerProcesses(play, monitorLibc, self, options);
  const monitorOptions: MonitorOptions = {
    options,
    env,
    base: base ?? { PATH: "/usr/bin:/bin" },
    access: options.accessDir === undefined && options.accessCdb === undefined
      ? undefined
      : makeAccessRules(options, libc, () => performance.now()),
    runtime: play,
    libc: monitorLibc,
    log: new Log({
      verbosity: 1,
      form: "text",
      name: "test",
      write: (text) => void lines.push(...text.trimEnd().split("\n")),
    }),
    self,
    processes: { next: () => processes.start() },
    workers,
    identity: workerIdentity(options, env, localFiles),
    init: { resolve: named },
    inherited: false,
    ...(timeouts ? { timeouts } : {}),
    listen: () => libc.listenSocket({ ip: "127.0.0.1", port: 0, backlog: 5 }).fd,
  };
  const monitor = new Monitor(monitorOptions);
  const next = (): Promise<Puppet> => {
    const puppet = waiting.shift();
    return puppet
      ? Promise.resolve(puppet)
      : within(new Promise<Puppet>((give) => asked.push(give)), "worker");
  };
  const started = monitor.start();
  started.catch(() => {});
  for (let i = 0; i < workers; i++) puppets.push(await next());
  return {
    runtime,
    libc,
    monitor,
    lines,
    programs,
    running,
    puppets,
    started,
    next,
    async close() {
      await monitor.abandon();
      for (const launched of workerProcesses) launched.kill("SIGKILL");
      await Promise.all([...workerProcesses].map(({ exited }) => exited));
      for (const launched of running) launched.kill("SIGKILL");
      await within(Promise.all([...running].map(({ exited }) => exited)), "end of the programs");
    },
  };
}

/** Like `stage`, with all workers in the state "serving". */
export async function serving(options: StageOptions = {}): ReturnType<typeof stage> {
  const made = await stage(options);
  for (const puppet of made.puppets) await puppet.serve();
  await within(made.started, "start");
  return made;
}

/** The targets of this process's open descriptors. */
export function openFiles(): string[] {
  return fs.readdirSync("/proc/self/fd").flatMap((name) => {
    try {
      return [fs.readlinkSync(`/proc/self/fd/${name}`)];
    } catch {
      return []; // the descriptor of readdir
    }
  });
}

/** Children of this process that are not reaped yet. */
export function zombies(): number[] {
  return fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((name) => {
    try {
      const stat = fs.readFileSync(`/proc/${name}/stat`, "latin1");
      const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return state === "Z" && Number(parent) === process.pid ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}

/** Polls until `look` returns true. For states without an event. */
export async function settled(what: string, look: () => boolean): Promise<void> {
  const until = performance.now() + 20_000;
  while (!look()) {
    if (performance.now() > until) throw new Error(`${what}: not within 20 s`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

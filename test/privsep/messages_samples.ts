/** One or more valid messages of each kind, and random ones. */

import type {
  Message,
  MessageKind,
  MessageOf,
  MonitorMessage,
  Side,
  WorkerMessage,
} from "../../src/privsep/messages.ts";

const ASK = {
  perAddress: 3,
  rate: { count: 10_000, seconds: 86_400 },
  network: { key: "_00001010\u00df", count: 7 },
};
const NOTHING = {
  perAddress: 0,
  rate: { count: 0, seconds: 0 },
  network: { key: "", count: 0 },
};

/** Messages of workers. */
export const SAMPLES: Readonly<Record<string, WorkerMessage>> = {
  READY: { kind: "READY" },
  SERVING: { kind: "SERVING" },
  WANT: { kind: "WANT" },
  RETURN: { kind: "RETURN", count: 40 },
  GOOD: { kind: "GOOD", count: 2 ** 32 - 1 },
  LEFT: { kind: "LEFT" },
  LOST: { kind: "LOST" },
  SETTLED: { kind: "SETTLED" },
  FATAL: { kind: "FATAL", code: 111, message: "unable to read k: gone", hint: "put it back" },
  "FATAL without words": { kind: "FATAL", code: 0, message: "", hint: "" },
  RESOLVED: { kind: "RESOLVED", ip: "2001:db8::1" },
  START: {
    kind: "START",
    id: 1,
    delayed: false,
    ruled: true,
    ip: "192.0.2.1",
    host: "client.example",
    info: "joe",
    variables: new Map([["PROTO", "TLS"], ["SSLREMOTEIP", "192.0.2.1"], ["SSL_ALPN", ""]]),
  },
  "START for UCSPI-TLS": {
    kind: "START",
    id: Number.MAX_SAFE_INTEGER,
    delayed: true,
    ruled: false,
    ip: "2001:db8::1",
    host: "",
    info: "",
    variables: new Map([["SSL_CLIENT_S_DN_CN", "J\u00f6rg \u{1f600} \ufeffx"]]),
  },
  "START without variables": {
    kind: "START",
    id: 2 ** 32,
    delayed: false,
    ruled: false,
    ip: "",
    host: "",
    info: "",
    variables: new Map(),
  },
  PREPARE: { kind: "PREPARE" },
  RUN: {
    kind: "RUN",
    id: 2,
    pipes: 1,
    ruled: false,
    ip: "192.0.2.1",
    host: "client.example",
    info: "",
    variables: new Map([["PROTO", "TLS"]]),
  },
  IDENTIFY: { kind: "IDENTIFY", id: 2 },
  CANCEL: { kind: "CANCEL", id: 2 ** 32 + 1 },
  "KILL TERM": { kind: "KILL", id: 5, signal: "SIGTERM" },
  "KILL KILL": { kind: "KILL", id: 5, signal: "SIGKILL" },
  TAKE: {
    kind: "TAKE",
    id: 9,
    address: "\0\0\0\0\0\0\0\0\0\0\u00ff\u00ff\u00c0\0\u0002\u0001",
    limits: ASK,
  },
  "TAKE without limits": { kind: "TAKE", id: 9, address: "\u00fe".repeat(16), limits: NOTHING },
  CHECK: { kind: "CHECK", id: 9, limits: ASK },
  RELEASE: { kind: "RELEASE", id: 9 },
  COUNTS: { kind: "COUNTS", id: 1, counts: Float64Array.of(0, 1.5, 1e300, Infinity) },
  SCRAPE: { kind: "SCRAPE", id: 2 ** 40, counts: Float64Array.of(7) },
  PLACED: { kind: "PLACED" },
  RULES: { kind: "RULES", id: 3, by: "address", ip: "192.0.2.1", host: "" },
  "RULES by name": { kind: "RULES", id: 4, by: "host", ip: "::1", host: "a.example" },
  "COUNTS of nothing": { kind: "COUNTS", id: 1, counts: new Float64Array(0) },
};

const SLOTS = { running: 3, full: true, wanted: false, granted: 1 };
const ONE_FILE = { path: "/k\u00df", is: "file", stamp: "1" } as const;

/** Messages of the monitor. */
export const ANSWERS: Readonly<Record<string, MonitorMessage>> = {
  INIT: { kind: "INIT", init: { version: "1", options: { banner: "\0\udc80" } } },
  FILES: { kind: "FILES", files: [{ ...ONE_FILE, open: true }] },
  "FILES of nothing": { kind: "FILES", files: [] },
  LISTEN: { kind: "LISTEN" },
  STARTED: { kind: "STARTED", id: 2 ** 40, pid: 4711, delayed: true, ...SLOTS },
  REFUSED: { kind: "REFUSED", id: 1, why: "unable to run x: no such file", ...SLOTS },
  EXITED: { kind: "EXITED", id: 7, pid: 4711, status: 256, ...SLOTS },
  PIPES: { kind: "PIPES", first: 9, count: 8 },
  RUNS: { kind: "RUNS", id: 2, pid: 4711 },
  SLOTS: { kind: "SLOTS", ...SLOTS },
  VERDICT: { kind: "VERDICT", id: 9, refusal: "network", count: 2 ** 32 - 1, others: 0 },
  "VERDICT that lets in": { kind: "VERDICT", id: 9, refusal: "none", count: 0, others: 7 },
  RELOAD: { kind: "RELOAD" },
  DRAIN: { kind: "DRAIN" },
  GATHER: { kind: "GATHER", id: Number.MAX_SAFE_INTEGER },
  METRICS: { kind: "METRICS", introduction: { started: 1_795_000_000.125, socket: true } },
  TOTALS: {
    kind: "TOTALS",
    id: 9,
    counts: Float64Array.of(1, 2.5),
    workers: 3,
    programs: 7,
    silent: 1,
    ended: { signal: 4, breach: 0, exit: 2 },
  },
  END: { kind: "END" },
  KEPT: { kind: "KEPT", whole: true, bytes: Uint8Array.of(0, 1, 255), file: ONE_FILE },
  RULED: {
    kind: "RULED",
    id: 3,
    verdict: { allow: true, env: [["A", "\udcff"], ["B", null]], rule: "ip4/0.0.0.0_0" },
  },
  "RULED with a denial": {
    kind: "RULED",
    id: 4,
    verdict: { allow: false, env: [], kind: "any", error: "it cannot be read" },
  },
  "KEPT without bytes": { kind: "KEPT", whole: false, bytes: new Uint8Array(0), file: ONE_FILE },
};

/** Functions that make a random message of each kind of one side, within the caps. The type requires all
 *  kinds. */
type Makers<S extends Side> = { readonly [K in MessageKind<S>]: () => Omit<MessageOf<K>, "kind"> };

/** Random messages. `below(n)` is a number from 0 to n - 1. */
export class RandomMessages {
  readonly worker: Makers<"worker">;
  readonly monitor: Makers<"monitor">;

  constructor(readonly below: (n: number) => number) {
    const { id, u32, flag, limits, slots, file } = this;
    const text = (max: number): string => this.text(max);
    const counts = (): Float64Array => this.numbers();
    const nothing = (): Record<never, never> => ({});
    const described = () => ({
      ruled: flag(),
      ip: text(64),
      host: text(253),
      info: text(1024),
      variables: new Map(Array.from({ length: below(20) }, (_, i) => [`N${i}`, text(500)])),
    });
    this.worker = {
      READY: nothing,
      FATAL: () => ({ code: below(256), message: text(2000), hint: text(2000) }),
      RESOLVED: () => ({ ip: text(64) }),
      START: () => ({ id: id(), delayed: flag(), ...described() }),
      PREPARE: nothing,
      RUN: () => ({ id: id(), pipes: u32(), ...described() }),
      IDENTIFY: () => ({ id: id() }),
      CANCEL: () => ({ id: id() }),
      KILL: () => ({ id: id(), signal: flag() ? "SIGTERM" : "SIGKILL" }),
      TAKE: () => ({
        id: id(),
        address: String.fromCharCode(...Array.from({ length: 16 }, () => below(256))),
        limits: limits(),
      }),
      CHECK: () => ({ id: id(), limits: limits() }),
      RELEASE: () => ({ id: id() }),
      SETTLED: nothing,
      COUNTS: () => ({ id: id(), counts: counts() }),
      SERVING: nothing,
      SCRAPE: () => ({ id: id(), counts: counts() }),
      PLACED: nothing,
      LEFT: nothing,
      LOST: nothing,
      WANT: nothing,
      RETURN: () => ({ count: u32() }),
      GOOD: () => ({ count: u32() }),
      RULES: () => ({
        id: id(),
        by: flag() ? "address" : "host",
        ip: text(64),
        host: text(253),
      }),
    };
    this.monitor = {
      INIT: () => ({ init: { version: text(20), options: { banner: text(300) }, index: u32() } }),
      FILES: () => ({
        files: Array.from({ length: below(9) }, () => ({ ...file(), open: flag() })),
      }),
      LISTEN: nothing,
      STARTED: () => ({ id: id(), pid: u32(), delayed: flag(), ...slots() }),
      REFUSED: () => ({ id: id(), why: text(1000), ...slots() }),
      EXITED: () => ({ id: id(), pid: u32(), status: u32(), ...slots() }),
      PIPES: () => ({ first: u32(), count: u32() }),
      RUNS: () => ({ id: id(), pid: u32() }),
      SLOTS: slots,
      VERDICT: () => ({
        id: id(),
        refusal: (["none", "address", "rate", "network"] as const)[below(4)] ?? "none",
        count: u32(),
        others: u32(),
      }),
      RELOAD: nothing,
      DRAIN: nothing,
      GATHER: () => ({ id: id() }),
      METRICS: () => ({ introduction: { started: u32() / 8, socket: flag() } }),
      TOTALS: () => ({
        id: id(),
        counts: counts(),
        workers: u32(),
        programs: u32(),
        silent: u32(),
        ended: { signal: u32(), breach: u32(), exit: u32() },
      }),
      END: nothing,
      KEPT: () => ({
        whole: flag(),
        bytes: Uint8Array.from({ length: below(2000) }, () => below(256)),
        file: file(),
      }),
      RULED: () => ({
        id: id(),
        verdict: { allow: flag(), env: [[text(20), flag() ? text(50) : null]], rule: text(99) },
      }),
    };
  }

  of<S extends Side>(side: S, kind: MessageKind<S>): Message<S> {
    const makers = this[side] as unknown as Readonly<Record<string, () => object>>;
    return { kind, ...makers[kind]?.() } as unknown as Message<S>;
  }

  readonly u32 = (): number => [0, 1, 2 ** 32 - 1, this.below(2 ** 32)][this.below(4)] as number;
  readonly id = (): number => this.below(3) === 0 ? this.u32() : this.below(2 ** 21) * 2 ** 32;
  readonly flag = (): boolean => this.below(2) === 1;
  readonly slots = () => ({
    running: this.u32(),
    full: this.flag(),
    wanted: this.flag(),
    granted: this.u32(),
  });
  readonly limits = () => ({
    perAddress: this.u32(),
    rate: { count: this.below(10_001), seconds: this.below(86_401) },
    network: { key: this.text(256), count: this.u32() },
  });
  readonly file = () => ({ path: `/${this.text(50)}`, is: "file" as const, stamp: this.text(9) });

  numbers(): Float64Array {
    return Float64Array.from({ length: this.below(50) }, () => this.below(2 ** 32) / 7);
  }

  /** A text of at most `max` bytes in UTF-8, without NUL. */
  text(max: number): string {
    const characters = ["a", "\u00df", "\u20ac", "\u{1f600}", "\ufeff", '"', "\\", "\n", "\x01"];
    let text = "";
    for (let left = this.below(max + 1); left >= 4; left -= 4) {
      text += characters[this.below(characters.length)];
    }
    return text;
  }
}

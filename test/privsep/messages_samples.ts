/** One or more valid requests of each kind. */

import { KIND } from "../../src/privsep/frame.ts";
import type { WorkerMessage } from "../../src/privsep/messages.ts";

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

export const SAMPLES: Readonly<Record<string, WorkerMessage>> = {
  READY: { kind: KIND.READY },
  SERVING: { kind: KIND.SERVING },
  WANT: { kind: KIND.WANT },
  RETURN: { kind: KIND.RETURN, count: 40 },
  GOOD: { kind: KIND.GOOD, count: 2 ** 32 - 1 },
  LEFT: { kind: KIND.LEFT },
  LOST: { kind: KIND.LOST },
  SETTLED: { kind: KIND.SETTLED },
  FATAL: { kind: KIND.FATAL, code: 111, message: "unable to read k: gone", hint: "put it back" },
  "FATAL without words": { kind: KIND.FATAL, code: 0, message: "", hint: "" },
  RESOLVED: { kind: KIND.RESOLVED, ip: "2001:db8::1" },
  START: {
    kind: KIND.START,
    id: 1,
    delayed: false,
    ruled: true,
    ip: "192.0.2.1",
    host: "client.example",
    info: "joe",
    variables: new Map([["PROTO", "TLS"], ["SSLREMOTEIP", "192.0.2.1"], ["SSL_ALPN", ""]]),
  },
  "START for UCSPI-TLS": {
    kind: KIND.START,
    id: Number.MAX_SAFE_INTEGER,
    delayed: true,
    ruled: false,
    ip: "2001:db8::1",
    host: "",
    info: "",
    variables: new Map([["SSL_CLIENT_S_DN_CN", "J\u00f6rg \u{1f600} \ufeffx"]]),
  },
  "START without variables": {
    kind: KIND.START,
    id: 2 ** 32,
    delayed: false,
    ruled: false,
    ip: "",
    host: "",
    info: "",
    variables: new Map(),
  },
  CANCEL: { kind: KIND.CANCEL, id: 2 ** 32 + 1 },
  "KILL TERM": { kind: KIND.KILL, id: 5, signal: "SIGTERM" },
  "KILL KILL": { kind: KIND.KILL, id: 5, signal: "SIGKILL" },
  TAKE: {
    kind: KIND.TAKE,
    id: 9,
    address: "\0\0\0\0\0\0\0\0\0\0\u00ff\u00ff\u00c0\0\u0002\u0001",
    ask: ASK,
  },
  "TAKE without limits": { kind: KIND.TAKE, id: 9, address: "\u00fe".repeat(16), ask: NOTHING },
  CHECK: { kind: KIND.CHECK, id: 9, ask: ASK },
  RELEASE: { kind: KIND.RELEASE, id: 9 },
  COUNTS: { kind: KIND.COUNTS, id: 1, counts: Float64Array.of(0, 1.5, 1e300, Infinity) },
  SCRAPE: { kind: KIND.SCRAPE, id: 2 ** 40, counts: Float64Array.of(7) },
  PLACED: { kind: KIND.PLACED },
  "COUNTS of nothing": { kind: KIND.COUNTS, id: 1, counts: new Float64Array(0) },
};

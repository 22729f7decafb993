/** Why a connection ends, as data: from the place where it ends to the log and the metrics. Each kind has its
 *  words in log/reasons.ts and its label in metrics/reasons.ts, and nowhere else. Below everything but errors.ts. */

import { FatalError, reason as textOf } from "./errors.ts";

/** What is wrong with a handshake, or with a record after it. The adapters of the runtimes (runtime/bun/words.ts,
 *  runtime/deno/words.ts) find it out by the text of their TLS library. */
export type TlsFault =
  | "http request"
  | "not tls"
  | "malformed"
  | "no shared version"
  | "no shared cipher"
  | "no shared group"
  | "no shared signature algorithm"
  | "no shared application protocol"
  | "no client certificate"
  | "bad client certificate"
  | "given up"
  | "other";

/** What the adapters tell. `text` is the library's, or the system's, in plain words. */
export type StreamReason =
  /** It closed its end, or reset it. `sent`: bytes of a PROXY header or ClientHello that came before. */
  | { readonly kind: "client gone"; readonly how: "closed" | "reset"; readonly sent?: number }
  | { readonly kind: "connection lost"; readonly text: string }
  | { readonly kind: "tls"; readonly fault: TlsFault; readonly text: string }
  /** An alert of the client, by its name. `certificate`: it refuses ours. */
  | { readonly kind: "alert"; readonly alert: string; readonly certificate: boolean };

/** What kind of key a rule has: see codec/rules.ts. */
export type RuleKind = "any" | "address" | "network" | "host" | "info";

/** Why admission denies a connection. */
export type Denial =
  /** MAXCONIP, MAXCONRATE or MAXCONNET. `count` is the limit. */
  | {
    readonly kind: "limit";
    readonly by: "address" | "rate" | "network";
    readonly count: number;
  }
  | { readonly kind: "rule"; readonly rule: RuleKind }
  | { readonly kind: "rules unreadable" };

export type Reason =
  | StreamReason
  | Denial
  /** The time of -T. */
  | { readonly kind: "timed out"; readonly seconds: number }
  /** By the gate, to make room: `silent` and `slow` are too many (--pending). */
  | { readonly kind: "evicted"; readonly as: "silent" | "slow" | "descriptors" }
  | { readonly kind: "shut down" }
  /** While its PROXY header was read. */
  | { readonly kind: "proxy header"; readonly cause: Reason }
  | { readonly kind: "unexpected proxy header" }
  /** Of a PROXY header or a ClientHello. `text` is a decoder's. */
  | { readonly kind: "malformed"; readonly text: string }
  /** SNI_STRICT. `name` is the client's: untrusted. */
  | { readonly kind: "unknown server name"; readonly name: string }
  | { readonly kind: "no server name" }
  /** The ClientHello is longer than is read of one, or split in ways in which no client splits it. */
  | { readonly kind: "unreadable server name" }
  | { readonly kind: "no client certificate" }
  /** `text` is OpenSSL's, see tls/verify.ts. */
  | { readonly kind: "bad client certificate"; readonly text: string }
  /** TLS broke after the handshake. */
  | { readonly kind: "broken"; readonly cause: StreamReason }
  /** A file or a variable of the server. */
  | { readonly kind: "settings"; readonly text: string }
  /** The program could not be started. */
  | { readonly kind: "not run"; readonly text: string }
  /** A mistake of ours. */
  | { readonly kind: "internal"; readonly text: string };

/** Why a program could not be started. */
export function notRun(text: string): Reason {
  return { kind: "not run", text };
}

/** Ends a connection. The message is for stack traces alone. */
export class ConnectionError extends Error {
  override name = "ConnectionError";
  constructor(readonly reason: Reason) {
    super("text" in reason ? reason.text : reason.kind);
  }
}

/** The reason in anything that a stage has thrown. */
export function reasonOf(thrown: unknown): Reason {
  if (thrown instanceof ConnectionError) return thrown.reason;
  return { kind: thrown instanceof FatalError ? "settings" : "internal", text: textOf(thrown) };
}

/** What to throw for the signal of a connection (`Connection.signal`), whose `reason` is a `Reason`. */
export function abandoned(signal: AbortSignal): ConnectionError {
  return new ConnectionError(signal.reason as Reason);
}

/** A client that has reset its connection before anybody knew of it. */
export const LOST: Reason = { kind: "client gone", how: "reset", sent: 0 };

export function isDenial(reason: Reason): reason is Denial {
  return reason.kind === "limit" || reason.kind === "rule" || reason.kind === "rules unreadable";
}

/** How TLS broke: with the connection, or by what came over it. */
export function breakOf(cause: StreamReason): "reset" | "breach" {
  return cause.kind === "client gone" || cause.kind === "connection lost" ? "reset" : "breach";
}

/** The client has gone, and nothing that it may have sent was read: health checks do that, port scans,
 *  and browsers that connect ahead. */
export function saidNothing(reason: Reason): boolean {
  return reason.kind === "client gone" && reason.sent === 0;
}

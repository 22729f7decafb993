/** Why a connection ends, as data for the log and the metrics. Only log/reasons.ts has the words of
 *  each kind, and only metrics/reasons.ts its label. Imports nothing but errors.ts. */

import { FatalError, reason as textOf } from "./errors.ts";

/** What is wrong with a handshake, or with a record after it. The adapters of the runtimes
 *  (runtime/bun/words.ts, runtime/deno/words.ts) derive it from the text of their TLS library. */
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

/** What the adapters report. `text` is the message of the library or the system, in plain words. */
export type StreamReason =
  /** The client closed its end, or reset the connection. `sent`: bytes of a PROXY header or
   *  ClientHello that came before. */
  | { readonly kind: "client gone"; readonly how: "closed" | "reset"; readonly sent?: number }
  | { readonly kind: "connection lost"; readonly text: string }
  | { readonly kind: "tls"; readonly fault: TlsFault; readonly text: string }
  /** An alert from the client, by its name. `certificate`: the client refuses our certificate. */
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
  | { readonly kind: "rules unreadable" }
  /** A look-up failed, or all of them took too long. `mismatch`: the client's name does not resolve
   *  to its address. */
  | { readonly kind: "look-up"; readonly what: "dns" | "ident" | "mismatch" | "time" };

export type Reason =
  | StreamReason
  | Denial
  /** The time of -T has passed. */
  | { readonly kind: "timed out"; readonly seconds: number }
  /** Closed by the gate to make room. `silent`, `slow`: too many connections (--pending).
   *  `descriptors`: too few descriptors. */
  | { readonly kind: "evicted"; readonly as: "silent" | "slow" | "descriptors" }
  | { readonly kind: "shut down" }
  /** `cause` ended the connection while its PROXY header was read. */
  | { readonly kind: "proxy header"; readonly cause: Reason }
  | { readonly kind: "unexpected proxy header" }
  /** A PROXY header or a ClientHello is malformed. `text` is the decoder's. */
  | { readonly kind: "malformed"; readonly text: string }
  /** Refused by SNI_STRICT. `name` comes from the client and is untrusted. */
  | { readonly kind: "unknown server name"; readonly name: string }
  | { readonly kind: "no server name" }
  /** The ClientHello is longer than we read, or split in a way that no client uses. */
  | { readonly kind: "unreadable server name" }
  | { readonly kind: "no client certificate" }
  /** `text` is OpenSSL's, see tls/verify.ts. */
  | { readonly kind: "bad client certificate"; readonly text: string }
  /** TLS broke after the handshake. */
  | { readonly kind: "broken"; readonly cause: StreamReason }
  /** A file or a variable of the server is wrong. */
  | { readonly kind: "settings"; readonly text: string }
  /** The program could not be started. */
  | { readonly kind: "not run"; readonly text: string }
  /** A bug in this program. */
  | { readonly kind: "internal"; readonly text: string };

/** Why a program could not be started. */
export function startFailure(text: string): Reason {
  return { kind: "not run", text };
}

/** Ends a connection. The message is only for stack traces. */
export class ConnectionError extends Error {
  override name = "ConnectionError";
  constructor(readonly reason: Reason) {
    super("text" in reason ? reason.text : reason.kind);
  }
}

/** Returns the reason in anything that a stage has thrown. */
export function reasonOf(thrown: unknown): Reason {
  if (thrown instanceof ConnectionError) return thrown.reason;
  return { kind: thrown instanceof FatalError ? "settings" : "internal", text: textOf(thrown) };
}

/** Returns what to throw when the signal of a connection (`Connection.signal`) aborts. The signal's
 *  `reason` is a `Reason`. */
export function abortError(signal: AbortSignal): ConnectionError {
  return new ConnectionError(signal.reason as Reason);
}

/** The client has reset the connection before the server could handle it. */
export const RESET_AT_ACCEPT: Reason = { kind: "client gone", how: "reset", sent: 0 };

export function isDenial(reason: Reason): reason is Denial {
  return reason.kind === "limit" || reason.kind === "rule" ||
    reason.kind === "rules unreadable" || reason.kind === "look-up";
}

/** Returns how TLS broke: the connection was lost (`reset`), or something came over it that is not
 *  valid TLS (`breach`). */
export function breakKind(cause: StreamReason): "reset" | "breach" {
  return cause.kind === "client gone" || cause.kind === "connection lost" ? "reset" : "breach";
}

/** True if the client has gone and nothing that it may have sent was read. Health checks and port
 *  scans do that, and browsers that connect ahead. */
export function sentNothing(reason: Reason): boolean {
  return reason.kind === "client gone" && reason.sent === 0;
}

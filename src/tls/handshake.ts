/** Stage 3: from an admitted socket to a TLS stream.
 *
 *  The server reads the ClientHello itself and chooses the certificate by the name in it. It starts
 *  handshakes in the order in which their ClientHello became complete, each when it has a slot
 *  (-c). Left to themselves, the runtimes use another order (Bun: newest first, five per event loop
 *  turn); with many clients at once the first would wait for seconds. A client that sends nothing
 *  costs no TLS state. */

import type { Cancellable, Connection, ConnectionSlot } from "../connection.ts";
import type { Options } from "../config/options.ts";
import type { ConnectionVariable } from "../config/variables.ts";
import { reasonOf, sentNothing } from "../reason.ts";
import { dismiss } from "../accept/dismiss.ts";
import { readHello } from "../accept/hello.ts";
import { unexpectedHeader } from "../accept/proxy.ts";
import {
  HandshakeError,
  type Runtime,
  type TlsSession,
  type TlsStream,
} from "../runtime/runtime.ts";
import type { TlsTap } from "../runtime/tap.ts";
import { fingerprint } from "./fingerprint.ts";
import type { Trace } from "./trace.ts";
import type { Prepared } from "./prepared.ts";
import type { ClientAuth, ClientAuths } from "./client_auth.ts";
import { type SentChain, sentChain } from "./sent_chain.ts";
import type { HandshakeRefusal, ServerNames } from "./server_names.ts";
import { type ClientVerify, tlsVariables } from "./variables.ts";
import { s6TlsVariables } from "./variables_s6.ts";
import { PRODUCT } from "../version.ts";

/** Handshakes started per event loop turn. With more, Bun's own order applies again. */
const PER_TURN = 4;

/** A connection after the handshake: the stream, and facts about it. */
export interface TlsChannel {
  stream: TlsStream;
  prepared: Prepared;
  /** Undefined if no variable, log line, verification or handler needs it: reading it costs
   *  time. */
  session: TlsSession | undefined;
  clientChain: SentChain;
  clientVerify: ClientVerify;
  /** The client's fingerprint (JA4), for variables and log lines. Undefined if nothing needs it, or
   *  the ClientHello cannot be read. */
  ja4: string | undefined;
  /** The records of the ClientHello, if a handler needs them. */
  hello?: Uint8Array;
}

/** What a handshake needs beyond the connection. */
export interface HandshakeServices {
  runtime: Pick<Runtime, "tlsLibrary">;
  options: Pick<
    Options,
    "tlsVariables" | "delayed" | "verbosity" | "closeNotify" | "variables"
  >;
  /** Protocols and ciphers are only counted if there is a registry. */
  metrics: { readonly registry: unknown; secured(protocol: string, cipher: string): void };
  names: ServerNames;
  clientAuths: ClientAuths;
  handshakes: HandshakeQueue;
  /** Ends handshakes after -T (program/idle.ts). */
  handshakeTimer: HandshakeTimer;
  /** With --trace. */
  trace: Trace | undefined;
  programs: { slot(conn: Cancellable): ConnectionSlot | Promise<ConnectionSlot> };
  /** The handler that serves in place of a program. */
  handler: { readonly needs: "nothing" | "session" | "hello" } | undefined;
}

/** One timer for all handshakes. Calls `timedOut` when `limit` milliseconds have passed since `last`,
 *  a time by `now`. */
export interface HandshakeTimer {
  readonly limit: number;
  now(): number;
  add(one: { readonly last: number; timedOut(): void }): void;
  forget(one: { readonly last: number; timedOut(): void }): void;
}

/** Does the handshake with the settings of this connection, within -T seconds (0: no limit); time
 *  spent waiting for a slot is not counted. `begin`: bytes of a ClientHello that arrived before TLS
 *  was requested (-n). Rejects with `HandshakeError`, or with `FatalError` if there is no
 *  certificate to use. */
export async function secure(
  conn: Connection,
  services: HandshakeServices,
  begin?: Uint8Array,
): Promise<TlsChannel> {
  const { options, clientAuths, names, handshakes, handler } = services;
  conn.enter("hello");
  const auth = clientAuths.get(conn.variables);
  const clock = new Countdown(conn, services.handshakeTimer);
  try {
    const first = await readHello(conn, begin);
    conn.enter("handshake");
    const tap = services.trace?.(conn);
    tap?.received(first);
    const spoofed = unexpectedHeader(first);
    if (spoofed) throw new HandshakeError(spoofed);
    const prepared = names.select(conn.variables, auth, first);
    if ("alert" in prepared) throw await refuse(conn, prepared, tap);
    if (!conn.program) {
      const slot = services.programs.slot(conn);
      if (slot instanceof Promise) {
        clock.stop();
        conn.slot = await slot;
        clock.start();
      } else conn.slot = slot;
    }
    const described = options.tlsVariables || options.delayed || options.verbosity >= 3 ||
      (handler !== undefined && handler.needs !== "nothing");
    // Before the handshake, in which the adapter may free `first`.
    const ja4 = described ? fingerprint(first) : undefined;
    const kept = handler?.needs === "hello" ? { hello: first.slice() } : {};
    await handshakes.turn();
    const stream = await conn.socket.startTls(prepared.context, first, tap);
    const session = described || auth || options.variables === "s6" ? stream.session() : undefined;
    const chain = sentChain(session?.peerCertificates);
    const clientVerify = await verifyClient(conn, stream, session, chain, auth);
    stream.closeNotify = options.closeNotify;
    stream.take(conn);
    if (services.metrics.registry) {
      const { protocol, cipher } = session ?? stream.suite();
      services.metrics.secured(protocol, cipher);
    }
    return { stream, prepared, session, clientChain: chain, clientVerify, ja4, ...kept };
  } catch (error) {
    if (conn.givenUp === undefined || sentNothing(reasonOf(error))) throw error;
    throw new HandshakeError(conn.givenUp);
  } finally {
    clock.stop();
  }
}

/** The time left to the client. It is stopped while the client waits for the server. */
class Countdown {
  /** When the client began to use its time, without the times during which it waited. */
  last = 0;
  #used = 0;

  constructor(readonly conn: Connection, readonly timer: HandshakeTimer) {
    this.start();
  }

  start(): void {
    if (this.timer.limit === 0) return;
    this.last = this.timer.now() - this.#used;
    this.timer.add(this);
  }

  stop(): void {
    this.#used = this.timer.now() - this.last;
    this.timer.forget(this);
  }

  /** For the timer. */
  timedOut(): void {
    this.timer.forget(this);
    this.conn.giveUp({ kind: "timed out", seconds: this.timer.limit / 1000 });
  }
}

/** Rejects with `HandshakeError` if a valid certificate is required and the client's is missing or
 *  not valid. The library has finished the handshake by then, so the client gets only
 *  close_notify. */
async function verifyClient(
  conn: Connection,
  stream: TlsStream,
  session: TlsSession | undefined,
  chain: SentChain,
  auth: ClientAuth | undefined,
): Promise<ClientVerify> {
  if (!auth) return "NONE";
  let verdict: ClientVerify = session?.unreadableCertificate
    ? "FAILED:unreadable certificate"
    : auth.verify(chain, conn.remote.host);
  if (verdict === "SUCCESS" && session?.refused) verdict = `FAILED:${session.verifyError}`;
  const refused = verdict === "NONE" ? auth.required : auth.refusesInvalid;
  if (verdict === "SUCCESS" || !refused) return verdict;
  conn.slot?.release();
  await dismiss(stream);
  throw new HandshakeError(
    verdict === "NONE"
      ? { kind: "no client certificate" }
      : { kind: "bad client certificate", text: verdict.slice("FAILED:".length) },
  );
}

/** Returns s6's variables of a connection (--variables s6). */
export function s6Variables({ session, clientChain }: TlsChannel): Map<ConnectionVariable, string> {
  return session ? s6TlsVariables(session, clientChain) : new Map();
}

/** Returns the mod_ssl variables of a connection (-s, or `Y` with -n). */
export function channelVariables(
  { session, prepared, clientChain, clientVerify, ja4 }: TlsChannel,
  { runtime }: Pick<HandshakeServices, "runtime">,
): Map<ConnectionVariable, string> {
  if (!session) return new Map();
  return tlsVariables({
    protocol: session.protocol,
    cipher: { name: session.cipher },
    sessionId: session.id,
    server: prepared.serverVariables,
    clientChain,
    clientVerify,
    sni: session.serverName,
    alpn: session.alpn,
    ja4,
    versionInterface: PRODUCT,
    versionLibrary: runtime.tlsLibrary,
  });
}

/** The order of handshakes: that of the calls of `turn`. */
export class HandshakeQueue {
  readonly #waiting: (() => void)[] = [];
  #scheduled = false;

  /** Resolves when the caller may begin its handshake. */
  turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled || this.#waiting.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      for (const begin of this.#waiting.splice(0, PER_TURN)) begin();
      this.#schedule();
    });
  }
}

/** Sends an alert in place of a ServerHello (RFC 8446 6; 5.1 for the version bytes). Returns the
 *  error. */
async function refuse(
  conn: Connection,
  { alert, why }: HandshakeRefusal,
  tap: TlsTap | undefined,
): Promise<HandshakeError> {
  const record = Uint8Array.of(21, 3, 3, 0, 2, 2, alert);
  tap?.sent(record);
  conn.socket.write(record);
  await dismiss(conn.socket);
  return new HandshakeError(why);
}

/** What the core asks of a runtime. The adapters (`bun/adapter.ts`, `deno/adapter.ts`) translate and decide nothing;
 *  everything above this folder is the same code on both. Streams, and who owns one, are in stream.ts; programs
 *  in program.ts. */

import { breakOf, ConnectionError, type StreamReason } from "../reason.ts";
import type { Libc } from "./libc/libc.ts";
import type { Launched, LaunchOptions, Program, ProgramStreams, SpawnOptions } from "./program.ts";
import type { Stream } from "./stream.ts";

export type * from "./program.ts";
export { DELAYED_FD } from "./program.ts";
export type { Sink, Source, Stream } from "./stream.ts";

/** One end of a connection, as text: `192.0.2.7` or `2001:db8::1` (IPv4-mapped shows as IPv4). */
export interface Address {
  /** An address, never a name. */
  ip: string;
  /** From 0 to 65535. */
  port: number;
}

/** An accepted TCP connection, before TLS. */
export interface Socket extends Stream {
  readonly local: Address;
  readonly remote: Address;
  /** The interface of a link-local peer, as a number. */
  readonly scopeId?: number | undefined;
  /** Like `pause()`, for a stage that ends while another is about to begin: where stopping is dear, it
   *  is done a turn or two later, unless that stage has begun by then. */
  hold(): void;
  /** Closes the connection at once, for somebody who does not own it: the owner is told by `close()` before
   *  this returns. After `startTls` that is the owner of the TLS stream. Idempotent. */
  abort(): void;
  /** True: TCP_NODELAY (RFC 896's delay off). */
  setNoDelay(on: boolean): void;
  /** Bytes sent and not yet acknowledged by the peer; undefined where the system cannot tell. */
  unacknowledged(): number | undefined;
  /** What has come and was not delivered, from its beginning: at most what a ClientHello may have. It is
   *  delivered all the same. Empty where the system cannot tell. */
  unread(): Uint8Array;
  /** Descriptor number, where the runtime tells it. */
  readonly fd: number | undefined;
  /** Begins TLS as the server. `first` are bytes already read from the client. The socket belongs
   *  to the TLS stream from then on. Resolves when the handshake is done; rejects with a
   *  `HandshakeError`, the alert sent and the socket closed. `destroy()` or `abort()` on the socket ends
   *  it. */
  startTls(context: TlsContext, first: Uint8Array): Promise<TlsStream>;
}

/** A handshake failed, or was not begun. Adapters give a `StreamReason`. */
export class HandshakeError extends ConnectionError {
  override name = "HandshakeError";
}

/** What the TLS library refuses when a context is made, and why, in our words. */
export class ContextError extends Error {
  override name = "ContextError";
  constructor(readonly setting: "ciphers" | "certificate", why: string) {
    super(why);
  }
}

/** A TLS connection was broken after its handshake. `reset`: the connection was reset or lost. `breach`:
 *  something came that is not TLS of this connection, a forged record for instance. */
export class TlsError extends ConnectionError {
  override name = "TlsError";
  constructor(override readonly cause: StreamReason) {
    super({ kind: "broken", cause });
  }

  get kind(): "reset" | "breach" {
    return breakOf(this.cause);
  }
}

/** A TLS connection whose handshake is done. `end()` sends close_notify and FIN. The owner is told
 *  of a close that was not in order with a `TlsError`. */
export interface TlsStream extends Stream {
  /** Protocol and cipher suite alone, which cost little. */
  suite(): Pick<TlsSession, "protocol" | "cipher">;
  /** Facts of the session, read once when somebody asks: they cost time. */
  session(): TlsSession;
}

export interface TlsSession {
  /** `TLSv1.3` */
  protocol: string;
  /** OpenSSL's name, `ECDHE-ECDSA-AES128-GCM-SHA256` or `TLS_AES_256_GCM_SHA384`. */
  cipher: string;
  /** Undefined where the runtime does not tell (Deno). */
  id?: Uint8Array;
  reused: boolean;
  serverName?: string;
  alpn?: string;
  /** DER, the client's own first; empty when it sent none. */
  peerCertificates: Uint8Array[];
  /** The client has sent a certificate that the runtime does not hand over, because it cannot read
   *  it: `peerCertificates` is empty then. */
  unreadableCertificate?: true;
  /** Why the client's certificate is not trusted, by the TLS library's word; undefined when it is. */
  verifyError?: string;
  /** The handshake is done, but the library closes the connection when this turn of the event loop
   *  is over, because of `verifyError`. */
  refused?: true;
}

export type TlsVersion = "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3";

/** One certificate chain (PEM, the server's own first) and its key (PEM, decrypted). */
export interface KeyPair {
  chain: string;
  key: string;
}

/** What a TLS context is made of. */
export interface TlsSettings {
  /** More than one: of different key types, chosen by what the client can. */
  keyPairs: KeyPair[];
  /** OpenSSL cipher list for TLS up to 1.2. */
  ciphers?: string;
  minVersion: TlsVersion;
  maxVersion: TlsVersion;
  /** Protocols offered by ALPN, best first. */
  alpn?: string[];
  /** Ask the client for a certificate, naming the subjects of `ca`; verification is the core's, by
   *  `TlsSession`. With `required` the library refuses a client that has none, with the proper alert,
   *  and may refuse one that `ca` does not vouch for: see `TlsSession.refused`. */
  requestCertificate?: { ca: string[]; required: boolean };
}

/** Opaque: a context made by `tlsContext` of the same runtime. */
export interface TlsContext {
  readonly opaque: unknown;
}

export interface Listener {
  readonly port: number;
  /** Connections wait in the kernel's queue until `resume()`; none is refused or dropped. */
  pause(): void;
  resume(): void;
  /** Somebody stands in that queue whom the next turns of the event loop will accept. False where
   *  that cannot be known. */
  readonly crowded: boolean;
  /** Frees the port at once; accepted connections stay, those in the queue are reset. */
  close(): void;
}

/** How this very program is started again. */
export interface SelfCommand {
  readonly command: readonly string[];
  /** What restricts itself by Landlock and then becomes the program whose arguments follow, its own
   *  name first (confine.ts). */
  readonly confine: readonly string[];
  /** Variables without which the runtime does not find its way. */
  readonly env: Readonly<Record<string, string>>;
}

/** What becomes of a datagram that was sent. */
export interface DatagramEvents {
  /** A datagram came to our port; where it cannot be connected, anyone can have sent it. */
  packet(bytes: Uint8Array, from: { address: string; port: number }): void;
  /** The packet could not be sent, or nobody listens there. */
  failed(error: Error): void;
}

/** A descriptor for the lines of a log. Nothing here waits. */
export interface LineSink {
  /** How many of `bytes`, at most 4096, it takes now; 0: none. Throws when nobody reads any more, or the
   *  disk is full. */
  take(bytes: Uint8Array): number;
  /** What it has taken is still on its way. */
  readonly busy: boolean;
  /** Calls `again` whenever it may take something again. Not all sinks do. */
  whenReady(again: () => void): void;
}

export type SignalName = "SIGTERM" | "SIGINT" | "SIGQUIT" | "SIGHUP" | "SIGCHLD";

/** Arguments and environment as strings of os_text.ts. */
export interface Started {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Names of the signals that it was started to ignore. */
  readonly ignored: readonly string[];
}

export interface Runtime {
  readonly name: "Bun" | "Deno";
  readonly version: string;
  /** Library and version, `BoringSSL …`, for SSL_VERSION_LIBRARY and the messages. */
  readonly tlsLibrary: string;
  /** True: `TlsSettings.ciphers` is honoured. Where not, the library's own choice is modern. */
  readonly cipherLists: boolean;
  /** Undefined: no FFI permission (Deno). */
  readonly libc: Libc | undefined;

  /** Accepts on a listening socket made by `libc.listenSocket`; takes the descriptor over. `onLost`: a
   *  connection was reset before anybody could ask whose it is. */
  listenDescriptor(
    fd: number,
    backlog: number,
    onSocket: (socket: Socket) => void,
    onLost?: () => void,
  ): Listener;
  /** Binds and listens by the runtime's own means, where there is no libc. Throws SystemError-like
   *  errors with `code`. */
  listen(
    where: { ip: string; port: number; backlog: number },
    onSocket: (socket: Socket) => void,
    onLost?: () => void,
  ): Listener;

  /** Sends one datagram from a new socket that is connected to `to`, as `Transport.udp` in dns/transport.ts says,
   *  for runtimes whose `node:dgram` connects none. A zone in the address is a number. */
  readonly datagram?:
    | ((
      to: { address: string; port: number },
      packet: Uint8Array,
      events: DatagramEvents,
    ) => () => void)
    | undefined;

  /** Throws `Unsupported` for a setting the TLS library cannot honour, or an Error with the
   *  library's reason: `ContextError` where one setting is at fault. No file is read. */
  tlsContext(settings: TlsSettings): TlsContext;

  /** How this process was started; `count` arguments at the end are the command's. Call it before signals
   *  are handled. Undefined: the system does not tell, or Deno has no full --allow-env. */
  started(count: number): Started | undefined;

  /** Starts a program with pipes on fd 0 and 1, the server's fd 2, and no other descriptor.
   *  Throws when it cannot be executed. */
  spawn(options: SpawnOptions): Program;

  /** Starts a program with the descriptors given. Needs libc. Throws when it cannot be executed. */
  launch(options: LaunchOptions): Launched;

  /** Reaps every child from now on, orphans that this process inherits included. Needs libc. */
  reapAll(): void;

  /** True: `launch` can do that as another user. */
  readonly switchesUser: boolean;

  /** Streams over our ends of a program's pipes (`programPipes`), which they close. Needs libc. */
  adoptEnds(fds: readonly number[]): ProgramStreams;

  /** A stream over a connected Unix socket, which it closes. Needs libc. */
  adoptSocket(fd: number): Promise<Stream>;

  /** Undefined: this process may not start itself again (Deno's permissions), or runs as a library.
   *  `main` is the module that a runtime without a compiled file must be given. */
  selfCommand(main: string): SelfCommand | undefined;

  /** This process's stderr. */
  stderr(): LineSink;

  /** Calls `handler` for each signal instead of its default. */
  onSignal(name: SignalName, handler: () => void): void;

  /** Ignores the signals that end a process by default but carry no request and report no fault of it:
   *  see ignored_signals.ts. */
  ignoreSignals(): void;

  /** True: no signal opens a debugger of this process, by which its memory could be read. False: that
   *  cannot be had. Call it after `ignoreSignals`, before anybody is served. Throws where the debugger
   *  should be shut and is not. */
  debuggerShut(): boolean;

  /** A signal of the same user can open a debugger of a process of ours that has just begun. */
  readonly hasDebugger: boolean;
}

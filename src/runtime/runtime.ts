/** The interface to a runtime. The adapters (`bun/adapter.ts`, `deno/adapter.ts`) only translate;
 *  all code above this folder is the same on both. Streams are in stream.ts, programs in
 *  program.ts. */

import { breakKind, ConnectionError, type StreamReason } from "../reason.ts";
import type { Libc } from "./libc/libc.ts";
import type { Launched, LaunchOptions, Program, ProgramStreams, SpawnOptions } from "./program.ts";
import type { Stream } from "./stream.ts";
import type { TlsTap } from "./tap.ts";

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
  /** Interface number of a link-local IPv6 peer. */
  readonly scopeId?: number | undefined;
  /** Like `pause()`, for use between two stages. If pausing is expensive, it is done a turn or two
   *  later, and not at all if the next stage has resumed the socket by then. */
  hold(): void;
  /** Closes the connection at once; callers need not own it. The owner, or after `startTls` the
   *  owner of the TLS stream, gets `close()` before this returns. Idempotent. */
  abort(): void;
  /** True: set TCP_NODELAY, which turns off Nagle's algorithm (RFC 896). */
  setNoDelay(on: boolean): void;
  /** Number of bytes sent and not yet acknowledged by the peer; undefined if the system cannot
   *  tell. */
  unacknowledged(): number | undefined;
  /** Returns the beginning of the bytes that have arrived and were not delivered, up to the length
   *  of a ClientHello. They are still delivered later. Empty if the system cannot tell. */
  unread(): Uint8Array;
  /** File descriptor; undefined if the runtime does not tell it. */
  readonly fd: number | undefined;
  /** Begins TLS as the server. `first`: bytes already read from the client. The socket belongs to
   *  the TLS stream from then on. Resolves when the handshake is done. Rejects with
   *  `HandshakeError` after the alert has been sent and the socket closed. `destroy()` or `abort()`
   *  of the socket also end it. `tap` sees all bytes after `first`; it costs memory and time, and
   *  on Bun two descriptors. */
  startTls(context: TlsContext, first: Uint8Array, tap?: TlsTap): Promise<TlsStream>;
}

/** The destination of a connection, and its local end. */
export interface ConnectTarget {
  /** A literal address without a zone. */
  readonly ip: string;
  readonly port: number;
  /** Interface number of a link-local IPv6 address. Needs libc. */
  readonly scopeId?: number;
  /** The local address and port; by default the system chooses. Both need libc. */
  readonly localIp?: string;
  readonly localPort?: number;
}

/** A connection made by this process, before TLS. */
export interface ClientSocket extends Socket {
  /** Begins TLS as the client, like `startTls` as the server. `context`: made by `clientContext`.
   *  `serverName`: sent in the ClientHello (RFC 6066 3); undefined for an address. The library
   *  verifies only that the server has the private key of its certificate. The caller must verify
   *  the chain before it uses the stream. */
  startClientTls(context: TlsContext, serverName: string | undefined): Promise<TlsStream>;
}

/** A handshake failed, or was not begun. Adapters give a `StreamReason`. */
export class HandshakeError extends ConnectionError {
  override name = "HandshakeError";
}

/** The TLS library refuses a setting when a context is made. `why`: the reason, in our words. */
export class ContextError extends Error {
  override name = "ContextError";
  constructor(readonly setting: "ciphers" | "certificate", why: string) {
    super(why);
  }
}

/** A TLS connection was broken after its handshake. `reset`: the connection was reset or lost.
 *  `breach`: data came that violates TLS, for instance a forged record. */
export class TlsError extends ConnectionError {
  override name = "TlsError";
  constructor(override readonly cause: StreamReason) {
    super({ kind: "broken", cause });
  }

  get kind(): "reset" | "breach" {
    return breakKind(this.cause);
  }
}

/** A TLS connection whose handshake is done. `end()` sends close_notify and FIN. If the close was
 *  not orderly, the owner's `close` gets a `TlsError`. */
export interface TlsStream extends Stream {
  /** False: `end()` sends FIN without close_notify. Default: true. To be set before `end()`. */
  closeNotify: boolean;
  /** Protocol and cipher suite only, which is cheap. */
  suite(): Pick<TlsSession, "protocol" | "cipher">;
  /** All facts of the session. Expensive: call it once. */
  session(): TlsSession;
}

export interface TlsSession {
  /** `TLSv1.3` */
  protocol: string;
  /** OpenSSL's name, `ECDHE-ECDSA-AES128-GCM-SHA256` or `TLS_AES_256_GCM_SHA384`. */
  cipher: string;
  /** Undefined if the runtime does not provide it (Deno). */
  id?: Uint8Array;
  reused: boolean;
  serverName?: string;
  alpn?: string;
  /** DER, the peer's own certificate first, as it sent them; empty if it sent none. */
  peerCertificates: Uint8Array[];
  /** The client has sent a certificate that the runtime cannot parse and does not provide;
   *  `peerCertificates` is empty. */
  unreadableCertificate?: true;
  /** Why the TLS library does not trust the client's certificate; undefined if it does. */
  verifyError?: string;
  /** The handshake is done, but the library closes the connection at the end of this turn of the
   *  event loop, because of `verifyError`. */
  refused?: true;
}

export type TlsVersion = "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3";

/** One certificate chain (PEM, the server's own first) and its key (PEM, decrypted). */
export interface KeyPair {
  chain: string;
  key: string;
}

/** The settings of a TLS context. */
export interface TlsSettings {
  /** Several pairs have different key types; the library chooses one that the client supports. */
  keyPairs: KeyPair[];
  /** OpenSSL cipher list for TLS up to 1.2. */
  ciphers?: string;
  minVersion: TlsVersion;
  maxVersion: TlsVersion;
  /** Protocols offered by ALPN, best first. */
  alpn?: string[];
  /** Groups for the key exchange, best first, by OpenSSL's names. */
  groups?: string[];
  /** False: no session tickets are issued. */
  tickets?: false;
  /** Whose order of cipher suites and groups counts; by default as the library does it. */
  cipherOrder?: "server" | "client";
  /** Ask the client for a certificate, naming the subjects of `ca` (PEM). Verification is done by
   *  our own code, from `TlsSession`. `required`: the library refuses a client without a
   *  certificate, with the proper alert, and may refuse one that does not chain to `ca`; see
   *  `TlsSession.refused`. */
  requestCertificate?: { ca: string[]; required: boolean };
}

/** The settings of a client's TLS context. */
export interface ClientTlsSettings extends Pick<TlsSettings, "minVersion" | "maxVersion"> {
  /** The certificate for servers that ask for one. */
  keyPair?: KeyPair | undefined;
  /** OpenSSL cipher list for TLS up to 1.2. */
  ciphers?: string | undefined;
  /** Protocols offered by ALPN, best first. */
  alpn?: readonly string[] | undefined;
}

/** Opaque: a context made by `tlsContext` or `clientContext` of the same runtime. */
export interface TlsContext {
  readonly opaque: unknown;
}

export interface Listener {
  readonly port: number;
  /** Connections wait in the kernel's queue until `resume()`; none is refused or dropped. */
  pause(): void;
  resume(): void;
  /** True if connections wait in the kernel's queue that the next turns of the event loop will
   *  accept. False if that cannot be known. */
  readonly crowded: boolean;
  /** Frees the port at once. Accepted connections go on; those in the kernel's queue are reset. */
  close(): void;
}

/** How to start this program again. */
export interface SelfCommand {
  readonly command: readonly string[];
  /** Command that restricts itself with Landlock and then executes this program with the arguments
   *  that follow, the name first (confine.ts). */
  readonly confine: readonly string[];
  /** Variables that the runtime needs. */
  readonly env: Readonly<Record<string, string>>;
}

/** Callbacks for a datagram that was sent. */
export interface DatagramEvents {
  /** A datagram came to our port. If the socket could not be connected, it can be from any
   *  sender. */
  packet(bytes: Uint8Array, from: { address: string; port: number }): void;
  /** The packet could not be sent, or no process listens on its port. */
  failed(error: Error): void;
}

/** A descriptor for the lines of a log. No call blocks. */
export interface LineSink {
  /** Writes what there is room for of `bytes`, which has at most 4096 bytes. Returns the number of
   *  bytes written; 0: no room. Throws if there is no reader any more, or the disk is full. */
  take(bytes: Uint8Array): number;
  /** True while bytes that were taken have not reached the descriptor. */
  readonly busy: boolean;
  /** Calls `again` whenever there may be room again. Not all sinks do. */
  whenReady(again: () => void): void;
}

export type SignalName = "SIGTERM" | "SIGINT" | "SIGQUIT" | "SIGHUP" | "SIGABRT" | "SIGCHLD";

/** Arguments and environment as strings of os_text.ts. */
export interface Started {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Names of the signals that were ignored when this process started. */
  readonly ignored: readonly string[];
}

export interface Runtime {
  readonly name: "Bun" | "Deno";
  readonly version: string;
  /** Library and version, `BoringSSL …`, for SSL_VERSION_LIBRARY and the messages. */
  readonly tlsLibrary: string;
  /** True: `TlsSettings.ciphers` is supported. Otherwise the library uses its own list of modern
   *  suites. */
  readonly cipherLists: boolean;
  /** Undefined without FFI permission (Deno). */
  readonly libc: Libc | undefined;

  /** Accepts on a listening socket made by `libc.listenSocket`, and owns its descriptor from then
   *  on. `onLost` reports a connection that was reset before its peer address could be read. */
  listenDescriptor(
    fd: number,
    backlog: number,
    onSocket: (socket: Socket) => void,
    onLost?: () => void,
  ): Listener;
  /** Binds and listens with the runtime's own functions, for use without libc. Throws errors that
   *  have a `code`, like SystemError. */
  listen(
    where: { ip: string; port: number; backlog: number },
    onSocket: (socket: Socket) => void,
    onLost?: () => void,
  ): Listener;

  /** Sends one datagram from a new socket that is connected to `to`, as described at
   *  `Transport.udp` in dns/transport.ts. For runtimes whose `node:dgram` cannot connect a socket.
   *  A zone in the address is a number. */
  readonly datagram?:
    | ((
      to: { address: string; port: number },
      packet: Uint8Array,
      events: DatagramEvents,
    ) => () => void)
    | undefined;

  /** Makes a context. Throws `Unsupported` for a setting that the TLS library does not support, and
   *  an Error with the library's reason: `ContextError` if one setting causes it. Reads no file. */
  tlsContext(settings: TlsSettings): TlsContext;

  /** Appends the secrets of the TLS connections that this process accepts from now on to a file, in the
   *  form of NSS. Throws `Unsupported`, or the system's error. */
  logSecrets(file: string): void;

  /** Connects. Rejects with an error that has a `code`, like SystemError, or with the reason of
   *  `signal` if it aborts first. Throws `Unsupported` if a field of the target needs libc and
   *  there is none. */
  connect(target: ConnectTarget, signal: AbortSignal): Promise<ClientSocket>;

  /** Like `tlsContext`, for `ClientSocket.startClientTls`. */
  clientContext(settings: ClientTlsSettings): TlsContext;

  /** Arguments and environment of this process. `count`: how many arguments at the end are the
   *  command's. Call it before signals are handled. Undefined if the system does not tell, or if
   *  Deno lacks unrestricted --allow-env. */
  started(count: number): Started | undefined;

  /** Starts a program with pipes on descriptors 0 and 1, the server's descriptor 2, and no others.
   *  Throws if it cannot be executed. */
  spawn(options: SpawnOptions): Program;

  /** Starts a program with the given descriptors. Needs libc. Throws if it cannot be executed. */
  launch(options: LaunchOptions): Launched;

  /** Reaps every child from now on, orphans that this process inherits included. Needs libc. */
  reapAll(): void;

  /** Programs that `spawn` and `launch` start from now on, those with another user excepted, ignore
   *  these signals, by name. Returns those for which this process cannot do that. Call it before
   *  signals are handled. */
  keepIgnored(signals: readonly string[]): readonly string[];

  /** True: `launch` supports `LaunchOptions.user`. */
  readonly switchesUser: boolean;

  /** Streams over our ends of a program's pipes (`programPipes`), which they close. Needs libc. */
  adoptEnds(fds: readonly number[]): ProgramStreams;

  /** A stream over a connected Unix socket, which it closes. Needs libc. */
  adoptSocket(fd: number): Promise<Stream>;

  /** How to start this program again. Undefined if Deno's permissions do not allow that, or if it
   *  runs as a library. `main`: the module to run if the program is not compiled. `socket`: the
   *  path of a Unix socket that the new process may bind (--metrics). */
  selfCommand(main: string, socket?: string): SelfCommand | undefined;

  /** This process's stderr. */
  stderr(): LineSink;

  /** Calls `handler` for each such signal, in place of the default action. */
  onSignal(name: SignalName, handler: () => void): void;

  /** Ignores signals whose default action ends the process, but which neither ask for the end nor
   *  report a fault of it; see libc/ignored_signals.ts. */
  ignoreSignals(): void;

  /** Makes sure that no signal can open a debugger of this process, which could read its memory.
   *  True if so; false if the runtime cannot ensure it. Call it after `ignoreSignals`, before the
   *  first connection. Throws if the debugger should be shut and is not. */
  debuggerShut(): boolean;

  /** True: a process of the same user can open the debugger of a new process of ours by a
   *  signal. */
  readonly hasDebugger: boolean;
}

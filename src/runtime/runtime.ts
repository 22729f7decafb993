/** What the core asks of a runtime. The adapters (`bun/adapter.ts`, `deno/adapter.ts`) translate and decide nothing;
 *  everything above this folder is the same code on both.
 *
 *  Streams are callbacks, not promises: a callback costs nothing per chunk and both runtimes have
 *  it underneath. Every stream starts paused. Callbacks may be replaced at any time: a stage takes
 *  a stream over by putting its own in place. */

import { breakOf, ConnectionError, type StreamReason } from "../reason.ts";
import type { Libc } from "./libc/libc.ts";

/** One end of a connection, as text: `192.0.2.7` or `2001:db8::1` (IPv4-mapped shows as IPv4). */
export interface Address {
  /** An address, never a name. */
  ip: string;
  /** From 0 to 65535. */
  port: number;
}

/** What both directions of a stream share. */
export interface Closable {
  /** The stream is gone: nothing more will come or go. Exactly once, with the reason if it was not
   *  closed in order. Not called for a `destroy()` of ours. */
  onClose: (error?: Error) => void;
  /** Gives up both directions at once and frees the descriptor. Idempotent. */
  destroy(): void;
}

/** Something to read from. */
export interface Source extends Closable {
  /** The next bytes. The callee may keep them if they come from a socket. What a pipe brings is lent
   *  until the callee returns: it is written to a `Stream`, used up, or copied. */
  onData: (chunk: Uint8Array) => void;
  /** The peer has ended its data (FIN, close_notify, end of pipe). At most once, after the last
   *  `onData`; output still flows. `cut`: a TLS peer has sent FIN and no close_notify. */
  onEnd: (cut?: boolean) => void;
  /** After this returns no `onData` comes until `resume()`, and at most a few hundred KB are
   *  buffered meanwhile: the peer is held up. */
  pause(): void;
  resume(): void;
}

/** Something to write to. */
export interface Sink extends Closable {
  /** Takes all of `chunk`. False: no more, please, before `onDrain`. With `spent` nobody looks at the
   *  chunk after this turn of the event loop: its memory may be freed as soon as it is written. */
  write(chunk: Uint8Array, spent?: boolean): boolean;
  onDrain: () => void;
  /** No more output: what is queued is written, then FIN, close_notify or end of pipe is sent.
   *  Input still flows. */
  end(): void;
}

/** What it is given to write may be lent by a pipe of the same runtime (see `Source.onData`): it copies
 *  what it keeps. */
export interface Stream extends Source, Sink {
  /** Closed, by either side: `onClose` has been called, perhaps before anybody listened. */
  readonly gone: boolean;
  /** What `onClose` was called with. */
  readonly failure?: Error | undefined;
  /** Like `destroy()`, for a peer that has taken everything, the end included: it gets no reset. */
  close(): void;
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
   *  `HandshakeError`, the alert sent and the socket closed. `destroy()` on the socket ends it. */
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

/** A TLS connection whose handshake is done. `end()` sends close_notify and FIN. `onClose` gets a
 *  `TlsError`. */
export interface TlsStream extends Stream {
  readonly failure: Error | undefined;
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

/** Descriptors of a UCSPI-TLS program beyond 0, 1 and 2: SSLCTLFD, SSLREADFD, SSLWRITEFD. */
export const DELAYED_FD = { control: 3, read: 4, write: 5 } as const;

/** What a UCSPI-TLS program has besides the plain connection on its 0 and 1. */
export interface DelayedEnds {
  /** What the program writes to SSLCTLFD, and what goes back to it. They end apart: after
   *  `controlOutput.end()` the program reads what was written and the end of file, and can still
   *  write. */
  readonly controlInput: Source;
  readonly controlOutput: Sink;
  /** SSLREADFD and SSLWRITEFD. */
  readonly tlsInput: Sink;
  readonly tlsOutput: Source;
  /** True when something, or the end, is there to be read from SSLCTLFD. Means something while
   *  `controlInput` flows: what a paused one has taken in already is not always seen. What a flowing
   *  one has taken in is delivered before the next turn of the event loop. */
  controlReadable(): boolean;
  /** The same for the program's fd 1 and `Program.output`. */
  outputReadable(): boolean;
}

export interface Program {
  readonly pid: number;
  /** Only with `SpawnOptions.delayed`. */
  readonly delayed?: DelayedEnds;
  /** The program's fd 0. */
  readonly input: Sink;
  /** The program's fd 1. */
  readonly output: Source;
  /** Wait status: exit code × 256, or the signal's number. Resolves once, when it has been reaped;
   *  with undefined when that will not be known here (its monitor has gone before it). */
  readonly exited: Promise<number | undefined>;
  /** False: the program is gone, or the system refuses, as it does when the program has become another
   *  user (a set-user-ID file). Never throws: whoever ends programs has more of them to end. SIGTERM
   *  reaches a stopped program, too: SIGCONT follows. */
  kill(signal: "SIGTERM" | "SIGKILL"): boolean;
}

/** A program that was given its descriptors by somebody else. */
export type Launched = Pick<Program, "pid" | "exited" | "kill">;

/** Streams over our ends of a program's descriptors. */
export type ProgramEnds = Pick<Program, "input" | "output" | "delayed">;

export interface LaunchOptions {
  /** Program and arguments; see `SpawnOptions.command`. */
  command: readonly string[];
  /** What it sees as its own name; default: `command[0]`. */
  argv0?: string;
  env: Readonly<Record<string, string>>;
  /** Further variables, where `env` has none of the name. As with `command`, the same object each time
   *  is made ready for the system once, and must not change. */
  base?: Readonly<Record<string, string>>;
  /** Its descriptors 0, 1, 2, …; it gets no other. They stay open here. */
  descriptors: readonly number[];
  /** A signal that is blocked in it from the first. */
  blocked?: "SIGUSR1";
  /** Whose it becomes. Supplementary groups are cleared. Asks for root. */
  user?: { readonly uid: number | undefined; readonly gid: number | undefined };
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

export interface SpawnOptions {
  /** Program and arguments; the program is looked up in $PATH when it has no slash. */
  command: readonly string[];
  env: Readonly<Record<string, string>>;
  /** UCSPI-TLS: three more descriptors, numbered as in `DELAYED_FD`. Needs libc. */
  delayed?: boolean;
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
  /** It may take something again. Not all sinks say so. */
  onReady: () => void;
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
  adoptEnds(fds: readonly number[]): ProgramEnds;

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

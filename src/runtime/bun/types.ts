/** The part of Bun's API that the Bun adapter uses, written by hand. `bun-types` 1.4.5 lacks most of what
 *  matters here and changes Deno's types of node:tls (docs/runtimes.md, Bun). `upgradeTLS` with `isServer`,
 *  `initialData` and a `secureContext`, and `listen` with `fd`, are what Bun's own `node:net` uses.
 *  `test/runtime/contract.ts` holds them. */

/** A native socket, plain or TLS. `data` is ours. */
export interface NativeSocket<Data> {
  data: Data;
  readonly fd: number;
  readonly localAddress: string;
  readonly localPort: number;
  /** Undefined when the peer has reset the connection. */
  readonly remoteAddress: string | undefined;
  readonly remotePort: number;
  /** Returns the number of bytes written. If these are not all: wait for `drain`. −1: closed. */
  write(bytes: Uint8Array, offset?: number): number;
  /** Closes after all written data has been sent. */
  end(): void;
  /** Sends FIN (TLS: close_notify first); reading goes on. */
  shutdown(): void;
  /** Closes at once, with FIN (TLS: and close_notify). */
  close(): void;
  /** Closes at once, with a reset. */
  terminate(): void;
  pause(): void;
  resume(): void;
  setNoDelay(on: boolean): void;
  upgradeTLS<T>(options: {
    data: T;
    tls: Record<string, unknown>;
    initialData?: Uint8Array;
    isServer?: true;
    socket: SocketHandler<T>;
  }): [raw: NativeSocket<T>, tls: NativeTlsSocket<T>] | undefined;
}

export interface NativeTlsSocket<Data> extends NativeSocket<Data> {
  readonly alpnProtocol: string | false | null;
  readonly authorized: boolean;
  getAuthorizationError(): (Error & { code?: string }) | null;
  getCipher(): { name: string | null };
  getTLSVersion(): string;
  getSession(): Uint8Array | undefined;
  isSessionReused(): boolean;
  /** Throws before the handshake is done. */
  exportKeyingMaterial(length: number, label: string): Uint8Array | undefined;
  getServername(): string | undefined;
  /** `abbreviated` false: with the further certificates of the client, as `issuerCertificate`. */
  getPeerCertificate(abbreviated: boolean): PeerCertificate | undefined;
}

export interface PeerCertificate {
  raw?: Uint8Array;
  issuerCertificate?: PeerCertificate;
}

export interface SocketHandler<Data> {
  open?(socket: NativeSocket<Data>): void;
  data?(socket: NativeSocket<Data>, bytes: Uint8Array): void;
  drain?(socket: NativeSocket<Data>): void;
  end?(socket: NativeSocket<Data>): void;
  close?(socket: NativeSocket<Data>, error?: Error): void;
  error?(socket: NativeSocket<Data>, error: Error): void;
  /** A line of NSS's key log, with its line feed. */
  keylog?(socket: NativeTlsSocket<Data>, line: Uint8Array): void;
  handshake?(socket: NativeTlsSocket<Data>, ok: boolean, error: Error | null): void;
}

export interface NativeListener {
  readonly port: number;
  stop(closeActive?: boolean): void;
}

export interface FileSink {
  /** Returns the number of bytes written, or a promise if the pipe is full. May throw EPIPE. */
  write(bytes: Uint8Array): number | Promise<number>;
  flush(): number | Promise<number>;
  end(): number | Promise<number>;
}

export interface BunApi {
  readonly version: string;
  listen<Data>(options: {
    fd: number;
    hostname: string;
    allowHalfOpen: boolean;
    socket: SocketHandler<Data>;
  }): NativeListener;
  /** Takes a connected socket. bun-types lacks its `fd`. */
  connect<Data>(options: {
    fd: number;
    data: Data;
    allowHalfOpen: boolean;
    socket: SocketHandler<Data>;
  }): Promise<NativeSocket<Data>>;
  /** The module that was run; in a compiled file it begins with `/$bunfs/`. */
  readonly main: string;
  spawn(command: readonly string[], options: {
    env: Readonly<Record<string, string>>;
    stdio: readonly (number | null)[];
    argv0?: string;
    uid?: number;
    gid?: number;
  }): {
    readonly pid: number;
    readonly exited: Promise<number>;
    readonly exitCode: number | null;
    readonly signalCode: string | null;
    kill(signal: string): void;
  };
  /** Collects garbage; with `now`, all of it before this returns. */
  gc(now: boolean): void;
  which(name: string, options: { PATH: string }): string | null;
  file(fd: number): {
    stream(): ReadableStream<Uint8Array>;
    writer(): FileSink;
  };
}

export const bun: BunApi = (globalThis as unknown as { Bun: BunApi }).Bun;

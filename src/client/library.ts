/** The client of the library: a TLS connection to a verified server, for scripts. It uses the same
 *  functions as `sslclient`. */

import { Buffer } from "node:buffer";
import process from "node:process";
import { clientDefaults, type ClientOptions } from "../config/client_options.ts";
import { DEFAULTS } from "../config/variables.ts";
import type { Peer, RemotePeer } from "../connection.ts";
import { UsageError } from "../errors.ts";
import { localFiles } from "../files/files.ts";
import { Log } from "../log.ts";
import { type HandlerConnection, startHandler } from "../program/handler.ts";
import { currentRuntime } from "../runtime/current.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { ServerKeyPair } from "../tls/key_pairs.ts";
import { connectToServer, UntrustedServer, type VerifiedConnection } from "./connect.ts";
import { clientTlsContext, keyPairOf } from "./context.ts";
import { checkConnectOptions, type ConnectOptions } from "./library_options.ts";
import { converseWithServer } from "./program.ts";
import { serverVerifier } from "./verify.ts";

/** A TLS connection to a server. The handshake is done, and the server is verified. `await using`
 *  calls `close()` at the end of the block. */
export interface TlsConnection extends AsyncDisposable {
  /** The decrypted data of the server. Ends when the server sends close_notify or only a FIN
   *  (`ConnectOptions.requireCloseNotify`). Fails when `signal` aborts before that. */
  readonly readable: ReadableStream<Uint8Array>;
  /** Data for the server. Closing it sends close_notify, and the server can still send. Writing
   *  fails after `signal` has aborted. */
  readonly writable: WritableStream<Uint8Array>;
  /** This end of the connection. */
  readonly local: Peer;
  /** The server's end. */
  readonly remote: RemotePeer;
  /** The certificates that the server sent, in DER, its own first. */
  readonly peerCertificates: readonly Uint8Array[];
  /** `TLSv1.3`. */
  readonly protocol: string;
  /** OpenSSL's name of the cipher suite. */
  readonly cipher: string;
  /** The protocol agreed on by ALPN. Undefined: none. */
  readonly alpn: string | undefined;
  /** Aborts when the connection is lost before both directions have ended: the server resets it or
   *  breaks TLS, the idle limit runs out, or the option `signal` aborts. */
  readonly signal: AbortSignal;
  /** Ends both directions. Data that the server still sends is dropped. Resolves when the
   *  connection is closed. A server can delay that by a second, or by half a minute if it does not
   *  read. */
  close(): Promise<void>;
  /** Resolves when the connection is closed, with the reason if it was lost. Never rejects. */
  readonly closed: Promise<Error | undefined>;
}

/** Connects to a server with TLS. Verifies its certificate chain, and that its certificate is for
 *  `hostname`. No byte is passed on before that.
 *
 *  Rejects with `UsageError` if an option is wrong, with `Unsupported` if the runtime does not
 *  support an option, and with `UntrustedServer` if the server is refused. Rejects with
 *  `FatalError`, their base class, if there is no connection or a file cannot be used. If the
 *  option `signal` aborts first, rejects with its reason. */
export async function connect(options: ConnectOptions): Promise<TlsConnection> {
  checkConnectOptions(options);
  const given = { ...options, signal: options.signal ?? new AbortController().signal };
  const runtime = await currentRuntime();
  const own = await ownPair(options);
  const env: Readonly<Record<string, string | undefined>> = options.env ?? process.env;
  const context = clientTlsContext(runtime, {
    minVersion: options.minVersion ?? DEFAULTS.TLS_MIN_VERSION,
    maxVersion: options.maxVersion ?? DEFAULTS.TLS_MAX_VERSION,
    ciphers: options.ciphers,
    alpn: options.alpn,
    own,
  });
  const { verify, warnings } = serverVerifier({
    checkChain: options.verifyChain ?? true,
    checkName: options.verifyName ?? true,
    depth: options.depth ?? DEPTH,
    env,
    ...authorities(options.ca),
  });
  warn(warnings, options, runtime);
  const { signal } = given;
  const services = { runtime, env, signal, context, verify, log: { plain() {} } };
  const connection = await connectToServer(dialling(options), services).catch((error) => {
    if (!(error instanceof UntrustedServer)) throw error;
    throw new UntrustedServer(error.message, error.problem, HINTS[error.problem]);
  });
  return opened(connection, given);
}

/** Remedies in the words of the options. */
const HINTS = {
  chain: "set ca to the PEM text of the authority, or CAFILE in env; depth allows longer chains",
  host: "connect to one of its names; verifyName: false switches the check off",
};

/** Maximum number of intermediates. Public servers have one or two. */
const DEPTH = 4;

/** Converts the options to those of `sslclient`. */
function dialling(options: ConnectOptions): ClientOptions {
  const defaults = clientDefaults();
  const { connectTimeout } = options;
  return {
    ...defaults,
    host: options.hostname,
    port: String(options.port),
    family: options.family,
    localIp: options.localAddress,
    localPort: options.localPort,
    timeout: connectTimeout === undefined
      ? defaults.timeout
      : { first: connectTimeout, further: 0 },
  };
}

/** Makes the verifier read the text of `ca` in place of a file. */
function authorities(ca: string | undefined) {
  if (ca === undefined) return {};
  const bytes = new TextEncoder().encode(ca);
  const files = {
    ...localFiles,
    read: (path: string, max: number) => path === CA ? bytes : localFiles.read(path, max),
  };
  return { caFile: CA, files };
}

/** The name of the option in messages about files. */
const CA = "(option ca)";

async function ownPair(
  { cert, key = cert, passphrase }: ConnectOptions,
): Promise<ServerKeyPair | undefined> {
  if (cert === undefined || key === undefined) return undefined;
  const file = (path: string, text: string) => ({ path, bytes: Buffer.from(text) });
  const hint = "cert and key hold PEM text; the password of an encrypted key is passphrase";
  const [certificate, own] = [file("(option cert)", cert), file("(option key)", key)];
  try {
    return await keyPairOf(certificate, own, passphrase, hint);
  } catch (error) {
    throw new UsageError((error as Error).message, hint);
  }
}

function warn(warnings: readonly string[], { log: write }: ConnectOptions, runtime: Runtime): void {
  if (warnings.length === 0) return;
  const output = write ? { write } : { sink: runtime.stderr() };
  const log = new Log({ verbosity: 1, form: "text", name: "connect", ...output });
  for (const text of warnings) log.warning(text);
  log.flush();
}

/** Begins the relay between the streams of the caller and the connection. */
function opened(
  connection: VerifiedConnection,
  options: ConnectOptions & { signal: AbortSignal },
): TlsConnection {
  const { signal, idleTimeout = clientDefaults().idleTimeout } = options;
  const { local, remote, session, socket } = connection;
  const { peerCertificates, protocol, cipher, alpn } = session;
  const { promise: over, resolve: end } = Promise.withResolvers<void>();
  let handed: HandlerConnection | undefined;
  const facts = { local, remote, peerCertificates, environment: {}, failed() {} };
  const take = (conn: HandlerConnection): Promise<void> => {
    handed = conn;
    return over;
  };
  const program = startHandler(take, facts);
  if (!handed) throw new Error("the handler has not begun");
  let failure: Error | undefined;
  const abort = (): void => {
    failure ??= signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason));
    program.kill("SIGTERM"); // before abort(): otherwise reads see a regular end of the data
    socket.abort();
  };
  const how = { idleTimeout, requireCloseNotify: options.requireCloseNotify ?? false, gone: end };
  const conversed = converseWithServer(connection, program, how, {
    error: (text) => void (failure ??= new Error(text)),
    detail() {},
  });
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();
  const closed = conversed.then(() => {
    signal.removeEventListener("abort", abort);
    return failure;
  });
  const close = async (): Promise<void> => {
    end();
    await closed;
  };
  const { readable, writable } = handed as HandlerConnection;
  return {
    readable,
    writable,
    local,
    remote,
    peerCertificates,
    protocol,
    cipher,
    alpn,
    signal: (handed as HandlerConnection).signal,
    close,
    closed,
    [Symbol.asyncDispose]: close,
  };
}

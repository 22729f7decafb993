/** The library: a server in a script, with a function or a program for each connection. It uses the
 *  same functions as the command, in one process, and neither handles signals nor exits. */

import { Buffer } from "node:buffer";
import process from "node:process";
import { listenAddress } from "./accept/host.ts";
import { listen } from "./accept/listen.ts";
import { assemble } from "./assemble.ts";
import { FatalError, UsageError } from "./errors.ts";
import {
  checkForCertificate,
  checkOptions,
  commandOptions,
  type ProgramCommand,
  type ServeOptions,
} from "./library_options.ts";
import { Log } from "./log.ts";
import { connectionHandler, type Handler } from "./program/handler.ts";
import { currentRuntime } from "./runtime/current.ts";
import type { KeyPair } from "./runtime/runtime.ts";
import { GRACE } from "./lifecycle.ts";
import { serveConnections } from "./serve.ts";
import { serverKeyPairs } from "./tls/key_pairs.ts";
import { selfSigned } from "./tls/self_signed.ts";

/** A running server. `await using` calls `shutdown()` at the end of the block. */
export interface TlsServer extends AsyncDisposable {
  /** The port it listens on; if the option `port` was 0, the one that the system chose. */
  readonly port: number;
  /** Stops listening. Open connections go on. A connection that has no handler or program after one
   *  second is closed. Resolves when the last connection has ended; there is no time limit. */
  close(): Promise<void>;
  /** Stops listening and ends all connections: the `signal` of each handler aborts, and each
   *  program gets SIGTERM, and SIGKILL if it still runs after five seconds. Resolves when all
   *  handlers and programs have ended; a handler that ignores its signal delays this. */
  shutdown(): Promise<void>;
  /** Resolves when the server has closed: after `close()`, `shutdown()` or an abort of the option
   *  `signal`. Never rejects. */
  readonly closed: Promise<void>;
}

/** Serves TLS connections with `handler`: a function, which is called for each connection, or the
 *  command of a program, which is started for each. Resolves when the server accepts connections.
 *
 *  Rejects with `UsageError` if an option is wrong, if there is no certificate, or if a variable in
 *  `env` is not supported; with `Unsupported` if the runtime does not support an option or
 *  variable. Rejects with `FatalError`, their base class, if a value in `env` is invalid, a file
 *  cannot be used or the address cannot be bound. After the start, errors go to the log. */
export async function serve(
  options: ServeOptions,
  handler: Handler | ProgramCommand,
): Promise<TlsServer> {
  checkOptions(options, handler);
  const runtime = await currentRuntime();
  const log = new Log({
    verbosity: options.verbosity ?? 1,
    form: "text",
    name: "sslserver",
    ...(options.log ? { write: options.log } : { sink: runtime.stderr() }),
  });
  const asked = commandOptions(options, handler);
  const env: Readonly<Record<string, string | undefined>> = options.env ?? process.env;
  checkForCertificate(options, env);
  const { services, close, warnOfExpiry } = await assemble(asked, env, runtime, log, {
    keyPair: options.cert === undefined ? selfSigned(asked, log) : keyPair(options.cert, options),
    handler: typeof handler === "function" ? connectionHandler(handler) : undefined,
    password: options.passphrase,
    findsOwnName: false,
  });
  warnOfExpiry();
  try {
    const address = await listenAddress(asked, services.admission.resolver);
    const warn = (text: string): void => log.warning(text);
    const server = serveConnections((...told) => listen(runtime, address, warn, ...told), services);
    const end = (): void => server.end(GRACE);
    const { signal } = options;
    const closed = server.closed.then(() => {
      signal?.removeEventListener("abort", end);
      close();
    });
    signal?.addEventListener("abort", end);
    if (signal?.aborted) end();
    const drain = (): Promise<void> => {
      server.drain();
      return closed;
    };
    const shutdown = (): Promise<void> => {
      end();
      return closed;
    };
    return { port: server.port, close: drain, shutdown, closed, [Symbol.asyncDispose]: shutdown };
  } catch (error) {
    close();
    throw error;
  }
}

function keyPair(cert: string, { key = cert, passphrase }: ServeOptions): KeyPair {
  const file = (path: string, text: string) => ({ path, bytes: Buffer.from(text) });
  try {
    const [pair] = serverKeyPairs(
      [file("(option cert)", cert)],
      [file("(option key)", key)],
      passphrase,
    );
    return pair as KeyPair;
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    const hint = "cert and key hold PEM text; for files set CERTFILE and KEYFILE in env";
    throw new UsageError(error.message, hint);
  }
}

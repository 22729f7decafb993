/** The library face: a server in a script, with a function for each connection or a program.
 *  It is the command's own machinery, in one process, without its signals and exits. */

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
import type { Handler } from "./program/handler.ts";
import { currentRuntime } from "./runtime/current.ts";
import type { KeyPair } from "./runtime/runtime.ts";
import { serveConnections } from "./serve.ts";
import { serverKeyPairs } from "./tls/key_pairs.ts";
import { selfSigned } from "./tls/self_signed.ts";

/** A running server. */
export interface TlsServer extends AsyncDisposable {
  /** Where it listens. */
  readonly port: number;
  /** Stops listening; resolves when the connections have ended by themselves. */
  close(): Promise<void>;
  /** Ends the connections too. A handler that goes on in spite of its signal is waited for. */
  shutdown(): Promise<void>;
  /** Resolves when the server has closed, whoever closed it. */
  readonly closed: Promise<void>;
}

/** Serves TLS connections with `handler`, or with a program for each. Resolves when connections can
 *  come in. Rejects with `UsageError` (an option) or `FatalError` (a file, an address). */
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
    handler: typeof handler === "function" ? handler : undefined,
    password: options.passphrase,
    findsOwnName: false,
  });
  warnOfExpiry();
  try {
    const address = await listenAddress(asked, services.admission.resolver);
    const warn = (text: string): void => log.warning(text);
    const server = serveConnections((...told) => listen(runtime, address, warn, ...told), services);
    const end = (): void => server.end();
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

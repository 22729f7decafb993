/** The library face: a server in a script, with a function for each connection or a program.
 *  It is the command's own machinery, in one process, without its signals and exits. */

import { Buffer } from "node:buffer";
import process from "node:process";
import { assemble, listenAddress, selfSigned } from "./assemble.ts";
import { UsageError } from "./errors.ts";
import type { Handler } from "./handler.ts";
import { listen } from "./listen.ts";
import { Log } from "./log.ts";
import { defaults, type Options } from "./options.ts";
import { network } from "./option_table.ts";
import { currentRuntime } from "./runtime/current.ts";
import type { KeyPair } from "./runtime/runtime.ts";
import { serve as serveConnections } from "./serve.ts";
import { serverKeyPairs } from "./tls/key_pairs.ts";

/** What can be set, with the command's defaults (README). Times are in seconds. */
export interface ServeOptions {
  /** Address or name to listen on; `0` (the default) for all IPv4, `::` IPv6, `:0` both. */
  hostname?: string;
  /** 0, the default: any free one. */
  port?: number;
  /** PEM text: certificate and chain. Without it CERTFILE of `env` is read. */
  cert?: string;
  /** PEM text. */
  key?: string;
  /** A throw-away certificate for localhost. */
  selfSigned?: boolean;
  /** Rules files made by tcprules, obeyed after and before DNS and ident. */
  rules?: string;
  earlyRules?: string;
  /** Connections served at once; further ones wait. 40 for programs and handlers alike. */
  concurrency?: number;
  /** Connections that are not through their handshake. */
  pending?: number;
  backlog?: number;
  handshakeTimeout?: number;
  idleTimeout?: number;
  /** Look up the client's name in DNS. Off unless asked for, other than in the command. */
  remoteName?: boolean;
  /** Addresses and networks (`10.0.0.0/8`) of load balancers, whose connections begin with a PROXY
   *  header. Others may send none. */
  proxyFrom?: readonly string[];
  /** `valid`: no connection without a valid client certificate; see CAFILE in `env`. */
  clientCertificate?: "none" | "valid" | "match";
  /** Where TLS settings are looked up (CAFILE, ALPN, TLS_MIN_VERSION …), and what a program gets.
   *  Default: the environment of this process. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Gets the log lines, each with its newline. Default: errors go to stderr. */
  log?: (lines: string) => void;
  /** With `log`: which lines; see -Q, -v, -V. */
  verbosity?: 0 | 1 | 2 | 3;
  /** Closes the server when it aborts. */
  signal?: AbortSignal;
}

/** A running server. */
export interface TlsServer extends AsyncDisposable {
  readonly port: number;
  /** Stops listening; resolves when the connections have ended by themselves. */
  close(): Promise<void>;
  /** Ends the connections too. */
  shutdown(): Promise<void>;
  /** Resolves when the server has closed, whoever closed it. */
  readonly closed: Promise<void>;
}

/** Serves TLS connections with `handler`, or with a program for each. Resolves when connections can
 *  come in. Rejects with `FatalError` (a file, an address) or `UsageError` (an option). */
export async function serve(
  options: ServeOptions,
  handler: Handler | { readonly command: readonly string[] },
): Promise<TlsServer> {
  const runtime = await currentRuntime();
  const log = new Log({
    verbosity: options.verbosity ?? 1,
    form: "text",
    name: "sslserver",
    ...(options.log ? { write: options.log } : { sink: runtime.stderr() }),
  });
  const asked = commandOptions(options, handler);
  const { deps, close } = await assemble(asked, options.env ?? process.env, runtime, log, {
    keyPair: options.cert === undefined
      ? selfSigned(asked, log)
      : keyPair(options.cert, options.key),
    handler: typeof handler === "function" ? handler : undefined,
  });
  const address = await listenAddress(asked, deps.admission.resolver);
  const server = serveConnections((...told) => listen(runtime, address, ...told), deps);
  const closed = server.closed.then(close);
  options.signal?.addEventListener("abort", () => server.end());
  if (options.signal?.aborted) server.end();
  const drain = (): Promise<void> => {
    server.drain();
    return closed;
  };
  const shutdown = (): Promise<void> => {
    server.end();
    return closed;
  };
  return { port: server.port, close: drain, shutdown, closed, [Symbol.asyncDispose]: shutdown };
}

function commandOptions(
  options: ServeOptions,
  handler: Handler | { readonly command: readonly string[] },
): Options {
  const base = defaults();
  const given = Object.fromEntries(
    Object.entries(options).filter(([name, value]) => name in base && value !== undefined),
  );
  const command = typeof handler === "function" ? [] : [...handler.command];
  if (typeof handler !== "function" && command.length === 0) {
    throw new UsageError("the command is empty");
  }
  return {
    ...base,
    localName: undefined,
    remoteName: false,
    ...given,
    proxyFrom: options.proxyFrom?.map((text) => network("proxyFrom", text)),
    log: "text",
    port: String(options.port ?? 0),
    host: options.hostname ?? "0",
    tlsVariables: true,
    command,
  };
}

function keyPair(cert: string, key: string | undefined): KeyPair {
  const file = (path: string, text: string) => ({ path, bytes: Buffer.from(text) });
  const [pair] = serverKeyPairs([file("cert", cert)], [file("key", key ?? cert)], undefined);
  return pair as KeyPair;
}

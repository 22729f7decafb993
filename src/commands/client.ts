/** Runs a client under any of its names: from arguments to an exit code. Each name provides the
 *  parser of its arguments. A name that runs no program also provides a function that talks to the
 *  server. */

import tty from "node:tty";
import { clientTlsContext, ownKeyPair } from "../client/context.ts";
import { connectToServer, type VerifiedConnection } from "../client/connect.ts";
import {
  clientEnvironment,
  type ClientProgram,
  converseWithServer,
  startClientProgram,
} from "../client/program.ts";
import { serverVerifier } from "../client/verify.ts";
import type { ClientOptions, ParsedClient } from "../config/client_options.ts";
import type { ConnectionVariable, Env } from "../config/variables.ts";
import { EXIT, FatalError, reason, Unsupported, UsageError } from "../errors.ts";
import { Log } from "../log.ts";
import { ignoring } from "../program/ignored_signals.ts";
import { type HandlerConnection, startHandler } from "../program/handler.ts";
import type { ProgramSignal } from "../runtime/program.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { ServerKeyPair } from "../tls/key_pairs.ts";
import { readPassword } from "../tls/password.ts";
import { tlsVersions } from "../tls/settings.ts";
import type { CommandCall } from "./command.ts";
import { print, type Printing } from "./print.ts";

/** A name under which the client runs. */
export interface ClientName extends Printing {
  /** The line after `usage:` in errors. */
  readonly usage: string;
  /** Reads the arguments after the name. Throws `UsageError`. */
  parse(argv: readonly string[], env: Env): ParsedClient;
  /** Talks to the server in place of a program. If it throws, the command fails with that error. */
  talk?(connection: HandlerConnection, options: ClientOptions): Promise<void>;
}

/** Ends the client with this exit code and without a message. */
export class SilentEnd extends Error {
  constructor(readonly code: number) {
    super("silent end");
  }
}

/** Runs the client to its end and returns the exit code. Never rejects. */
export async function runClient(name: ClientName, call: CommandCall): Promise<number> {
  let { argv, env } = call;
  let log = new Log({ verbosity: 1, form: "text", name: name.name });
  try {
    const request = name.parse(argv, env);
    if ("print" in request) {
      await print(request, name);
      return EXIT.ok;
    }
    let options = request.connect;
    const { verbosity } = options;
    log = new Log({ verbosity, form: "text", name: name.name });
    const runtime = await call.runtime();
    const started = runtime.started(argv.length);
    if (started) {
      ({ argv, env } = started);
      // The runtime's argv differs in arguments that are not UTF-8.
      const again = name.parse(argv, env);
      if ("connect" in again) options = again.connect;
      options.command = ignoring(options.command, started.ignored, log);
    }
    log = new Log({ verbosity, form: "text", name: name.name, sink: runtime.stderr() });
    return await connectAndTalk(name, options, env, runtime, log);
  } catch (error) {
    if (error instanceof UsageError) {
      log.fatal(error.message, error.hint);
      log.usage(name.usage);
      return error.code;
    }
    if (error instanceof SilentEnd) return error.code;
    if (error instanceof FatalError) {
      log.fatal(error.message, error.hint);
      return error instanceof Unsupported ? EXIT.usage : error.code;
    }
    log.fatal(`unable to continue: ${reason(error)}`);
    return EXIT.system;
  } finally {
    await log.finish();
  }
}

async function connectAndTalk(
  name: ClientName,
  options: ClientOptions,
  env: Env,
  runtime: Runtime,
  log: Log,
): Promise<number> {
  const { signal } = new AbortController();
  const own = await ownKeyPair(options, readPassword(options, runtime));
  const context = clientTlsContext(runtime, {
    ...tlsVersions((variable) => env[variable]),
    ciphers: options.ciphers,
    own,
  });
  const { verify, warnings } = serverVerifier({ ...options, env });
  for (const warning of warnings) log.warning(warning);
  const services = { runtime, env, signal, context, verify, log };
  const connection = await connectToServer(options, services);
  try {
    if (name.talk) return await talkHere(name.talk, connection, options, log);
    const program = await startProgram(connection, own, options, services);
    return exitCode(await converseWithServer(connection, program, options, log));
  } finally {
    connection.stream.destroy();
  }
}

/** Calls `talk` in place of a program. */
async function talkHere(
  talk: NonNullable<ClientName["talk"]>,
  connection: VerifiedConnection,
  options: ClientOptions,
  log: Log,
): Promise<number> {
  const { local, remote, session: { peerCertificates } } = connection;
  // After an error, the connection is dropped without waiting for an orderly end.
  const { promise: failed, reject } = Promise.withResolvers<never>();
  const facts = { local, remote, peerCertificates, environment: {}, failed: reject };
  const program = startHandler((conn) => talk(conn, options), facts);
  const conversation = converseWithServer(connection, program, options, log);
  const status = await Promise.race([conversation, failed]);
  return status === 0 ? EXIT.ok : EXIT.system; // the log says why the connection has ended
}

async function startProgram(
  connection: VerifiedConnection,
  own: ServerKeyPair | undefined,
  options: ClientOptions,
  { runtime, env, signal }: { runtime: Runtime; env: Env; signal: AbortSignal },
): Promise<ClientProgram> {
  await findNames(connection, options, { runtime, env, signal });
  const tls = options.tlsVariables ? await tlsFacts(connection, own, runtime) : undefined;
  const environment = clientEnvironment(connection, options, env, runtime, tls);
  // Before the start of the program: without a handler, a signal just after the start would end
  // only this process.
  let program: ClientProgram | undefined;
  passSignals(runtime, (name) => void program?.kill(name));
  return program = startClientProgram(options.command, environment, runtime);
}

/** Fills in the names of both ends. The code for the DNS is loaded only if it is needed. */
async function findNames(
  { local, remote }: VerifiedConnection,
  options: ClientOptions,
  services: { runtime: Runtime; env: Env; signal: AbortSignal },
): Promise<void> {
  local.host = options.localName;
  const isLoopback = (ip: string): boolean => ip === "127.0.0.1" || ip === "::1";
  if (isLoopback(local.ip) && isLoopback(remote.ip) && !services.env.DNSCACHEIP && !options.ident) {
    local.host ??= LOCAL_HOST;
    if (options.remoteName) remote.host = LOCAL_HOST;
    return;
  }
  const { nameEnds } = await import("../client/names.ts");
  await nameEnds({ local, remote }, options, services);
}

/** The name of the loopback addresses (RFC 6761 6.3). */
const LOCAL_HOST = "localhost";

async function tlsFacts(
  connection: VerifiedConnection,
  own: ServerKeyPair | undefined,
  runtime: Runtime,
): Promise<Map<ConnectionVariable, string>> {
  const { clientTlsVariables } = await import("../client/tls_variables.ts");
  return clientTlsVariables(connection, own, runtime);
}

/** Passes the signals that ask for the end to the program. When the program has ended, this process
 *  ends. A terminal sends SIGINT and SIGQUIT to the program itself. */
function passSignals(runtime: Runtime, pass: (name: ProgramSignal) => void): void {
  const onTerminal = [0, 1, 2].some((fd) => tty.isatty(fd));
  for (const name of ["SIGTERM", "SIGHUP"] as const) runtime.onSignal(name, () => pass(name));
  for (const name of ["SIGINT", "SIGQUIT"] as const) {
    runtime.onSignal(name, () => onTerminal || pass(name));
  }
}

/** The exit code for a wait status: that of the program, or 128 plus the number of the signal that
 *  ended it. */
function exitCode(status: number | undefined): number {
  if (status === undefined) return EXIT.system;
  const signal = status & 0x7f;
  return signal === 0 ? status >> 8 : 128 + signal;
}

/** READ FIRST. The way of one connection, from accept to the last log line:
 *
 *    1 listen    bind, backlog, accept                       listen.ts, gate.ts
 *    2 admit     limits, rules, names, ident                 admit.ts, admit/
 *    3 secure    ClientHello, TLS settings, handshake        tls.ts, tls/
 *    4 start     environment and pipes for the program       start.ts
 *    5 relay     both directions, half-close, idle limit     relay.ts
 *    6 log       one line per event                          log.ts
 *
 *  Everything a stage needs beyond the connection is in `Deps`; there is no module-level state. */

import { admit, type AdmitDeps } from "./admit.ts";
import { type Connection, describe, giveUp } from "./connection.ts";
import { FatalError, reason } from "./errors.ts";
import type { Gate } from "./gate.ts";
import { listen, type ListenAddress } from "./listen.ts";
import { type Log, ownPid } from "./log.ts";
import type { Options } from "./options.ts";
import { relay } from "./relay.ts";
import {
  HandshakeError,
  type Program,
  type Runtime,
  type Socket,
  type TlsStream,
} from "./runtime/runtime.ts";
import { environment } from "./start.ts";
import { type HandshakeQueue, readHello } from "./tls.ts";
import type { Contexts, Prepared } from "./tls/context.ts";
import { type ClientVerify, tlsVariables } from "./tls/variables.ts";
import { PRODUCT } from "./version.ts";

export interface Deps {
  runtime: Runtime;
  options: Options;
  log: Log;
  gate: Gate;
  admission: AdmitDeps;
  contexts: Contexts;
  handshakes: HandshakeQueue;
  /** What every program gets. */
  baseEnvironment: Readonly<Record<string, string>>;
}

/** A secured connection: the stream and what was prepared for it. */
interface Channel {
  stream: TlsStream;
  prepared: Prepared;
}

export interface Server {
  readonly port: number;
  /** Stops listening at once; connections go on. */
  drain(): void;
  /** Ends connections and programs too; a program that has not obeyed SIGTERM after `grace`
   *  milliseconds gets SIGKILL. */
  end(grace?: number): void;
  /** Resolves when the last connection has ended after `drain` or `end`. */
  readonly closed: Promise<void>;
}

/** Listens and serves until `drain` or `end`. Throws `FatalError` when it cannot listen. */
export function serve(address: ListenAddress, deps: Deps): Server {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const connections = new Set<Connection>();
  const programs = new Set<Program>();
  let draining = false;
  const settle = (): void => {
    if (draining && connections.size === 0) resolve();
  };
  const listener = listen(deps.runtime, address, (socket) => {
    const conn = describe(socket, deps.options);
    connections.add(conn);
    handle(conn, deps, programs).finally(() => {
      connections.delete(conn);
      settle();
    });
  });
  deps.gate.listener = listener;
  const drain = (): void => {
    if (draining) return;
    draining = true;
    listener.close();
    // Who has not said a word has nothing to lose, and could hold up the exit for -T seconds.
    for (const conn of deps.gate.silent) giveUp(conn, "the server is shutting down");
    settle();
  };
  return {
    port: listener.port,
    closed,
    drain,
    end(grace = 0) {
      drain();
      for (const conn of connections) giveUp(conn, "the server is shutting down");
      for (const program of programs) program.kill("SIGTERM");
      setTimeout(() => {
        for (const program of programs) program.kill("SIGKILL");
      }, grace).unref();
    },
  };
}

/** One connection through all stages. Never rejects. */
async function handle(conn: Connection, deps: Deps, programs: Set<Program>): Promise<void> {
  const { gate, log } = deps;
  let relaying = false;
  let returnPlace = (): void => {};
  const leave = (): void => gate.leave(conn);
  gate.enter(conn);
  try {
    prepareSocket(conn.socket, deps);
    const verdict = await admit(conn, deps.admission);
    if (!verdict.allow) return log.deny(ownPid(), conn, verdict.why);
    const channel = await secure(conn, deps);
    gate.through(conn);
    returnPlace = await gate.place(conn.abort.signal);
    const program = start(conn, channel, deps);
    programs.add(program);
    relaying = true;
    const status = await relay(channel.stream, program, {
      idleTimeout: deps.options.idleTimeout,
      socket: conn.socket,
      banner: deps.options.banner,
      onGone: leave,
    });
    programs.delete(program);
    returnPlace();
    log.ended(program.pid, status);
    logStatus(deps);
  } catch (error) {
    report(conn, deps, error);
  } finally {
    returnPlace();
    conn.hold?.release();
    if (!relaying) {
      conn.socket.destroy();
      leave();
    }
  }
}

function prepareSocket(socket: Socket, { runtime, options }: Deps): void {
  socket.setNoDelay(options.noDelay);
  if (!options.keepIpOptions && socket.fd !== undefined && !socket.remote.ip.includes(":")) {
    runtime.libc?.dropIpOptions(socket.fd);
  }
}

/** Stage 3, within -T seconds. */
async function secure(conn: Connection, deps: Deps): Promise<Channel> {
  const { options, contexts, handshakes, gate } = deps;
  const prepared = contexts.get(conn.variables);
  const seconds = options.handshakeTimeout;
  const timer = setTimeout(() => giveUp(conn, `timed out after ${seconds} s`), seconds * 1000);
  try {
    const first = await readHello(conn, () => gate.spoke(conn));
    const stream = await handshakes.enter(conn.socket, prepared.context, first);
    return { stream, prepared };
  } catch (error) {
    const { signal } = conn.abort;
    throw signal.aborted ? new HandshakeError(String(signal.reason)) : error;
  } finally {
    clearTimeout(timer);
  }
}

/** Stage 4. */
function start(conn: Connection, channel: Channel, deps: Deps): Program {
  const { options, log, runtime } = deps;
  const needsSession = options.tlsVariables || options.verbosity >= 3;
  const session = needsSession ? channel.stream.session() : undefined;
  const verify: ClientVerify = "NONE";
  const tls = options.tlsVariables && session
    ? tlsVariables({
      protocol: session.protocol,
      cipher: { name: session.cipher },
      sessionId: session.id,
      serverCertificate: channel.prepared.serverVariables,
      clientChain: session.peerCertificates,
      clientVerify: verify,
      sni: session.serverName,
      alpn: session.alpn,
      versionInterface: PRODUCT,
      versionLibrary: runtime.tlsLibrary,
    })
    : undefined;
  let program: Program;
  try {
    program = runtime.spawn({
      command: options.command,
      env: environment(deps.baseEnvironment, conn, options, tls),
    });
  } catch (error) {
    throw new FatalError(`unable to run ${options.command[0]}: ${reason(error)}`);
  }
  logStatus(deps);
  log.pid(program.pid, conn);
  log.ok(program.pid, conn);
  if (session) log.tls(program.pid, session.protocol, session.cipher);
  return program;
}

function logStatus({ log, options, admission }: Deps): void {
  log.status(admission.limits.programs, options.concurrency, admission.ask.perAddress ?? 0);
}

function report(conn: Connection, { log }: Deps, error: unknown): void {
  if (error instanceof HandshakeError) {
    return log.tlsFailed(ownPid(), conn.remote.ip, error.message);
  }
  log.error(`${reason(error)} (connection from ${conn.remote.ip})`);
}

/** READ FIRST. The way of one connection, from accept to the last log line:
 *
 *    1 listen    bind, backlog, accept                       listen.ts, gate.ts
 *                a proxy's word on who the client is         proxy.ts
 *    2 admit     limits, rules, names, ident                 admit.ts, admit/
 *    3 secure    ClientHello, TLS settings, handshake        tls.ts, tls/
 *    4 start     environment and pipes for the program       start.ts
 *    5 relay     both directions, half-close, idle limit     relay.ts
 *    6 log       one line per event                          log.ts
 *
 *  Everything a stage needs beyond the connection is in `Deps`; there is no module-level state. */

import { admit } from "./admit/admit.ts";
import { environmentMessage } from "./codec/ucspi_tls.ts";
import { type Connection, describe } from "./connection.ts";
import type { Deps } from "./services.ts";
import { ownPid } from "./log.ts";
import { meetClient, plainStream } from "./accept/proxy.ts";
import { relay, type RelayOptions } from "./program/relay.ts";
import { ClientWatch, leave, report } from "./program/report.ts";
import {
  HandshakeError,
  type Listener,
  type Program,
  type Socket,
  type Stream,
} from "./runtime/runtime.ts";
import { logStatus, start } from "./program/start.ts";
import { type Channel, channelVariables, secure } from "./tls/handshake.ts";
import { plainPhase } from "./program/ucspi_tls.ts";

export interface Server {
  readonly port: number;
  /** Stops listening; connections go on. Those without a program may take a second to come to it, or
   *  `patience` milliseconds. `queue`: those who stand in the kernel's queue are accepted, because
   *  nobody else will. */
  drain(patience?: number, queue?: boolean): void;
  /** Ends connections and programs too; a program that has not obeyed SIGTERM after `grace`
   *  milliseconds gets SIGKILL. */
  end(grace?: number): void;
  /** Resolves after `drain` when nobody can connect here any more. */
  readonly left: Promise<void>;
  /** Resolves after `drain` when every connection that is left has its program. */
  readonly settled: Promise<void>;
  /** Resolves when the last connection has ended after `drain` or `end`. */
  readonly closed: Promise<void>;
}

/** A connection whose address the system has forgotten before anybody asked. */
const LOST = "connection reset by the peer";

/** How long a connection without a program may hold the exit up, in milliseconds. */
const PATIENCE = 1000;
/** How long those who knock while the server drains may keep it accepting, in milliseconds. */
const QUEUE_PATIENCE = 500;

/** Serves what `listen` brings until `drain` or `end`. Throws what it throws. */
export function serve(
  listen: (onSocket: (socket: Socket) => void, onLost: () => void) => Listener,
  deps: Deps,
): Server {
  const left = Promise.withResolvers<void>();
  const settled = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const connections = new Set<Connection>();
  /** Those without a program. */
  const early = new Set<Connection>();
  let draining = false;
  let listening = true;
  let ending = false;
  const look = (): void => {
    if (!draining || listening) return;
    if (early.size === 0) settled.resolve();
    // A client may still be reading what its program has left.
    if (connections.size === 0 && (ending || deps.gate.open === 0)) closed.resolve();
  };
  const follow: Follow = {
    started(conn) {
      if (early.delete(conn)) look();
    },
    over(conn) {
      connections.delete(conn);
      early.delete(conn);
      look();
    },
  };
  const listener = listen((socket) => {
    const conn = describe(socket, deps.options, deps.metrics.watch());
    connections.add(conn);
    early.add(conn);
    void handle(conn, deps, follow);
  }, () => {
    const watch = deps.metrics.watch();
    // Whose it was cannot be told any more. A proxy that looks whether somebody listens does this every
    // two seconds.
    if (!deps.options.proxyFrom) {
      watch.failed(new HandshakeError(LOST));
      deps.log.tlsFailed(ownPid(), "unknown", LOST, true);
    }
    watch.over();
  });
  deps.gate.listener = listener;
  deps.gate.onLeave = look;
  const dismiss = (): void => {
    for (const conn of early) conn.giveUp("the server is shutting down");
  };
  const drain = (patience = PATIENCE, queue = true): void => {
    if (draining) return;
    draining = true;
    // Who stands in the kernel's queue would be reset: first they are accepted.
    const until = performance.now() + (queue ? Math.min(patience, QUEUE_PATIENCE) : 0);
    if (queue && patience > 0) deps.gate.takeQueue();
    const close = (): void => {
      if (performance.now() < until && listener.crowded) return void setImmediate(close);
      listener.close();
      listening = false;
      left.resolve();
      if (patience === 0) dismiss();
      look();
    };
    setImmediate(() => setImmediate(close));
    if (patience > 0) setTimeout(dismiss, patience).unref();
  };
  return {
    port: listener.port,
    left: left.promise,
    settled: settled.promise,
    closed: closed.promise,
    drain,
    end(grace = 0) {
      ending = true;
      drain();
      look();
      for (const conn of connections) conn.giveUp("the server is shutting down");
      for (const conn of connections) conn.program?.kill("SIGTERM");
      setTimeout(() => {
        for (const conn of connections) conn.program?.kill("SIGKILL");
      }, grace).unref();
    },
  };
}

/** Is told how far a connection has come. */
interface Follow {
  /** Its program runs. */
  started(conn: Connection): void;
  over(conn: Connection): void;
}

/** One connection through all stages. Never rejects. */
async function handle(conn: Connection, deps: Deps, follow: Follow): Promise<void> {
  const { gate, log, options } = deps;
  gate.enter(conn);
  try {
    prepareSocket(conn.socket, deps);
    const begin = await meetClient(conn, options);
    const verdict = await admit(conn, deps.admission);
    conn.watch.admitted(verdict.by);
    if (!verdict.allow) return log.deny(ownPid(), conn, verdict.why);
    if (options.delayed) gate.complete(conn);
    const channel = options.delayed ? undefined : await secure(conn, deps, begin);
    if (channel) gate.through(conn);
    // It may wait for a place; one that goes meanwhile gets no program.
    if (channel) watchWhileWaiting(conn, channel.stream);
    conn.watch.starting();
    const program = conn.program = await start(conn, deps, channel);
    conn.watch.started();
    if (!channel) gate.through(conn);
    follow.started(conn);
    const status = await (channel
      ? converse(conn, program, channel, deps)
      : converseDelayed(conn, program, deps, begin));
    gate.linger(conn);
    log.ended(program.pid, status);
    conn.watch.ended(status);
    logStatus(deps);
  } catch (error) {
    report(conn, deps, ownPid(), conn.broken ?? error);
  } finally {
    conn.watch.over();
    if (!conn.program) {
      conn.place?.giveBack();
      conn.socket.destroy();
    }
    if (!conn.program || !conn.open) leave(conn, deps);
    follow.over(conn);
  }
}

function watchWhileWaiting(conn: Connection, stream: Stream): void {
  const gone = (error?: Error): void => {
    conn.broken = error;
    conn.giveUp(error?.message ?? "connection closed by the peer");
  };
  stream.onClose = gone;
  if (stream.gone) gone(stream.failure);
}

/** TLS from the beginning. Resolves with the wait status. */
function converse(
  conn: Connection,
  program: Program,
  channel: Channel,
  deps: Deps,
): Promise<number | undefined> {
  logTls(program, channel, deps);
  const options = { ...relayOptions(conn, program, deps), banner: deps.options.banner };
  return relay(channel.stream, program, options).status;
}

/** UCSPI-TLS: in the clear until the program asks, if it does. */
async function converseDelayed(
  conn: Connection,
  program: Program,
  deps: Deps,
  begin: Uint8Array = new Uint8Array(0),
): Promise<number | undefined> {
  const ends = program.delayed;
  if (!ends) throw new Error("the program was not started for UCSPI-TLS");
  const options = relayOptions(conn, program, deps);
  const { tlsInput: input, tlsOutput: output, controlInput, controlOutput } = ends;
  const { exited } = program;
  const close = (): void => {
    for (const end of [controlInput, controlOutput, input, output, program.output]) end.destroy();
  };
  try {
    const { banner } = deps.options;
    const refuse = (why: string): void => report(conn, deps, program.pid, new Error(why));
    const client = deps.options.proxyFrom ? plainStream(conn.socket, begin, refuse) : conn.socket;
    const plain = await plainPhase(client, program, ends, { ...options, banner });
    if ("status" in plain) return plain.status;
    const channel = await secure(conn, deps, plain.request.hello);
    logTls(program, channel, deps);
    if (plain.request.environment) {
      controlOutput.write(environmentMessage(channelVariables(channel, deps)));
    }
    // Programs read the answer to its end. What they write is still read and dropped: to close with
    // bytes unread would give them ECONNRESET in place of the end.
    controlOutput.end();
    const kill = (): boolean => program.kill("SIGTERM");
    return await relay(channel.stream, { input, output, exited, kill }, options).status;
  } catch (error) {
    report(conn, deps, program.pid, error);
    close(); // the program is told by EOF
    conn.socket.destroy();
    leave(conn, deps);
    const timer = setTimeout(() => program.kill("SIGTERM"), options.idle.limit);
    return await exited.finally(() => clearTimeout(timer));
  } finally {
    close();
  }
}

function relayOptions(conn: Connection, program: Program, deps: Deps): RelayOptions {
  const { idle, lingering, metrics } = deps;
  const client = new ClientWatch(conn, program.pid, deps);
  return { idle, lingering, conn, traffic: metrics.traffic, client };
}

function prepareSocket(socket: Socket, { runtime, options }: Deps): void {
  socket.setNoDelay(options.noDelay);
  if (!options.keepIpOptions && socket.fd !== undefined && !socket.remote.ip.includes(":")) {
    runtime.libc?.dropIpOptions(socket.fd);
  }
}

function logTls(program: Program, { session, clientVerify }: Channel, { log }: Deps): void {
  if (session) log.tls(program.pid, session.protocol, session.cipher);
  if (clientVerify === "SUCCESS") log.clientCertificate(program.pid);
}

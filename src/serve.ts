/** READ FIRST. The way of one connection, from accept to the last log line:
 *
 *    1 accept    bind, accept, PROXY header                 accept/listen.ts, gate.ts, proxy.ts
 *    2 admit     limits, rules, names, ident                 admit/admit.ts
 *    3 secure    ClientHello, TLS settings, handshake        tls/handshake.ts
 *    4 start     environment and pipes for the program       program/start.ts
 *    5 converse  both directions, half-close, idle limit     program/converse.ts, relay.ts
 *    6 log       one line per event                          program/report.ts, log.ts
 *
 *  The connections of the server, and its end, are in lifecycle.ts. docs/architecture.md has the picture.
 *
 *  Everything a stage needs beyond the connection is in `Deps`; there is no module-level state. */

import { meetClient } from "./accept/proxy.ts";
import { admit } from "./admit/admit.ts";
import { type Connection, describe } from "./connection.ts";
import { Lifecycle, type Server } from "./lifecycle.ts";
import { ownPid } from "./log.ts";
import { converse, converseDelayed } from "./program/converse.ts";
import { leave, report } from "./program/report.ts";
import { logStatus, start } from "./program/start.ts";
import type { Reason } from "./reason.ts";
import type { Listener, Socket } from "./runtime/runtime.ts";
import type { Deps } from "./services.ts";
import { secure } from "./tls/handshake.ts";

/** A connection whose address the system has forgotten before anybody asked. */
const LOST: Reason = { kind: "client gone", how: "reset" };

/** Serves what `listen` brings until `drain` or `end`. Throws what it throws. */
export function serve(
  listen: (onSocket: (socket: Socket) => void, onLost: () => void) => Listener,
  deps: Deps,
): Server {
  const life = new Lifecycle(deps.gate);
  const listener = listen((socket) => {
    const conn = describe(socket, deps.options, deps.metrics.watch());
    life.enter(conn);
    void handle(conn, deps, life);
  }, () => {
    const watch = deps.metrics.watch();
    // Whose it was cannot be told any more. A proxy that looks whether somebody listens does this every
    // two seconds.
    if (!deps.options.proxyFrom) {
      watch.failed(LOST, true);
      deps.log.tlsFailed(ownPid(), "unknown", LOST, true);
    }
    watch.over();
  });
  return life.server(listener);
}

/** One connection through all stages. Never rejects. */
async function handle(conn: Connection, deps: Deps, life: Lifecycle): Promise<void> {
  const { gate, log, options } = deps;
  gate.enter(conn);
  try {
    prepareSocket(conn.socket, deps);
    const begin = await meetClient(conn, options);
    const denial = await admit(conn, deps.admission);
    conn.watch.admitted(denial);
    if (denial) return log.deny(ownPid(), conn, denial);
    if (options.delayed) gate.complete(conn);
    const channel = options.delayed ? undefined : await secure(conn, deps, begin);
    if (channel) gate.through(conn);
    conn.watch.starting();
    const program = conn.program = await start(conn, deps, channel);
    conn.watch.started();
    if (!channel) gate.through(conn);
    life.started(conn);
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
    life.over(conn);
  }
}

function prepareSocket(socket: Socket, { runtime, options }: Deps): void {
  socket.setNoDelay(options.noDelay);
  if (!options.keepIpOptions && socket.fd !== undefined && !socket.remote.ip.includes(":")) {
    runtime.libc?.dropIpOptions(socket.fd);
  }
}

/** READ FIRST. The way of one connection, from accept to the last log line:
 *
 *    1 accept    bind, accept, PROXY header                 accept/listen.ts, gate.ts, proxy.ts
 *    2 admit     limits, rules, names, ident                 admit/admit.ts
 *    3 secure    ClientHello, TLS settings, handshake        tls/handshake.ts
 *    4 start     environment and pipes for the program       program/start.ts
 *    5 converse  both directions, half-close, idle limit     program/converse.ts, relay.ts
 *    6 log       one line per event                          program/report.ts, log.ts
 *
 *  `Connection` (connection.ts) is the record that the stages fill in: its stage, its program, and why
 *  it ends. Each time a connection enters a stage, it calls its observers, in this order: the gate
 *  (accepts and closes connections), the metrics, the log (report.ts), and the lifecycle (drain and end
 *  of the server). The stages do not know the observers. docs/architecture.md has the picture.
 *
 *  Everything a stage needs beyond the connection is in `Services`; there is no module-level state. */

import { readProxyHeader } from "./accept/proxy.ts";
import { admit } from "./admit/admit.ts";
import { type Connection, type ConnectionObserver, describe } from "./connection.ts";
import { Lifecycle, type Server } from "./lifecycle.ts";
import { converse, converseDelayed } from "./program/converse.ts";
import { report, Reporter, reportLost } from "./program/report.ts";
import { start } from "./program/start.ts";
import type { Listener, Socket } from "./runtime/runtime.ts";
import type { Services } from "./services.ts";
import { secure } from "./tls/handshake.ts";

/** Serves the connections that `listen` accepts, until `drain` or `end` of the returned `Server` is
 *  called. `listen` is called once. `onLost` reports a connection that was reset before its peer
 *  address could be read. Throws what `listen` throws. */
export function serveConnections(
  listen: (onSocket: (socket: Socket) => void, onLost: () => void) => Listener,
  services: Services,
): Server {
  const { gate, metrics } = services;
  const life = new Lifecycle(gate);
  const counting = metrics.registry ? [metrics] : [];
  const observers: ConnectionObserver[] = [gate, ...counting, new Reporter(services), life];
  if (services.observers.length > 0) observers.push(...services.observers);
  const listener = listen(
    (socket) => void handle(describe(socket, services.options, observers), services),
    () => reportLost(services),
  );
  return life.server(listener);
}

/** Takes one connection through all stages. Never rejects. */
async function handle(conn: Connection, services: Services): Promise<void> {
  const { delayed } = services.options;
  conn.enter("accepted");
  try {
    prepareSocket(conn.socket, services);
    const begin = await readProxyHeader(conn, services.options);

    conn.enter("admission");
    const denial = await admit(conn, services.admission);
    if (denial) return conn.fail(denial);

    // `secure` enters the stages "hello" and "handshake". With -n (UCSPI-TLS), `converseDelayed`
    // calls it when the program asks for TLS.
    const channel = delayed ? undefined : await secure(conn, services, begin);

    conn.enter("starting");
    const program = conn.program = await start(conn, services, channel);

    conn.enter("conversing");
    const status = channel
      ? await converse(conn, program, channel, services)
      : await converseDelayed(conn, program, services, begin);
    conn.programEnded(program, status);
  } catch (error) {
    report(conn, error);
    conn.program = undefined; // a worker may learn late that it could not be started
  } finally {
    conn.finish();
  }
}

function prepareSocket(socket: Socket, { runtime, options }: Services): void {
  socket.setNoDelay(options.noDelay);
  if (!options.keepIpOptions && socket.fd !== undefined && !socket.remote.ip.includes(":")) {
    runtime.libc?.dropIpOptions(socket.fd);
  }
}

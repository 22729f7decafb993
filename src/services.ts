/** What the stages need beyond the connection. `assemble` (assemble.ts) makes it once per
 *  process. */

import type { Gate } from "./accept/gate.ts";
import type { AdmitServices } from "./admit/admit.ts";
import type { ConnectionObserver } from "./connection.ts";
import type { Options } from "./config/options.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics/observer.ts";
import type { ConnectionHandler } from "./program/handler.ts";
import type { IdleTimer } from "./program/idle.ts";
import type { Lingering } from "./program/linger.ts";
import type { Programs } from "./program/programs.ts";
import type { Runtime } from "./runtime/runtime.ts";
import type { ClientAuths } from "./tls/client_auth.ts";
import type { Contexts } from "./tls/context.ts";
import type { HandshakeQueue } from "./tls/handshake.ts";
import type { ServerNames } from "./tls/server_names.ts";
import type { Trace } from "./tls/trace.ts";

export interface Services {
  runtime: Runtime;
  options: Options;
  log: Log;
  /** Does nothing without --metrics. */
  metrics: Metrics;
  gate: Gate;
  admission: AdmitServices;
  contexts: Contexts;
  names: ServerNames;
  clientAuths: ClientAuths;
  handshakes: HandshakeQueue;
  /** With the limit -T. */
  handshakeTimer: IdleTimer;
  /** With --trace. */
  trace: Trace | undefined;
  programs: Programs;
  idle: IdleTimer;
  lingering: Lingering;
  /** Serves connections in this process, in place of a program. */
  handler: ConnectionHandler | undefined;
  /** Observers that the command adds. */
  observers: readonly ConnectionObserver[];
}

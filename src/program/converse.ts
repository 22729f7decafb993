/** Stage 5: the conversation of client and program, with TLS from the beginning or on request (UCSPI-TLS).
 *  Moving the bytes is relay.ts. */

import { PlainStream } from "../accept/proxy.ts";
import { environmentMessage } from "../codec/ucspi_tls.ts";
import type { Connection } from "../connection.ts";
import type { ConnectionError } from "../reason.ts";
import type { Program, TlsError } from "../runtime/runtime.ts";
import { type Channel, channelVariables, type HandshakeDeps, secure } from "../tls/handshake.ts";
import type { IdleWatch } from "./idle.ts";
import type { Lingering } from "./linger.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics/observer.ts";
import type { Options } from "../config/options.ts";
import { type ClientEvents, relay, type RelayOptions } from "./relay.ts";
import { report } from "./report.ts";
import { PlainPhase } from "./ucspi_tls.ts";

/** What a conversation needs beyond the connection; with -n the handshake is part of it. */
export interface ConverseDeps extends HandshakeDeps {
  log: Log;
  options: HandshakeDeps["options"] & Pick<Options, "banner" | "proxyFrom">;
  metrics: HandshakeDeps["metrics"] & Pick<Metrics, "traffic" | "cut">;
  idle: IdleWatch;
  lingering: Lingering;
}

/** TLS from the beginning. Resolves with the wait status. */
export function converse(
  conn: Connection,
  program: Program,
  channel: Channel,
  deps: ConverseDeps,
): Promise<number | undefined> {
  logTls(program, channel, deps);
  const options = { ...relayOptions(conn, program, deps), banner: deps.options.banner };
  return relay(channel.stream, program, options).status;
}

/** UCSPI-TLS: in the clear until the program asks, if it does. */
export async function converseDelayed(
  conn: Connection,
  program: Program,
  deps: ConverseDeps,
  begin: Uint8Array = new Uint8Array(0),
): Promise<number | undefined> {
  const ends = program.delayed;
  if (!ends) throw new Error("the program was not started for UCSPI-TLS");
  const options = relayOptions(conn, program, deps);
  const { tlsInput: input, tlsOutput: output, controlInput, controlOutput } = ends;
  const { exited } = program;
  const close = (): void => {
    // What the program writes to comes first: when it reads the end of file nobody reads from it any more.
    for (const end of [output, program.output, controlInput, controlOutput, input]) end.destroy();
  };
  try {
    const { banner } = deps.options;
    const refuse = (error: ConnectionError): void => report(conn, error);
    const client = deps.options.proxyFrom
      ? new PlainStream(conn.socket, begin, refuse)
      : conn.socket;
    const plain = await new PlainPhase(client, program, ends, { ...options, banner }).outcome;
    if ("status" in plain) return plain.status;
    const channel = await secure(conn, deps, plain.request.hello);
    conn.enter("conversing");
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
    report(conn, error);
    close(); // the program is told by EOF
    conn.socket.destroy();
    conn.clientGone();
    const timer = setTimeout(() => program.kill("SIGTERM"), options.idle.limit);
    return await exited.finally(() => clearTimeout(timer));
  } finally {
    close();
  }
}

/** How the client of a running program ends. */
class ClientSide implements ClientEvents {
  constructor(
    readonly conn: Connection,
    readonly pid: number,
    readonly deps: Pick<ConverseDeps, "log" | "metrics">,
  ) {}

  broken({ reason }: TlsError): void {
    this.conn.fail(reason);
  }

  cut(): void {
    this.deps.metrics.cut();
    this.deps.log.noCloseNotify(this.pid, this.conn.remote.ip);
  }

  gone(): void {
    this.conn.clientGone();
  }
}

function relayOptions(conn: Connection, program: Program, deps: ConverseDeps): RelayOptions {
  const { idle, lingering, metrics } = deps;
  const client = new ClientSide(conn, program.pid, deps);
  return { idle, lingering, socket: conn.socket, traffic: metrics.traffic, client };
}

function logTls(program: Program, { session, clientVerify }: Channel, { log }: ConverseDeps): void {
  if (session) log.tls(program.pid, session.protocol, session.cipher);
  if (clientVerify === "SUCCESS") log.clientCertificate(program.pid);
}

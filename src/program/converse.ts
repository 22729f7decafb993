/** Stage 5: the conversation of client and program, with TLS from the beginning or on request
 *  (UCSPI-TLS). relay.ts moves the bytes. */

import { PlainStream } from "../accept/proxy.ts";
import { environmentMessage } from "../codec/ucspi_tls.ts";
import type { Connection } from "../connection.ts";
import type { ConnectionError } from "../reason.ts";
import { type Program, TlsError } from "../runtime/runtime.ts";
import {
  channelVariables,
  type HandshakeServices,
  secure,
  type TlsChannel,
} from "../tls/handshake.ts";
import { type ClientEvents, TRUNCATED } from "./client_events.ts";
import type { IdleTimer } from "./idle.ts";
import type { Lingering } from "./linger.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics/observer.ts";
import type { Options } from "../config/options.ts";
import { relay, type RelayOptions } from "./relay.ts";
import { report } from "./report.ts";
import { PlainPhase } from "./ucspi_tls.ts";

/** What a conversation needs beyond the connection; with -n the handshake is part of it. */
export interface ConverseServices extends HandshakeServices {
  log: Log;
  options:
    & HandshakeServices["options"]
    & Pick<Options, "banner" | "proxyFrom" | "closeNotify" | "enforceCloseNotify">;
  metrics: HandshakeServices["metrics"] & Pick<Metrics, "traffic" | "cut">;
  idle: IdleTimer;
  lingering: Lingering;
}

/** Relays with TLS from the beginning. Resolves with the program's wait status; undefined if it is
 *  not known. */
export function converse(
  conn: Connection,
  program: Program,
  channel: TlsChannel,
  services: ConverseServices,
): Promise<number | undefined> {
  logTls(program, channel, services);
  const { banner } = services.options;
  return relay(channel.stream, program, relayOptions(conn, program, services, banner)).status;
}

/** UCSPI-TLS: relays in the clear, and with TLS once the program asks for it. Resolves as
 *  `converse`. */
export async function converseDelayed(
  conn: Connection,
  program: Program,
  services: ConverseServices,
  begin: Uint8Array = new Uint8Array(0),
): Promise<number | undefined> {
  const ends = program.delayed;
  if (!ends) throw new Error("the program was not started for UCSPI-TLS");
  const options = relayOptions(conn, program, services);
  const { tlsInput: input, tlsOutput: output, controlInput, controlOutput } = ends;
  const { exited } = program;
  const close = (): void => {
    // First the ends that the program writes to: once it reads end of file, its writes must fail.
    for (const end of [output, program.output, controlInput, controlOutput, input]) end.destroy();
  };
  try {
    const { banner } = services.options;
    const refuse = (error: ConnectionError): void => report(conn, error);
    const client = services.options.proxyFrom
      ? new PlainStream(conn.socket, begin, refuse)
      : conn.socket;
    const plain = await new PlainPhase(client, program, ends, { ...options, banner }).ended;
    if ("status" in plain) return plain.status;
    const channel = await secure(conn, services, plain.request.hello);
    conn.enter("conversing");
    logTls(program, channel, services);
    if (plain.request.environment) {
      controlOutput.write(environmentMessage(channelVariables(channel, services)));
    }
    // Programs read the answer up to end of file. What they write to the control socket is still
    // read and dropped: closing it with unread bytes would give them ECONNRESET instead of end of
    // file.
    controlOutput.end();
    const kill = (): boolean => program.kill("SIGTERM");
    return await relay(channel.stream, { input, output, exited, kill }, options).status;
  } catch (error) {
    report(conn, error);
    close(); // the program reads end of file
    conn.socket.destroy();
    conn.clientGone();
    const timer = setTimeout(() => program.kill("SIGTERM"), options.idle.limit);
    return await exited.finally(() => clearTimeout(timer));
  } finally {
    close();
  }
}

/** Reports how the client of a running program ends. */
class ClientSide implements ClientEvents {
  constructor(
    readonly conn: Connection,
    readonly pid: number,
    readonly services: Pick<ConverseServices, "log" | "metrics" | "options">,
  ) {}

  get endsByFin(): boolean {
    return !this.services.options.closeNotify;
  }

  broken({ reason }: TlsError): void {
    this.conn.fail(reason);
  }

  cut(): TlsError | undefined {
    this.services.metrics.cut();
    if (this.services.options.enforceCloseNotify) return new TlsError(TRUNCATED);
    this.services.log.noCloseNotify(this.pid, this.conn.remote.ip);
    return undefined;
  }

  gone(): void {
    this.conn.clientGone();
  }
}

function relayOptions(
  conn: Connection,
  program: Program,
  services: ConverseServices,
  banner?: string,
): RelayOptions {
  const { idle, lingering, metrics } = services;
  const client = new ClientSide(conn, program.pid, services);
  return { idle, lingering, socket: conn.socket, traffic: metrics.traffic, client, banner };
}

function logTls(
  program: Program,
  { session, clientVerify, ja4 }: TlsChannel,
  { log }: ConverseServices,
): void {
  if (session) log.tls(program.pid, session.protocol, session.cipher);
  if (ja4) log.fingerprint(program.pid, ja4);
  if (clientVerify === "SUCCESS") log.clientCertificate(program.pid);
}

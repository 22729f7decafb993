/** READ FIRST. A connection to a server, from its host name to a verified TLS stream:
 *
 *    1 dial     addresses and the TCP connection               dial.ts, names.ts
 *    2 secure   handshake, within -T
 *    3 verify   chain and name, before any byte is passed on   verify.ts
 *
 *  Then a program (program.ts), or another part of this process, talks to the server. */

import type { ClientOptions } from "../config/client_options.ts";
import type { Peer, RemotePeer } from "../connection.ts";
import { EXIT, FatalError } from "../errors.ts";
import type { Log } from "../log.ts";
import { reasonWords } from "../log/reasons.ts";
import { type Reason, reasonOf } from "../reason.ts";
import type { ClientSocket, TlsContext, TlsSession, TlsStream } from "../runtime/runtime.ts";
import { dial, type DialOptions, type DialServices } from "./dial.ts";
import { addressOf, asciiHost, isThisMachine } from "./host_name.ts";
import { serverFaultWords } from "./server_faults.ts";
import type { ServerVerifier } from "./verify.ts";

/** The server is refused: its certificate chain is not valid (`chain`), or its certificate is not
 *  for the host (`host`). The message says why. */
export class UntrustedServer extends FatalError {
  /** Printed before the message. */
  override name = "UntrustedServer";
  /** `problem`: the check that has failed; `hint`: the remedy. */
  constructor(message: string, readonly problem: "chain" | "host", hint?: string) {
    super(message, EXIT.system, hint);
  }
}

/** What connecting needs beyond the options. */
export interface ConnectServices extends DialServices {
  readonly context: TlsContext;
  readonly verify: ServerVerifier;
  readonly log: Pick<Log, "plain">;
}

/** A connection whose server is verified. Its stream is paused. */
export interface VerifiedConnection {
  readonly socket: ClientSocket;
  readonly stream: TlsStream;
  readonly session: TlsSession;
  readonly local: Peer;
  readonly remote: RemotePeer;
  /** The name sent in the ClientHello. */
  readonly serverName: string | undefined;
}

/** Connects, does the handshake and verifies the server. Rejects with `FatalError`, or with the
 *  signal's reason. */
export async function connectToServer(
  options: DialOptions & Pick<ClientOptions, "noDelay">,
  services: ConnectServices,
): Promise<VerifiedConnection> {
  const host = /^\[(.*)\]$/.exec(options.host)?.[1] ?? options.host;
  const socket = await dial({ ...options, host }, services);
  const { ip, port } = socket.remote;
  const facts = { event: "connected", ip, port };
  services.log.plain(`connected to ${ip} port ${port}`, facts);
  socket.setNoDelay(options.noDelay);
  const serverName = serverNameOf(host);
  const { first, further } = options.timeout;
  const stream = await secure(socket, serverName, first + further, services);
  try {
    const session = stream.session();
    const fault = services.verify(session.peerCertificates, host);
    if (fault) {
      const { text, hint } = serverFaultWords(fault);
      throw new UntrustedServer(`unable to trust the server: ${text}`, fault.kind, hint);
    }
    const { protocol, cipher } = session;
    const tls = { event: "tls", protocol, cipher };
    services.log.plain(`tls connect ${protocol}:${cipher}`, tls);
    const [local, remote] = [{ ...socket.local }, { ...socket.remote }];
    return { socket, stream, session, local, remote, serverName };
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

/** The name for the ClientHello: none for an address (RFC 6066 3). */
function serverNameOf(host: string): string | undefined {
  if (isThisMachine(host) || addressOf(host)) return undefined;
  return asciiHost(host).replace(/\.$/, "");
}

async function secure(
  socket: ClientSocket,
  serverName: string | undefined,
  seconds: number,
  { context, signal }: ConnectServices,
): Promise<TlsStream> {
  let ended: Reason | undefined;
  const timer = setTimeout(() => {
    ended = { kind: "timed out", seconds };
    socket.abort();
  }, seconds * 1000);
  const abort = (): void => socket.abort();
  signal.addEventListener("abort", abort);
  try {
    signal.throwIfAborted();
    return await socket.startClientTls(context, serverName);
  } catch (error) {
    socket.destroy();
    signal.throwIfAborted();
    const why = reasonWords(ended ?? reasonOf(error), "server");
    const { ip, port } = socket.remote;
    throw new FatalError(`unable to begin TLS with ${ip} port ${port}: ${why}`);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}

/** Asks the peer's ident server who owns a connection (RFC 1413; -r, -t), over a separate TCP
 *  connection. Time and bytes read are limited. codec/ident.ts validates the answer. */

import { IdentReply, identRequest } from "../codec/ident.ts";
import { type Clock, systemClock } from "../dns/clock.ts";
import { QuestionSockets } from "../dns/question_sockets.ts";
import { nodeTransport, type Transport } from "../dns/transport.ts";

/** RFC 1413 3. */
const IDENT_PORT = 113;

export interface IdentQuestion {
  remoteIp: string;
  remotePort: number;
  localIp: string;
  localPort: number;
  /** Seconds for connecting and answering together, the wait for a descriptor included (-t);
   *  0: no limit. */
  timeout: number;
  signal?: AbortSignal;
  /** The ident server's port, for tests. */
  port?: number;
}

/** Resolves with the user id for $SSLREMOTEINFO: 1 to 257 printable characters. Undefined if
 *  there is no server, no answer in time, no descriptor for the question, an error answer, or a
 *  line without an end. */
export function askIdent(
  question: IdentQuestion,
  transport: Transport = nodeTransport,
  clock: Clock = systemClock,
  sockets: QuestionSockets = new QuestionSockets(),
): Promise<string | undefined> {
  const { remoteIp, remotePort, localIp, localPort, timeout, signal } = question;
  // A PROXY header may name port 0, which an ident server cannot be asked about.
  if (signal?.aborted || remotePort === 0 || localPort === 0) return Promise.resolve(undefined);
  const server = { address: remoteIp, port: question.port ?? IDENT_PORT };
  return new Promise((resolve) => {
    const reply = new IdentReply();
    let close = (): void => {};
    const done = () => {
      callOff();
      signal?.removeEventListener("abort", done);
      close();
      release();
      resolve(reply.info);
    };
    const callOff = timeout > 0 ? clock.after(timeout * 1000, done) : () => {};
    signal?.addEventListener("abort", done);
    const release = sockets.take(() => {
      // RFC 1413 1: the server searches for a connection between the two addresses of the query's own
      // connection, so the query must come from the local address of the connection asked about.
      close = transport.tcp(server, identRequest(remotePort, localPort), {
        data(bytes) {
          if (reply.push(bytes)) done();
        },
        ended: done,
      }, localIp);
    }, done);
  });
}

/** The program of a client: its descriptors 6 and 7, its environment, and its conversation with the
 *  server, by the relay that sslserver uses too. Another part of this process can take the
 *  program's place. */

import type { ClientOptions } from "../config/client_options.ts";
import type { ConnectionVariable, Env } from "../config/variables.ts";
import { EXIT, FatalError, reason } from "../errors.ts";
import type { Log } from "../log.ts";
import { reasonWords } from "../log/reasons.ts";
import {
  baseEnvironment,
  connectionVariables,
  programEnvironment,
} from "../program/environment.ts";
import { TRUNCATED } from "../program/client_events.ts";
import { IdleTimer } from "../program/idle.ts";
import { Lingering } from "../program/linger.ts";
import { relay, type RelayedProgram } from "../program/relay.ts";
import { requireLibc } from "../runtime/needs_ffi.ts";
import { programPipes } from "../runtime/program_pipes.ts";
import { type Launched, type Runtime, TlsError } from "../runtime/runtime.ts";
import type { VerifiedConnection } from "./connect.ts";

/** How long the server may take to close, in milliseconds, after the program has ended and the
 *  server has received everything. */
const CLOSE_TIMEOUT = 1000;

/** A program that talks to the server. */
export type ClientProgram = RelayedProgram & Launched;

/** The environment of the program. `tls`: the mod_ssl variables (-s). */
export function clientEnvironment(
  { local, remote }: VerifiedConnection,
  options: Pick<ClientOptions, "tcpVariables" | "family" | "interface">,
  env: Env,
  runtime: Pick<Runtime, "libc">,
  tls?: ReadonlyMap<ConnectionVariable, string>,
): Record<string, string> {
  const described = { local, remote, interface: options.interface, proxy: undefined };
  const variables = connectionVariables(described, options, tls);
  return programEnvironment(
    baseEnvironment(env),
    { variables, delayed: false },
    [],
    runtime.libc,
  );
}

/** Starts the program: it reads the server's data from descriptor 6 and writes to the server on 7.
 *  Its descriptors 0, 1 and 2 are those of this process. Throws `FatalError`. */
export function startClientProgram(
  command: readonly string[],
  env: Readonly<Record<string, string>>,
  runtime: Runtime,
): ClientProgram {
  const libc = requireLibc(runtime, "give a program the descriptors 6 and 7");
  const { theirs, mine } = programPipes(libc, false);
  const [read, write] = theirs;
  const close = (fds: readonly number[]): void => fds.forEach((fd) => libc.close(fd));
  const descriptors = [0, 1, 2, undefined, undefined, undefined, read, write];
  try {
    const launched = runtime.launch({ command, env, descriptors });
    return { ...launched, ...runtime.adoptEnds(mine) };
  } catch (error) {
    close(mine);
    throw new FatalError(`unable to run ${command[0]}: ${reason(error)}`, EXIT.system);
  } finally {
    close(theirs);
  }
}

export interface ConversationOptions extends Pick<ClientOptions, "idleTimeout"> {
  /** A FIN of the server without close_notify is an error: its data may have been truncated. */
  readonly requireCloseNotify?: boolean;
  /** Called when the connection is closed. */
  gone?(): void;
}

/** Relays between the server and `program` until both are done and the connection is closed.
 *  Resolves with the program's wait status. */
export async function converseWithServer(
  { socket, stream, remote }: VerifiedConnection,
  program: RelayedProgram,
  options: ConversationOptions,
  log: Pick<Log, "error" | "detail">,
): Promise<number | undefined> {
  const { idleTimeout, requireCloseNotify } = options;
  const { promise: closed, resolve: gone } = Promise.withResolvers<void>();
  const idle = new IdleTimer(idleTimeout);
  const lingering = new Lingering(1, idle.limit, undefined, undefined, CLOSE_TIMEOUT);
  const { status } = relay(stream, program, {
    idle,
    lingering,
    socket,
    traffic: { received: 0, sent: 0 },
    client: {
      awaitsAnswer: true,
      broken({ reason }: TlsError) {
        log.error(`connection to ${remote.ip} lost: ${reasonWords(reason, "server")}`);
      },
      cut() {
        if (requireCloseNotify) return new TlsError(TRUNCATED);
        const facts = { event: "no-close-notify", ip: remote.ip };
        log.detail(`end of data without close_notify from ${remote.ip}`, facts);
        return undefined;
      },
      silent() {
        log.error(`connection to ${remote.ip} ended: no traffic for ${idleTimeout} s`);
      },
      gone() {
        options.gone?.();
        gone();
      },
    },
  });
  const result = await status;
  await closed;
  return result;
}

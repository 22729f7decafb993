/** Takes over a listening socket from a supervisor at start (systemd's socket activation,
 *  sd_listen_fds(3)). The supervisor keeps the socket during a restart of the server, so that clients
 *  wait in its queue and none is refused. notify.ts reports to the supervisor.
 *
 *  The monitor, or the one process of --workers 0, does this once:
 *
 *    const inherited = inheritedListener(env, runtime, options);   // before -3 reads descriptor 3
 *    …
 *    if (inherited) checkInheritedAddress(inherited, address, libc); // when host and port are looked up
 *    const fd = inherited?.fd ?? libc.listenSocket(…).fd;
 *
 *  To stop listening, close the descriptor. Never call shutdown(2): it would also end the socket for
 *  the supervisor and the successor. */

import process from "node:process";
import type { Env } from "../config/variables.ts";
import type { ListenAddress } from "../accept/address.ts";
import { type Ip, parseIp } from "../codec/ip.ts";
import type { Options } from "../config/options.ts";
import { FatalError, reason } from "../errors.ts";
import type { Libc } from "../runtime/libc/libc.ts";
import { requireLibc } from "../runtime/needs_ffi.ts";
import type { Runtime } from "../runtime/runtime.ts";

/** sd_listen_fds(3): SD_LISTEN_FDS_START. */
const FIRST = 3;

/** An inherited listening socket. It is already non-blocking and close-on-exec. */
export interface InheritedListener {
  readonly fd: number;
  readonly ip: string;
  readonly port: number;
  /** The socket on `::` also accepts IPv4 clients. */
  readonly dualStack: boolean;
  /** Interface of a link-local address, else 0. */
  readonly scopeId: number;
}

/** Returns the socket that $LISTEN_FDS passes to this process; undefined if there is none. Throws
 *  `FatalError` if it is not exactly one listening TCP socket, or if -3 needs the same descriptor.
 *  Throws `Unsupported` without libc. */
export function inheritedListener(
  env: Env,
  runtime: Pick<Runtime, "name" | "libc">,
  options: Pick<Options, "keyPassword">,
): InheritedListener | undefined {
  // Variables for another process are ignored, such as those that a parent has not removed.
  if (env.LISTEN_PID !== String(process.pid)) return undefined;
  const text = env.LISTEN_FDS ?? "0";
  if (!/^[0-9]{1,7}$/.test(text)) {
    throw new FatalError(
      `unable to use $LISTEN_FDS: '${text}' is not a number`,
      undefined,
      "a supervisor sets it to the number of sockets; unset LISTEN_FDS and LISTEN_PID if none did",
    );
  }
  const count = Number(text);
  if (count === 0) return undefined;
  if (count > 1) {
    const names = env.LISTEN_FDNAMES ? ` (${env.LISTEN_FDNAMES})` : "";
    throw new FatalError(
      `unable to use $LISTEN_FDS: ${count} descriptors${names}, but only one is supported`,
      undefined,
      "use one ListenStream= in a .socket unit, and another pair of units for another address",
    );
  }
  if (options.keyPassword) {
    throw new FatalError(
      `unable to read the key's password from descriptor ${FIRST}: the socket of $LISTEN_FDS is there`,
      undefined,
      "store the key without a password, readable by root alone, and leave out -3",
    );
  }
  return examine(FIRST, requireLibc(runtime, "use the socket of $LISTEN_FDS"));
}

function examine(fd: number, libc: Libc): InheritedListener {
  const refuse = (cause: string, hint?: string): never => {
    throw new FatalError(`unable to use the socket of $LISTEN_FDS: ${cause}`, undefined, hint);
  };
  try {
    const { stream, listening } = libc.socketKind(fd);
    if (!stream) refuse("it is not a stream socket", "ListenStream= in the .socket unit");
    if (!listening) {
      refuse(
        "it does not listen; perhaps it is a connection",
        "Accept=no in the .socket unit: one server takes all connections",
      );
    }
    // Throws for a Unix socket, which has no address for rules.
    const { ip, port, family, scopeId = 0 } = libc.getsockname(fd);
    libc.setCloseOnExec(fd, true);
    libc.setNonBlocking(fd, true);
    return { fd, ip, port, dualStack: family === 6 && !libc.v6only(fd), scopeId };
  } catch (error) {
    if (error instanceof FatalError) throw error;
    return refuse(reason(error), "ListenStream= needs a port, or an address and a port");
  }
}

/** Throws `FatalError` unless the socket matches the operands `host` and `port`: with a mistake
 *  in a unit, the server must not serve another network than the command line says. Port 0
 *  matches any port. Host `0` matches any IPv4 address, `::` any IPv6 address that is not
 *  dual-stack, `:0` any address. Other addresses must be equal. */
export function checkInheritedAddress(
  inherited: InheritedListener,
  address: ListenAddress,
  libc: Pick<Libc, "interfaceIndex">,
): void {
  const own = parseIp(address.ip);
  const its = parseIp(inherited.ip);
  const scope = address.interface ? libc.interfaceIndex(address.interface) : 0;
  if (
    covers(own, its, address, inherited) &&
    (address.port === 0 || address.port === inherited.port) &&
    (scope === 0 || scope === inherited.scopeId)
  ) return;
  const shown = (ip: string, port: number, dualStack: boolean, via: string): string =>
    `${ip}${dualStack ? " (and IPv4)" : ""} port ${port}${via}`;
  const wanted = shown(
    address.ip,
    address.port,
    address.dualStack,
    address.interface ? ` (-I ${address.interface})` : "",
  );
  const { ip, port, dualStack } = inherited;
  throw new FatalError(
    `unable to listen on ${wanted}: the socket of $LISTEN_FDS is on ${
      shown(ip, port, dualStack, "")
    }`,
    undefined,
    "host and port must match the .socket unit; a bare port there is host :0",
  );
}

function covers(
  own: Ip,
  its: Ip,
  address: ListenAddress,
  inherited: InheritedListener,
): boolean {
  const wildcard = own.every((byte) => byte === 0);
  if (wildcard && address.dualStack) return true;
  if (own.length !== its.length) return false;
  if (!wildcard) return own.every((byte, i) => byte === its[i]);
  return !(inherited.dualStack && its.every((byte) => byte === 0));
}

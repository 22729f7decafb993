/** Stage 1: opens a listening socket for an address. */

import { FatalError, reason } from "../errors.ts";
import type { Libc } from "../runtime/libc/libc.ts";
import { needsFfi } from "../runtime/needs_ffi.ts";
import type { Listener, Runtime, Socket } from "../runtime/runtime.ts";
import type { ListenAddress } from "./address.ts";

/** Binds and listens. Returns the descriptor. Throws `FatalError`. */
export function listenSocket(
  libc: Pick<Libc, "listenSocket" | "interfaceIndex">,
  address: ListenAddress,
  warn: (text: string) => void,
): number {
  return naming(address, warn, ({ ip, port, dualStack, backlog }) =>
    libc.listenSocket({
      ip,
      port,
      backlog,
      v6only: !dualStack,
      ...(address.interface ? { scopeId: libc.interfaceIndex(address.interface) } : {}),
    }).fd);
}

/** Listens through the runtime's own API, for a runtime without libc. Throws `FatalError`. */
export function listenWithoutLibc(
  runtime: Pick<Runtime, "name" | "listen">,
  address: ListenAddress,
  warn: (text: string) => void,
  ...callbacks: SocketCallbacks
): Listener {
  const { name } = runtime;
  const { ip, dualStack } = address;
  if (address.interface) throw needsFfi("bind to an interface (-I)", name);
  if (ip === "::" && !dualStack) throw needsFfi("listen on IPv6 alone (host ::)", name);
  return naming(
    address,
    warn,
    ({ ip, port, backlog }) => runtime.listen({ ip, port, backlog }, ...callbacks),
  );
}

/** Callbacks of a listener. */
type SocketCallbacks = [onSocket: (socket: Socket) => void, onLost?: () => void];

/** Calls `listen` and adds the address to its errors. On a kernel without IPv6, `:0` means every
 *  IPv4 address. */
function naming<T>(
  address: ListenAddress,
  warn: (text: string) => void,
  listen: (address: ListenAddress) => T,
): T {
  const { ip, port, dualStack } = address;
  try {
    return listen(address);
  } catch (error) {
    if (error instanceof FatalError) throw error;
    const { code } = error as { code?: string };
    if (dualStack && code === "EAFNOSUPPORT") {
      warn("this system has no IPv6: host :0 means all IPv4 addresses");
      return naming({ ...address, ip: "0.0.0.0", dualStack: false }, warn, listen);
    }
    throw new FatalError(
      `unable to listen on ${ip} port ${port}: ${reason(error)}`,
      undefined,
      hint(code, port),
    );
  }
}

/** Binds and listens in one process. `onSocket` may be called before this returns. Throws
 *  `FatalError`. */
export function listen(
  runtime: Runtime,
  address: ListenAddress,
  warn: (text: string) => void,
  ...callbacks: SocketCallbacks
): Listener {
  const { libc } = runtime;
  if (!libc) return listenWithoutLibc(runtime, address, warn, ...callbacks);
  return runtime.listenDescriptor(listenSocket(libc, address, warn), address.backlog, ...callbacks);
}

function hint(code: string | undefined, port: number): string | undefined {
  switch (code) {
    case "EADDRINUSE":
      return `another server has this port; ss -ltnp 'sport = :${port}' shows it`;
    case "EACCES":
      return "ports below 1024 need root, or the capability CAP_NET_BIND_SERVICE";
    case "EAFNOSUPPORT":
      return "this system has no IPv6; host 0 means all IPv4 addresses";
    case "EADDRNOTAVAIL":
      return "host must be an address of this machine; 0 means all of them";
    case "ENODEV":
      return "-I needs the name of an interface; ip link shows them";
    case undefined:
      return "host is an address of this machine, or a name; 0 and :: mean all";
    default:
      return undefined;
  }
}

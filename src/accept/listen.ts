/** Stage 1: from host and port to a listening socket. */

import { latin1 } from "../codec/bytes.ts";
import { parseIp, unmapIp } from "../codec/ip.ts";
import { FatalError, reason, Unsupported } from "../errors.ts";
import { localFiles } from "../files/files.ts";
import type { Libc } from "../runtime/libc/libc.ts";
import type { Listener, Runtime, Socket } from "../runtime/runtime.ts";

/** Where to listen, with everything looked up. */
export interface ListenAddress {
  ip: string;
  port: number;
  /** `::` takes IPv6 only, but for the host `:0`. */
  dualStack: boolean;
  /** -I, by name. */
  interface: string | undefined;
  backlog: number;
}

/** `0` and `0.0.0.0` are all IPv4, `::` all IPv6, `:0` both; a literal stands for itself;
 *  undefined: a name, to be looked up. */
export function literalHost(host: string): { ip: string; dualStack: boolean } | undefined {
  if (host === "0") return { ip: "0.0.0.0", dualStack: false };
  if (host === ":0") return { ip: "::", dualStack: true };
  const bare = /^\[(.*)\]$/.exec(host)?.[1] ?? host;
  if (/^[0-9]{1,3}(\.[0-9]{1,3}){3}$/.test(bare) || bare.includes(":")) {
    return { ip: bare, dualStack: false };
  }
  return undefined;
}

/** The address that a host's name has led to. The DNS must not decide that the server listens on every
 *  address, or on one that no connection is ever for. Throws `FatalError`. */
export function checkNamed(host: string, ip: string): void {
  const bytes = unmapIp(parseIp(ip));
  const [first = 0] = bytes;
  const four = bytes.length === 4;
  const every = bytes.every((byte) => byte === 0);
  if (!every && !(four ? first >= 224 : first === 0xff)) return;
  throw new FatalError(
    `unable to listen on ${JSON.stringify(host)}: the name leads to ${ip}, ${
      every ? "which means every address" : "which is no address of one host"
    }`,
    undefined,
    "give host as an address of this machine; 0 or :: mean all of them",
  );
}

/** Bytes; Debian's has 13 KB. */
const MAX_SERVICES = 4 << 20;

/** A number from 0 to 65535 or a name from /etc/services. Throws `FatalError`. */
export function portNumber(port: string, services = "/etc/services"): number {
  if (/^[0-9]+$/.test(port)) {
    const number = Number(port);
    if (number > 65_535) {
      throw new FatalError(
        `unable to use port ${port}: above 65535`,
        undefined,
        "port is a number up to 65535, 0 for any free one, or a service's name",
      );
    }
    return number;
  }
  let text = "";
  try {
    text = latin1(localFiles.read(services, MAX_SERVICES));
  } catch (error) {
    throw new FatalError(
      `unable to find port ${port}: ${reason(error)}`,
      undefined,
      "give the port as a number",
    );
  }
  for (const line of text.split("\n")) {
    const [name, numbered = "", ...aliases] = (line.split("#")[0] ?? "").split(/\s+/);
    const [number, protocol] = numbered.split("/");
    if (protocol === "tcp" && (name === port || aliases.includes(port))) return Number(number);
  }
  throw new FatalError(
    `unable to find port ${port}: no such tcp service in ${services}`,
    undefined,
    "give the port as a number",
  );
}

/** Binds and listens: the descriptor. Needs libc. Throws `FatalError`. */
export function listenSocket(
  libc: Pick<Libc, "listenSocket" | "interfaceIndex">,
  address: ListenAddress,
  warn: (text: string) => void,
): number {
  return naming(address, warn, ({ ip, port, dualStack, backlog }) =>
    libc.listenSocket({
      ip,
      port,
      family: ip.includes(":") ? 6 : 4,
      backlog,
      v6only: !dualStack,
      ...(address.interface ? { scopeId: libc.interfaceIndex(address.interface) } : {}),
    }).fd);
}

/** Listens by the runtime's own means, where there is no libc. Throws `FatalError`. */
export function listenWithoutLibc(
  runtime: Pick<Runtime, "name" | "listen">,
  address: ListenAddress,
  warn: (text: string) => void,
  ...told: Told
): Listener {
  const { ip, dualStack } = address;
  if (address.interface) throw needsFfi(runtime, "bind to an interface (-I)");
  if (ip === "::" && !dualStack) throw needsFfi(runtime, "listen on IPv6 alone (host ::)");
  return naming(
    address,
    warn,
    ({ ip, port, backlog }) => runtime.listen({ ip, port, backlog }, ...told),
  );
}

/** Who is told of connections. */
type Told = [onSocket: (socket: Socket) => void, onLost?: () => void];

/** Says which address it is about. `:0` is every address there is: with a kernel that has no IPv6, every
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
      warn("this system has no IPv6: host :0 is every IPv4 address alone");
      return naming({ ...address, ip: "0.0.0.0", dualStack: false }, warn, listen);
    }
    throw new FatalError(
      `unable to listen on ${ip} port ${port}: ${reason(error)}`,
      undefined,
      hint(code, port),
    );
  }
}

/** Binds and listens in one process. Connections may come at once, before this returns. Throws
 *  `FatalError`. */
export function listen(
  runtime: Runtime,
  address: ListenAddress,
  warn: (text: string) => void,
  ...told: Told
): Listener {
  const { libc } = runtime;
  if (!libc) return listenWithoutLibc(runtime, address, warn, ...told);
  return runtime.listenDescriptor(listenSocket(libc, address, warn), address.backlog, ...told);
}

function needsFfi(runtime: Pick<Runtime, "name">, what: string): Unsupported {
  return new Unsupported(what, `${runtime.name} without FFI`, "allow FFI: deno run --allow-ffi");
}

function hint(code: string | undefined, port: number): string | undefined {
  switch (code) {
    case "EADDRINUSE":
      return `another server has this port; ss -ltnp 'sport = :${port}' shows it`;
    case "EACCES":
      return "ports below 1024 want root, or the capability CAP_NET_BIND_SERVICE";
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

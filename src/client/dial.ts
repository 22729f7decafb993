/** Finds the addresses of a server and connects to one of them, within the time limits of -T. It
 *  knows nothing of TLS. */

import { portNumber } from "../accept/address.ts";
import { ipOrUndefined } from "../codec/ip.ts";
import type { ClientOptions } from "../config/client_options.ts";
import type { Env } from "../config/variables.ts";
import { FatalError, reason } from "../errors.ts";
import { requireLibc } from "../runtime/needs_ffi.ts";
import type { ClientSocket, ConnectTarget, Runtime } from "../runtime/runtime.ts";
import { isThisMachine } from "./host_name.ts";

/** Where to connect, and the time limits. */
export type DialOptions = Pick<
  ClientOptions,
  "host" | "port" | "family" | "timeout" | "localIp" | "localPort" | "interface"
>;

/** What dialling needs beyond the options. */
export interface DialServices {
  readonly runtime: Runtime;
  readonly env: Env;
  /** Aborts `dial`, which then rejects with the signal's reason. */
  readonly signal: AbortSignal;
}

/** The addresses of this machine, for the host `0`. */
const THIS_MACHINE = ["127.0.0.1", "::1"];

/** Connects to the first address of the host that answers. Rejects with `FatalError`, or with the
 *  signal's reason. */
export async function dial(options: DialOptions, services: DialServices): Promise<ClientSocket> {
  const { host, timeout: { first, further } } = options;
  const port = portNumber(options.port);
  const { name, zone = options.interface } = withoutZone(host);
  const ips = await addresses(name, options, services);
  const targets = ips.map((ip): ConnectTarget => ({
    ip,
    port,
    ...localEnd(options),
    ...(isLinkLocal(ip) ? scope(zone, services) : {}),
  }));
  const rounds = targets.length === 1 ? [first + further] : [first, further];
  const failures = new Map<ConnectTarget, unknown>();
  let waiting = targets;
  for (const seconds of rounds) {
    const late: ConnectTarget[] = [];
    for (const target of waiting) {
      const result = await attempt(target, seconds, services);
      if ("socket" in result) return result.socket;
      failures.set(target, result.error);
      if (result.error === TIMED_OUT) late.push(target);
    }
    waiting = late;
  }
  throw notConnected(host, port, failures);
}

const TIMED_OUT = new Error("timed out");

/** One attempt. Rejects only when the signal of the services aborts. */
async function attempt(
  target: ConnectTarget,
  seconds: number,
  { runtime, signal }: DialServices,
): Promise<{ socket: ClientSocket } | { error: unknown }> {
  if (seconds === 0) return { error: TIMED_OUT };
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(TIMED_OUT), seconds * 1000);
  const follow = (): void => controller.abort(signal.reason);
  signal.addEventListener("abort", follow);
  try {
    signal.throwIfAborted();
    return { socket: await runtime.connect(target, controller.signal) };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof FatalError) throw error; // the runtime cannot connect like this
    return { error };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", follow);
  }
}

/** The addresses to try, in order. The DNS is loaded only for a name. */
async function addresses(
  host: string,
  { family }: DialOptions,
  services: DialServices,
): Promise<readonly string[]> {
  const own = isThisMachine(host) || /^(.*\.)?localhost\.?$/i.test(host)
    ? THIS_MACHINE
    : ipOrUndefined(host)
    ? [host]
    : undefined;
  if (!own) return await (await import("./names.ts")).serverAddresses(host, family ?? 0, services);
  const some = own.filter((ip) => !family || (ip.includes(":") ? 6 : 4) === family);
  if (some.length > 0) return some;
  throw new FatalError(
    `unable to connect to ${JSON.stringify(host)}: it has no IPv${family} address`,
  );
}

/** Splits `fe80::1%eth0`. */
function withoutZone(host: string): { name: string; zone?: string } {
  const [, ip = "", zone] = /^([^%]*:[^%]*)%(.+)$/.exec(host) ?? [];
  return zone === undefined ? { name: host } : { name: ip, zone };
}

function localEnd({ localIp, localPort }: DialOptions): Partial<ConnectTarget> {
  return {
    ...(localIp === undefined ? {} : { localIp }),
    ...(localPort === undefined ? {} : { localPort }),
  };
}

/** The interface of a link-local address, given by name or number. Throws `FatalError`. */
function scope(
  zone: string | undefined,
  { runtime }: Pick<DialServices, "runtime">,
): { scopeId?: number } {
  if (zone === undefined) return {};
  if (/^[0-9]{1,9}$/.test(zone)) return { scopeId: Number(zone) };
  try {
    return { scopeId: requireLibc(runtime, "find an interface (-I)").interfaceIndex(zone) };
  } catch (error) {
    if (error instanceof FatalError) throw error;
    throw new FatalError(
      `unable to use interface ${zone}: ${reason(error)}`,
      undefined,
      "-I needs the name of an interface; ip link shows them",
    );
  }
}

const isLinkLocal = (ip: string): boolean => /^fe[89ab]/i.test(ip);

function notConnected(
  host: string,
  port: number,
  failures: ReadonlyMap<ConnectTarget, unknown>,
): FatalError {
  const all = [...failures].map(([{ ip }, error]) => ({ ip, why: reason(error) }));
  const alone = all.length === 1 && ipOrUndefined(host) ? all[0]?.why : undefined;
  const why = alone ?? all.map(({ ip, why }) => `${ip}: ${why}`).join("; ");
  return new FatalError(`unable to connect to ${JSON.stringify(host)} port ${port}: ${why}`);
}

/** What the monitor tells a worker at its start, as it is and as it travels: JSON, with networks as text.
 *  Pure: no I/O. */

import { formatNetwork, type Network, parseNetwork } from "../codec/ip.ts";
import { defaults, type Options } from "../config/options.ts";
import type { MetricsAddress } from "../config/metrics_address.ts";
import type { KeyPair } from "../runtime/runtime.ts";
import type { Identity } from "./identity.ts";
import { count, flag, list, object, oneOf, optional, type Shape, text, texts } from "./shapes.ts";

export interface Init {
  /** The monitor's: its worker is of the same. */
  readonly version: string;
  readonly options: Options;
  /** The part of the environment that a worker sees. */
  readonly env: Readonly<Record<string, string>>;
  readonly identity: Identity;
  /** How many workers there are, and which of them this is, from 0. */
  readonly workers: number;
  readonly index: number;
  /** This one speaks for all where one line is enough. */
  readonly speaks: boolean;
  /** It takes the place of one that has ended: what was said at start has been said. */
  readonly again: boolean;
  /** The host is a name, which the worker is to look up. */
  readonly resolve: boolean;
  /** A supervisor has the listening socket too, and keeps it. */
  readonly inherited: boolean;
  /** Of encrypted keys (-3). */
  readonly password?: string;
  /** --self-signed. */
  readonly keyPair?: KeyPair;
}

/** For INIT. */
export function packInit(init: Init): unknown {
  const { options } = init;
  return { ...init, options: { ...options, proxyFrom: options.proxyFrom?.map(formatNetwork) } };
}

/** The version in INIT, which is looked at before anything else: another one may say the rest in another
 *  way. Undefined: it has none. */
export function versionOf(packed: unknown): string | undefined {
  const { version } = packed as { version?: unknown } ?? {};
  return typeof version === "string" ? version : undefined;
}

/** Throws `DecodeError` for anything but what `packInit` makes. */
export function unpackInit(packed: unknown): Init {
  return INIT(packed, "init");
}

/** What a worker opens later: only rules can name such files. */
export function fileAccess(
  { rules, earlyRules }: Pick<Options, "rules" | "earlyRules">,
): "none" | "read" {
  return rules === undefined && earlyRules === undefined ? "none" : "read";
}

const network: Shape<Network> = (value, name) => parseNetwork(text(value, name));

const metrics: Shape<MetricsAddress> = (value, name) =>
  typeof value === "object" && value && "path" in value
    ? object<MetricsAddress & { path: string }>({ path: text })(value, name)
    : object<MetricsAddress & { host: string }>({ host: text, port: count })(value, name);

const members = object<Options>({
  verbosity: oneOf([0, 1, 2, 3]),
  log: oneOf(["text", "json"]),
  printPort: flag,
  workers: optional(count),
  drainTimeout: optional(count),
  killAfter: optional(count),
  notifyFd: optional(count),
  family: optional(oneOf([4, 6])),
  concurrency: count,
  pending: count,
  rules: optional(text),
  earlyRules: optional(text),
  allowMissingRules: flag,
  banner: optional(text),
  gid: optional(count),
  uid: optional(count),
  group: optional(text),
  user: optional(text),
  groups: optional(list(count)),
  interface: optional(text),
  backlog: count,
  keepIpOptions: flag,
  noDelay: flag,
  identTimeout: count,
  handshakeTimeout: count,
  idleTimeout: count,
  delayed: flag,
  tlsVariables: flag,
  tcpVariables: flag,
  keyPassword: flag,
  clientCertificate: oneOf(["none", "valid", "match"]),
  remoteName: flag,
  paranoid: flag,
  localName: optional(text),
  ident: flag,
  proxyFrom: optional(list(network)),
  selfSigned: flag,
  metrics: optional(metrics),
  check: flag,
  host: text,
  port: text,
  command: list(text),
});

/** JSON leaves out what is undefined. */
const options: Shape<Options> = (value, name) => ({ ...defaults(), ...members(value, name) });

const INIT = object<Init>({
  version: text,
  options,
  env: texts,
  identity: object<Identity>({
    uid: optional(count),
    gid: optional(count),
    chroot: optional(text),
  }),
  workers: count,
  index: count,
  speaks: flag,
  again: flag,
  resolve: flag,
  inherited: flag,
  password: optional(text),
  keyPair: optional(object<KeyPair>({ chain: text, key: text })),
});

/** The data of INIT, which the monitor sends to a worker at its start, and its form on the wire:
 *  JSON, with networks as text. Pure: no I/O. */

import { formatNetwork, type Network, parseNetwork } from "../codec/ip.ts";
import { defaults, type HandlerChoice, type Options } from "../config/options.ts";
import type { MetricsAddress } from "../config/metrics_address.ts";
import type { KeyPair } from "../runtime/runtime.ts";
import type { Identity } from "./identity.ts";
import {
  count,
  flag,
  list,
  object,
  oneOf,
  optional,
  seconds,
  type Shape,
  text,
  texts,
} from "./shapes.ts";

export interface Init {
  /** The monitor's version. A worker of another version does not serve. */
  readonly version: string;
  readonly options: Options;
  /** The part of the environment that a worker sees. */
  readonly env: Readonly<Record<string, string>>;
  readonly identity: Identity;
  /** How many workers there are, and which of them this is, from 0. */
  readonly workers: number;
  readonly index: number;
  /** True for the one worker that logs what should be logged once for all. */
  readonly logsForAll: boolean;
  /** True if it replaces a worker that has ended: what was logged at start is not logged again. */
  readonly again: boolean;
  /** True if the host is a name that the worker must look up. */
  readonly resolve: boolean;
  /** True if a supervisor has the listening socket too, and keeps it. */
  readonly inherited: boolean;
  /** The password of encrypted keys (-3). */
  readonly password?: string;
  /** With --self-signed. */
  readonly keyPair?: KeyPair;
}

/** Returns what INIT carries. */
export function packInit(init: Init): unknown {
  const { options } = init;
  return { ...init, options: { ...options, proxyFrom: options.proxyFrom?.map(formatNetwork) } };
}

/** Returns the version in INIT, undefined if there is none. It is checked first, because another
 *  version may have another form of INIT. */
export function versionOf(packed: unknown): string | undefined {
  const { version } = packed as { version?: unknown } ?? {};
  return typeof version === "string" ? version : undefined;
}

/** Throws `DecodeError` for anything but what `packInit` makes. */
export function unpackInit(packed: unknown): Init {
  return INIT(packed, "init");
}

const network: Shape<Network> = (value, name) => parseNetwork(text(value, name));

const metrics: Shape<MetricsAddress> = (value, name) =>
  typeof value === "object" && value && "path" in value
    ? object<MetricsAddress & { path: string }>({ path: text })(value, name)
    : object<MetricsAddress & { host: string }>({ host: text, port: count })(value, name);

/** Refuses the others: a module and the handlers of s_server never serve in a worker. */
const handler: Shape<HandlerChoice> = (value, name) =>
  typeof value === "object" && value && "folder" in value
    ? object<HandlerChoice & { folder: string }>({ kind: oneOf(["files"]), folder: text })(
      value,
      name,
    )
    : object<HandlerChoice & { kind: "echo" | "www" }>({ kind: oneOf(["echo", "www"]) })(
      value,
      name,
    );

const members = object<Options>({
  verbosity: oneOf([0, 1, 2, 3]),
  name: text,
  log: oneOf(["text", "json", "s6"]),
  trace: oneOf(["nothing", "messages", "bytes"]),
  printPort: flag,
  closeStdout: flag,
  signals: oneOf(["own", "s6"]),
  workers: optional(count),
  drainTimeout: optional(count),
  killAfter: optional(count),
  notifyFd: optional(count),
  family: optional(oneOf([4, 6])),
  concurrency: count,
  perAddress: optional(count),
  pending: count,
  rules: optional(text),
  earlyRules: optional(text),
  allowMissingRules: flag,
  accessDir: optional(text),
  accessCdb: optional(text),
  banner: optional(text),
  earlyBanner: optional(text),
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
  handshakeTimeout: seconds,
  idleTimeout: count,
  delayed: flag,
  variables: oneOf(["ucspi", "s6"]),
  tlsVariables: flag,
  tcpVariables: flag,
  closeNotify: flag,
  enforceCloseNotify: flag,
  keyPassword: flag,
  clientCertificate: oneOf(["none", "valid", "match", "optional", "asked", "sent"]),
  revocation: oneOf(["listed", "leaf", "all"]),
  keylog: optional(text),
  tickets: flag,
  cipherOrder: oneOf(["library", "server", "client"]),
  serverNames: oneOf(["used", "only", "ignored"]),
  remoteName: flag,
  paranoid: flag,
  deniesMismatch: flag,
  hosts: flag,
  ownName: flag,
  strictResolution: flag,
  lookupTimeout: optional(seconds),
  localName: optional(text),
  ident: flag,
  proxyFrom: optional(list(network)),
  selfSigned: flag,
  metrics: optional(metrics),
  check: flag,
  handler: optional(handler),
  host: text,
  port: text,
  command: list(text),
});

/** JSON omits undefined members; the defaults put them back. */
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
  logsForAll: flag,
  again: flag,
  resolve: flag,
  inherited: flag,
  password: optional(text),
  keyPair: optional(object<KeyPair>({ chain: text, key: text })),
});

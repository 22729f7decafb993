/** The result of the command line: the fields of `Options` with their units and defaults, and
 *  what can be printed instead of serving. parse.ts reads the arguments. */

import type { Network } from "../codec/ip.ts";
import { UsageError } from "../errors.ts";
import type { MetricsAddress } from "./metrics_address.ts";

/** The handler that serves connections in place of a program. */
export type HandlerChoice =
  | { readonly kind: "echo" | "www" }
  | { readonly kind: "files"; readonly folder: string }
  /** Of s_server; no option of sslserver sets them. `answers`: each file is a complete HTTP response,
   *  which is sent as it is. */
  | { readonly kind: "terminal" | "reverse" }
  | { readonly kind: "answers"; readonly folder: string }
  /** --handler: `command` has the arguments of the module. */
  | { readonly kind: "handler"; readonly file: string };

/** The values of the options. Times are in seconds. */
export interface Options {
  /** 0 nothing, 1 errors, 2 status lines too, 3 TLS lines too. */
  verbosity: 0 | 1 | 2 | 3;
  /** The program's name in the log. */
  name: string;
  log: "text" | "json" | "s6";
  /** --trace, --trace-bytes: log what is sent in the clear, or also every byte. */
  trace: "nothing" | "messages" | "bytes";
  /** -1: print the port to stdout when the server accepts connections. */
  printPort: boolean;
  /** Standard output is closed when the server accepts connections. No option sets it. */
  closeStdout: boolean;
  /** The set of signal meanings: see commands/signals.ts. No option sets it. */
  signals: "own" | "s6";
  /** --workers: number of processes that speak to the network; 0: one process does everything.
   *  Undefined: 1, or 0 if this process cannot start itself again. */
  workers: number | undefined;
  /** --drain-timeout: seconds that connections may last after SIGTERM. Undefined: no limit. */
  drainTimeout: number | undefined;
  /** --kill-after: seconds from SIGTERM to SIGKILL for a program. Undefined: no SIGKILL. */
  killAfter: number | undefined;
  /** --notify-fd: the descriptor on which s6 waits for a newline. */
  notifyFd: number | undefined;
  /** -4, -6: address family in which `host` is resolved. */
  family: 4 | 6 | undefined;
  /** -c: most programs at once. */
  concurrency: number;
  /** Maximum number of connections of one address, not above -c; overrides MAXCONIP. No option sets
   *  it. */
  perAddress: number | undefined;
  /** --pending: most connections that have not completed admission and handshake. */
  pending: number;
  /** -x, -y: rules files, after and before DNS and ident. */
  rules: string | undefined;
  earlyRules: string | undefined;
  /** -X: a rules file may be missing. */
  allowMissingRules: boolean;
  /** --access-dir, --access-cdb: s6's access rules. At most one of them, and none of the three
   *  above. */
  accessDir: string | undefined;
  accessCdb: string | undefined;
  banner: string | undefined;
  /** --early-banner: text in the clear, before rules, look-ups and TLS. */
  earlyBanner: string | undefined;
  gid: number | undefined;
  uid: number | undefined;
  /** -g and -u by name: `withIds` (privsep/identity.ts) looks them up. */
  group: string | undefined;
  user: string | undefined;
  /** -U: supplementary groups from $GIDLIST. */
  groups: number[] | undefined;
  /** -I: interface of a link-local address. */
  interface: string | undefined;
  backlog: number;
  keepIpOptions: boolean;
  /** -D and the default: TCP_NODELAY. */
  noDelay: boolean;
  /** 0: no limit. */
  identTimeout: number;
  /** 0: no limit. */
  handshakeTimeout: number;
  idleTimeout: number;
  /** -n: the program decides when TLS begins (UCSPI-TLS). */
  delayed: boolean;
  /** --variables: those that describe a connection to its program. `s6`: those of s6-tlsserver. */
  variables: "ucspi" | "s6";
  /** -s: mod_ssl's variables. */
  tlsVariables: boolean;
  /** -e: tcpserver's variables. */
  tcpVariables: boolean;
  /** False: output ends with FIN alone (--no-close-notify). */
  closeNotify: boolean;
  /** --enforce-close-notify: a client's FIN without close_notify breaks the connection. */
  enforceCloseNotify: boolean;
  /** -3: the password of the key is read from descriptor 3. */
  keyPassword: boolean;
  /** -Z, -m, -z; `optional`: --client-cert. No option sets the other two, which admit an invalid
   *  certificate and report it: `asked` asks for one, `sent` requires one. */
  clientCertificate: "none" | "valid" | "match" | "optional" | "asked" | "sent";
  /** When client certificates are checked for revocation: `listed`, all of a chain if there are
   *  lists; `leaf` and `all`, also if there are none. No option sets it. */
  revocation: "listed" | "leaf" | "all";
  /** --keylog: the file to which the secrets of TLS connections are appended. */
  keylog: string | undefined;
  /** False: no session tickets. No option sets it. */
  tickets: boolean;
  /** Whose order of cipher suites and groups counts. `library`: as the TLS library does it. No
   *  option sets the other two. */
  cipherOrder: "library" | "server" | "client";
  /** The use of variables like `CERTFILE:name`. `only`: a client must ask for one of these names.
   *  `ignored`: all clients get the default certificate. No option sets it. */
  serverNames: "used" | "only" | "ignored";
  /** -h, -H. */
  remoteName: boolean;
  paranoid: boolean;
  /** With -p: a client whose name does not resolve to its address is denied. No option sets it. */
  deniesMismatch: boolean;
  /** --hosts: /etc/hosts is read before DNS is asked. */
  hosts: boolean;
  /** False: no name is looked up for the server's own address. No option sets it; -l with a name
   *  has the same effect. */
  ownName: boolean;
  /** --strict-resolution: a failed look-up denies the client. */
  strictResolution: boolean;
  /** --lookup-timeout: seconds for all look-ups of a client. Undefined: no limit. */
  lookupTimeout: number | undefined;
  /** -l. */
  localName: string | undefined;
  ident: boolean;
  /** --proxy-from: networks that must send a PROXY header. Undefined: no peer may send one. */
  proxyFrom: Network[] | undefined;
  /** --self-signed. */
  selfSigned: boolean;
  /** --metrics: the address of the endpoint. */
  metrics: MetricsAddress | undefined;
  /** --check: report problems of the configuration instead of serving. */
  check: boolean;
  /** --echo, --www, --files or --handler: the handler that serves in place of a program. `command`
   *  is then empty or, for --handler, has the arguments of the module. */
  handler: HandlerChoice | undefined;
  host: string;
  port: string;
  command: string[];
}

/** What to print instead of serving. */
export type Print =
  | { print: "help" | "version" }
  | { print: "manual"; page: Page }
  /** Empty or `list`: the list of all. */
  | { print: "example"; name: string }
  | { print: "completion"; shell: Shell };

export type ParsedArguments = Print | { serve: Options };

/** The options of a command line without any. */
export function defaults(): Options {
  return {
    verbosity: 1,
    name: "sslserver",
    log: "text",
    trace: "nothing",
    printPort: false,
    closeStdout: false,
    signals: "own",
    workers: undefined,
    drainTimeout: undefined,
    killAfter: undefined,
    notifyFd: undefined,
    family: undefined,
    concurrency: 40,
    perAddress: undefined,
    pending: 1000,
    rules: undefined,
    earlyRules: undefined,
    allowMissingRules: false,
    accessDir: undefined,
    accessCdb: undefined,
    banner: undefined,
    earlyBanner: undefined,
    gid: undefined,
    uid: undefined,
    group: undefined,
    user: undefined,
    groups: undefined,
    interface: undefined,
    backlog: 1024,
    keepIpOptions: false,
    noDelay: true,
    identTimeout: 26,
    handshakeTimeout: 26,
    idleTimeout: 3600,
    delayed: false,
    variables: "ucspi",
    tlsVariables: false,
    tcpVariables: false,
    closeNotify: true,
    enforceCloseNotify: false,
    keyPassword: false,
    clientCertificate: "none",
    revocation: "listed",
    keylog: undefined,
    tickets: true,
    cipherOrder: "library",
    serverNames: "used",
    remoteName: true,
    paranoid: false,
    deniesMismatch: false,
    hosts: false,
    ownName: true,
    strictResolution: false,
    lookupTimeout: undefined,
    localName: undefined,
    ident: false,
    proxyFrom: undefined,
    selfSigned: false,
    metrics: undefined,
    check: false,
    handler: undefined,
    host: "",
    port: "",
    command: [],
  };
}

/** True if the server itself answers HTTP requests, by HTTP/1.1 alone. s_server does not count: it agrees on what -alpn
 *  lists, as OpenSSL's does. */
export function servesHttp1({ handler, name }: Pick<Options, "handler" | "name">): boolean {
  return (handler?.kind === "www" || handler?.kind === "files") && name !== "s_server";
}

/** True with rules of any kind. Rules can set variables, which can set limits and name files. */
export function hasRules({ rules, earlyRules, accessDir, accessCdb }: RuleOptions): boolean {
  return [rules, earlyRules, accessDir, accessCdb].some((path) => path !== undefined);
}

export type RuleOptions = Pick<Options, "rules" | "earlyRules" | "accessDir" | "accessCdb">;

/** Throws `UsageError` if options name rules of several kinds, because it is not clear which of
 *  them deny by default. */
export function refuseSeveralRules(
  { accessDir, accessCdb, rules, earlyRules, allowMissingRules }: Options,
): void {
  if (accessDir === undefined && accessCdb === undefined) return;
  const access = accessDir === undefined ? "--access-cdb" : "--access-dir";
  const other = accessDir !== undefined && accessCdb !== undefined
    ? "--access-cdb"
    : rules !== undefined
    ? "-x"
    : earlyRules !== undefined
    ? "-y"
    : allowMissingRules
    ? "-X"
    : undefined;
  if (other === undefined) return;
  throw new UsageError(`${access} and ${other} exclude each other`, `leave ${other} out`);
}

/** The values of --completion. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

export type Shell = typeof SHELLS[number];

/** The values of --man. The first one is the default. */
export const PAGES = [
  "sslserver",
  "s6-tlsserver",
  "sslhandle",
  "s_server",
  "sslclient",
  "sslcat",
  "sslconnect",
  "https@",
  "tcprules",
  "tcprulescheck",
  "ucspi-tls",
  "sslserver-environment",
] as const;

export type Page = typeof PAGES[number];

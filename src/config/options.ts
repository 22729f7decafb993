/** The command line: from arguments to what is to be done. POSIX getopt: clusters (`-vHRl0`), values
 *  attached or separate, the last one wins, options end at the first operand or at `--`. Digits are
 *  options (-1 -3 -4 -6). What is ours alone is a long option. */

import type { Network } from "../codec/ip.ts";
import { UsageError } from "../errors.ts";
import type { MetricsAddress } from "../metrics/address.ts";
import { oneOff } from "./one_off.ts";
import { type Env, type Option, OPTIONS, type Page, type Shell } from "./option_table.ts";

/** What the options say; times are in seconds. */
export interface Options {
  /** 0 nothing, 1 errors, 2 status lines too, 3 TLS lines too. */
  verbosity: 0 | 1 | 2 | 3;
  log: "text" | "json";
  /** -1: the port goes to stdout when connections can come in. */
  printPort: boolean;
  /** --workers: how many processes speak to the network; 0: one process does everything. Undefined:
   *  1, or 0 where this process may not start itself again. */
  workers: number | undefined;
  /** --drain-timeout: seconds that connections may last after SIGTERM. Undefined: as they like. */
  drainTimeout: number | undefined;
  /** --kill-after: seconds from SIGTERM to SIGKILL for a program. Undefined: no SIGKILL. */
  killAfter: number | undefined;
  /** --notify-fd: where s6 waits for a newline. */
  notifyFd: number | undefined;
  /** -4, -6: address family in which `host` is resolved. */
  family: 4 | 6 | undefined;
  /** -c: programs at once. */
  concurrency: number;
  /** --pending: connections at once that have not finished admission and handshake. */
  pending: number;
  /** -x, -y: rules files, after and before DNS and ident. */
  rules: string | undefined;
  earlyRules: string | undefined;
  /** -X: a rules file may be missing. */
  allowMissingRules: boolean;
  banner: string | undefined;
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
  identTimeout: number;
  handshakeTimeout: number;
  idleTimeout: number;
  /** -n: the program decides when TLS begins (UCSPI-TLS). */
  delayed: boolean;
  /** -s: mod_ssl's variables. */
  tlsVariables: boolean;
  /** -e: tcpserver's variables. */
  tcpVariables: boolean;
  /** -3: the password of the key is read from descriptor 3. */
  keyPassword: boolean;
  /** -Z, -m, -z. */
  clientCertificate: "none" | "valid" | "match";
  /** -h, -H. */
  remoteName: boolean;
  paranoid: boolean;
  /** -l. */
  localName: string | undefined;
  ident: boolean;
  /** --proxy-from: who must begin with a PROXY header. Undefined: nobody may. */
  proxyFrom: Network[] | undefined;
  /** --self-signed. */
  selfSigned: boolean;
  /** --metrics: where they are fetched. */
  metrics: MetricsAddress | undefined;
  /** --check: say what is wrong instead of serving. */
  check: boolean;
  host: string;
  port: string;
  command: string[];
}

/** Something to be printed instead of served. */
export type Print =
  | { print: "help" | "version" }
  | { print: "manual"; page: Page }
  | { print: "completion"; shell: Shell };

export type Request = Print | { serve: Options };

/** Nothing given. */
export function defaults(): Options {
  return {
    verbosity: 1,
    log: "text",
    printPort: false,
    workers: undefined,
    drainTimeout: undefined,
    killAfter: undefined,
    notifyFd: undefined,
    family: undefined,
    concurrency: 40,
    pending: 1000,
    rules: undefined,
    earlyRules: undefined,
    allowMissingRules: false,
    banner: undefined,
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
    tlsVariables: false,
    tcpVariables: false,
    keyPassword: false,
    clientCertificate: "none",
    remoteName: true,
    paranoid: false,
    localName: undefined,
    ident: false,
    proxyFrom: undefined,
    selfSigned: false,
    metrics: undefined,
    check: false,
    host: "",
    port: "",
    command: [],
  };
}

const BY_NAME = new Map(
  OPTIONS.flatMap(({ options }) => options).map((option) => [option.name, option]),
);

/** Reads the arguments after the program's name. Throws `UsageError`. */
export function parseOptions(argv: readonly string[], env: Env): Request {
  const options = defaults();
  let i = 0;
  for (; i < argv.length; i++) {
    const arg = argv[i] as string;
    if (arg === "--") {
      i++;
      break;
    }
    if (!arg.startsWith("-") || arg.length === 1) break;
    const read = arg.startsWith("--") ? longOption : cluster;
    const { taken, print } = read(options, arg, argv[i + 1], env);
    if (print) return print;
    i += taken;
  }
  const [host, port, ...command] = argv.slice(i);
  if (host === undefined) throw new UsageError("host, port and prog are missing");
  refuseJoined(host);
  if (port === undefined) throw new UsageError("port and prog are missing");
  if (command.length === 0) throw new UsageError("prog is missing");
  return { serve: { ...options, host, port, command } };
}

/** `localhost:465`. No name has a colon, and an IPv6 address has several or stands in brackets. */
function refuseJoined(host: string): void {
  const [, alone, port] = /^([^:]+|\[[^\]]*\]):([0-9A-Za-z-]+)$/.exec(host) ?? [];
  if (alone === undefined || port === undefined) return;
  throw new UsageError(`host and port are one word: '${host}'`, `write ${alone} ${port}`);
}

/** How many further arguments were taken; and what is to be printed, which ends the reading. */
interface Read {
  taken: 0 | 1;
  print?: Print | void;
}

/** `--name value` or `--name=value`. */
function longOption(options: Options, arg: string, next: string | undefined, env: Env): Read {
  const equals = arg.indexOf("=");
  const name = equals < 0 ? arg : arg.slice(0, equals);
  const option = find(name);
  if (option.value === undefined) {
    if (equals >= 0) throw new UsageError(`option ${name} takes no value`);
    return { taken: 0, print: option.set(options, "", env) };
  }
  const optional = option.value.startsWith("[");
  const value = equals >= 0 ? arg.slice(equals + 1) : next ?? (optional ? "" : undefined);
  if (value === undefined) throw missingValue(name);
  return { taken: equals < 0 ? 1 : 0, print: option.set(options, value, env) };
}

/** `-vHRl0`: flags, and at the end perhaps one that takes the rest, or the next argument. */
function cluster(options: Options, arg: string, next: string | undefined, env: Env): Read {
  for (let at = 1; at < arg.length; at++) {
    const name = `-${arg[at]}`;
    const option = find(name, arg);
    if (option.value === undefined) {
      option.set(options, "", env);
      continue;
    }
    const attached = arg.slice(at + 1);
    const value = attached || next;
    if (value === undefined) throw missingValue(name);
    option.set(options, value, env);
    return { taken: attached ? 0 : 1 };
  }
  return { taken: 0 };
}

/** `arg` is the whole argument. */
function find(name: string, arg = name): Option {
  const option = BY_NAME.get(name);
  if (option) return option;
  const meant = meantBy(arg);
  throw new UsageError(`unknown option ${name}`, meant && `did you mean ${meant}?`);
}

/** The long option that `arg` was meant to be: with one dash, shortened, or misspelled. */
function meantBy(arg: string): string | undefined {
  const word = arg.replace(/^-+/, "").replace(/=.*/s, "");
  if (word.length < 2) return undefined;
  const names = [...BY_NAME.keys()].filter((name) => name.startsWith("--"));
  const begun = names.filter((name) => name.startsWith(`--${word}`));
  return begun.length === 1 ? begun[0] : names.find((name) => oneOff(word, name.slice(2)));
}

function missingValue(name: string): UsageError {
  return new UsageError(`option ${name} needs a value`);
}

export const USAGE = "sslserver [opts] host port prog [args]";

/** The command line: every option, its type, default and help line. POSIX getopt: clusters
 *  (`-vHRl0`), values attached or separate, the last one wins, options end at the first operand or
 *  at `--`. Digits are options (-1 -3 -4 -6). What is ours alone is a long option. */

import { type Network, parseNetwork } from "./codec/ip.ts";
import { UsageError } from "./errors.ts";
import { type MetricsAddress, parseMetricsAddress, WANTED } from "./metrics/address.ts";

/** What the options say; times are in seconds. */
export interface Options {
  /** 0 nothing, 1 errors, 2 status lines too, 3 TLS lines too. */
  verbosity: 0 | 1 | 2 | 3;
  log: "text" | "json";
  /** -1: the port goes to stdout when connections can come in. */
  printPort: boolean;
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

/** A request for something to be printed instead of served. */
export type Request = { print: "help" | "version" } | { serve: Options };

type Env = Readonly<Record<string, string | undefined>>;

interface Spec {
  /** `-c` or `--pending`. */
  name: string;
  /** Name of the value in the help; absent: a flag. */
  value?: string;
  help: string;
  set(options: Options, value: string, env: Env): void;
}

/** Largest values accepted: what the system's own types hold, or what nobody means. */
const MAX = { count: 1_000_000, seconds: 2_000_000, backlog: 65_535, id: 4_294_967_294 };

/** Nothing given. */
export function defaults(): Options {
  return {
    verbosity: 1,
    log: "text",
    printPort: false,
    family: undefined,
    concurrency: 40,
    pending: 1000,
    rules: undefined,
    earlyRules: undefined,
    allowMissingRules: false,
    banner: undefined,
    gid: undefined,
    uid: undefined,
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

/** In the order of the help. */
const SPECS: readonly Spec[] = [
  flag("-q", "print nothing", (o) => o.verbosity = 0),
  flag("-Q", "print errors (default)", (o) => o.verbosity = 1),
  flag("-v", "print status lines too", (o) => o.verbosity = 2),
  flag("-V", "print protocol and cipher of each connection too", (o) => o.verbosity = 3),
  {
    name: "--log",
    value: "text|json",
    help: "form of the log lines on stderr (text)",
    set(o, value) {
      if (value !== "text" && value !== "json") throw badValue("--log", value, "text or json");
      o.log = value;
    },
  },
  flag("-1", "print the local port to stdout when ready", (o) => o.printPort = true),
  flag("-4", "resolve host to IPv4", (o) => o.family = 4),
  flag("-6", "resolve host to IPv6; set PROTO and TCP6 variables", (o) => o.family = 6),
  number(
    "-c",
    "n",
    "run at most n programs at once (40)",
    1,
    MAX.count,
    (o, n) => o.concurrency = n,
  ),
  number(
    "--pending",
    "n",
    "keep at most n connections that are not through their handshake (1000)",
    1,
    MAX.count,
    (o, n) => o.pending = n,
  ),
  number("-b", "n", "listen backlog (1024)", 1, MAX.backlog, (o, n) => o.backlog = n),
  text("-I", "if", "interface of a link-local IPv6 host", (o, s) => o.interface = s),
  flag("-o", "leave IP options alone", (o) => o.keepIpOptions = true),
  flag("-O", "kill IP options (default)", (o) => o.keepIpOptions = false),
  flag("-d", "let the system delay small packets (Nagle)", (o) => o.noDelay = false),
  flag("-D", "never delay: TCP_NODELAY (default)", (o) => o.noDelay = true),
  text("-x", "rules", "obey this rules file, after DNS and ident", (o, s) => o.rules = s),
  text("-y", "rules", "obey this rules file before DNS and ident", (o, s) => o.earlyRules = s),
  flag("-X", "allow a rules file to be missing", (o) => o.allowMissingRules = true),
  flag("-h", "look up the client's name in DNS (default)", (o) => o.remoteName = true),
  flag("-H", "do not", (o) => o.remoteName = false),
  flag("-p", "believe a name only if it points back to the address", (o) => o.paranoid = true),
  flag("-P", "believe it (default)", (o) => o.paranoid = false),
  text("-l", "name", "this is the local name; do not ask DNS", (o, s) => o.localName = s),
  flag("-r", "ask the client's ident server", (o) => o.ident = true),
  flag("-R", "do not (default)", (o) => o.ident = false),
  seconds("-t", "ident (26)", (o, n) => o.identTimeout = n),
  seconds("-T", "the TLS handshake (26)", (o, n) => o.handshakeTimeout = n),
  seconds("-w", "a silent connection or program (3600)", (o, n) => o.idleTimeout = n),
  flag("-n", "the program says when TLS begins (UCSPI-TLS)", (o) => o.delayed = true),
  flag("-N", "TLS at once (default)", (o) => o.delayed = false),
  text("-B", "banner", "write banner to the client first", (o, s) => o.banner = s),
  flag("-s", "set mod_ssl's variables", (o) => o.tlsVariables = true),
  flag("-S", "do not (default)", (o) => o.tlsVariables = false),
  flag("-e", "set tcpserver's variables too", (o) => o.tcpVariables = true),
  flag("-E", "do not (default)", (o) => o.tcpVariables = false),
  flag("-3", "read the key's password from descriptor 3", (o) => o.keyPassword = true),
  flag("-m", "require a valid client certificate", (o) => o.clientCertificate = "valid"),
  flag("-z", "require one that matches the client's name", (o) => o.clientCertificate = "match"),
  flag("-Z", "require none (default)", (o) => o.clientCertificate = "none"),
  number("-g", "gid", "run as group gid", 1, MAX.id, (o, n) => o.gid = n),
  number("-u", "uid", "run as user uid", 1, MAX.id, (o, n) => o.uid = n),
  {
    name: "-U",
    help: "run as $UID, $GID and the groups of $GIDLIST",
    set(o, _value, env) {
      o.uid = wholeNumber("$UID for -U", env["UID"] ?? "", 1, MAX.id);
      o.gid = wholeNumber("$GID for -U", env["GID"] ?? "", 1, MAX.id);
      o.groups = env["GIDLIST"]
        ? env["GIDLIST"].split(",").map((gid) => wholeNumber("$GIDLIST for -U", gid, 0, MAX.id))
        : undefined;
    },
  },
  flag("--check", "say what is wrong with all this, and do not serve", (o) => o.check = true),
  {
    name: "--proxy-from",
    value: "nets",
    help: "expect a PROXY header from these addresses (10.0.0.0/8), allow none from others",
    set(o, value) {
      o.proxyFrom = value.split(",").map((text) => network("--proxy-from", text.trim()));
    },
  },
  flag("--self-signed", "serve with a throw-away certificate", (o) => o.selfSigned = true),
  text("--metrics", "where", "answer Prometheus on host:port or a unix path", (o, value) => {
    o.metrics = parseMetricsAddress(value);
    if (!o.metrics) throw badValue("--metrics", value, WANTED);
  }),
];

const BY_NAME = new Map(SPECS.map((spec) => [spec.name, spec]));

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
    if (arg === "--help") return { print: "help" };
    if (arg === "--version") return { print: "version" };
    if (arg.startsWith("--")) i += longOption(options, arg, argv[i + 1], env);
    else if (arg.startsWith("-") && arg.length > 1) i += cluster(options, arg, argv[i + 1], env);
    else break;
  }
  const [host, port, ...command] = argv.slice(i);
  if (host === undefined) throw new UsageError("host, port and prog are missing");
  if (port === undefined) throw new UsageError("port and prog are missing");
  if (command.length === 0) throw new UsageError("prog is missing");
  return { serve: { ...options, host, port, command } };
}

/** `--name value` or `--name=value`; returns how many further arguments were taken. */
function longOption(options: Options, arg: string, next: string | undefined, env: Env): 0 | 1 {
  const equals = arg.indexOf("=");
  const name = equals < 0 ? arg : arg.slice(0, equals);
  const spec = find(name);
  if (spec.value === undefined) {
    if (equals >= 0) throw new UsageError(`option ${name} takes no value`);
    spec.set(options, "", env);
    return 0;
  }
  const value = equals < 0 ? next : arg.slice(equals + 1);
  if (value === undefined) throw missingValue(name);
  spec.set(options, value, env);
  return equals < 0 ? 1 : 0;
}

/** `-vHRl0`: flags, and at the end perhaps one that takes the rest, or the next argument. */
function cluster(options: Options, arg: string, next: string | undefined, env: Env): 0 | 1 {
  for (let at = 1; at < arg.length; at++) {
    const name = `-${arg[at]}`;
    const spec = find(name);
    if (spec.value === undefined) {
      spec.set(options, "", env);
      continue;
    }
    const attached = arg.slice(at + 1);
    const value = attached || next;
    if (value === undefined) throw missingValue(name);
    spec.set(options, value, env);
    return attached ? 0 : 1;
  }
  return 0;
}

function find(name: string): Spec {
  const spec = BY_NAME.get(name);
  if (!spec) throw new UsageError(`unknown option ${name}`);
  return spec;
}

function flag(name: string, help: string, set: (options: Options) => void): Spec {
  return { name, help, set };
}

function text(
  name: string,
  value: string,
  help: string,
  set: (options: Options, text: string) => void,
): Spec {
  return { name, value, help, set };
}

function number(
  name: string,
  value: string,
  help: string,
  min: number,
  max: number,
  set: (options: Options, n: number) => void,
): Spec {
  return { name, value, help, set: (o, v) => set(o, wholeNumber(name, v, min, max)) };
}

function seconds(name: string, what: string, set: (options: Options, n: number) => void): Spec {
  return number(name, "s", `give up after s seconds: ${what}`, 1, MAX.seconds, set);
}

function wholeNumber(name: string, value: string, min: number, max: number): number {
  const n = /^[0-9]{1,10}$/.test(value) ? Number(value) : NaN;
  if (!(n >= min && n <= max)) throw badValue(name, value, `a number from ${min} to ${max}`);
  return n;
}

function network(name: string, text: string): Network {
  try {
    return parseNetwork(text);
  } catch {
    throw badValue(name, text, "networks such as 10.0.0.0/8,2001:db8::/32");
  }
}

function badValue(name: string, value: string, wanted: string): UsageError {
  return new UsageError(`option ${name} wants ${wanted}, not '${value}'`);
}

function missingValue(name: string): UsageError {
  return new UsageError(`option ${name} wants a value`);
}

export const USAGE = "sslserver [opts] host port prog [args]";

/** The text of --help. */
export function helpText(): string {
  const left = SPECS.map((spec) => spec.value ? `${spec.name} ${spec.value}` : spec.name);
  const width = Math.max(...left.map((name) => name.length));
  const lines = SPECS.map((spec, i) => `  ${(left[i] as string).padEnd(width)}  ${spec.help}`);
  return `usage: ${USAGE}

Accepts TLS connections on host and port and runs prog for each, with the decrypted
stream on its descriptors 0 and 1.

host  0 (all IPv4), :: (all IPv6), :0 (both), an address, or a name
port  a number, 0 for any free one, or a service name

${lines.join("\n")}
  ${"--help".padEnd(width)}  print this
  ${"--version".padEnd(width)}  print the version

Certificate and key: CERTFILE and KEYFILE in the environment (PEM files).
`;
}

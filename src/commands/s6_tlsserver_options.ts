/** The table of the options of `s6-tlsserver`. The long options of sslserver are accepted too. If s6 has an option of
 *  the same name, s6's meaning applies. s6_tlsserver_settings.ts makes the options of the server of them. */

import type { Option, OptionGroup } from "../config/getopt.ts";
import { network, oneWord, shortText } from "../config/option_kinds.ts";
import { OPTIONS } from "../config/option_table.ts";
import { type Options, PAGES } from "../config/options.ts";
import type { Env } from "../config/variables.ts";
import { UsageError } from "../errors.ts";
import { anId, MAX_ID, orNone, type S6Options } from "./s6_tlsserver_settings.ts";

/** s6-tcpserverd's limit of -c. */
const MAX_CONNECTIONS = 16_384;
/** The largest number of s6's type for counts and times (uint32). */
const MAX_NUMBER = 4_294_967_295;
/** The longest time of a timer, in milliseconds. */
const MAX_TIMER = 2_147_483_647;

type Set6 = (s6: S6Options, options: Options, env: Env) => unknown;
type SetText = (options: Options, value: string) => unknown;

/** A flag. `names`: for example `-q --quiet`, or the long form alone. */
function flag(names: string, help: string, set: Set6): Option<S6Options>[] {
  return named(names, help, undefined, (s6, _value, env) => set(s6, s6.options, env));
}

function value(names: string, value: string, help: string, set: SetText): Option<S6Options>[] {
  return named(names, help, value, (s6, text) => set(s6.options, text));
}

/** A number from 0 to `most`. */
function number(
  names: string,
  help: string,
  set: (options: Options, n: number) => unknown,
  most = MAX_NUMBER,
  label = "n",
): Option<S6Options>[] {
  const [name = ""] = names.split(" ");
  return value(names, label, help, (options, text) => {
    const n = /^[0-9]{1,10}$/.test(text) ? Number(text) : NaN;
    if (!(n <= most)) {
      throw new UsageError(`option ${name} needs a number from 0 to ${most}, not '${text}'`);
    }
    set(options, n);
  });
}

/** One row for each name. A long option takes its value only after `=`. */
function named(
  names: string,
  help: string,
  value: string | undefined,
  set: (s6: S6Options, value: string, env: Env) => unknown,
): Option<S6Options>[] {
  return names.split(" ").map((name) => ({
    name,
    ...(value === undefined ? {} : { value }),
    ...(name.startsWith("--") ? { joined: true as const } : {}),
    help: name === names.split(" ")[0] ? help : `the same as ${names.split(" ")[0]}`,
    set: (s6, text, env) => void set(s6, text, env),
  }));
}

/** In the order of the help. */
const S6_GROUPS: readonly OptionGroup<S6Options>[] = [
  {
    title: "Log",
    options: [
      ...flag("-q --quiet", "print errors only", (_, o) => o.verbosity = 1),
      ...flag(
        "-Q --normally-verbose",
        "also print accepted connections (default)",
        (_, o) => o.verbosity = 2,
      ),
      ...flag(
        "-v --verbose",
        "also print denied connections and the status",
        (_, o) => o.verbosity = 3,
      ),
      ...flag("-1 --notify", "print the port to stdout when ready", (_, o) => o.printPort = true),
    ],
  },
  {
    title: "Network and limits",
    options: [
      ...number("-b --backlog", "listen backlog (the system's maximum)", (o, n) => {
        o.backlog = Math.min(Math.max(n, 1), 65_535);
      }),
      ...number("-c --global-max-connections", "maximum programs at once (40)", (o, n) => {
        o.concurrency = Math.min(Math.max(n, 1), MAX_CONNECTIONS);
      }),
      ...number(
        "-C --local-max-connections",
        "maximum connections of one address (40)",
        (o, n) => o.perAddress = Math.max(n, 1),
      ),
      ...flag("-d --nagle", "delay small packets (default)", (_, o) => o.noDelay = false),
      ...flag("-D --no-nagle", "do not delay packets", (_, o) => o.noDelay = true),
      ...flag("-L --proxy", "require a PROXY header from every client", (_, o) => {
        o.proxyFrom = ["0.0.0.0/0", "::/0"].map((text) => network("-L", text));
      }),
    ],
  },
  {
    title: "Look-ups and access",
    options: [
      ...flag("--dns", "look up names in DNS (default)", (s6) => s6.noDns = false),
      ...flag("-H --no-dns", "do not look up names", (s6) => s6.noDns = true),
      ...flag("-h --hosts", "look up names in /etc/hosts before DNS", (_, o) => o.hosts = true),
      ...flag("--no-hosts", "do not read /etc/hosts (default)", (_, o) => o.hosts = false),
      ...flag(
        "-p --paranoid",
        "deny a client whose name does not resolve to its address",
        (_, o) => o.paranoid = o.deniesMismatch = true,
      ),
      ...flag(
        "-P --no-paranoid",
        "do not verify the name (default)",
        (_, o) => o.paranoid = o.deniesMismatch = false,
      ),
      ...value(
        "-l --local-name",
        "name",
        "set the local name instead of asking DNS",
        (o, s) => o.localName = s,
      ),
      ...flag("-r --ident", "ask the client's ident server", (_, o) => o.ident = true),
      ...flag("-R --no-ident", "do not ask the ident server (default)", (_, o) => o.ident = false),
      ...flag(
        "-w --strict-resolution",
        "deny a client if DNS or ident does not answer",
        (_, o) => o.strictResolution = true,
      ),
      ...flag(
        "-W --no-strict-resolution",
        "admit a client if DNS or ident does not answer (default)",
        (_, o) => o.strictResolution = false,
      ),
      ...number(
        "-t --timeout",
        "time limit for look-ups in ms; 0 means no limit (0)",
        (o, n) => o.lookupTimeout = n === 0 ? undefined : n / 1000,
        MAX_TIMER,
        "ms",
      ),
      ...value(
        "-i --rules-directory",
        "folder",
        "apply the access rules of this folder",
        (o, s) => {
          o.accessDir = s;
        },
      ),
      ...value("-x --rules-file", "file", "apply the access rules of this cdb file", (o, s) => {
        o.accessCdb = s;
      }),
      ...value("-B --banner", "text", "send text in the clear first", (o, s) => {
        o.earlyBanner = shortText("-B", s);
      }),
    ],
  },
  {
    title: "TLS",
    options: [
      ...flag("-S --close-notify", "end output with close_notify", (_, o) => o.closeNotify = true),
      ...flag(
        "-s --no-close-notify",
        "end output with FIN alone (default)",
        (_, o) => o.closeNotify = false,
      ),
      ...flag(
        "-J --enforce-close-notify",
        "treat FIN without close_notify as an error",
        (_, o) => o.enforceCloseNotify = true,
      ),
      ...flag(
        "-j --no-enforce-close-notify",
        "treat FIN without close_notify as end of file (default)",
        (_, o) => o.enforceCloseNotify = false,
      ),
      ...flag(
        "-Y --client-cert",
        "ask for a client certificate; refuse an invalid one",
        (_, o) => o.clientCertificate = "optional",
      ),
      ...flag(
        "-y --mandatory-client-cert",
        "require a valid client certificate",
        (_, o) => o.clientCertificate = "valid",
      ),
      ...number(
        "-K --handshake-timeout",
        "time limit for the handshake in ms; 0 means no limit (0)",
        (o, n) => o.handshakeTimeout = n / 1000,
        MAX_TIMER,
        "ms",
      ),
      ...number(
        "-k --sni-level",
        "server names: 0 ignore (default), 1 use, 2 require",
        (o, n) => o.serverNames = n === 0 ? "ignored" : n === 1 ? "used" : "only",
      ),
      ...flag(
        "-Z --keep",
        "pass KEYFILE and other TLS variables to programs",
        (s6) => s6.keep = true,
      ),
      ...flag(
        "-z --no-keep",
        "do not pass KEYFILE and other TLS variables (default)",
        (s6) => s6.keep = false,
      ),
    ],
  },
  {
    title: "Identity of programs",
    options: [
      ...number(
        "-u --uid",
        "run programs as this user",
        (o, n) => o.uid = orNone(n),
        MAX_ID,
        "uid",
      ),
      ...number(
        "-g --gid",
        "run programs as this group",
        (o, n) => o.gid = orNone(n),
        MAX_ID,
        "gid",
      ),
      ...value(
        "-G --gidlist",
        "gids",
        "supplementary groups of programs, separated by commas",
        (o, s) => {
          o.groups = s.split(",").map((gid) => anId("option -G", gid));
        },
      ),
      ...flag("-U --envuidgid", "run programs as $UID and $GID, with groups $GIDLIST", (s6) => {
        s6.identityFromEnvironment = true;
      }),
    ],
  },
];

/** Options that this name has in a form of its own, and one that is only sslserver's. */
const OWN_NAMES = new Set([
  ...S6_GROUPS.flatMap(({ options }) => options.map(({ name }) => name)),
  "--man",
  "--example",
]);

/** Help of the options whose default differs from that of sslserver. */
const OTHER_DEFAULTS: Readonly<Record<string, string>> = {
  "--log": "form of the lines on stderr (s6)",
  "--variables": "set the variables of ucspi-ssl or s6 (s6)",
};

/** The long options of sslserver. They set the `options` of an `S6Options`. */
function inherited(): OptionGroup<S6Options>[] {
  return OPTIONS.map(({ title, options }) => ({
    title: `${title}, as in sslserver`,
    options: options
      .filter(({ name }) => name.startsWith("--") && !OWN_NAMES.has(name))
      .map((option) => ({
        ...option,
        help: OTHER_DEFAULTS[option.name] ?? option.help,
        set: (s6, text, env) => option.set(s6.options, text, env),
      })),
  } satisfies OptionGroup<S6Options>)).filter(({ options }) => options.length > 0);
}

const MANUAL: OptionGroup<S6Options> = {
  title: "Manual",
  options: [{
    name: "--man",
    value: "[page]",
    help: "print a manual page (s6-tlsserver)",
    set: (_s6, page) => ({
      print: "manual",
      page: oneWord("--man", page || "s6-tlsserver", PAGES),
    }),
  }],
};

/** All options, in the order of the help. */
export const S6_OPTIONS: readonly OptionGroup<S6Options>[] = [
  ...S6_GROUPS,
  ...inherited(),
  MANUAL,
];

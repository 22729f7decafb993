/** The options of the library, and the check of their values. Errors name the option as the script
 *  does. They are thrown before any file or socket is opened. */

import { printable } from "./codec/printable.ts";
import { UsageError } from "./errors.ts";
import type { Handler } from "./program/handler.ts";
import { MAX, network } from "./config/option_kinds.ts";
import { defaults, type Options } from "./config/options.ts";
import { ofServerName } from "./config/variables.ts";

/** The options of `serve`. Numbers are integers; times are in seconds. An option that is missing or
 *  `undefined` has its default. An unknown option, or a value of the wrong type or out of range, is
 *  a `UsageError`. */
export interface ServeOptions {
  /** Address or name to listen on: `0` for all IPv4 addresses (the default), `::` for all IPv6
   *  addresses, `:0` for both. */
  hostname?: string | undefined;
  /** Port to listen on, from 0 to 65535. Default: 0, any free port; see `TlsServer.port`. */
  port?: number | undefined;
  /** PEM text of the certificate and its chain, not the name of a file. Default: the files that
   *  CERTFILE or CERTCHAINFILE in `env` name. Excludes `selfSigned`. */
  cert?: string | undefined;
  /** PEM text of the key. Needs `cert`. Default: the key is in `cert`. */
  key?: string | undefined;
  /** Password of an encrypted key in `key`, in `cert`, or in the file that KEYFILE in `env`
   *  names. */
  passphrase?: string | undefined;
  /** True: make a certificate for localhost at start, kept in memory, for tests. Default: false. */
  selfSigned?: boolean | undefined;
  /** Path of a rules file made by tcprules, applied after DNS. Default: none, all clients are
   *  admitted. A file that does not exist denies all. */
  rules?: string | undefined;
  /** Path of a rules file applied before DNS. If one of its rules applies, `rules` is skipped.
   *  Default: none. */
  earlyRules?: string | undefined;
  /** Path of a folder with s6's access rules. A client that no rule allows is denied. Excludes
   *  `accessCdb`, `rules` and `earlyRules`. A rule with `exec` runs another command in place of the
   *  program. If a handler serves, such a rule denies. Default: none. */
  accessDir?: string | undefined;
  /** The same for a cdb file made by s6-accessrules-cdb-from-fs. Excludes `accessDir`, `rules` and
   *  `earlyRules`. Default: none. */
  accessCdb?: string | undefined;
  /** Maximum connections served at once, from 1; further ones wait. Default: 40, for programs and
   *  handlers. */
  concurrency?: number | undefined;
  /** Maximum connections that have not completed admission and handshake, from 1. With one too
   *  many, the oldest is closed, those without a complete ClientHello first. Default: 1000. */
  pending?: number | undefined;
  /** Maximum connections in the kernel's queue of the listening socket, from 1 to 65535. Default:
   *  1024. */
  backlog?: number | undefined;
  /** Seconds for the handshake, and for the PROXY header, from 1. Default: 26. */
  handshakeTimeout?: number | undefined;
  /** Seconds without traffic in either direction after which a connection is ended, from 1.
   *  Default: 3600. */
  idleTimeout?: number | undefined;
  /** True: look up the client's name in DNS. Default: false, unlike the command. */
  remoteName?: boolean | undefined;
  /** Addresses and networks (`10.0.0.0/8`) of load balancers. Each of their connections must begin
   *  with a PROXY header; a header from another address is refused. Default: none. */
  proxyFrom?: readonly string[] | undefined;
  /** `none`: do not ask for a client certificate (the default). `valid`: require a valid one;
   *  CAFILE and CADIR in `env` name the trusted authorities. `match`: it must also match the
   *  client's host name, if the client has one (`remoteName`). */
  clientCertificate?: "none" | "valid" | "match" | undefined;
  /** The variables from which settings are read (CERTFILE, CAFILE, ALPN, TLS_MIN_VERSION …), and
   *  from which a program gets its environment. Default: the environment of this process. */
  env?: Readonly<Record<string, string | undefined>> | undefined;
  /** Gets the log: one or more lines per call, each with its newline. Default: writes to stderr. */
  log?: ((lines: string) => void) | undefined;
  /** What is logged: 0 nothing, 1 errors (the default), 2 status lines too, 3 protocol and cipher
   *  too. */
  verbosity?: 0 | 1 | 2 | 3 | undefined;
  /** What is logged of the TLS records of each connection, if `verbosity` is not 0: `nothing` (the default), `messages`
   *  like --trace, or `bytes` like --trace-bytes. */
  trace?: "nothing" | "messages" | "bytes" | undefined;
  /** When it aborts, the server ends as by `shutdown()`. Default: none. */
  signal?: AbortSignal | undefined;
}

/** A program that is started for each connection. Its descriptors 0 and 1 are the decrypted
 *  connection. */
export interface ProgramCommand {
  /** The program and its arguments: at least one word, none with NUL. A program without a slash is
   *  looked up in $PATH. */
  readonly command: readonly string[];
}

/** Returns what the option needs, for the error message; undefined if the value is good. */
export type OptionCheck = (value: unknown, name: string) => string | undefined;

const CHECKS: { readonly [Name in keyof ServeOptions]-?: OptionCheck } = {
  hostname: text,
  port: whole(0, 65_535),
  cert: text,
  key: text,
  passphrase: text,
  selfSigned: truth,
  rules: text,
  earlyRules: text,
  accessDir: text,
  accessCdb: text,
  concurrency: whole(1, MAX.count),
  pending: whole(1, MAX.count),
  backlog: whole(1, MAX.backlog),
  handshakeTimeout: whole(1, MAX.seconds),
  idleTimeout: whole(1, MAX.seconds),
  remoteName: truth,
  proxyFrom: networks,
  clientCertificate: oneOf("none", "valid", "match"),
  env: environment,
  log: callable,
  verbosity: whole(0, 3),
  trace: oneOf("nothing", "messages", "bytes"),
  signal: abortSignal,
};

/** Options whose values must not appear in a message. */
const SECRET: ReadonlySet<string> = new Set(["ca", "cert", "key", "passphrase", "env"]);

/** Checks the arguments of `serve`. Throws `UsageError`. */
export function checkOptions(options: unknown, handler: unknown): void {
  checkValues("serve", options, CHECKS);
  checkHandler(handler);
  checkCertificate(options);
  checkRulesOptions(options);
}

/** Checks that all options of a function are known and have valid values. Throws `UsageError`. */
export function checkValues(
  caller: string,
  options: unknown,
  checks: Readonly<Record<string, OptionCheck>>,
): asserts options is Readonly<Record<string, unknown>> {
  if (!isRecord(options)) throw new UsageError(`${caller} needs options, not ${shown(options)}`);
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(checks, name)) throw new UsageError(`unknown option ${name}`);
    if (value === undefined) continue;
    const needed = checks[name]?.(value, name);
    if (needed !== undefined) {
      const what = SECRET.has(name) ? kindOf(value) : shown(value);
      throw new UsageError(`option ${name} needs ${needed}, not ${what}`);
    }
  }
}

/** Converts to the options of the command. `checkOptions` must have accepted them. */
export function commandOptions(options: ServeOptions, handler: Handler | ProgramCommand): Options {
  const base = defaults();
  const given = Object.fromEntries(
    Object.entries(options).filter(([name, value]) => name in base && value !== undefined),
  );
  return {
    ...base,
    remoteName: false,
    ...given,
    proxyFrom: options.proxyFrom?.map((text) => network("proxyFrom", text)),
    log: "text",
    port: String(options.port ?? 0),
    host: options.hostname ?? "0",
    tlsVariables: true,
    command: typeof handler === "function" ? [] : [...handler.command],
  };
}

function checkHandler(handler: unknown): void {
  if (typeof handler === "function") return;
  const command = isRecord(handler) ? handler["command"] : undefined;
  if (!isRecord(handler) || !("command" in handler)) {
    throw new UsageError(`serve needs a handler or { command: [...] }, not ${shown(handler)}`);
  }
  if (!Array.isArray(command)) {
    throw new UsageError(`option command needs an array of words, not ${shown(command)}`);
  }
  if (command.length === 0 || command[0] === "") throw new UsageError("the command is empty");
  const wrong = command.findIndex((word) => typeof word !== "string" || word.includes("\0"));
  if (wrong < 0) return;
  throw new UsageError(
    `option command needs words without NUL, not ${shown(command[wrong])} at index ${wrong}`,
  );
}

/** Checks the options that depend on each other. */
function checkCertificate({ cert, key, selfSigned }: ServeOptions): void {
  if (cert !== undefined && selfSigned) {
    throw new UsageError("options cert and selfSigned exclude each other");
  }
  if (key !== undefined && cert === undefined) throw new UsageError("option key needs cert, too");
}

function checkRulesOptions(options: ServeOptions): void {
  const kinds = ["accessDir", "accessCdb", "rules", "earlyRules"] as const;
  const [one, other] = kinds.filter((name) => options[name] !== undefined);
  if (other === undefined || one === "rules") return;
  throw new UsageError(`options ${one} and ${other} exclude each other`);
}

/** Throws `UsageError` if neither the options nor `env` name a certificate. */
export function checkForCertificate(
  { cert, selfSigned }: ServeOptions,
  env: Readonly<Record<string, string | undefined>>,
): void {
  if (cert !== undefined || selfSigned) return;
  const set = ([name, value]: [string, unknown]) => {
    const variable = ofServerName(name)?.variable ?? name;
    return value && (variable === "CERTFILE" || variable === "CERTCHAINFILE");
  };
  if (Object.entries(env).some(set)) return;
  throw new UsageError(
    "unable to find a certificate: none of cert, selfSigned and CERTFILE in env is set",
    "set cert and key to PEM text, or selfSigned to true for a trial",
  );
}

function text(value: unknown): string | undefined {
  const good = typeof value === "string" && value !== "" && !value.includes("\0");
  return good ? undefined : "a text that is not empty and has no NUL";
}

function truth(value: unknown): string | undefined {
  return typeof value === "boolean" ? undefined : "true or false";
}

function callable(value: unknown): string | undefined {
  return typeof value === "function" ? undefined : "a function";
}

function abortSignal(value: unknown): string | undefined {
  return value instanceof AbortSignal ? undefined : "an AbortSignal";
}

function whole(min: number, max: number): OptionCheck {
  const good = (n: unknown) => Number.isInteger(n) && n as number >= min && n as number <= max;
  return (value) => good(value) ? undefined : `a whole number from ${min} to ${max}`;
}

function oneOf(...words: string[]): OptionCheck {
  const all = `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
  return (value) => words.includes(value as string) ? undefined : all;
}

/** Throws the `UsageError` of `network` for a text that is not a network. */
function networks(value: unknown, name: string): string | undefined {
  if (!Array.isArray(value)) return "an array of networks, such as ['10.0.0.0/8']";
  const wrong = value.findIndex((text) => typeof text !== "string");
  if (wrong >= 0) return `an array of texts, and at index ${wrong} is ${shown(value[wrong])}`;
  for (const text of value) network(name, text);
  return undefined;
}

function environment(value: unknown): string | undefined {
  if (!isRecord(value)) return "an object of variables";
  for (const [name, text] of Object.entries(value)) {
    if (text === undefined) continue;
    if (name === "" || /[=\0]/.test(name)) return "names without = and NUL";
    if (typeof text !== "string") {
      return `a text for each variable, and ${name} has ${kindOf(text)}`;
    }
    if (text.includes("\0")) return `texts without NUL, and ${name} has one`;
  }
  return undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value as a message shows it: short, and on one line. */
function shown(value: unknown): string {
  if (typeof value === "string") return `'${printable(value.slice(0, 40))}'`;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return kindOf(value);
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "an array";
  const type = typeof value;
  return type === "object" ? "an object" : type === "string" ? "this text" : `a ${type}`;
}

/** Checks that are shared with the options of `connect`. */
export const CHECKED = {
  text,
  truth,
  whole,
  oneOf,
  environment,
  log: callable,
  signal: abortSignal,
} as const;

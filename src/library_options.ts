/** The options of the library: what there is, and what each may be. A script gets its mistakes back by
 *  the names it used, before anything is opened. */

import { printable } from "./codec/printable.ts";
import { UsageError } from "./errors.ts";
import type { Handler } from "./program/handler.ts";
import { MAX, network } from "./config/option_table.ts";
import { defaults, type Options } from "./config/options.ts";
import { ofServerName } from "./config/variables.ts";

/** What can be set. Numbers are whole; times are in seconds. An option that is `undefined` has its
 *  default; one that is unknown or out of range is a `UsageError`. */
export interface ServeOptions {
  /** Address or name to listen on; `0` (the default) for all IPv4, `::` IPv6, `:0` both. */
  hostname?: string | undefined;
  /** From 0 to 65535; 0, the default: any free one. */
  port?: number | undefined;
  /** PEM text: certificate and chain. Without it CERTFILE of `env` is read. */
  cert?: string | undefined;
  /** PEM text. Default: it is in `cert`. */
  key?: string | undefined;
  /** Of an encrypted key, in `key`, or in KEYFILE of `env`. */
  passphrase?: string | undefined;
  /** A throw-away certificate for localhost, in place of `cert`. */
  selfSigned?: boolean | undefined;
  /** Rules file made by tcprules, obeyed after DNS. */
  rules?: string | undefined;
  /** The same, obeyed before DNS. */
  earlyRules?: string | undefined;
  /** Connections served at once, from 1; further ones wait. 40 for programs and handlers alike. */
  concurrency?: number | undefined;
  /** Connections that are not through their handshake, from 1 (1000). */
  pending?: number | undefined;
  /** Connections that wait in the system's queue, from 1 to 65535 (1024). */
  backlog?: number | undefined;
  /** Longest time until the handshake is done, from 1 (26). */
  handshakeTimeout?: number | undefined;
  /** Longest time without traffic, from 1 (3600). */
  idleTimeout?: number | undefined;
  /** Look up the client's name in DNS. Off unless asked for, other than in the command. */
  remoteName?: boolean | undefined;
  /** Addresses and networks (`10.0.0.0/8`) of load balancers, whose connections begin with a PROXY
   *  header. Others may send none. */
  proxyFrom?: readonly string[] | undefined;
  /** `valid`: no connection without a valid client certificate; see CAFILE in `env`. `match`: one that
   *  names the client's host, if that has a name (`remoteName`). Default: `none`. */
  clientCertificate?: "none" | "valid" | "match" | undefined;
  /** Where TLS settings are looked up (CAFILE, ALPN, TLS_MIN_VERSION …), and what a program gets.
   *  Default: the environment of this process. */
  env?: Readonly<Record<string, string | undefined>> | undefined;
  /** Gets the log lines, each with its newline. Default: they go to stderr. */
  log?: ((lines: string) => void) | undefined;
  /** Which lines: 0 none, 1 errors (the default), 2 status lines too, 3 protocol and cipher too. */
  verbosity?: 0 | 1 | 2 | 3 | undefined;
  /** Ends the server and its connections, like `shutdown()`, when it aborts. */
  signal?: AbortSignal | undefined;
}

/** A program and its arguments; it is looked up in $PATH when it has no slash. */
export interface ProgramCommand {
  /** At least one word. */
  readonly command: readonly string[];
}

/** What an option needs. `undefined`: the value is good. */
type Check = (value: unknown, name: string) => string | undefined;

const CHECKS: { readonly [Name in keyof ServeOptions]-?: Check } = {
  hostname: text,
  port: whole(0, 65_535),
  cert: text,
  key: text,
  passphrase: text,
  selfSigned: truth,
  rules: text,
  earlyRules: text,
  concurrency: whole(1, MAX.count),
  pending: whole(1, MAX.count),
  backlog: whole(1, MAX.backlog),
  handshakeTimeout: whole(1, MAX.seconds),
  idleTimeout: whole(1, MAX.seconds),
  remoteName: truth,
  proxyFrom: networks,
  clientCertificate: oneOf("none", "valid", "match"),
  env: environment,
  log: (value) => typeof value === "function" ? undefined : "a function",
  verbosity: whole(0, 3),
  signal: (value) => value instanceof AbortSignal ? undefined : "an AbortSignal",
};

/** Options whose values no message may show. */
const SECRET: ReadonlySet<string> = new Set(["cert", "key", "passphrase", "env"]);

/** Checks what a script has given. Throws `UsageError`. */
export function checkOptions(options: unknown, handler: unknown): void {
  if (!isRecord(options)) throw new UsageError(`serve needs options, not ${shown(options)}`);
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(CHECKS, name)) throw new UsageError(`unknown option ${name}`);
    if (value === undefined) continue;
    const needed = CHECKS[name as keyof ServeOptions](value, name);
    if (needed !== undefined) {
      const what = SECRET.has(name) ? kindOf(value) : shown(value);
      throw new UsageError(`option ${name} needs ${needed}, not ${what}`);
    }
  }
  checkHandler(handler);
  checkCertificate(options);
}

/** The command's options that stand for these. They must have been checked. */
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

/** Options that depend on each other. */
function checkCertificate({ cert, key, selfSigned }: ServeOptions): void {
  if (cert !== undefined && selfSigned) {
    throw new UsageError("options cert and selfSigned exclude each other");
  }
  if (key !== undefined && cert === undefined) throw new UsageError("option key needs cert, too");
}

/** Throws `UsageError` where there is no certificate to serve with. */
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

function whole(min: number, max: number): Check {
  const good = (n: unknown) => Number.isInteger(n) && n as number >= min && n as number <= max;
  return (value) => good(value) ? undefined : `a whole number from ${min} to ${max}`;
}

function oneOf(...words: string[]): Check {
  const all = `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
  return (value) => words.includes(value as string) ? undefined : all;
}

/** Throws what `network` does for a text that is none. */
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

/** A value in a message: short, and on one line. */
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

/** Parses the command line of `sslserver`: options, then host, port and program. Options that
 *  ucspi-ssl does not have are long. */

import { UsageError } from "../errors.ts";
import { type OptionGroup, optionsByName, readOptions } from "./getopt.ts";
import { OPTIONS } from "./option_table.ts";
import {
  defaults,
  type HandlerChoice,
  type Options,
  type ParsedArguments,
  refuseSeveralRules,
} from "./options.ts";
import type { Env } from "./variables.ts";

export const USAGE = "sslserver [opts] host port prog [args]";

/** Reads the arguments after the program's name. Throws `UsageError`. */
export function parseOptions(argv: readonly string[], env: Env): ParsedArguments {
  const options = defaults();
  const operands = readOptions(optionsByName(OPTIONS), options, argv, env);
  if ("print" in operands) return operands;
  return serving(options, operands, "host");
}

/** Adds the operands to the options. `first`: the name of the first operand. Throws
 *  `UsageError`. */
export function serving(
  options: Options,
  operands: readonly string[],
  first: "host" | "ip",
): { serve: Options } {
  const [host, port, ...command] = operands;
  const { handler } = options;
  if (host === undefined) {
    throw new UsageError(
      handler ? `${first} and port are missing` : `${first}, port and prog are missing`,
    );
  }
  refuseJoined(host);
  if (port === undefined) {
    throw new UsageError(handler ? "port is missing" : "port and prog are missing");
  }
  if (handler) refuseUnserved(handler, options, command);
  else if (command.length === 0) throw new UsageError("prog is missing");
  refuseSeveralRules(options);
  refuseKeylogOfWorkers(options);
  return { serve: { ...options, host, port, command } };
}

export const SSLHANDLE_USAGE = "sslhandle [opts] host port module [args]";

/** Options of sslserver that are not for a module, which serves in one process. */
const NOT_OF_MODULES = ["-n", "--echo", "--www", "--files", "--handler", "--workers", "--example"];

/** Returns the options that `sslhandle` accepts. */
export function moduleOptions(): OptionGroup<Options>[] {
  return OPTIONS.map(({ title, options }) => ({
    title,
    options: options.filter(({ name }) => !NOT_OF_MODULES.includes(name)),
  })).filter(({ options }) => options.length > 0);
}

/** Reads the arguments of `sslhandle`: the options of sslserver, and a module in place of prog.
 *  Throws `UsageError`. */
export function parseModuleOptions(argv: readonly string[], env: Env): ParsedArguments {
  const options = { ...defaults(), name: "sslhandle" };
  const operands = readOptions(optionsByName(OPTIONS), options, argv, env);
  if ("print" in operands) return operands;
  const [host, port, file, ...command] = operands;
  if (host === undefined) throw new UsageError("host, port and module are missing");
  refuseJoined(host);
  if (port === undefined) throw new UsageError("port and module are missing");
  if (file === undefined) throw new UsageError("module is missing");
  if (options.handler) {
    const { kind } = options.handler;
    throw new UsageError(`--${kind} serves in place of a module`, `use sslserver --${kind}`);
  }
  const handler: HandlerChoice = { kind: "handler", file };
  refuseUnserved(handler, options, command);
  refuseSeveralRules(options);
  refuseKeylogOfWorkers(options);
  return { serve: { ...options, handler, host, port, command } };
}

/** Throws `UsageError` for options that a handler excludes. */
function refuseUnserved(
  { kind }: HandlerChoice,
  { delayed, workers }: Options,
  [program]: readonly string[],
): void {
  if (kind === "handler" && workers) {
    throw new UsageError(
      `a module serves in one process, and not in ${workers} workers`,
      "leave out --workers",
    );
  }
  if (program !== undefined && kind !== "handler") {
    throw new UsageError(
      `--${kind} serves in place of a program, and there is one: '${program}'`,
      `leave out --${kind} or the program`,
    );
  }
  if (delayed) throw new UsageError(`-n is for programs, not for --${kind}`, "leave out -n");
}

/** A worker must not be able to write files. */
function refuseKeylogOfWorkers({ keylog, workers }: Options): void {
  if (keylog === undefined || !workers) return;
  throw new UsageError(
    `--keylog needs one process, and there are ${workers} workers`,
    "leave out --workers",
  );
}

/** Throws `UsageError` for `localhost:465`. A name has no colon; an IPv6 address has several, or
 *  is in brackets. */
export function refuseJoined(host: string): void {
  const [, alone, port] = /^([^:]+|\[[^\]]*\]):([0-9A-Za-z-]+)$/.exec(host) ?? [];
  if (alone === undefined || port === undefined) return;
  throw new UsageError(`host and port are one word: '${host}'`, `write ${alone} ${port}`);
}

/** The command `s6-tlsserver`: s6-networking's options and variables as those of the server. */

import process from "node:process";
import { optionsByName, readOptions } from "../config/getopt.ts";
import { serving } from "../config/parse.ts";
import type { Options, ParsedArguments } from "../config/options.ts";
import { type Env, isInherited, ofServerName } from "../config/variables.ts";
import { UsageError } from "../errors.ts";
import type { CommandCall } from "./command.ts";
import { S6_OPTIONS, s6Defaults, type S6Options, serverOptions } from "./s6_tlsserver_options.ts";
import { runServer } from "./server.ts";

export const S6_USAGE = "s6-tlsserver [options] [--] ip port prog...";

/** The variables that s6-tlsd reads. Programs get them only with -Z. */
const READ = ["KEYFILE", "CERTFILE", "CADIR", "CAFILE", "TLS_UID", "TLS_GID"];
/** Intermediate certificates that libtls accepts between a client's and its authority's. */
const DEPTH = "6";

/** Runs the server to its end and returns the exit code. Never rejects. */
export function s6Tlsserver(call: CommandCall): Promise<number> {
  let flags: Pick<S6Options, "keep" | "identityFromEnvironment"> = s6Defaults();
  return runServer({
    name: "s6-tlsserver",
    usage: S6_USAGE,
    help: async () => (await import("./s6_tlsserver_help.ts")).s6Help(),
    parse(argv, env) {
      const s6 = s6Defaults();
      flags = s6;
      return parseS6(argv, env, s6);
    },
    environment: settings,
    programEnvironment: (env) => inheritedByPrograms(env, flags),
  }, call);
}

/** Reads the arguments after the name into `s6`. Throws `UsageError`. */
export function parseS6(
  argv: readonly string[],
  env: Env,
  s6: S6Options = s6Defaults(),
): ParsedArguments {
  const operands = readOptions(optionsByName(S6_OPTIONS), s6, argv, env);
  if ("print" in operands) return operands;
  return serving(serverOptions(s6, env), operands, "ip");
}

/** The variables with the names that the server reads. Throws `UsageError` if one is missing. */
export function settings(env: Env, options: Options, root = process.getuid?.() === 0): Env {
  const given: Record<string, string | undefined> = { ...env };
  const { TLS_UID, TLS_GID, CADIR } = given;
  if (options.serverNames !== "only" && !options.selfSigned) {
    for (const name of ["CERTFILE", "KEYFILE"]) {
      if (!given[name]) throw new UsageError(`$${name} is not set`, `set ${name} to a file`);
    }
  }
  const asks = options.clientCertificate !== "none";
  if (asks && !CADIR && !given["CAFILE"]) {
    throw new UsageError(
      "neither $CADIR nor $CAFILE is set",
      "set one of them to the authorities that are trusted, or leave out -y and -Y",
    );
  }
  for (const name of [...(CADIR ? ["CAFILE"] : []), "TLS_UID", "TLS_GID"]) delete given[name];
  if (asks) given["VERIFYDEPTH"] ??= DEPTH;
  // As there, they count only for root, and 0 changes nothing.
  if (root && TLS_UID && TLS_UID !== "0") given["SSL_UID"] = TLS_UID;
  if (root && TLS_GID && TLS_GID !== "0") given["SSL_GID"] = TLS_GID;
  return given;
}

/** The variables that every program gets from the server's environment. */
export function inheritedByPrograms(
  env: Env,
  { keep, identityFromEnvironment }: Pick<S6Options, "keep" | "identityFromEnvironment">,
): Record<string, string> {
  const isRead = (name: string): boolean => READ.includes(name) || ofServerName(name) !== undefined;
  const hidden = identityFromEnvironment ? ["UID", "GID", "GIDLIST"] : [];
  const kept = Object.entries(env).filter((entry): entry is [string, string] => {
    const [name, value] = entry;
    if (value === undefined || hidden.includes(name)) return false;
    return isRead(name) ? keep : isInherited(name);
  });
  return Object.fromEntries(kept);
}

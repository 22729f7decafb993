/** The command `s6-tlsserver`: translates s6-networking's options and variables to those of
 *  sslserver. */

import { optionsByName, readOptions } from "../config/getopt.ts";
import { serving } from "../config/parse.ts";
import type { ParsedArguments } from "../config/options.ts";
import type { Env } from "../config/variables.ts";
import { inheritedByPrograms, serverSettings } from "../config/variables_of_s6.ts";
import type { CommandCall } from "./command.ts";
import { S6_OPTIONS } from "./s6_tlsserver_options.ts";
import { s6Defaults, type S6Options, serverOptions } from "./s6_tlsserver_settings.ts";
import { runServer } from "./server.ts";

export const S6_USAGE = "s6-tlsserver [options] [--] ip port prog...";

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
    environment: serverSettings,
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

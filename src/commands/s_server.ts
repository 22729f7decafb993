/** The command `s_server`: OpenSSL's test server, by its options and in its words. */

import type { Options } from "../config/options.ts";
import { addCiphers } from "../config/variables_of_s_server.ts";
import { EXIT, UsageError } from "../errors.ts";
import { localFiles } from "../files/files.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { CommandCall } from "./command.ts";
import { readSServerOptions } from "./s_server_options.ts";
import { keyPassword } from "./s_server_password.ts";
import { defaultSettings, type ServerSettings } from "./s_server_settings.ts";
import {
  DEFAULT_CIPHERS,
  translatedEnvironment,
  translatedOptions,
} from "./s_server_translation.ts";
import { runServer } from "./server.ts";

export const S_SERVER_USAGE = "s_server [options]";

/** Exit code of OpenSSL's server for everything that goes wrong. Options that cannot be honoured
 *  end with 100, as under every name. */
const FAILED = 1;

/** Runs the server to its end and returns the exit code. Never rejects. */
export async function sServer(call: CommandCall): Promise<number> {
  let settings = defaultSettings();
  let finished = (): void => {};
  const code = await runServer({
    name: "s_server",
    usage: S_SERVER_USAGE,
    help: async () => (await import("./s_server_help.ts")).sServerHelp(),
    parse(argv, env) {
      settings = defaultSettings();
      const print = readSServerOptions(settings, argv, env);
      return print ?? { serve: translatedOptions(settings, localFiles) };
    },
    environment: (env) => translatedEnvironment(settings, env, localFiles),
    async extras(options, env, runtime) {
      refuseLacking(settings, options, runtime);
      if (runtime.cipherLists) addCiphers(env as Record<string, string>, DEFAULT_CIPHERS);
      const { SServer } = await import("./s_server_run.ts");
      const server = new SServer(settings, call, runtime, keyPassword(settings, call.env));
      finished = () => server.finished();
      return server;
    },
  }, call);
  if (code === EXIT.ok) finished();
  return code === EXIT.system ? FAILED : code;
}

/** Throws `UsageError` for an option that the runtime's TLS library cannot honour. */
export function refuseLacking(
  { ciphers, groups, second }: ServerSettings,
  { cipherOrder, tickets, keylog }: Pick<Options, "cipherOrder" | "tickets" | "keylog">,
  runtime: Pick<Runtime, "cipherLists" | "name">,
): void {
  if (runtime.cipherLists) return;
  const option = ciphers !== undefined
    ? "-cipher"
    : groups !== undefined
    ? "-groups"
    : second.certificate !== undefined
    ? "-dcert"
    : cipherOrder === "server"
    ? "-serverpref"
    : !tickets
    ? "-no_ticket"
    : keylog !== undefined
    ? "-keylogfile"
    : undefined;
  if (option === undefined) return;
  throw new UsageError(
    `unable to honour ${option}: Deno's TLS library (rustls) has no such setting`,
    "run it under Bun, or as the compiled file",
  );
}

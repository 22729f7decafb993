/** `sslserver --check …`: does everything that a start does except serving, and checks more. Prints a
 *  summary and one line per finding to stdout. The exit code is 0, 1 for warnings, or 111 if the server would
 *  not work. An error in one part does not stop the check of the others. */

import { isatty } from "node:tty";
import type { Env, RuleVariables } from "../config/variables.ts";
import { type ListenAddress, literalHost, portNumber } from "../accept/address.ts";
import { listenAddress } from "../accept/host.ts";
import { assemble, type Assembled } from "../assemble.ts";
import type { Options } from "../config/options.ts";
import { EXIT } from "../errors.ts";
import { type Announcer, Log } from "../log.ts";
import { writeStdout } from "../log/output.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { DHFILE_IGNORED } from "../tls/context.ts";
import { readPassword } from "../tls/password.ts";
import { selfSigned } from "../tls/self_signed.ts";
import { checkAccessRules } from "./access_rules.ts";
import { checkSite, type SitePairs, sites } from "./certificates.ts";
import { checkCiphers } from "./ciphers.ts";
import { Findings, READ_ENVIRONMENT } from "./finding.ts";
import type { Actors } from "./processes.ts";
import { jsonReport, textReport } from "./report.ts";
import { RuleTrials, type TryTls } from "./rule_trials.ts";
import { checkCommand, checkOperands } from "./start.ts";
import { checkPorts, checkResolvers } from "./system.ts";
import { summarize } from "./summary.ts";
import { checkTrust } from "./trust.ts";

/** Checks and prints. Returns the exit code. `main`: see `Runtime.selfCommand`. */
export async function check(
  options: Options,
  env: Env,
  runtime: Runtime,
  main: string,
): Promise<number> {
  const findings = new Findings();
  const actors = checkCommand(options, env, runtime, main, findings);
  const started = await start(options, env, runtime, actors, findings);
  const { assembled, password } = started ?? {};
  let found: SitePairs[] = [];
  if (!options.selfSigned && (assembled || !options.keyPassword)) {
    found = sites(env)
      .map((site) => checkSite(site, actors, password, findings))
      .filter((pairs): pairs is SitePairs => pairs !== undefined);
    if (runtime.cipherLists) { for (const pairs of found) await checkCiphers(pairs, findings); }
  }
  const asked = assembled?.services.clientAuths.get() !== undefined;
  if (asked) checkTrust((name) => env[name], actors.opener, findings);
  const address = started?.address ?? literalAddress(options);
  await checkPorts(runtime, address, options, findings);
  const asksDns = options.remoteName || options.localName === undefined;
  if (asksDns) await checkResolvers(env, runtime, findings);
  const trial: TryTls = (variables) => tryTls(assembled, variables, findings);
  checkOperands(options, env, runtime, actors, findings, trial);
  checkAccessRules(options, runtime, new RuleTrials(actors, trial, findings));
  assembled?.close();
  if (options.verbosity > 0) {
    const summary = summarize({ options, actors, address, sites: found, asksClients: asked });
    writeStdout(
      options.log === "json"
        ? jsonReport(summary, findings.list)
        : textReport(summary, findings.list, isColourful(env)),
    );
  }
  return findings.has("error") ? EXIT.system : findings.has("warning") ? 1 : EXIT.ok;
}

interface Started {
  assembled: Assembled;
  address: ListenAddress;
  password: string | undefined;
}

/** Does what a start does. Returns undefined if that fails; the failure is a finding. */
async function start(
  options: Options,
  env: Env,
  runtime: Runtime,
  { files }: Actors,
  findings: Findings,
): Promise<Started | undefined> {
  // Drop the log: the findings say what is wrong, and the fingerprint of --self-signed is of no use here.
  const log = new Log({ verbosity: 0, form: "text", name: "check" });
  const announce: Announcer = {
    error: (text) => findings.error(text, READ_ENVIRONMENT),
    warning: (text, remedy = READ_ENVIRONMENT) => findings.warning(text, remedy),
    notice: () => {},
  };
  try {
    const password = readPassword(options, runtime);
    const given = { password, keyPair: selfSigned(options, log), files, announce };
    const assembled = await assemble(options, env, runtime, log, given);
    const address = await listenAddress(options, assembled.services.admission.resolver);
    return { assembled, address, password };
  } catch (error) {
    findings.failure(error);
    return undefined;
  }
}

/** Returns the address to listen on if it is literal. For a start that failed before it had one. */
function literalAddress(options: Options): ListenAddress | undefined {
  const literal = literalHost(options.host);
  if (!literal) return undefined;
  try {
    const { backlog, interface: name } = options;
    return { ...literal, port: portNumber(options.port), backlog, interface: name };
  } catch {
    return undefined; // the start has reported what is wrong
  }
}

/** Makes the TLS settings of a connection with these variables of a rule. Throws if that fails. */
function tryTls(
  assembled: Assembled | undefined,
  variables: RuleVariables,
  findings: Findings,
): void {
  if (variables.get("DHFILE")) findings.warning(DHFILE_IGNORED, "unset DHFILE");
  if (!assembled) return;
  const { contexts, clientAuths } = assembled.services;
  const auth = clientAuths.get(variables);
  if (contexts.hasDefault(variables)) contexts.get(variables, auth);
}

/** True if stdout is a terminal that shows colours, and the user has not declined them
 *  (no-color.org). */
function isColourful({ NO_COLOR, TERM }: Env): boolean {
  return isatty(1) && !NO_COLOR && TERM !== "dumb";
}

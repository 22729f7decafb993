/** `sslserver --check …`: everything a start would do except listening, and what a start cannot
 *  know. One line per finding; exit code 0: nothing to say, 1: warnings, 111: it would not work. */

import fs from "node:fs";
import process from "node:process";
import { assemble, type Env } from "../assemble.ts";
import { checkCertificates } from "../check/certificates.ts";
import { isWeak, resultingSuites } from "../check/ciphers.ts";
import { Findings } from "../check/finding.ts";
import {
  checkDescriptors,
  checkPort,
  checkProgram,
  checkResolver,
  checkRules,
} from "../check/system.ts";
import { FatalError, UsageError } from "../errors.ts";
import { clean, Log } from "../log.ts";
import type { Options } from "../options.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Lookup } from "../tls/settings.ts";
import { serverKeyPairs } from "../tls/key_pairs.ts";
import { tlsConfig } from "../tls/settings.ts";

/** Checks and prints to stdout. Throws `UsageError`. */
export async function check(options: Options, env: Env, runtime: Runtime): Promise<number> {
  const findings = new Findings();
  checkOptions(options, env, runtime, findings);
  checkNames(env, findings);
  const log = new Log({
    verbosity: 1,
    form: "text",
    name: "check",
    write: (lines) => fromLog(lines, findings),
  });
  try {
    const assembled = await assemble(options, env, runtime, log);
    log.flush();
    const { deps, address } = assembled;
    if (!options.selfSigned) {
      const lookup: Lookup = (name) => env[name];
      checkCertificates(lookup, options, assembled.password, findings);
      await checkCiphers(lookup, assembled.password, findings);
    }
    checkPort(runtime, address, findings);
    checkDescriptors(deps.gate.options.descriptors, options, findings);
    if (options.remoteName || options.localName === undefined) {
      await checkResolver(deps.admission.resolver, findings);
    }
    assembled.close();
  } catch (error) {
    log.flush();
    if (error instanceof UsageError || !(error instanceof FatalError)) throw error;
    findings.error(error.message, error.hint ?? "see the man page");
  }
  for (const file of new Set([options.rules, options.earlyRules])) {
    if (file !== undefined) checkRules(file, options, findings);
  }
  checkProgram(options, env["PATH"] ?? "/bin:/usr/bin", findings);
  print(findings, options.log);
  if (findings.list.some(({ level }) => level === "error")) return 111;
  return findings.list.some(({ level }) => level === "warning") ? 1 : 0;
}

/** Warnings that the start itself would print. */
function fromLog(lines: string, findings: Findings): void {
  for (const line of lines.split("\n")) {
    const [, level, text = ""] = /^check: (\w+): (.*)$/.exec(line) ?? [];
    // Expiry is looked at more closely later on.
    if (level === "warning" && !/certificate .* expire/.test(text)) {
      findings.warning(text, text.startsWith("DHFILE") ? "unset DHFILE" : "see the man page");
    }
  }
}

/** Options that do nothing, or work against each other. */
function checkOptions(
  options: Options,
  env: Env,
  runtime: Runtime,
  findings: Findings,
): void {
  const root = process.getuid?.() === 0;
  if (options.allowMissingRules && !options.rules && !options.earlyRules) {
    findings.warning("-X does nothing without -x or -y", "name the rules file: -x FILE");
  }
  if (options.paranoid && !options.remoteName) {
    findings.warning("-p does nothing with -H", "leave out one of them");
  }
  if (options.port === "53" && (options.remoteName || options.localName === undefined)) {
    findings.warning("a server on port 53 that asks the DNS can ask itself", "use -H -l NAME");
  }
  if (options.ident && (options.port === "113" || options.port === "53")) {
    findings.warning(`-r on port ${options.port} can make servers ask each other`, "use -R");
  }
  if (root && options.uid === undefined) {
    findings.warning("programs run as root", "use -u UID and -g GID");
  }
  if (!root && options.uid !== undefined && options.uid !== process.getuid?.()) {
    findings.error(`-u ${options.uid}: only root can switch user`, "start it as root");
  }
  if (options.uid !== undefined && options.gid === undefined) {
    findings.warning("-u without -g keeps the group of whoever starts it", "add -g GID");
  }
  if (options.clientCertificate === "match" && !options.remoteName) {
    findings.warning("-z has no name to match with -H", "leave out -H, or use -m");
  }
  if (!runtime.libc) {
    findings.warning("without FFI the port cannot be tried", "run the check with --allow-ffi");
  }
  if (env["MAXCONIP"] && Number(env["MAXCONIP"]) > options.concurrency) {
    findings.warning(`MAXCONIP ${env["MAXCONIP"]} is above -c ${options.concurrency}`, "raise -c");
  }
}

/** Misspelled variables are the mistakes nothing else can find. */
const MISSPELLED: Readonly<Record<string, string>> = {
  CERT_FILE: "CERTFILE",
  KEY_FILE: "KEYFILE",
  SSL_CERTFILE: "CERTFILE",
  SSL_KEYFILE: "KEYFILE",
  CERT: "CERTFILE",
  KEY: "KEYFILE",
  CA_FILE: "CAFILE",
  CHAINFILE: "CERTCHAINFILE",
  CIPHER: "CIPHERS",
  TLS_UID: "SSL_UID",
  TLS_GID: "SSL_GID",
  MAXCONPERIP: "MAXCONIP",
  TLSMINVERSION: "TLS_MIN_VERSION",
  DNSCACHE: "DNSCACHEIP",
};

function checkNames(env: Env, findings: Findings): void {
  for (const [wrong, right] of Object.entries(MISSPELLED)) {
    if (env[wrong] !== undefined && env[right] === undefined) {
      findings.warning(`$${wrong} is not read`, `did you mean ${right}?`);
    }
  }
}

async function checkCiphers(
  lookup: Lookup,
  password: string | undefined,
  findings: Findings,
): Promise<void> {
  const config = tlsConfig(lookup);
  if (config.ciphers === undefined || config.minVersion === "TLSv1.3") return;
  const read = (path: string) => ({ path, bytes: fs.readFileSync(path) });
  const pairs = serverKeyPairs(
    config.certificateFiles.map(read),
    config.keyFiles.map(read),
    password,
  );
  const suites = await resultingSuites(pairs, config.ciphers);
  const list = suites.join(" ");
  if (suites.length === 0) {
    findings.error(
      `CIPHERS ${config.ciphers}: no client of TLS 1.2 gets through with this certificate`,
      "add suites for its kind of key, ECDHE+AESGCM for one",
    );
  } else if (suites.some(isWeak)) {
    findings.warning(
      `CIPHERS ${config.ciphers}: leaves ${list}`,
      "ECDHE+AESGCM:ECDHE+CHACHA20 keeps out what has no forward secrecy",
    );
  } else findings.ok(`CIPHERS ${config.ciphers}: leaves ${list}`);
}

function print(findings: Findings, form: "text" | "json"): void {
  const lines = findings.list.map(({ level, text, remedy }) => {
    if (form === "json") return JSON.stringify({ level, text, remedy });
    return `${level}: ${printable(text)}${remedy ? `\n    ${printable(remedy)}` : ""}`;
  });
  fs.writeSync(1, `${lines.join("\n")}\n`);
}

/** Subjects of certificates are somebody's text, too. */
function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, (character) => clean(character));
}

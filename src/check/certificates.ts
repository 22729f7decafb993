/** Findings about the server's certificates and keys, beyond what a start needs: how long they are
 *  valid, whether clients will accept them, and whether the files can be read again after the
 *  switch of user. */

import fs from "node:fs";
import type { Certificate } from "../codec/x509/certificate.ts";
import { matchesHost } from "../codec/x509/match.ts";
import { oneLine } from "../codec/x509/names.ts";
import { algorithmName } from "../codec/x509/oids.ts";
import { type Env, hasServerNames, ofServerName, type RuleVariable } from "../config/variables.ts";
import { type Contents, readFiles } from "../tls/key_files.ts";
import { type ServerKeyPair, serverKeyPairs } from "../tls/key_pairs.ts";
import { keyProblems } from "../tls/server_key.ts";
import { tlsConfig, type VariableLookup } from "../tls/settings.ts";
import { obstacle, type ProcessUser } from "./access.ts";
import { type ChainOptions, checkChain } from "./chain.ts";
import { checkBeginning, checkEnd } from "./dates.ts";
import type { Findings } from "./finding.ts";
import type { Actors } from "./processes.ts";

const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const ANY_USAGE = "2.5.29.37.0";

/** The settings of one certificate of the environment. */
export interface Site {
  /** The server name of `CERTFILE:name`, in lower case; undefined for the default certificate. */
  readonly name: string | undefined;
  readonly lookup: VariableLookup;
}

/** The certificates of one site, with their keys. */
export interface SitePairs {
  readonly name: string | undefined;
  readonly pairs: readonly ServerKeyPair[];
  readonly lookup: VariableLookup;
}

/** Returns the settings of every certificate that the environment names. */
export function sites(env: Env): Site[] {
  const named = new Map<string, Map<string, string>>();
  for (const [variable, value] of Object.entries(env)) {
    const of = ofServerName(variable);
    if (!of || !value) continue;
    const key = of.serverName.toLowerCase();
    named.set(key, (named.get(key) ?? new Map<string, string>()).set(of.variable, value));
  }
  const own: Site = { name: undefined, lookup: (name) => env[name] };
  return [
    ...(env.CERTFILE || env.CERTCHAINFILE ? [own] : []),
    ...[...named].map(([name, own]) => ({
      name,
      lookup: (variable: RuleVariable) =>
        hasServerNames(variable) ? own.get(variable) : env[variable],
    })),
  ];
}

/** Checks the files that one site names. Returns undefined if they cannot be used at all. */
export function checkSite(
  { name, lookup }: Site,
  actors: Pick<Actors, "opener" | "program" | "workers" | "module">,
  password: string | undefined,
  findings: Findings,
  now = Date.now(),
): SitePairs | undefined {
  return findings.attempt(() => {
    const config = tlsConfig(lookup);
    const { files } = readFiles(config);
    const pairs = serverKeyPairs(files.certificates, files.keys, password, now);
    const how = { leafFirst: !lookup("CERTCHAINFILE"), alone: pairs.length === 1, now };
    for (const pair of pairs) checkPair(pair, name, files, how, findings);
    const pathsOf = (read: readonly { path: string }[]) => new Set(read.map(({ path }) => path));
    for (const path of pathsOf(files.keys)) checkKeyFile(path, actors, findings);
    for (const path of pathsOf(files.certificates)) checkAgain(path, actors.opener, findings);
    if (config.minVersion === "TLSv1" || config.minVersion === "TLSv1.1") {
      findings.warning(
        `TLS_MIN_VERSION ${config.minVersion} lets clients use a broken protocol (RFC 8996)`,
        "set TLS_MIN_VERSION=TLSv1.2",
      );
    }
    return { name, pairs, lookup };
  });
}

function checkPair(
  { leaf, path, certificates }: ServerKeyPair,
  serverName: string | undefined,
  files: Contents,
  how: ChainOptions,
  findings: Findings,
): void {
  const before = findings.list.length;
  const name = `certificate ${path}`;
  checkEnd(leaf, `${name}:`, "have it renewed", findings, how.now);
  checkBeginning(leaf, name, findings, how.now);
  checkLeaf(leaf, name, serverName, findings);
  checkChain(certificates, path, files.certificates, how, findings);
  if (findings.list.length === before) {
    findings.ok(`${name}: for ${namesOf(leaf)}, until ${leaf.notAfter.text}`);
  }
}

/** Checks whether clients will accept a certificate, except for its dates and its chain. */
export function checkLeaf(
  leaf: Certificate,
  name: string,
  serverName: string | undefined,
  findings: Findings,
): void {
  checkNames(leaf, name, serverName, findings);
  if (leaf.basicConstraints?.ca && !leaf.selfIssued) {
    findings.warning(
      `${name}: belongs to a certificate authority`,
      "use one issued for the server",
    );
  }
  const usage = leaf.extendedKeyUsage;
  if (usage && !usage.includes(SERVER_AUTH) && !usage.includes(ANY_USAGE)) {
    findings.tolerable(`${name}: not for servers (no serverAuth)`, "have it issued for a server");
  }
  const algorithm = algorithmName(leaf.signatureAlgorithm);
  if (/^(md5|sha1|ecdsa-with-SHA1$)/i.test(algorithm)) {
    findings.tolerable(
      `${name}: signed with ${algorithm}, which clients refuse`,
      "have it issued again, signed with SHA-256",
    );
  }
  for (const { text, remedy, severe } of keyProblems(leaf)) {
    findings[severe ? "tolerable" : "warning"](`${name}: ${text}`, remedy);
  }
}

function checkNames(
  leaf: Certificate,
  name: string,
  serverName: string | undefined,
  findings: Findings,
): void {
  if (leaf.dnsNames.length === 0 && leaf.ips.length === 0) {
    findings.warning(
      `${name}: no subjectAltName, so it matches no host name (RFC 9110 4.3.4)`,
      "have it issued again with the names of the host",
    );
  }
  if (serverName === undefined) return;
  // For a wildcard, test one of the names that it stands for.
  const host = serverName.replace(/^\*/, "x");
  if (matchesHost(leaf, host)) return;
  findings.warning(
    `${name}: is used for ${serverName}, but issued for ${namesOf(leaf)}`,
    `set CERTFILE:${serverName} to a certificate with that name`,
  );
}

/** Returns the first names of a certificate, for a message. */
export function namesOf({ dnsNames, subject }: Certificate): string {
  return dnsNames.slice(0, 3).join(", ") || oneLine(subject);
}

/** Reports keys that other users can read, and keys that this server cannot read again. With
 *  workers, only the monitor needs to read them. */
function checkKeyFile(
  path: string,
  { opener, program, workers, module }: Pick<Actors, "opener" | "program" | "workers" | "module">,
  findings: Findings,
): void {
  let mode: number;
  let group: number;
  try {
    ({ mode, gid: group } = fs.statSync(path));
  } catch {
    return; // already reported: the file could not be read
  }
  if (mode & 0o004) {
    findings.warning(`key ${path}: all users can read it`, `chmod o-r ${path}`);
  } else if (
    workers > 0 && opener.uid === 0 && program.uid !== 0 && !obstacle(path, program, "read")
  ) {
    findings.warning(
      `key ${path}: programs can read it, as user ${program.uid}`,
      `chown root:root ${path}; chmod 600 ${path}`,
    );
  } else if (workers > 0 && opener.uid === 0 && mode & 0o040 && group !== 0) {
    findings.info(
      `key ${path}: group ${group} can read it`,
      "chmod g-r, unless another process of that group needs it",
    );
  }
  const why = obstacle(path, opener, "read")?.text;
  if (why === undefined) return;
  findings.warning(
    `key ${path}: ${why}, so a renewed one is used only after a restart`,
    `${
      module ? "" : "leave out --workers 0, "
    }let the group of -g read it, or restart after each renewal`,
  );
}

function checkAgain(path: string, who: ProcessUser, findings: Findings): void {
  const why = obstacle(path, who, "read")?.text;
  if (why === undefined) return;
  findings.warning(
    `certificate ${path}: ${why}, so a renewed one is used only after a restart`,
    `chmod a+r ${path}, and a+x the folder`,
  );
}

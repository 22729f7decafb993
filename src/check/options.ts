/** Findings about options and variables that have no effect, conflict with each other, or are
 *  misspelled. Reads only /etc/passwd, /etc/group and /proc/sys/net/core/somaxconn. */

import fs from "node:fs";
import process from "node:process";
import { CLIENT_AUTH_VARIABLES, type Env, type VariableName } from "../config/variables.ts";
import { literalHost } from "../accept/address.ts";
import { parseLimit, parseRate } from "../admit/limits.ts";
import { formatNetwork } from "../codec/ip.ts";
import { hasRules, type Options, servesHttp1 } from "../config/options.ts";
import { type AccountFile, readAccounts } from "../files/accounts.ts";
import { localFiles } from "../files/files.ts";
import { needsFfi } from "../runtime/needs_ffi.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { hasHttp2 } from "../tls/settings.ts";
import type { Findings } from "./finding.ts";
import { spelling } from "./spelling.ts";

/** Checks what depends on the command line and the environment alone. */
export function checkSettings(
  options: Options,
  env: Env,
  runtime: Runtime,
  findings: Findings,
): void {
  checkAdmission(options, findings);
  checkUser(options, runtime, findings);
  checkNetwork(options, findings);
  checkLimits(options, env, findings);
  checkCertificateSettings(options, env, findings);
  checkSpelling(env, "", findings);
}

function checkAdmission(options: Options, findings: Findings): void {
  const asksDns = options.remoteName || (options.ownName && options.localName === undefined);
  if (options.allowMissingRules && !hasRules(options)) {
    findings.warning("-X does nothing without -x or -y", "name the rules file: -x FILE");
  }
  if (options.paranoid && !options.remoteName) {
    findings.warning("-p does nothing with -H", "leave out one of them");
  }
  if (options.clientCertificate === "match" && !options.remoteName) {
    findings.warning("-z has no name to match with -H", "leave out -H, or use -m");
  }
  if (options.port === "53" && asksDns) {
    findings.warning("a server on port 53 that uses DNS can query itself", "use -H -l NAME");
  }
  if (options.ident && (options.port === "113" || options.port === "53")) {
    findings.warning(
      `-r on port ${options.port} can make two servers query each other without end`,
      "use -R",
    );
  }
}

function checkUser(
  { uid, gid, groups, handler }: Options,
  { libc, name }: Runtime,
  findings: Findings,
): void {
  const root = process.getuid?.() === 0;
  const mayChange = root || !libc || libc.hasCapabilities(0); // CAP_SETUID is enough
  if ((uid !== undefined || gid !== undefined) && !libc) {
    findings.failure(needsFfi("switch user or group (-u, -g, -U)", name));
  }
  if (!mayChange && uid !== undefined && uid !== process.getuid?.()) {
    findings.error(`-u ${uid}: only root can switch user`, "start it as root");
  }
  if (!mayChange && gid !== undefined && gid !== libc.getIds().egid) {
    findings.error(`-g ${gid}: only root can switch group`, "start it as root");
  }
  if (uid !== undefined && gid === undefined && !handler) {
    const group = root ? "root's group" : "the group that the server was started in";
    findings.warning(`programs run as user ${uid} in ${group}`, "use -g as well as -u");
  }
  checkListed("user", "/etc/passwd", uid === undefined ? [] : [uid], findings);
  checkListed(
    "group",
    "/etc/group",
    [...gid === undefined ? [] : [gid], ...groups ?? []],
    findings,
  );
}

/** Reports ids that `file` does not list. The kernel accepts any number, but an unlisted one may be
 *  a typing error. */
export function checkListed(
  what: string,
  file: AccountFile,
  ids: readonly number[],
  findings: Findings,
): void {
  if (ids.length === 0) return;
  let known: Set<string>;
  try {
    known = new Set(readAccounts(localFiles, file).map(({ id }) => id));
  } catch {
    return; // this system keeps them elsewhere
  }
  for (const id of ids) {
    if (known.has(String(id))) continue;
    findings.info(
      `${what} ${id}: not in ${file}`,
      "this is right if only a container knows the number; otherwise correct it",
    );
  }
}

function checkNetwork(options: Options, findings: Findings): void {
  const ip = literalHost(options.host)?.ip;
  const linkLocal = ip !== undefined && /^fe[89ab][0-9a-f]:/i.test(ip);
  if (linkLocal && !options.interface && !ip.includes("%")) {
    findings.error(`host ${ip}: a link-local address needs an interface`, "add -I INTERFACE");
  }
  if (options.interface && ip !== undefined && !linkLocal) {
    findings.warning(
      `-I ${options.interface} does nothing: host ${ip} is not a link-local address`,
      "leave out -I",
    );
  }
  for (const network of options.proxyFrom ?? []) {
    if (network.prefix > 0) continue;
    findings.warning(
      `--proxy-from ${formatNetwork(network)} lets every client choose its own address`,
      "list only the addresses of the proxies",
    );
  }
  const { metrics } = options;
  if (metrics && "host" in metrics && !/^(127\.|::1$)/.test(metrics.host)) {
    findings.warning(
      `--metrics on ${metrics.host} answers every client that can reach it`,
      "use :PORT for loopback, or a unix socket, or protect it with a firewall",
    );
  }
  const cap = largestBacklog();
  if (cap !== undefined && options.backlog > cap) {
    findings.warning(
      `-b ${options.backlog}: the system allows ${cap}`,
      `sysctl net.core.somaxconn=${options.backlog}, or lower -b`,
    );
  }
}

function largestBacklog(): number | undefined {
  try {
    return Number(fs.readFileSync("/proc/sys/net/core/somaxconn", "latin1"));
  } catch {
    return undefined; // not Linux, or Deno, which reads /proc only with all permissions
  }
}

/** Checks each limit separately, because a start stops at the first one that is wrong. */
function checkLimits(options: Options, env: Env, findings: Findings): void {
  const perAddress = findings.attempt(() => parseLimit("MAXCONIP", env.MAXCONIP));
  findings.attempt(() => parseRate(env.MAXCONRATE));
  const perNetwork = findings.attempt(() => parseLimit("MAXCONNET", env.MAXCONNET));
  if (perAddress !== undefined && perAddress > options.concurrency) {
    findings.warning(`MAXCONIP ${perAddress} is above -c ${options.concurrency}`, "raise -c");
  }
  if (perNetwork && !hasRules(options)) {
    findings.warning(
      "MAXCONNET does nothing without rules for networks",
      "add -x FILE, or unset it",
    );
  }
}

/** Reports settings of certificates, of either side, that are set and not used. */
function checkCertificateSettings(options: Options, env: Env, findings: Findings): void {
  const set = (name: VariableName): boolean => (env[name] ?? "") !== "";
  const unused = (name: VariableName, why: string, remedy: string): void => {
    if (set(name)) findings.warning(`${name} is set and not used: ${why}`, remedy);
  };
  if (options.selfSigned) {
    const remedy = "leave out --self-signed, or unset it";
    unused("CERTFILE", "--self-signed overrides it", remedy);
    unused("CERTCHAINFILE", "--self-signed overrides it", remedy);
    unused("KEYFILE", "--self-signed overrides it", remedy);
  } else if (set("CERTFILE") && set("CERTCHAINFILE") && env.CERTFILE !== env.CERTCHAINFILE) {
    unused("CERTFILE", "CERTCHAINFILE overrides it", "unset one of them");
  }
  if (env.SNI_STRICT && /^(0|no|off|false)$/i.test(env.SNI_STRICT)) {
    findings.warning(
      `SNI_STRICT=${env.SNI_STRICT} enables it, as every value does`,
      "unset it, or leave it empty",
    );
  }
  if (servesHttp1(options) && hasHttp2(env.ALPN)) {
    findings.error(
      `ALPN=${env.ALPN}: --www and --files do not speak HTTP/2`,
      "set ALPN=http/1.1, or unset it",
    );
  }
  const required = options.clientCertificate !== "none" || env.CCAVERIFY !== undefined;
  if (env.CCAFILE === "-" && required) {
    const text = "with CCAFILE=- no certificate is requested, so -m, -z and CCAVERIFY do nothing";
    const remedy = "unset CCAFILE, or leave out -m, -z and CCAVERIFY";
    // Does not stop a start: the server serves as configured, but admits everybody.
    findings.tolerable(text, remedy);
  }
  // A rule may request a certificate although the server's environment does not.
  const asked = required || set("CCAFILE") || set("CCADIR") || hasRules(options);
  for (const name of CLIENT_AUTH_VARIABLES) {
    if (!asked) unused(name, "no client certificate is requested", "add -m, or CCAFILE=FILE");
  }
  if (asked && !(set("CAFILE") || set("CADIR") || set("CCAFILE") || set("CCADIR"))) {
    unused("CRLFILE", "no authority is configured", "set CAFILE");
  }
}

/** Reports misspelled variables, which no other check can find. `where` is the beginning of the
 *  message. */
export function checkSpelling(
  env: Readonly<Record<string, string | undefined>>,
  where: string,
  findings: Findings,
): void {
  for (const name of Object.keys(env)) {
    const meant = spelling(name);
    if (meant !== undefined && env[meant] === undefined) {
      findings.warning(`${where}${name} is not read by sslserver`, `did you mean ${meant}?`);
    }
  }
}

/** `--check`: which suites CIPHERS really permits. No library reports that, so it is tested: a
 *  client offers one suite at a time to a server with the same settings, over a loopback socket.
 *  Only for a runtime that honours cipher lists. */

import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { nodeTls } from "../builtins.ts";
import { quoted, reason } from "../errors.ts";
import { tlsConfig } from "../tls/settings.ts";
import type { SitePairs } from "./certificates.ts";
import type { Findings } from "./finding.ts";

/** The suites of TLS 1.2 and below that BoringSSL has for certificates, strongest first. */
export const SUITES = [
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES128-SHA256",
  "ECDHE-RSA-AES128-SHA256",
  "ECDHE-ECDSA-AES256-SHA",
  "ECDHE-RSA-AES256-SHA",
  "ECDHE-ECDSA-AES128-SHA",
  "ECDHE-RSA-AES128-SHA",
  "AES256-GCM-SHA384",
  "AES128-GCM-SHA256",
  "AES256-SHA",
  "AES128-SHA",
  "DES-CBC3-SHA",
] as const;

/** Words of OpenSSL's cipher lists for suites that BoringSSL lacks. They are not mistakes, and have
 *  no effect. */
const ABSENT_SUITES =
  /DSS|DES|RC4|RC2|IDEA|SEED|CAMELLIA|ARIA|MD5|EXP|LOW|MEDIUM|NULL|SSLv[23]|DH|^-?((ECDSA|RSA)-)?AES(128|256)-(SHA256|SHA384|CCM8?)$/;

/** Reports which suites CIPHERS permits with the certificates of one site. */
export async function checkCiphers(
  { pairs, lookup }: SitePairs,
  findings: Findings,
): Promise<void> {
  const { ciphers, minVersion } = tlsConfig(lookup);
  if (ciphers === undefined) return;
  const name = `CIPHERS ${quoted(ciphers)}`;
  if (minVersion === "TLSv1.3") {
    findings.warning(
      `${name}: does nothing, because TLS_MIN_VERSION is TLSv1.3`,
      "unset one of them",
    );
    return;
  }
  for (const word of unknownWords(ciphers)) {
    findings.warning(
      `${name}: '${word}' is not the name of a suite`,
      "check the spelling; openssl ciphers lists the names",
    );
  }
  let suites: string[];
  try {
    suites = await resultingSuites(pairs, ciphers);
  } catch (error) {
    findings.error(`${name}: ${reason(error)}`, "try ECDHE+AESGCM:ECDHE+CHACHA20");
    return;
  }
  const list = suites.join(" ");
  if (suites.length === 0) {
    findings.error(
      `${name}: no TLS 1.2 client can connect with this certificate`,
      "add suites for its kind of key, for example ECDHE+AESGCM",
    );
  } else if (suites.some(isWeak)) {
    findings.warning(
      `${name}: permits ${list}`,
      "set CIPHERS=ECDHE+AESGCM:ECDHE+CHACHA20 to exclude suites that are old or lack forward secrecy",
    );
  } else findings.ok(`${name}: permits ${list}`);
}

/** True for a suite without forward secrecy, or with a cipher mode that has been attacked. */
export function isWeak(suite: string): boolean {
  return !suite.startsWith("ECDHE") || !/GCM|CHACHA20/.test(suite);
}

/** Returns words that should add suites and add none. Libraries ignore them silently. */
export function unknownWords(ciphers: string): string[] {
  return ciphers.split(/[:, ;]+/).filter((word) => {
    // Commands name no suite, and exclusions of unknown suites do no harm.
    if (word === "" || /^[!@-]/.test(word)) return false;
    const bare = word.replace(/^\+/, "");
    return !ABSENT_SUITES.test(bare.replaceAll("ECDHE", "")) && !isCipherList(bare);
  });
}

function isCipherList(word: string): boolean {
  try {
    nodeTls().createSecureContext({ ciphers: word });
    return true;
  } catch {
    return false;
  }
}

/** Resolves to the suites with which a TLS 1.2 client completes a handshake. Rejects if the
 *  settings make no context. */
export async function resultingSuites(
  pairs: readonly { chain: string; key: string }[],
  ciphers: string,
): Promise<string[]> {
  const server = nodeTls().createServer({
    cert: pairs.map(({ chain }) => chain),
    key: pairs.map(({ key }) => key),
    ciphers,
    minVersion: "TLSv1.2",
    maxVersion: "TLSv1.2",
  }, (socket) => socket.on("error", () => {}).end());
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const found: string[] = [];
  try {
    for (const suite of SUITES) if (await accepts(port, suite)) found.push(suite);
  } finally {
    server.close();
  }
  return found;
}

function accepts(port: number, suite: string): Promise<boolean> {
  return new Promise((resolve) => {
    const done = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    // The server's certificate does not matter here.
    const socket = nodeTls().connect({
      port,
      host: "127.0.0.1",
      ciphers: suite,
      maxVersion: "TLSv1.2",
      rejectUnauthorized: false,
    }, () => done(true));
    socket.on("error", () => done(false));
    socket.on("close", () => done(false));
  });
}

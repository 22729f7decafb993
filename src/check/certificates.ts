/** `--check`: certificates and keys, beyond what a start needs: how long they last, whether clients
 *  can build the chain, whether the files can be read again after the switch of user. */

import { createPublicKey } from "node:crypto";
import fs from "node:fs";
import { latin1 } from "../codec/bytes.ts";
import { decodePem } from "../codec/pem.ts";
import { type Certificate, readCertificate } from "../codec/x509.ts";
import { oneLine } from "../codec/x509_names.ts";
import { algorithmName } from "../codec/x509_oids.ts";
import { reason } from "../errors.ts";
import type { Options } from "../options.ts";
import { type NamedFile, type ServerKeyPair, serverKeyPairs } from "../tls/key_pairs.ts";
import { type Lookup, tlsConfig } from "../tls/settings.ts";
import type { Findings } from "./finding.ts";

const DAY = 86_400_000;
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const ANY_USAGE = "2.5.29.37.0";
/** The object identifier id-ad-caIssuers in DER (RFC 5280 4.2.2.1): public authorities say there
 *  where the next certificate is to be had, private ones seldom do. */
const CA_ISSUERS = "\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x02";
/** Where systems keep the public authorities. */
const AUTHORITIES = ["/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem"];

/** Checks what `lookup` names: CERTFILE and its relatives. The start has read the files already. */
export function checkCertificates(
  lookup: Lookup,
  options: Options,
  password: string | undefined,
  findings: Findings,
  now = Date.now(),
): void {
  const config = tlsConfig(lookup);
  const read = (path: string): NamedFile => ({ path, bytes: fs.readFileSync(path) });
  const files = config.certificateFiles.map(read);
  const pairs = serverKeyPairs(files, config.keyFiles.map(read), password);
  for (const pair of pairs) checkPair(pair, files, findings, now);
  for (const path of config.keyFiles) checkKeyFile(path, options, findings);
  if (config.minVersion === "TLSv1" || config.minVersion === "TLSv1.1") {
    findings.warning(
      `TLS_MIN_VERSION ${config.minVersion} lets clients use a broken protocol (RFC 8996)`,
      "set TLS_MIN_VERSION=TLSv1.2",
    );
  }
}

function checkPair(
  { leaf, path, chain }: ServerKeyPair,
  files: readonly NamedFile[],
  findings: Findings,
  now: number,
): void {
  const before = findings.list.length;
  const name = `certificate ${path}`;
  const days = Math.floor((leaf.notAfter.ms - now) / DAY);
  if (days < 0) findings.error(`${name}: expired on ${leaf.notAfter.text}`, "renew it");
  else if (days < 30) {
    findings.warning(`${name}: ends in ${days} days, on ${leaf.notAfter.text}`, "renew it");
  }
  if (leaf.notBefore.ms > now) {
    findings.error(`${name}: not valid before ${leaf.notBefore.text}`, "look at the clock");
  }
  if (leaf.dnsNames.length === 0 && leaf.ips.length === 0) {
    findings.warning(
      `${name}: no subjectAltName, so clients match it with no host name (RFC 9110 4.3.4)`,
      "have it issued with the host's names",
    );
  }
  if (leaf.basicConstraints?.ca && !leaf.selfIssued) {
    findings.warning(`${name}: is that of an authority`, "use one issued for the server");
  }
  const usage = leaf.extendedKeyUsage;
  if (usage && !usage.includes(SERVER_AUTH) && !usage.includes(ANY_USAGE)) {
    findings.error(`${name}: not for servers (no serverAuth)`, "have it issued for a server");
  }
  const algorithm = algorithmName(leaf.signatureAlgorithm);
  if (/^(md5|sha1|ecdsa-with-SHA1$)/i.test(algorithm)) {
    findings.error(`${name}: signed with ${algorithm}, which clients refuse`, "renew it");
  }
  checkKeySize(leaf, name, findings);
  checkChain(decodePem(new TextEncoder().encode(chain)).map(({ bytes }) => bytes), name, findings);
  checkUnused(chain, files, findings);
  if (findings.list.length === before) {
    const names = [...leaf.dnsNames].slice(0, 3).join(", ") || oneLine(leaf.subject);
    findings.ok(`${name}: for ${names}, until ${leaf.notAfter.text}`);
  }
}

function checkKeySize(leaf: Certificate, name: string, findings: Findings): void {
  if (algorithmName(leaf.publicKeyAlgorithm) !== "rsaEncryption") return;
  try {
    const { modulusLength = 0 } = createPublicKey({
      key: `-----BEGIN CERTIFICATE-----\n${base64(leaf.der)}\n-----END CERTIFICATE-----\n`,
      format: "pem",
    }).asymmetricKeyDetails ?? {};
    if (modulusLength > 0 && modulusLength < 2048) {
      findings.error(`${name}: RSA key of ${modulusLength} bits, which clients refuse`, "use 2048");
    }
  } catch {
    // A runtime that does not tell the size has taken the key at start all the same.
  }
}

function base64(bytes: Uint8Array): string {
  return btoa(latin1(bytes)).replaceAll(/(.{64})/g, "$1\n");
}

/** A client knows the roots and must be given the rest. */
function checkChain(ders: readonly Uint8Array[], name: string, findings: Findings): void {
  const last = readCertificate(ders[ders.length - 1] as Uint8Array);
  if (last.selfIssued) {
    if (ders.length === 1) {
      findings.ok(`${name}: self-signed; clients must be given it, or its fingerprint`);
    }
    return;
  }
  const issuer = oneLine(last.issuer);
  const known = authorities();
  if (!known || known.has(latin1(last.issuer.der))) return;
  if (!latin1(last.der).includes(CA_ISSUERS)) {
    findings.ok(`${name}: issued by ${issuer}, a private authority that clients must know`);
    return;
  }
  findings.warning(
    `${name}: the chain ends before an authority that this system knows; missing: ${issuer}`,
    "append the certificate of that issuer to CERTFILE",
  );
}

/** Subjects of the system's authorities; undefined where there is no list. */
function authorities(): Set<string> | undefined {
  for (const path of AUTHORITIES) {
    try {
      const subjects = new Set<string>();
      for (const { bytes } of decodePem(fs.readFileSync(path))) {
        try {
          subjects.add(latin1(readCertificate(bytes).subject.der));
        } catch {
          // One that our strict decoder refuses is none we can speak about.
        }
      }
      return subjects;
    } catch {
      continue;
    }
  }
  return undefined;
}

function checkUnused(chain: string, files: readonly NamedFile[], findings: Findings): void {
  const used = new Set(
    decodePem(new TextEncoder().encode(chain)).map(({ bytes }) => latin1(bytes)),
  );
  for (const { path, bytes } of files) {
    if (bytes[0] === 0x30) continue;
    for (const block of decodePem(bytes)) {
      if (!block.label.endsWith("CERTIFICATE") || used.has(latin1(block.bytes))) continue;
      const subject = oneLine(readCertificate(block.bytes).subject);
      if (files.length > 1) continue;
      findings.warning(
        `certificate ${path}: ${subject} is no part of the chain and is not sent`,
        "remove it, or add what links it to the chain",
      );
    }
  }
}

/** Keys that others can read; keys that this server cannot read again. */
function checkKeyFile(path: string, options: Options, findings: Findings): void {
  try {
    const { mode, uid, gid } = fs.statSync(path);
    if (mode & 0o004) {
      findings.warning(`key ${path}: everybody can read it`, `chmod o-r ${path}`);
    }
    if (options.uid === undefined) return;
    const readable = uid === options.uid
      ? mode & 0o400
      : gid === options.gid || options.groups?.includes(gid)
      ? mode & 0o040
      : mode & 0o004;
    if (!readable) {
      findings.warning(
        `key ${path}: user ${options.uid} cannot read it, so a renewed one takes a restart`,
        "restart after renewal, or make it readable for the group of -g",
      );
    }
  } catch (error) {
    findings.error(`key ${path}: ${reason(error)}`, "look at the file");
  }
}

/** `--check`: whether clients can build the chain of the server's certificate: complete, in order,
 *  each link still valid, nothing in the file that is of no use. */

import fs from "node:fs";
import { dirname, join } from "node:path";
import { equalBytes, latin1 } from "../codec/bytes.ts";
import { decodePem } from "../codec/x509/pem.ts";
import { type Certificate, readCertificate } from "../codec/x509/certificate.ts";
import { oneLine } from "../codec/x509/names.ts";
import { localFiles } from "../files/files.ts";
import { certificatesOf } from "../tls/certificate_blocks.ts";
import { isDer, type NamedFile } from "../tls/file_kind.ts";
import { checkEnd } from "./dates.ts";
import type { Findings } from "./finding.ts";

/** The object identifier id-ad-caIssuers in DER (RFC 5280 4.2.2.1): public authorities say there
 *  where the next certificate is to be had, private ones seldom do. */
const CA_ISSUERS = "\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x02";
/** Where systems keep the public authorities. */
const AUTHORITIES = ["/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem"];
/** Files looked into beside the certificate, and their size: where it lies, its issuers often lie. */
const MAX_BESIDE = 64;
const MAX_FILE = 65_536;
/** The list of all public authorities has 220 KB. */
const MAX_BUNDLE = 16 << 20;

export interface ChainOptions {
  /** CERTFILE begins with the server's own certificate; CERTCHAINFILE may also end with it. */
  readonly leafFirst: boolean;
  /** No other certificate of the server is in these files, so that what is no link is of no use. */
  readonly alone: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Checks the chain, as it is sent, of the certificate from `path`; `files` are all of CERTFILE.
 *  A client knows the roots and must be given the rest. */
export function checkChain(
  sent: readonly Certificate[],
  path: string,
  files: readonly NamedFile[],
  { leafFirst, alone, now }: ChainOptions,
  findings: Findings,
): void {
  const name = `certificate ${path}`;
  for (const one of sent.slice(1)) {
    const which = `${name}: ${oneLine(one.subject)} of its chain`;
    const remedy = "put the authority's current chain into the file";
    checkEnd(one, which, remedy, findings, now);
  }
  checkLast(sent, path, findings);
  const [file] = files;
  if (alone && files.length === 1 && file) checkFile(sent, file, leafFirst, findings);
}

function checkLast(sent: readonly Certificate[], path: string, findings: Findings): void {
  const name = `certificate ${path}`;
  const last = sent.at(-1);
  if (!last) return;
  if (last.selfIssued) {
    if (sent.length > 1) return;
    findings.info(
      `${name}: self-signed`,
      "clients must be given it, or its fingerprint; else have it issued by an authority",
    );
    return;
  }
  const known = authorities();
  if (known?.has(latin1(last.issuer.der))) return;
  const issuer = oneLine(last.issuer);
  const beside = issuerBeside(last, path);
  if (beside && !beside.selfIssued) {
    findings.warning(
      `${name}: the chain is not complete; missing: ${issuer}`,
      `append ${beside.path} to it, or set CERTFILE to the file that has both`,
    );
  } else if (!beside && known && latin1(last.der).includes(CA_ISSUERS)) {
    findings.warning(
      `${name}: the chain ends before an authority that this system knows; missing: ${issuer}`,
      "append the certificate of that issuer to CERTFILE",
    );
  } else {
    findings.info(
      `${name}: issued by ${issuer}, an authority that this system does not know`,
      "clients must know it; if it is an intermediate, append its certificate",
    );
  }
}

/** The certificate of the issuer, when it lies in the same folder: certbot, for one, writes a
 *  cert.pem without it beside a fullchain.pem with it. */
function issuerBeside(
  last: Certificate,
  path: string,
): { path: string; selfIssued: boolean } | undefined {
  const folder = dirname(path);
  let names: string[] = [];
  try {
    names = fs.readdirSync(folder).filter((name) => /\.(pem|crt|cer)$/i.test(name)).sort();
  } catch {
    return undefined; // may be entered and not listed
  }
  let root: { path: string; selfIssued: boolean } | undefined;
  for (const file of names.slice(0, MAX_BESIDE).map((name) => join(folder, name))) {
    for (const { subject, selfIssued } of certificatesIn(file)) {
      if (!equalBytes(subject.der, last.issuer.der)) continue;
      // One that only links to another authority may lie beside the root of the same name.
      if (selfIssued) return { path: file, selfIssued };
      root ??= { path: file, selfIssued };
    }
  }
  return root;
}

function certificatesIn(file: string): Certificate[] {
  try {
    const bytes = localFiles.read(file, MAX_FILE);
    // Appended to the chain, the key would be in a file that others may read.
    if (/PRIVATE\s+KEY/.test(latin1(bytes))) return [];
    return certificatesOf(decodePem(bytes)).map(readCertificate);
  } catch {
    return []; // no business of this check
  }
}

/** Subjects of the system's authorities; undefined where there is no list. */
function authorities(): Set<string> | undefined {
  for (const path of AUTHORITIES) {
    try {
      const subjects = new Set<string>();
      for (const { bytes } of decodePem(localFiles.read(path, MAX_BUNDLE))) {
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

function checkFile(
  sent: readonly Certificate[],
  { path, bytes }: NamedFile,
  leafFirst: boolean,
  findings: Findings,
): void {
  if (isDer(bytes)) return; // one certificate
  const held = certificatesOf(decodePem(bytes));
  const places = held.map((one) => sent.findIndex(({ der }) => equalBytes(der, one)));
  for (const [i, der] of held.entries()) {
    if ((places[i] ?? -1) >= 0) continue;
    findings.warning(
      `certificate ${path}: ${
        oneLine(readCertificate(der).subject)
      } is no part of the chain and is not sent`,
      "remove it, or add what links it to the chain",
    );
  }
  const order = places.filter((place) => place >= 0);
  const rising = order.every((place, i) => place === i);
  const falling = order.every((place, i) => place === order.length - 1 - i);
  if (rising || (falling && !leafFirst)) return;
  findings.warning(
    `certificate ${path}: not in order: sslserver sorts it, other programs do not`,
    "put the server's own certificate first, then each issuer after what it issued",
  );
}

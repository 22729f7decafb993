/** `--check`: whether clients can build the chain of the server's certificate. The chain must be
 *  complete and in order, each link must still be valid, and the file must hold nothing else. */

import fs from "node:fs";
import { dirname, join } from "node:path";
import { equalBytes, latin1 } from "../codec/bytes.ts";
import { decodePem } from "../codec/x509/pem.ts";
import { type Certificate, readCertificate } from "../codec/x509/certificate.ts";
import { oneLine } from "../codec/x509/names.ts";
import { localFiles } from "../files/files.ts";
import { certificatesOf } from "../tls/certificate_blocks.ts";
import { isDer, type NamedFile } from "../tls/file_kind.ts";
import { SYSTEM_BUNDLES } from "../tls/system_authorities.ts";
import { checkEnd } from "./dates.ts";
import type { Findings } from "./finding.ts";

/** The object identifier id-ad-caIssuers in DER (RFC 5280 4.2.2.1). Public authorities use it to
 *  say where the next certificate is; private ones seldom do. */
const CA_ISSUERS = "\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x02";
/** Maximum number and size of the files in the certificate's folder that are searched for its
 *  issuer. */
const MAX_NEIGHBOURS = 64;
const MAX_FILE = 65_536;
/** Maximum size of a list of authorities, in bytes. All public authorities have 220 KB. */
const MAX_BUNDLE = 16 << 20;

export interface ChainOptions {
  /** True for CERTFILE, which begins with the server's own certificate. CERTCHAINFILE may also end
   *  with it. */
  readonly leafFirst: boolean;
  /** True if these files have no other certificate of the server. A certificate outside the chain
   *  is then useless. */
  readonly alone: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Checks the chain that is sent with the certificate from `path`. `files`: all files of CERTFILE.
 *  A client has the roots and must be sent the rest. */
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
      "give clients the certificate or its fingerprint, or have one issued by an authority",
    );
    return;
  }
  const known = authorities();
  if (known?.has(latin1(last.issuer.der))) return;
  const issuer = oneLine(last.issuer);
  const neighbour = issuerInFolder(last, path);
  if (neighbour && !neighbour.selfIssued) {
    findings.warning(
      `${name}: the chain is not complete; missing: ${issuer}`,
      `append ${neighbour.path} to it, or set CERTFILE to the file that has both`,
    );
  } else if (!neighbour && known && latin1(last.der).includes(CA_ISSUERS)) {
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

/** Returns the certificate of the issuer, if it is in the same folder. For example, certbot writes
 *  a cert.pem without it and a fullchain.pem with it. */
function issuerInFolder(
  last: Certificate,
  path: string,
): { path: string; selfIssued: boolean } | undefined {
  const folder = dirname(path);
  let names: string[] = [];
  try {
    names = fs.readdirSync(folder).filter((name) => /\.(pem|crt|cer)$/i.test(name)).sort();
  } catch {
    return undefined; // the folder may be searched, but not listed
  }
  let root: { path: string; selfIssued: boolean } | undefined;
  for (const file of names.slice(0, MAX_NEIGHBOURS).map((name) => join(folder, name))) {
    for (const { subject, selfIssued } of certificatesIn(file)) {
      if (!equalBytes(subject.der, last.issuer.der)) continue;
      // Prefer the root: a cross-signed certificate of the same name may be in the folder too.
      if (selfIssued) return { path: file, selfIssued };
      root ??= { path: file, selfIssued };
    }
  }
  return root;
}

function certificatesIn(file: string): Certificate[] {
  try {
    const bytes = localFiles.read(file, MAX_FILE);
    // Do not suggest a file with a key: appended to the chain, the key would be in a file that
    // other users may read.
    if (/PRIVATE\s+KEY/.test(latin1(bytes))) return [];
    return certificatesOf(decodePem(bytes)).map(readCertificate);
  } catch {
    return []; // this check only looks for an issuer
  }
}

/** Returns the subjects of the system's authorities; undefined if there is no list. */
function authorities(): Set<string> | undefined {
  for (const path of SYSTEM_BUNDLES) {
    try {
      const subjects = new Set<string>();
      for (const { bytes } of decodePem(localFiles.read(path, MAX_BUNDLE))) {
        try {
          subjects.add(latin1(readCertificate(bytes).subject.der));
        } catch {
          // Skip a certificate that our strict decoder refuses.
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
  if (isDer(bytes)) return; // DER holds one certificate
  const held = certificatesOf(decodePem(bytes));
  const places = held.map((one) => sent.findIndex(({ der }) => equalBytes(der, one)));
  for (const [i, der] of held.entries()) {
    if ((places[i] ?? -1) >= 0) continue;
    findings.warning(
      `certificate ${path}: ${
        oneLine(readCertificate(der).subject)
      } is not part of the chain and is not sent`,
      "remove it, or add the certificates that link it to the chain",
    );
  }
  const order = places.filter((place) => place >= 0);
  const rising = order.every((place, i) => place === i);
  const falling = order.every((place, i) => place === order.length - 1 - i);
  if (rising || (falling && !leafFirst)) return;
  findings.warning(
    `certificate ${path}: not in order: sslserver sorts it, other programs do not`,
    "put the server's own certificate first, then each issuer after the certificate that it issued",
  );
}

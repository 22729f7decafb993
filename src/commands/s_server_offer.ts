/** The lines that `s_server` prints about what a client offered, in OpenSSL's words and names. Pure:
 *  no I/O. */

import { latin1 } from "../codec/bytes.ts";
import { printable } from "../codec/printable.ts";
import { GROUPS, POINT_FORMATS, SIGNATURE_SCHEMES } from "../codec/tls/algorithms.ts";
import {
  type ClientHelloMessage,
  offeredGroups,
  offeredPointFormats,
  offeredProtocols,
  offeredSignatures,
} from "../codec/tls/hello.ts";

/** Longest line, in characters. A ClientHello can list thousands of numbers. */
const MAX_LINE = 4096;

/** The protocols that the client offered by ALPN. */
export function advertisedLine(hello: ClientHelloMessage): string[] {
  const names = offered(hello, offeredProtocols).map((name) => printable(latin1(name)));
  return line("ALPN protocols advertised by the client: ", names.join(", "));
}

/** Signature algorithms, point formats and groups. */
export function offerLines(hello: ClientHelloMessage): string[] {
  const schemes = offered(hello, offeredSignatures).map(signatureName);
  const formats = offered(hello, offeredPointFormats).map((n) => POINT_FORMATS[n] ?? code(n));
  const groups = offered(hello, offeredGroups).map((n) => GROUPS[n] ?? code(n));
  return [
    ...line("Signature Algorithms: ", schemes.join(":")),
    ...line("Supported Elliptic Curve Point Formats: ", formats.join(":")),
    ...line("Supported groups: ", groups.join(":")),
  ];
}

function line(title: string, text: string): string[] {
  return text === "" ? [] : [`${title}${text}`.slice(0, MAX_LINE)];
}

/** Empty if the extension is malformed. */
function offered<T>(hello: ClientHelloMessage, read: (hello: ClientHelloMessage) => T[]): T[] {
  try {
    return read(hello);
  } catch {
    return [];
  }
}

/** The bytes of a pair of hash and signature. */
const HASHES = ["", "MD5", "SHA1", "SHA224", "SHA256", "SHA384", "SHA512"];
const SIGNATURES = ["", "RSA", "DSA", "ECDSA"];
const PSS = "rsa_pss_rsae_sha";

/** `RSA+SHA256` for `rsa_pkcs1_sha256`, and `RSA-PSS+SHA256` for `rsa_pss_rsae_sha256`. */
function signatureName(scheme: number): string {
  const hash = HASHES[scheme >> 8];
  const signature = SIGNATURES[scheme & 0xff];
  if (hash && signature) return `${signature}+${hash}`;
  const name = SIGNATURE_SCHEMES[scheme] ?? code(scheme);
  return name.startsWith(PSS) ? `RSA-PSS+SHA${name.slice(PSS.length)}` : name;
}

function code(value: number): string {
  return `0x${value.toString(16).toUpperCase().padStart(4, "0")}`;
}

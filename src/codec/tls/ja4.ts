/** JA4: a fingerprint of a TLS client, made of what its ClientHello offers (FoxIO, "JA4: TLS Client
 *  Fingerprinting"). Pure: the caller provides the hash function. */

import { hex, latin1 } from "../bytes.ts";
import {
  type ClientHelloMessage,
  firstProtocol,
  offeredSignatures,
  offeredVersions,
  withoutGrease,
} from "./hello.ts";

const SERVER_NAME = 0;
const ALPN = 16;

/** The two characters for a version. */
const VERSIONS: Readonly<Record<number, string>> = {
  0x0002: "s2",
  0x0300: "s3",
  0x0301: "10",
  0x0302: "11",
  0x0303: "12",
  0x0304: "13",
  0xfeff: "d1",
  0xfefd: "d2",
  0xfefc: "d3",
};

/** Number of characters of a hash that are kept. */
const KEPT = 12;
const NO_ITEMS = "0".repeat(KEPT);

/** The fingerprint of a client that speaks TLS over TCP, `t13d1516h2_8daaf6152771_e5627efa2ab1`.
 *  `sha256` returns the hash of an ASCII text in lower-case hexadecimal. Throws `DecodeError` if an
 *  extension that it needs is malformed. */
export function ja4(hello: ClientHelloMessage, sha256: (text: string) => string): string {
  const suites = withoutGrease(hello.cipherSuites);
  const extensions = withoutGrease(hello.extensions.map(({ type }) => type));
  const kept = extensions.filter((type) => type !== SERVER_NAME && type !== ALPN);
  const signatures = withoutGrease(offeredSignatures(hello));
  const digest = (text: string): string => sha256(text).slice(0, KEPT);
  const named = extensions.includes(SERVER_NAME) ? "d" : "i";
  const start = `t${version(hello)}${named}${count(suites)}${count(extensions)}${protocol(hello)}`;
  const ciphers = suites.length === 0 ? NO_ITEMS : digest(sorted(suites));
  const tail = signatures.length === 0 ? "" : `_${codes(signatures)}`;
  const offers = kept.length === 0 ? NO_ITEMS : digest(sorted(kept) + tail);
  return `${start}_${ciphers}_${offers}`;
}

/** The highest version offered. */
function version(hello: ClientHelloMessage): string {
  return VERSIONS[Math.max(...withoutGrease(offeredVersions(hello)))] ?? "00";
}

function count(list: readonly number[]): string {
  return String(Math.min(list.length, 99)).padStart(2, "0");
}

/** The first and last character of the first ALPN protocol. If either is not a letter or digit:
 *  those of its hexadecimal form. */
function protocol(hello: ClientHelloMessage): string {
  const name = firstProtocol(hello);
  if (!name || name.length === 0) return "00";
  const text = latin1(name);
  const shown = /^[0-9A-Za-z](?:[^]*[0-9A-Za-z])?$/.test(text) ? text : hex(name);
  return `${shown[0]}${shown.at(-1)}`;
}

const DIGITS = Uint8Array.from("0123456789abcdef", (digit) => digit.charCodeAt(0));
const COMMA = 0x2c;

/** Four hexadecimal digits each, separated by commas. Fills an array: strings for each value would
 *  be garbage on the way of every connection that is fingerprinted. */
function codes(list: ArrayLike<number>): string {
  const text = new Uint8Array(list.length * 5);
  for (let i = 0; i < list.length; i++) {
    const value = list[i] as number;
    for (let digit = 0; digit < 4; digit++) {
      text[5 * i + digit] = DIGITS[(value >> (12 - 4 * digit)) & 15] as number;
    }
    text[5 * i + 4] = COMMA;
  }
  return latin1(text.subarray(0, -1));
}

function sorted(list: readonly number[]): string {
  return codes(Uint16Array.from(list).sort());
}

/** ClientHello messages: recorded from real clients, and built from parts. */

import { concat, fromLatin1 } from "../../src/codec/bytes.ts";

const base64 = (text: string): Uint8Array => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

/** openssl 3.0 s_client -servername www.example.com -alpn h2,http/1.1 */
export const OPENSSL = base64(
  "FgMBAU4BAAFKAwOSSUep4RX0vbARbauHYeejLf34ckyid5NiFv1QqaL/jCC5kkMOGZ3Oaf7p0vh+20QecfjuKBvZ" +
    "3Ib+5oh/wH1hNQA+EwITAxMBwCzAMACfzKnMqMyqwCvALwCewCTAKABrwCPAJwBnwArAFAA5wAnAEwAzAJ0AnAA9" +
    "ADwANQAvAP8BAADDAAAAFAASAAAPd3d3LmV4YW1wbGUuY29tAAsABAMAAQIACgAWABQAHQAXAB4AGQAYAQABAQEC" +
    "AQMBBAAjAAAAEAAOAAwCaDIIaHR0cC8xLjEAFgAAABcAAAANACoAKAQDBQMGAwgHCAgICQgKCAsIBAgFCAYEAQUB" +
    "BgEDAwMBAwIEAgUCBgIAKwAJCAMEAwMDAgMBAC0AAgEBADMAJgAkAB0AIFQsEq1gJQuPpH2ZaMlI4N2XJ1uqDe3S" +
    "PjdVFClAvM4b",
);
/** openssl 3.0 s_client -noservername -tls1_2 */
export const OPENSSL_TLS12 = base64(
  "FgMBALcBAACzAwOrwHMj9TmBRRa5H8azNogBqHiTcDo+JrqKp4rngjSfQAAAOMAswDAAn8ypzKjMqsArwC8AnsAk" +
    "wCgAa8AjwCcAZ8AKwBQAOcAJwBMAMwCdAJwAPQA8ADUALwD/AQAAUgALAAQDAAECAAoADAAKAB0AFwAeABkAGAAj" +
    "AAAAFgAAABcAAAANACoAKAQDBQMGAwgHCAgICQgKCAsIBAgFCAYEAQUBBgEDAwMBAwIEAgUCBgI=",
);
/** curl 7.88 https://mail.example.org/ */
export const CURL = base64(
  "FgMBAgABAAH8AwP17FVpAw+wq5XIPrXKTZvIOi5Sp8iON/CWnHmI7NWk8CDeu6Ynh/tYf7FxC8mu8Eq28fw4URRr" +
    "Pm+YNojzp2LH/QA+EwITAxMBwCzAMACfzKnMqMyqwCvALwCewCTAKABrwCPAJwBnwArAFAA5wAnAEwAzAJ0AnAA9" +
    "ADwANQAvAP8BAAF1AAAAFQATAAAQbWFpbC5leGFtcGxlLm9yZwALAAQDAAECAAoAFgAUAB0AFwAeABkAGAEAAQEB" +
    "AgEDAQQAEAAOAAwCaDIIaHR0cC8xLjEAFgAAABcAAAAxAAAADQAqACgEAwUDBgMIBwgICAkICggLCAQIBQgGBAEF" +
    "AQYBAwMDAQMCBAIFAgYCACsACQgDBAMDAwIDAQAtAAIBAQAzACYAJAAdACCGVZqhXMKb6jqwNCv7Jb6HAnsc4KKX" +
    "/xmPx8K8u2SrdwAVAK0AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" +
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" +
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
);

export const u16 = (n: number): Uint8Array => Uint8Array.of(n >> 8, n & 0xff);
export const vec8 = (body: Uint8Array): Uint8Array => concat([Uint8Array.of(body.length), body]);
export const vec16 = (body: Uint8Array): Uint8Array => concat([u16(body.length), body]);

export const extension = (type: number, body: Uint8Array): Uint8Array =>
  concat([u16(type), vec16(body)]);

export const hostName = (name: string, type = 0): Uint8Array =>
  concat([Uint8Array.of(type), vec16(fromLatin1(name))]);

export const serverName = (...names: Uint8Array[]): Uint8Array =>
  extension(0, vec16(concat(names)));

export const protocols = (...names: string[]): Uint8Array =>
  extension(16, vec16(concat(names.map((name) => vec8(fromLatin1(name))))));

/** A handshake message with these extensions; undefined: without any. */
export function message(extensions?: readonly Uint8Array[]): Uint8Array {
  const body = concat([
    u16(0x0303),
    new Uint8Array(32),
    vec8(new Uint8Array(0)),
    vec16(u16(0x1301)),
    vec8(Uint8Array.of(0)),
    ...(extensions ? [vec16(concat(extensions))] : []),
  ]);
  return concat([Uint8Array.of(1, body.length >> 16), u16(body.length & 0xffff), body]);
}

/** A message in records of at most `size` bytes. */
export function records(bytes: Uint8Array, size = 16_384): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    parts.push(Uint8Array.of(22, 3, 1), vec16(bytes.subarray(at, at + size)));
  }
  return concat(parts);
}

/** Hellos for the tests of the TLS reader: recorded from real clients, and built from parts. */

import { fromFileUrl } from "@std/path";
import * as fs from "node:fs";
import { concat } from "../../../src/codec/bytes.ts";
import type { ClientHelloMessage, ServerHelloMessage } from "../../../src/codec/tls/hello.ts";
import { extension, u16, vec16, vec8 } from "../client_hello_samples.ts";

const FOLDER = fromFileUrl(new URL("../../data/tls_hellos/", import.meta.url));

/** The first record of each client, by the file's name: one ClientHello. Made on Debian 12 with the
 *  clients that their names tell; test/data/tls_hellos/README says how. */
export const RECORDED: ReadonlyMap<string, Uint8Array> = new Map(
  fs.readdirSync(FOLDER).filter((name) => name.endsWith(".bin")).sort()
    .map((name) => [name.slice(0, -4), new Uint8Array(fs.readFileSync(FOLDER + name))]),
);

/** The message in a single record. */
export const messageOf = (record: Uint8Array): Uint8Array => record.subarray(5);
/** The body of the message in a single record. */
export const bodyOf = (record: Uint8Array): Uint8Array => record.subarray(9);

export function handshake(type: number, body: Uint8Array): Uint8Array {
  return concat([Uint8Array.of(type, body.length >> 16), u16(body.length & 0xffff), body]);
}

/** Records of one content type with at most `size` bytes each. */
export function recordsOf(type: number, bytes: Uint8Array, size = 16_384): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    parts.push(Uint8Array.of(type, 3, 3), vec16(bytes.subarray(at, at + size)));
  }
  return concat(parts);
}

const list16 = (numbers: readonly number[]): Uint8Array => vec16(concat(numbers.map(u16)));

/** The body of a ClientHello; the inverse of `readClientHello`. */
export function clientHelloBody(hello: ClientHelloMessage): Uint8Array {
  return concat([
    u16(hello.legacyVersion),
    hello.random,
    vec8(hello.sessionId),
    list16(hello.cipherSuites),
    vec8(Uint8Array.from(hello.compressionMethods)),
    ...extensions(hello.extensions),
  ]);
}

/** The body of a ServerHello; the inverse of `readServerHello`. */
export function serverHelloBody(hello: Omit<ServerHelloMessage, "retry">): Uint8Array {
  return concat([
    u16(hello.legacyVersion),
    hello.random,
    vec8(hello.sessionId),
    u16(hello.cipherSuite),
    Uint8Array.of(hello.compressionMethod),
    ...extensions(hello.extensions),
  ]);
}

function extensions(list: ClientHelloMessage["extensions"]): Uint8Array[] {
  if (list.length === 0) return [];
  return [vec16(concat(list.map(({ type, body }) => extension(type, body))))];
}

/** A ClientHello with these parts; the others are those of a small client. */
export function clientHello(parts: Partial<ClientHelloMessage>): ClientHelloMessage {
  return {
    legacyVersion: 0x0303,
    random: new Uint8Array(32).fill(7),
    sessionId: new Uint8Array(0),
    cipherSuites: [0x1301],
    compressionMethods: [0],
    extensions: [],
    ...parts,
  };
}

/** A ServerHello with these parts. */
export function serverHello(parts: Partial<ServerHelloMessage>): ServerHelloMessage {
  return {
    legacyVersion: 0x0303,
    random: new Uint8Array(32).fill(9),
    sessionId: new Uint8Array(0),
    cipherSuite: 0x1301,
    compressionMethod: 0,
    extensions: [],
    retry: false,
    ...parts,
  };
}

/** SHA-256 of "HelloRetryRequest" (RFC 8446 4.1.3). */
export const RETRY_RANDOM = Uint8Array.from(
  "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c".match(/../g) ?? [],
  (pair) => parseInt(pair, 16),
);

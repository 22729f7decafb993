/** ClientHello and ServerHello with everything in them (RFC 8446 4.1.2 and 4.1.3). Pure: no I/O.
 *  The bodies of extensions stay as they are; extensions.ts reads them. client_hello.ts reads the
 *  ClientHello to choose the certificate; it reads less of it, and is stricter. */

import { DecodeError, equalBytes, Reader } from "../bytes.ts";
import { isGrease } from "./grease.ts";

/** An extension of a hello, in the order of the message. */
export interface Extension {
  readonly type: number;
  readonly body: Uint8Array;
}

export interface ClientHelloMessage {
  readonly legacyVersion: number;
  /** 32 bytes. */
  readonly random: Uint8Array;
  /** At most 32 bytes. */
  readonly sessionId: Uint8Array;
  readonly cipherSuites: readonly number[];
  readonly compressionMethods: readonly number[];
  readonly extensions: readonly Extension[];
}

export interface ServerHelloMessage {
  readonly legacyVersion: number;
  /** 32 bytes. */
  readonly random: Uint8Array;
  /** At most 32 bytes. */
  readonly sessionId: Uint8Array;
  readonly cipherSuite: number;
  readonly compressionMethod: number;
  readonly extensions: readonly Extension[];
  /** The server asks for another ClientHello: a HelloRetryRequest of TLS 1.3. */
  readonly retry: boolean;
}

/** The random of a HelloRetryRequest: SHA-256 of "HelloRetryRequest" (RFC 8446 4.1.3). */
const RETRY = Uint8Array.of(
  ...[0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8],
  ...[0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8],
  ...[0x33, 0x9c],
);

const MAX_SESSION_ID = 32;
const SUPPORTED_VERSIONS = 43;
const SIGNATURE_ALGORITHMS = 13;
const SUPPORTED_GROUPS = 10;
const POINT_FORMATS = 11;
const ALPN = 16;

/** Reads the body of a ClientHello, without the message's header. Throws `DecodeError`. An
 *  extension type may occur twice. */
export function readClientHello(body: Uint8Array): ClientHelloMessage {
  const reader = new Reader(body, "client hello");
  return {
    legacyVersion: reader.u16("legacy version"),
    random: reader.take(32, "random"),
    sessionId: sessionId(reader),
    cipherSuites: numberList(reader.inner(2, "cipher suites"), 2, "cipher suite"),
    compressionMethods: numberList(reader.inner(1, "compression methods"), 1, "compression method"),
    extensions: helloExtensions(reader),
  };
}

/** Reads the body of a ServerHello or HelloRetryRequest, without the message's header. Throws
 *  `DecodeError`. */
export function readServerHello(body: Uint8Array): ServerHelloMessage {
  const reader = new Reader(body, "server hello");
  const legacyVersion = reader.u16("legacy version");
  const random = reader.take(32, "random");
  return {
    legacyVersion,
    random,
    sessionId: sessionId(reader),
    cipherSuite: reader.u16("cipher suite"),
    compressionMethod: reader.u8("compression method"),
    extensions: helloExtensions(reader),
    retry: equalBytes(random, RETRY),
  };
}

function sessionId(reader: Reader): Uint8Array {
  const { at } = reader;
  const id = reader.vector(1, "session id");
  if (id.length <= MAX_SESSION_ID) return id;
  throw new DecodeError(`${reader.format}: session id: longer than 32 bytes at byte ${at}`);
}

/** RFC 5246 7.4.1.2: a message without extensions may end before their length. */
function helloExtensions(reader: Reader): Extension[] {
  if (reader.left === 0) return [];
  const list = readExtensions(reader.inner(2, "extensions"));
  reader.end("extensions");
  return list;
}

/** Reads a list of extensions to its end. Throws `DecodeError`. */
function readExtensions(list: Reader): Extension[] {
  const extensions: Extension[] = [];
  while (list.left > 0) {
    const type = list.u16("extension type");
    extensions.push({ type, body: list.vector(2, "extension") });
  }
  return extensions;
}

/** Reads a list of numbers of `width` bytes to its end. Throws `DecodeError`. */
export function numberList(list: Reader, width: 1 | 2, field: string): number[] {
  const found: number[] = [];
  while (list.left > 0) found.push(width === 1 ? list.u8(field) : list.u16(field));
  return found;
}

/** The body of the first extension of a type. */
function bodyOf(extensions: readonly Extension[], type: number): Uint8Array | undefined {
  return extensions.find((extension) => extension.type === type)?.body;
}

/** The versions that a client offers, in its order, GREASE included. Without the extension: the
 *  legacy version. Throws `DecodeError`. */
export function offeredVersions(hello: ClientHelloMessage): number[] {
  const body = bodyOf(hello.extensions, SUPPORTED_VERSIONS);
  if (!body) return [hello.legacyVersion];
  return whole(body, (reader) => numberList(reader.inner(1, "supported versions"), 2, "version"));
}

/** The version that a ServerHello selects. Throws `DecodeError`. */
export function selectedVersion(hello: ServerHelloMessage): number {
  const body = bodyOf(hello.extensions, SUPPORTED_VERSIONS);
  return body ? whole(body, (reader) => reader.u16("selected version")) : hello.legacyVersion;
}

/** The signature algorithms that a client offers, in its order. Throws `DecodeError`. */
export function offeredSignatures(hello: ClientHelloMessage): number[] {
  const body = bodyOf(hello.extensions, SIGNATURE_ALGORITHMS);
  if (!body) return [];
  const read = (reader: Reader): number[] =>
    numberList(reader.inner(2, "signature algorithms"), 2, "signature algorithm");
  return whole(body, read);
}

/** The groups that a client offers, in its order, GREASE included. Throws `DecodeError`. */
export function offeredGroups(hello: ClientHelloMessage): number[] {
  const body = bodyOf(hello.extensions, SUPPORTED_GROUPS);
  if (!body) return [];
  return whole(body, (reader) => numberList(reader.inner(2, "groups"), 2, "group"));
}

/** The formats of curve points that a client offers. Throws `DecodeError`. */
export function offeredPointFormats(hello: ClientHelloMessage): number[] {
  const body = bodyOf(hello.extensions, POINT_FORMATS);
  if (!body) return [];
  return whole(body, (reader) => numberList(reader.inner(1, "point formats"), 1, "point format"));
}

/** The protocols that a client offers by ALPN, in its order. Throws `DecodeError`. */
export function offeredProtocols(hello: ClientHelloMessage): Uint8Array[] {
  const body = bodyOf(hello.extensions, ALPN);
  if (!body) return [];
  return whole(body, (reader) => {
    const list = reader.inner(2, "protocol list");
    const names: Uint8Array[] = [];
    while (list.left > 0) names.push(list.vector(1, "protocol name"));
    return names;
  });
}

/** The first protocol that a client offers by ALPN. Undefined: it offers none. Throws
 *  `DecodeError`. */
export function firstProtocol(hello: ClientHelloMessage): Uint8Array | undefined {
  const body = bodyOf(hello.extensions, ALPN);
  if (!body) return undefined;
  return whole(body, (reader) => {
    const list = reader.inner(2, "protocol list");
    return list.left > 0 ? list.vector(1, "protocol name") : undefined;
  });
}

/** Calls `read` on a body and returns its result. Throws `DecodeError` if `read` leaves bytes. */
function whole<T>(body: Uint8Array, read: (reader: Reader) => T): T {
  const reader = new Reader(body, "client hello");
  const found = read(reader);
  reader.end("extension");
  return found;
}

/** The list without the numbers of RFC 8701. */
export function withoutGrease(values: readonly number[]): number[] {
  return values.filter((value) => !isGrease(value));
}

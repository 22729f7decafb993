/** Reads a ClientHello before the TLS library does: the server name, protocols and versions that
 *  the client asks for (RFC 8446 4.1.2 and 5.1, RFC 6066 3, RFC 7301 3.1). Pure: no I/O.
 *  Nothing is negotiated here: the TLS library reads the same bytes again and decides. Unknown
 *  values are skipped. A malformed message is refused before it can select a certificate,
 *  because another parser might read a different server name in it. */

import { concat, DecodeError, latin1, Reader } from "./bytes.ts";

/** The fields of a ClientHello that the server uses. */
export interface ClientHello {
  /** `host_name` as sent, one character per byte; untrusted until matched. Absent: none was
   *  sent. */
  serverName?: string;
  /** Protocol names as sent, one character per byte, best first. Empty: no ALPN. */
  alpn: string[];
  /** The versions in `supported_versions`, else only the legacy version. `0x0304` is TLS 1.3. */
  versions: number[];
}

/** What the bytes received so far contain. */
export type Gathered =
  | { is: "incomplete" }
  /** The complete handshake message, header included. */
  | { is: "whole"; message: Uint8Array }
  /** Not a ClientHello that this parser accepts. The TLS library sends the proper alert. */
  | { is: "other" };

const HANDSHAKE_RECORD = 22;
const MAJOR_VERSION = 3;
const RECORD_HEADER = 5;
/** RFC 8446 5.1: a record holds at most 2^14 bytes; a longer one is answered `record_overflow`. */
const MAX_FRAGMENT = 16_384;
/** RFC 8446 4: the length field allows 2^24 bytes. The cap limits what any client can make the
 *  server buffer before authentication. A ClientHello with post-quantum keys has about 1,800
 *  bytes. */
const MAX_MESSAGE = 16_384;
/** A ClientHello may be split over records (RFC 8446 5.1). With one byte per record, each byte
 *  would cost a walk over all records before it. A client has no reason to use more than a few. */
const MAX_RECORDS = 16;

const CLIENT_HELLO = 1;
const MESSAGE_HEADER = 4;

const EXTENSION = { serverName: 0, alpn: 16, supportedVersions: 43 } as const;
const HOST_NAME = 0;
/** RFC 1035 2.3.4 gives a host name 253 characters; OpenSSL and BoringSSL refuse more than 255. */
const MAX_NAME = 255;

/** Examines the bytes received from a client so far. Never throws. */
export function gatherHello(bytes: Uint8Array): Gathered {
  /** Where the records' contents begin and end. */
  const parts: [start: number, end: number][] = [];
  const head: number[] = [];
  let size = 0;
  let wanted = MESSAGE_HEADER;
  for (let at = 0; size < wanted;) {
    const type = bytes[at] ?? HANDSHAKE_RECORD;
    const major = bytes[at + 1] ?? MAJOR_VERSION;
    if (type !== HANDSHAKE_RECORD || major !== MAJOR_VERSION) return { is: "other" };
    if (parts.length === MAX_RECORDS) return { is: "other" };
    const start = at + RECORD_HEADER;
    if (start > bytes.length) return { is: "incomplete" };
    const length = (bytes[at + 3] as number) << 8 | (bytes[at + 4] as number);
    // RFC 8446 5.1 forbids empty handshake records. They would only keep the server busy.
    if (length === 0 || length > MAX_FRAGMENT) return { is: "other" };
    at = start + length;
    if (at > bytes.length) return { is: "incomplete" };
    parts.push([start, at]);
    size += length;
    for (let i = start; i < at && head.length < MESSAGE_HEADER; i++) head.push(bytes[i] as number);
    if (head.length < MESSAGE_HEADER) continue;
    const [message, high, middle, low] = head as [number, number, number, number];
    wanted = MESSAGE_HEADER + (high << 16 | middle << 8 | low);
    if (message !== CLIENT_HELLO || wanted > MAX_MESSAGE) return { is: "other" };
  }
  const [[start] = [0, 0]] = parts;
  const message = parts.length === 1
    ? bytes.subarray(start, start + wanted)
    : concat(parts.map(([start, end]) => bytes.subarray(start, end))).subarray(0, wanted);
  return { is: "whole", message };
}

/** Decodes a complete handshake message, header included. Throws `DecodeError` for a message
 *  that does not have the form of RFC 8446 4.1.2. Unknown values are skipped. */
export function decodeClientHello(message: Uint8Array): ClientHello {
  const reader = new Reader(message, "client hello");
  const type = reader.u8("message type");
  if (type !== CLIENT_HELLO) throw new DecodeError("client hello: message type: not 1 at byte 0");
  const length = reader.u24("message length");
  if (length !== reader.left) {
    throw new DecodeError(
      `client hello: message length: says ${length}, ${reader.left} are there at byte 1`,
    );
  }
  const legacy = reader.u16("legacy version");
  reader.take(32, "random");
  if (reader.vector(1, "session id").length > 32) {
    throw new DecodeError("client hello: session id: longer than 32 bytes at byte 38");
  }
  const suites = reader.vector(2, "cipher suites");
  if (suites.length === 0 || suites.length % 2 !== 0) {
    throw new DecodeError(`client hello: cipher suites: odd or empty at byte ${reader.at}`);
  }
  if (reader.vector(1, "compression methods").length === 0) {
    throw new DecodeError(`client hello: compression methods: none at byte ${reader.at}`);
  }
  const hello: ClientHello = { alpn: [], versions: [legacy] };
  // RFC 5246 7.4.1.2: without extensions the message ends here.
  if (reader.left === 0) return hello;
  const extensions = reader.inner(2, "extensions");
  reader.end("end");
  readExtensions(extensions, hello);
  return hello;
}

function readExtensions(reader: Reader, hello: ClientHello): void {
  const seen = new Set<number>();
  while (reader.left > 0) {
    const at = reader.at;
    const type = reader.u16("extension type");
    const body = reader.inner(2, "extension");
    // RFC 8446 4.2 forbids two extensions of one type. Parsers differ in which one they use.
    if (seen.has(type)) {
      throw new DecodeError(`client hello: extension: type ${type} twice at byte ${at}`);
    }
    seen.add(type);
    if (type === EXTENSION.serverName) readServerName(body, hello);
    else if (type === EXTENSION.alpn) readAlpn(body, hello);
    else if (type === EXTENSION.supportedVersions) readVersions(body, hello);
    else continue;
    if (body.left > 0) {
      throw new DecodeError(
        `client hello: extension: ${body.left} bytes left of type ${type} at byte ${body.at}`,
      );
    }
  }
}

/** RFC 6066 3. Names of unknown types are skipped; they must be encoded as host_name is. */
function readServerName(body: Reader, hello: ClientHello): void {
  const list = body.inner(2, "server name list");
  if (list.left === 0) {
    throw new DecodeError(`client hello: server name list: empty at byte ${list.at}`);
  }
  while (list.left > 0) {
    const at = list.at;
    const type = list.u8("server name type");
    const name = list.vector(2, "server name");
    if (type !== HOST_NAME) continue;
    if (hello.serverName !== undefined) {
      throw new DecodeError(`client hello: server name: second host name at byte ${at}`);
    }
    if (name.length === 0 || name.length > MAX_NAME) {
      throw new DecodeError(`client hello: server name: not 1 to ${MAX_NAME} bytes at byte ${at}`);
    }
    hello.serverName = latin1(name);
  }
}

/** RFC 7301 3.1. */
function readAlpn(body: Reader, hello: ClientHello): void {
  const list = body.inner(2, "protocol list");
  if (list.left === 0) {
    throw new DecodeError(`client hello: protocol list: empty at byte ${list.at}`);
  }
  while (list.left > 0) {
    const name = list.vector(1, "protocol name");
    if (name.length === 0) {
      throw new DecodeError(`client hello: protocol name: empty at byte ${list.at}`);
    }
    hello.alpn.push(latin1(name));
  }
}

/** RFC 8446 4.2.1. */
function readVersions(body: Reader, hello: ClientHello): void {
  const list = body.vector(1, "supported versions");
  if (list.length === 0 || list.length % 2 !== 0) {
    throw new DecodeError(`client hello: supported versions: odd or empty at byte ${body.at}`);
  }
  hello.versions = [];
  for (let at = 0; at < list.length; at += 2) {
    hello.versions.push((list[at] as number) << 8 | (list[at + 1] as number));
  }
}

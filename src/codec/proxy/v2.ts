/** Version 2 of the PROXY protocol: binary, with TLVs (proxy-protocol.txt 2.2). Pure: no I/O. */

import { concat, DecodeError, fromLatin1, latin1, Reader } from "../bytes.ts";
import { crc32c } from "./crc32c.ts";
import type { DecodedProxy, ProxyExtras, ProxyHeader, ProxyTls } from "./header.ts";

export const V2_SIGNATURE = Uint8Array.of(13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10);

const FORMAT = "proxy v2";
const FIXED = 16;
/** 2.2.5. */
const MAX_UNIQUE_ID = 128;
/** Longest text, in bytes, by RFC 7301 3.1 (ALPN) and RFC 1035 2.3.4 (names); a common name has
 *  up to 64 characters (RFC 5280 A.1) of up to 4 bytes. These texts come from a client and go
 *  into an environment. The proxy has already accepted the client, so a longer text is left out
 *  and the rest of the header is used. */
const MAX_TEXT = 256;

const PROXY_VERSION = 2;
const COMMAND = { local: 0, proxy: 1 } as const;

/** 2.2: family in the high four bits, transport in the low. Any other value must be rejected. */
const TRANSPORT = {
  unspecified: 0x00,
  tcp4: 0x11,
  udp4: 0x12,
  tcp6: 0x21,
  udp6: 0x22,
  unixStream: 0x31,
  unixDatagram: 0x32,
} as const;

const TLV = { alpn: 0x01, authority: 0x02, crc32c: 0x03, uniqueId: 0x05, tls: 0x20 } as const;
const SUB = {
  0x21: "version",
  0x22: "commonName",
  0x23: "cipher",
  0x24: "signatureAlgorithm",
  0x25: "keyAlgorithm",
} as const;
const CLIENT = { tls: 1, certificateNow: 2, certificateBefore: 4 } as const;

/** Reads the header at the beginning of `bytes`, which must match the signature as far as they go.
 *  Undefined: more bytes are needed. Throws `DecodeError`. */
export function decodeProxyV2(bytes: Uint8Array): DecodedProxy | undefined {
  const [command, transport] = [bytes[12], bytes[13]];
  if (command !== undefined && command >> 4 !== PROXY_VERSION) {
    throw new DecodeError(`${FORMAT}: version: not ${PROXY_VERSION} at byte 12`);
  }
  if (command !== undefined && (command & 15) > COMMAND.proxy) {
    throw new DecodeError(`${FORMAT}: command: neither LOCAL nor PROXY at byte 12`);
  }
  if (bytes.length < FIXED || command === undefined || transport === undefined) return undefined;
  // Up to 65,535 bytes: with the client's certificate a header has several thousand.
  const length = FIXED + ((bytes[14] as number) << 8 | (bytes[15] as number));
  const local = (command & 15) === COMMAND.local;
  // 2.2: with LOCAL everything is ignored, the family too.
  const width = local ? undefined : addressWidth(transport);
  if (bytes.length < length) return undefined;
  const header: ProxyHeader = { extras: {} };
  if (width !== undefined) {
    const reader = new Reader(bytes.slice(0, length), FORMAT, FIXED);
    readAddresses(reader, transport, width, header);
    header.extras = readExtras(reader);
  }
  return { header, length };
}

/** Bytes of one address. Undefined: the family is unspecified, and the rest has no known form. */
function addressWidth(transport: number): 4 | 16 | 108 | undefined {
  switch (transport) {
    case TRANSPORT.unspecified:
      return undefined;
    case TRANSPORT.tcp4:
    case TRANSPORT.udp4:
      return 4;
    case TRANSPORT.tcp6:
    case TRANSPORT.udp6:
      return 16;
    case TRANSPORT.unixStream:
    case TRANSPORT.unixDatagram:
      return 108;
    default:
      throw new DecodeError(`${FORMAT}: transport: not a registered one at byte 13`);
  }
}

function readAddresses(
  reader: Reader,
  transport: number,
  width: number,
  header: ProxyHeader,
): void {
  const source = Uint8Array.from(reader.take(width, "source address"));
  const destination = Uint8Array.from(reader.take(width, "destination address"));
  if (width === 108) return; // Unix sockets: they have no ports, and the paths are not used
  const sourcePort = reader.u16("source port");
  const destinationPort = reader.u16("destination port");
  // 2.2: if the transport is valid but not supported, the connection's own addresses are used.
  if (transport !== TRANSPORT.tcp4 && transport !== TRANSPORT.tcp6) return;
  header.ends = {
    source: { ip: source, port: sourcePort },
    destination: { ip: destination, port: destinationPort },
  };
}

function readExtras(reader: Reader): ProxyExtras {
  const extras: ProxyExtras = {};
  const seen = new Set<number>();
  while (reader.left > 0) {
    const at = reader.at;
    const type = reader.u8("TLV type");
    const value = reader.take(reader.u16("TLV length"), "TLV");
    once(seen, type, at);
    if (type === TLV.alpn) {
      if (isText(value)) extras.alpn = latin1(value);
    } else if (type === TLV.authority) {
      const authority = utf8(value);
      if (authority !== undefined) extras.authority = authority;
    } else if (type === TLV.crc32c) verifyChecksum(reader.bytes, value, at);
    else if (type === TLV.tls) extras.tls = readTls(value, at);
    else if (type === TLV.uniqueId && value.length <= MAX_UNIQUE_ID) extras.uniqueId = value;
  }
  return extras;
}

/** Throws if a known type occurs twice: programs differ in which value they use. Unknown types may
 *  repeat. */
function once(seen: Set<number>, type: number, at: number): void {
  const known = Object.values(TLV).some((one) => one === type) || type in SUB;
  if (known && seen.has(type)) {
    throw new DecodeError(`${FORMAT}: TLV: type ${type} twice at byte ${at}`);
  }
  seen.add(type);
}

/** 2.2.3: the checksum is over the whole header, with zeros in its own place. */
function verifyChecksum(header: Uint8Array, value: Uint8Array, at: number): void {
  if (value.length !== 4) throw new DecodeError(`${FORMAT}: CRC32C: not 4 bytes at byte ${at}`);
  const said = new Reader(value, FORMAT).u32("CRC32C");
  const copy = header.slice();
  copy.fill(0, at + 3, at + 7);
  if (crc32c(copy) !== said) throw new DecodeError(`${FORMAT}: CRC32C: wrong at byte ${at}`);
}

/** 2.2.6. */
function readTls(value: Uint8Array, at: number): ProxyTls {
  const reader = new Reader(value, FORMAT);
  const client = reader.u8("SSL client");
  const tls: ProxyTls = {
    used: (client & CLIENT.tls) !== 0,
    certificateNow: (client & CLIENT.certificateNow) !== 0,
    certificateBefore: (client & CLIENT.certificateBefore) !== 0,
    verify: reader.u32("SSL verify"),
  };
  const seen = new Set<number>();
  while (reader.left > 0) {
    const type = reader.u8("SSL TLV type");
    const text = reader.take(reader.u16("SSL TLV length"), "SSL TLV");
    once(seen, type, at);
    const name = SUB[type as keyof typeof SUB];
    const known = name && utf8(text);
    if (known !== undefined) tls[name] = known;
  }
  return tls;
}

function isText(value: Uint8Array): boolean {
  return value.length > 0 && value.length <= MAX_TEXT;
}

/** Undefined: the text is left out, see `MAX_TEXT`. */
function utf8(value: Uint8Array): string | undefined {
  if (!isText(value)) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value);
  } catch {
    return undefined;
  }
}

/** Encodes a header, with a checksum if `checksum` is set. Without `ends`: LOCAL, and no extras. */
export function encodeProxyV2(
  { ends, extras }: ProxyHeader,
  { checksum = false }: { checksum?: boolean } = {},
): Uint8Array<ArrayBuffer> {
  const start = (command: number, transport: number, body: Uint8Array): Uint8Array<ArrayBuffer> =>
    concat([
      V2_SIGNATURE,
      Uint8Array.of(PROXY_VERSION << 4 | command, transport),
      u16(body.length),
      body,
    ]);
  if (!ends) return start(COMMAND.local, TRANSPORT.unspecified, new Uint8Array(0));
  const { source, destination } = ends;
  const transport = source.ip.length === 4 ? TRANSPORT.tcp4 : TRANSPORT.tcp6;
  const body = concat([
    source.ip,
    destination.ip,
    u16(source.port),
    u16(destination.port),
    ...encodeExtras(extras),
    ...(checksum ? [tlv(TLV.crc32c, new Uint8Array(4))] : []),
  ]);
  const bytes = start(COMMAND.proxy, transport, body);
  if (checksum) new DataView(bytes.buffer).setUint32(bytes.length - 4, crc32c(bytes));
  return bytes;
}

function encodeExtras({ alpn, authority, uniqueId, tls }: ProxyExtras): Uint8Array[] {
  const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
  const parts: Uint8Array[] = [];
  if (alpn !== undefined) parts.push(tlv(TLV.alpn, fromLatin1(alpn)));
  if (authority !== undefined) parts.push(tlv(TLV.authority, utf8(authority)));
  if (uniqueId !== undefined) parts.push(tlv(TLV.uniqueId, uniqueId));
  if (tls) {
    const client = (tls.used ? CLIENT.tls : 0) | (tls.certificateNow ? CLIENT.certificateNow : 0) |
      (tls.certificateBefore ? CLIENT.certificateBefore : 0);
    const subs = Object.entries(SUB).flatMap(([type, name]) => {
      const value = tls[name];
      return value === undefined ? [] : [tlv(Number(type), utf8(value))];
    });
    const fixed = new Uint8Array(5);
    fixed[0] = client;
    new DataView(fixed.buffer).setUint32(1, tls.verify);
    parts.push(tlv(TLV.tls, concat([fixed, ...subs])));
  }
  return parts;
}

function tlv(type: number, value: Uint8Array): Uint8Array {
  return concat([Uint8Array.of(type), u16(value.length), value]);
}

function u16(n: number): Uint8Array {
  return Uint8Array.of(n >> 8, n & 0xff);
}

/** Version 1 of the PROXY protocol: one line of text (proxy-protocol.txt 2.1). Pure: no I/O.
 *  Strict: if two programs read different addresses in one line, a client can bypass rules. */

import { DecodeError, fromLatin1, latin1 } from "../bytes.ts";
import { formatIp, type Ip, ipOrUndefined } from "../ip.ts";
import type { DecodedProxy, ProxyEnd, ProxyHeader } from "./header.ts";

/** "PROXY" and one space. */
export const V1_SIGNATURE = fromLatin1("PROXY ");

/** 2.1: bytes of the longest valid line, CR LF included. Without a limit, a sender could keep
 *  sending for ever. */
const MAX_LINE = 107;

const CR = 0x0d;
const LF = 0x0a;

/** Reads the line at the beginning of `bytes`, which must match the signature as far as they go.
 *  Undefined: more bytes are needed. Throws `DecodeError`. */
export function decodeProxyV1(bytes: Uint8Array): DecodedProxy | undefined {
  const seen = bytes.subarray(0, MAX_LINE);
  const end = seen.findIndex((byte) => byte === CR || byte === LF);
  // 2.1: a single CR or LF must not end the line.
  if (end >= 0 && (seen[end] === LF || (end + 1 < seen.length && seen[end + 1] !== LF))) {
    throw new DecodeError(`proxy v1: line: CR and LF apart at byte ${end}`);
  }
  if (end < 0 || end + 1 >= seen.length) {
    if (seen.length < MAX_LINE) return undefined;
    throw new DecodeError(`proxy v1: line: no end within ${MAX_LINE} bytes at byte ${MAX_LINE}`);
  }
  return { header: readLine(latin1(seen.subarray(0, end))), length: end + 2 };
}

function readLine(line: string): ProxyHeader {
  const [, family, ...fields] = line.split(" ");
  // 2.1: what follows UNKNOWN must be ignored.
  if (family === "UNKNOWN") return { extras: {} };
  if (family !== "TCP4" && family !== "TCP6") {
    throw new DecodeError("proxy v1: protocol: not TCP4, TCP6 or UNKNOWN at byte 6");
  }
  const [sourceIp, destinationIp, sourcePort, destinationPort, ...rest] = fields;
  if (destinationPort === undefined || rest.length > 0) {
    throw new DecodeError("proxy v1: line: not four fields after the protocol at byte 11");
  }
  const width = family === "TCP4" ? 4 : 16;
  const source = address("source address", sourceIp, width);
  const destination = address("destination address", destinationIp, width);
  return {
    ends: {
      source: { ip: source, port: port("source port", sourcePort) },
      destination: { ip: destination, port: port("destination port", destinationPort) },
    },
    extras: {},
  };
}

/** Parses an address of the line's family. `::ffff:192.0.2.1` is an address of TCP6: HAProxy
 *  sends it for IPv4 clients of a dual-stack socket. */
function address(field: string, text: string | undefined, width: 4 | 16): Ip {
  const ip = ipOrUndefined(text ?? "");
  if (ip?.length === width) return ip;
  throw new DecodeError(`proxy v1: ${field}: not an address of the family at byte 11`);
}

/** 2.1: no leading zero, which could mean octal. */
function port(field: string, text: string | undefined): number {
  if (text !== undefined && /^(?:0|[1-9][0-9]{0,4})$/.test(text) && Number(text) <= 65_535) {
    return Number(text);
  }
  throw new DecodeError(`proxy v1: ${field}: not a number from 0 to 65535 at byte 11`);
}

/** Encodes a header; without `ends`, the short form of UNKNOWN. Version 1 has no extras. */
export function encodeProxyV1({ ends }: Pick<ProxyHeader, "ends">): Uint8Array<ArrayBuffer> {
  if (!ends) return fromLatin1("PROXY UNKNOWN\r\n");
  const { source, destination } = ends;
  const family = source.ip.length === 4 ? "TCP4" : "TCP6";
  const ip = (end: ProxyEnd): string => formatIp(end.ip);
  return fromLatin1(
    `PROXY ${family} ${ip(source)} ${ip(destination)} ${source.port} ${destination.port}\r\n`,
  );
}

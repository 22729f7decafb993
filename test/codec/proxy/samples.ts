/** PROXY headers: examples of the specification, of HAProxy, and some with all fields. */

import { concat, fromLatin1 } from "../../../src/codec/bytes.ts";
import { parseIp } from "../../../src/codec/ip.ts";
import type { ProxyHeader } from "../../../src/codec/proxy/header.ts";

export const unhex = (text: string): Uint8Array =>
  Uint8Array.from(text.replaceAll(/\s/g, "").match(/../g) ?? [], (byte) => parseInt(byte, 16));

export const header = (
  source: string,
  sourcePort: number,
  destination: string,
  destinationPort: number,
): ProxyHeader => ({
  ends: {
    source: { ip: parseIp(source), port: sourcePort },
    destination: { ip: parseIp(destination), port: destinationPort },
  },
  extras: {},
});

export const FOUR = header("192.0.2.7", 50312, "198.51.100.1", 465);
export const SIX = header("2001:db8::7", 1, "2001:db8::1", 65535);
export const RICH: ProxyHeader = {
  ...SIX,
  extras: {
    alpn: "h2",
    authority: "www.bücher.example",
    uniqueId: unhex("00ff0a41"),
    tls: {
      used: true,
      certificateNow: true,
      certificateBefore: false,
      verify: 0,
      version: "TLSv1.3",
      commonName: "Zoë",
      cipher: "TLS_AES_256_GCM_SHA384",
      signatureAlgorithm: "SHA256",
      keyAlgorithm: "EC256",
    },
  },
};

export const SIGNATURE = unhex("0d0a0d0a000d0a515549540a");

/** A version 2 header with any command, transport and body. */
export const v2 = (command: number, transport: number, body: Uint8Array): Uint8Array =>
  concat([
    SIGNATURE,
    Uint8Array.of(command, transport, body.length >> 8, body.length & 255),
    body,
  ]);

export const tlv = (type: number, value: Uint8Array | string): Uint8Array => {
  const bytes = typeof value === "string" ? fromLatin1(value) : value;
  return concat([Uint8Array.of(type, bytes.length >> 8, bytes.length & 255), bytes]);
};

/** 192.0.2.7:50312 to 198.51.100.1:465. */
export const BODY4 = unhex("c0000207 c6336401 c488 01d1");

/** The PROXY protocol (HAProxy's proxy-protocol.txt): a header with which a proxy tells, before the
 *  client's first byte, who the client is. Pure: no I/O. This file knows the two forms apart; whom
 *  to believe is not decided here. */

import { DecodeError } from "../bytes.ts";
import type { Ip } from "../ip.ts";
import { decodeProxyV1, V1_SIGNATURE } from "./v1.ts";
import { decodeProxyV2, V2_SIGNATURE } from "./v2.ts";

/** One end of the client's connection. Both ends are of one family. */
export interface ProxyEnd {
  /** 4 bytes, or 16. */
  ip: Ip;
  /** From 0 to 65535. */
  port: number;
}

/** What a header says. */
export interface ProxyHeader {
  /** Undefined (LOCAL, UNKNOWN, families other than TCP): the connection's own addresses count. */
  ends?: { source: ProxyEnd; destination: ProxyEnd };
  /** Only in version 2. */
  extras: ProxyExtras;
}

/** Of the TLVs of version 2 those whose meaning is registered (chapter 2.2). Texts are as sent:
 *  hostile, where the proxy got them from its client. */
export interface ProxyExtras {
  /** One protocol name, one character per byte. */
  alpn?: string;
  /** The host name the client asked for. */
  authority?: string;
  /** The connection, by whatever the proxy likes. */
  uniqueId?: Uint8Array;
  /** Undefined: nothing is said of TLS. */
  tls?: ProxyTls;
}

/** TLS between client and proxy (2.2.6). */
export interface ProxyTls {
  /** PP2_CLIENT_SSL, PP2_CLIENT_CERT_CONN, PP2_CLIENT_CERT_SESS. */
  used: boolean;
  /** The client sent a certificate in this connection. */
  certificateNow: boolean;
  /** It sent one in this session, in an earlier connection perhaps. */
  certificateBefore: boolean;
  /** 0: the client's certificate was verified. Also 0 when it sent none. */
  verify: number;
  /** `TLSv1.3` and the like. */
  version?: string;
  /** CN of the client's certificate. */
  commonName?: string;
  /** The cipher suite, by OpenSSL's name. */
  cipher?: string;
  /** Of the server's certificate: `SHA256` and the like. */
  signatureAlgorithm?: string;
  /** Of the server's certificate: `RSA2048` and the like. */
  keyAlgorithm?: string;
}

/** A header and the number of its bytes; what follows is the client's. */
export interface Decoded {
  /** What it says. */
  header: ProxyHeader;
  /** Its bytes. */
  length: number;
}

/** Reads the header at the beginning of `bytes`. Undefined: more bytes are needed. Throws
 *  `DecodeError` as soon as they cannot become a header. */
export function decodeProxy(bytes: Uint8Array): Decoded | undefined {
  if (begins(bytes, V2_SIGNATURE) !== "no") return decodeProxyV2(bytes);
  if (begins(bytes, V1_SIGNATURE) !== "no") return decodeProxyV1(bytes);
  throw new DecodeError("proxy: signature: of neither version at byte 0");
}

/** Is this the beginning of a header? `maybe`: so far. */
export function beginsLikeProxy(bytes: Uint8Array): "yes" | "no" | "maybe" {
  const first = begins(bytes, V1_SIGNATURE);
  return first === "no" ? begins(bytes, V2_SIGNATURE) : first;
}

function begins(bytes: Uint8Array, signature: Uint8Array): "yes" | "no" | "maybe" {
  const common = Math.min(bytes.length, signature.length);
  for (let i = 0; i < common; i++) if (bytes[i] !== signature[i]) return "no";
  return common === signature.length ? "yes" : "maybe";
}

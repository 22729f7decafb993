/** The content of a PROXY header of either version (proxy-protocol.txt). Types only. */

import type { Ip } from "../ip.ts";

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

/** The TLVs of version 2 that have a registered meaning (chapter 2.2). Texts are as sent, and
 *  untrusted: the proxy may have them from its client. */
export interface ProxyExtras {
  /** One protocol name, one character per byte. */
  alpn?: string;
  /** The host name the client asked for. */
  authority?: string;
  /** The proxy's identifier of the connection, in any format. */
  uniqueId?: Uint8Array;
  /** Undefined: the header has no such TLV. */
  tls?: ProxyTls;
}

/** TLS between client and proxy (2.2.6). */
export interface ProxyTls {
  /** The client connected by TLS (PP2_CLIENT_SSL). */
  used: boolean;
  /** The client sent a certificate in this connection (PP2_CLIENT_CERT_CONN). */
  certificateNow: boolean;
  /** The client sent a certificate in this TLS session, perhaps in an earlier connection
   *  (PP2_CLIENT_CERT_SESS). */
  certificateBefore: boolean;
  /** 0: the client's certificate was verified. Also 0 if the client sent none. */
  verify: number;
  /** `TLSv1.3` and the like. */
  version?: string;
  /** CN of the client's certificate. */
  commonName?: string;
  /** The cipher suite, by OpenSSL's name. */
  cipher?: string;
  /** The signature algorithm of the server's certificate, such as `SHA256`. */
  signatureAlgorithm?: string;
  /** The key algorithm of the server's certificate, such as `RSA2048`. */
  keyAlgorithm?: string;
}

/** A header and its length. The bytes after it are the client's. */
export interface DecodedProxy {
  /** What it says. */
  header: ProxyHeader;
  /** In bytes. */
  length: number;
}

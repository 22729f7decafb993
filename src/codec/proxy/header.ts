/** What a PROXY header says, in either version (proxy-protocol.txt). Types alone. */

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
export interface DecodedProxy {
  /** What it says. */
  header: ProxyHeader;
  /** Its bytes. */
  length: number;
}

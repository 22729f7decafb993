/** The table of the environment variables that describe a connection to its program.
 *  variables.ts has functions for them; program/environment.ts and tls/variables.ts set them. */

/** Variables that one item of sslserver-environment(7) describes. */
export interface ConnectionRow {
  /** `…_n` stands for a number, `…_x` for a component of a name. */
  readonly names: readonly string[];
  /** When the variables are set. Also the subsection of the manual. */
  readonly when:
    | "Always"
    | "With -e"
    | "With -n"
    | "With --proxy-from"
    | "With -s"
    | "With --variables s6";
  /** The process that starts programs sets them. A worker must not. */
  readonly monitor?: true;
  /** The beginning of the item in the manual. */
  readonly about: string;
}

export const CONNECTION_VARIABLES = [
  { names: ["PROTO"], when: "Always", about: "'TLS', or 'TCP' with -e." },
  {
    names: ["SSLLOCALIP", "SSLLOCALPORT", "SSLLOCALHOST"],
    when: "Always",
    about: "The server's address, port and name.",
  },
  {
    names: ["SSLREMOTEIP", "SSLREMOTEPORT", "SSLREMOTEHOST"],
    when: "Always",
    about: "The client's address, port and name.",
  },
  {
    names: ["SSLREMOTEINFO"],
    when: "Always",
    about: "The answer of the client's ident server.",
  },
  {
    names: ["SSLINTERFACE"],
    when: "Always",
    about: "The interface of a link-local IPv6 client.",
  },
  {
    names: [
      "TCPLOCALIP",
      "TCPLOCALPORT",
      "TCPLOCALHOST",
      "TCPREMOTEIP",
      "TCPREMOTEPORT",
      "TCPREMOTEHOST",
      "TCPREMOTEINFO",
    ],
    when: "With -e",
    about: "The values of the variables that begin with SSL.",
  },
  {
    names: [
      "TCP6LOCALIP",
      "TCP6LOCALPORT",
      "TCP6LOCALHOST",
      "TCP6REMOTEIP",
      "TCP6REMOTEPORT",
      "TCP6REMOTEHOST",
      "TCP6REMOTEINFO",
      "TCP6INTERFACE",
    ],
    when: "With -e",
    about: "The same values for an IPv6 client.",
  },
  {
    names: ["SSLCTLFD", "SSLREADFD", "SSLWRITEFD"],
    when: "With -n",
    monitor: true,
    about: "Descriptor numbers; see ucspi-tls(7).",
  },
  {
    names: ["PROXY_IP", "PROXY_PORT"],
    when: "With --proxy-from",
    about: "The proxy's address and port.",
  },
  {
    names: ["PROXY_AUTHORITY"],
    when: "With --proxy-from",
    about: "The server name that the client sent to the proxy.",
  },
  {
    names: ["PROXY_ALPN"],
    when: "With --proxy-from",
    about: "The protocol that client and proxy have agreed on.",
  },
  {
    names: ["PROXY_UNIQUE_ID"],
    when: "With --proxy-from",
    about: "The proxy's id for the connection, in hexadecimal.",
  },
  {
    names: ["PROXY_TLS_VERSION", "PROXY_TLS_CIPHER"],
    when: "With --proxy-from",
    about: "The TLS version and cipher between client and proxy.",
  },
  {
    names: ["PROXY_TLS_CLIENT_CN"],
    when: "With --proxy-from",
    about: "The common name in the certificate that the client showed to the proxy.",
  },
  {
    names: ["PROXY_TLS_CLIENT_VERIFY"],
    when: "With --proxy-from",
    about: "'NONE', 'SUCCESS' or 'FAILED:number'.",
  },
  {
    names: ["TCPCONNNUM"],
    when: "With --variables s6",
    about: "The number of other open connections from the client's address.",
  },
  {
    names: ["SSL_TLS_SNI_SERVERNAME"],
    when: "With --variables s6",
    about: "The server name that the client asked for.",
  },
  {
    names: ["SSL_PEER_CERT_HASH"],
    when: "With --variables s6",
    about: "'SHA256:' and the SHA-256 fingerprint of the client's certificate, in hexadecimal.",
  },
  {
    names: ["SSL_PEER_CERT_SUBJECT"],
    when: "With --variables s6",
    about: "The subject of the client's certificate:",
  },
  { names: ["SSL_PROTOCOL"], when: "With -s", about: "'TLSv1.3'." },
  { names: ["SSL_CIPHER"], when: "With -s", about: "OpenSSL's name of the cipher suite." },
  {
    names: ["SSL_CIPHER_USEKEYSIZE", "SSL_CIPHER_ALGKEYSIZE"],
    when: "With -s",
    about: "The key size that is used, and the largest key size of the cipher, in bits.",
  },
  { names: ["SSL_CIPHER_EXPORT"], when: "With -s", about: "'false'." },
  {
    names: ["SSL_SESSION_ID"],
    when: "With -s",
    about: "The session id in hexadecimal.",
  },
  {
    names: ["SSL_TLS_SNI"],
    when: "With -s",
    about: "The server name that the client asked for.",
  },
  {
    names: ["SSL_ALPN"],
    when: "With -s",
    about: "The protocol that client and server have agreed on.",
  },
  {
    names: ["SSL_JA4"],
    when: "With -s",
    about: "The client's fingerprint: JA4 of its ClientHello.",
  },
  {
    names: ["SSL_VERSION_INTERFACE", "SSL_VERSION_LIBRARY"],
    when: "With -s",
    about: "Name and version of this program, and of the TLS library.",
  },
  {
    names: ["SSL_CLIENT_VERIFY"],
    when: "With -s",
    about: "The result for the client's certificate:",
  },
  {
    names: ["SSL_CLIENT_FINGERPRINT_SHA256"],
    when: "With -s",
    about: "The SHA-256 fingerprint of the client's certificate, in hexadecimal.",
  },
  {
    names: ["SSL_CLIENT_SAN_DNS_n", "SSL_CLIENT_SAN_EMAIL_n"],
    when: "With -s",
    about: "Alternative names in the client's certificate, counted from 0.",
  },
  {
    names: ["SSL_CLIENT_CERT_CHAIN_n"],
    when: "With -s",
    about: "The other certificates that the client sent, in PEM form, counted from 0.",
  },
  // All rows below also exist for SSL_SERVER.
  { names: ["SSL_CLIENT_CERT"], when: "With -s", about: "The certificate in PEM form." },
  {
    names: ["SSL_CLIENT_M_VERSION", "SSL_CLIENT_M_SERIAL"],
    when: "With -s",
    about: "The version, and the serial number in decimal.",
  },
  {
    names: ["SSL_CLIENT_S_DN", "SSL_CLIENT_I_DN"],
    when: "With -s",
    about: "Subject and issuer on one line:",
  },
  {
    names: ["SSL_CLIENT_S_DN_x", "SSL_CLIENT_I_DN_x"],
    when: "With -s",
    about: "One component, where x is C, ST, L, O, OU, CN, T, I, G, S, D, UID or Email.",
  },
  {
    names: ["SSL_CLIENT_V_START", "SSL_CLIENT_V_END"],
    when: "With -s",
    about: "Begin and end of the validity:",
  },
  {
    names: ["SSL_CLIENT_A_SIG", "SSL_CLIENT_A_KEY"],
    when: "With -s",
    about: "The algorithms of the signature and of the key.",
  },
] as const satisfies readonly ConnectionRow[];

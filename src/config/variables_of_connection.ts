/** The table of the environment variables that the server sets for programs: what a connection is.
 *  variables.ts answers questions about them; program/environment.ts and tls/variables.ts set them. */

/** Variables that one item of sslserver-environment(7) describes. */
export interface ConnectionRow {
  /** In `…_n` n is a number, in `…_x` x a component of a name. */
  readonly names: readonly string[];
  /** The option that asks for it, and the subsection of the manual. */
  readonly when: "Always" | "With -e" | "With -n" | "With --proxy-from" | "With -s";
  /** Where the process that starts programs sets it. A worker must not. */
  readonly monitor?: true;
  /** The beginning of the item in the manual. */
  readonly about: string;
}

export const CONNECTION_VARIABLES = [
  { names: ["PROTO"], when: "Always", about: "'TLS'; with -e 'TCP'; with -e or -6, for an IPv6" },
  {
    names: ["SSLLOCALIP", "SSLLOCALPORT", "SSLLOCALHOST"],
    when: "Always",
    about: "The server's address, port and name.",
  },
  {
    names: ["SSLREMOTEIP", "SSLREMOTEPORT", "SSLREMOTEHOST"],
    when: "Always",
    about: "The client's.",
  },
  { names: ["SSLREMOTEINFO"], when: "Always", about: "The answer of ident." },
  {
    names: ["SSLINTERFACE"],
    when: "Always",
    about: "The interface on which a link-local IPv6 client came in.",
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
    about: "The same values.",
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
    about: "The same values, for an IPv6 client; with -6 too.",
  },
  {
    names: ["SSLCTLFD", "SSLREADFD", "SSLWRITEFD"],
    when: "With -n",
    monitor: true,
    about: "Descriptors: ucspi-tls(7).",
  },
  {
    names: ["PROXY_IP", "PROXY_PORT"],
    when: "With --proxy-from",
    about: "The proxy's address and port.",
  },
  {
    names: ["PROXY_AUTHORITY"],
    when: "With --proxy-from",
    about: "The host name that the client asked the proxy for.",
  },
  {
    names: ["PROXY_ALPN"],
    when: "With --proxy-from",
    about: "The protocol agreed on with the proxy.",
  },
  {
    names: ["PROXY_UNIQUE_ID"],
    when: "With --proxy-from",
    about: "The proxy's id of the connection, hexadecimal.",
  },
  {
    names: ["PROXY_TLS_VERSION", "PROXY_TLS_CIPHER"],
    when: "With --proxy-from",
    about: "Of TLS between client and proxy.",
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
  { names: ["SSL_PROTOCOL"], when: "With -s", about: "'TLSv1.3'." },
  { names: ["SSL_CIPHER"], when: "With -s", about: "The suite, by OpenSSL's name." },
  {
    names: ["SSL_CIPHER_USEKEYSIZE", "SSL_CIPHER_ALGKEYSIZE"],
    when: "With -s",
    about: "Bits used and bits possible.",
  },
  { names: ["SSL_CIPHER_EXPORT"], when: "With -s", about: "'false'." },
  {
    names: ["SSL_SESSION_ID"],
    when: "With -s",
    about: "Hexadecimal, for TLS 1.2 without tickets, where the runtime tells it.",
  },
  {
    names: ["SSL_TLS_SNI"],
    when: "With -s",
    about: "The server name that the client asked for.",
  },
  { names: ["SSL_ALPN"], when: "With -s", about: "The protocol agreed on." },
  {
    names: ["SSL_VERSION_INTERFACE", "SSL_VERSION_LIBRARY"],
    when: "With -s",
    about: "This program and the TLS library, with their versions.",
  },
  { names: ["SSL_CLIENT_VERIFY"], when: "With -s", about: "'NONE': no certificate." },
  {
    names: ["SSL_CLIENT_FINGERPRINT_SHA256"],
    when: "With -s",
    about: "SHA-256 of the client's certificate, hexadecimal.",
  },
  {
    names: ["SSL_CLIENT_SAN_DNS_n", "SSL_CLIENT_SAN_EMAIL_n"],
    when: "With -s",
    about: "Alternative names in it, counted from 0.",
  },
  {
    names: ["SSL_CLIENT_CERT_CHAIN_n"],
    when: "With -s",
    about: "The certificates that came with it, PEM, counted from 0.",
  },
  // All that follow are there for SSL_SERVER, too.
  { names: ["SSL_CLIENT_CERT"], when: "With -s", about: "The certificate, PEM." },
  {
    names: ["SSL_CLIENT_M_VERSION", "SSL_CLIENT_M_SERIAL"],
    when: "With -s",
    about: "Version, and serial number, decimal.",
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
    about: "When it begins and ends:",
  },
  {
    names: ["SSL_CLIENT_A_SIG", "SSL_CLIENT_A_KEY"],
    when: "With -s",
    about: "Algorithms of its signature and of its key.",
  },
] as const satisfies readonly ConnectionRow[];

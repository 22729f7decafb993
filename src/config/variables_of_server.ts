/** The table of the environment variables that the server reads. variables.ts answers questions about
 *  them; the tests compare the table with the manual and with the code. */

/** A variable, or several that one item of sslserver-environment(7) describes. An absent column: no. */
export interface ServerRow {
  readonly names: readonly string[];
  /** The file below src/ that reads the value; absent: none. */
  readonly reader?: string;
  /** `CERTFILE:www.example` is its value for clients that ask for that server name. */
  readonly perName?: true;
  /** A worker gets it. */
  readonly worker?: true;
  /** A rule can set it for its connections; it wins over the server's own value. */
  readonly rule?: true;
  /** Programs do not get it, not even from a rule. The value is never logged. */
  readonly secret?: true;
  /** It is between the supervisor and the server. Programs do not inherit it: they would speak to the
   *  supervisor in the server's name, or mistake their descriptor 3 for a socket. */
  readonly supervisor?: true;
  /** No runtime supports it: a start with it fails, and a rule that sets it denies. */
  readonly refused?: true;
  /** What the value names. `files`: one, or several separated by colons. */
  readonly holds?: "file" | "files" | "folder";
  /** Every program has it: a similar name is no misspelling. */
  readonly shared?: true;
  /** The beginning of the item in the manual. */
  readonly about: string;
}

export const SERVER_VARIABLES = [
  {
    names: ["CERTFILE"],
    reader: "tls/settings.ts",
    perName: true,
    worker: true,
    rule: true,
    holds: "files",
    about: "The certificate and its chain, PEM, in any order.",
  },
  {
    names: ["CERTCHAINFILE"],
    reader: "tls/settings.ts",
    perName: true,
    worker: true,
    rule: true,
    holds: "files",
    about: "The same; it wins over CERTFILE.",
  },
  {
    names: ["KEYFILE"],
    reader: "tls/settings.ts",
    perName: true,
    worker: true,
    rule: true,
    secret: true,
    holds: "files",
    about: "The key, PEM: PKCS #8, PKCS #1 or SEC 1.",
  },
  {
    names: ["SNI_STRICT"],
    reader: "tls/server_names.ts",
    worker: true,
    rule: true,
    about:
      "Not empty: clients that ask for no name, or one that no certificate is for, get the alert",
  },
  {
    names: ["TLS_MIN_VERSION", "TLS_MAX_VERSION"],
    reader: "tls/settings.ts",
    worker: true,
    rule: true,
    about: "The lowest and the highest version offered:",
  },
  {
    names: ["CIPHERS"],
    reader: "tls/settings.ts",
    worker: true,
    rule: true,
    about: "Suites for TLS 1.2, as a cipher list of OpenSSL.",
  },
  {
    names: ["ALPN"],
    reader: "tls/settings.ts",
    worker: true,
    rule: true,
    about: "Protocols offered, best first, separated by commas:",
  },
  {
    names: ["CURVES"],
    reader: "tls/settings.ts",
    worker: true,
    rule: true,
    refused: true,
    about:
      "Not supported: a start with it ends with exit status 100, and a rule that sets it denies.",
  },
  {
    names: ["DHFILE"],
    reader: "tls/context.ts",
    worker: true,
    rule: true,
    about: "Ignored with a warning.",
  },
  {
    names: ["CAFILE"],
    reader: "tls/client_auth.ts",
    worker: true,
    rule: true,
    holds: "file",
    about: "Certificates of the authorities that are trusted, PEM.",
  },
  {
    names: ["CADIR"],
    reader: "tls/client_auth.ts",
    worker: true,
    rule: true,
    holds: "folder",
    about: "A folder of them.",
  },
  {
    names: ["CRLFILE"],
    reader: "tls/client_auth.ts",
    worker: true,
    rule: true,
    holds: "file",
    about: "Their revocation lists, PEM.",
  },
  {
    names: ["VERIFYDEPTH"],
    reader: "tls/client_auth.ts",
    worker: true,
    rule: true,
    about: "How many intermediate certificates may stand between the client's and the authority's;",
  },
  {
    names: ["CCAFILE"],
    reader: "tls/client_auth.ts",
    worker: true,
    rule: true,
    holds: "file",
    about: "Certificates whose subjects are named when the client is asked for one.",
  },
  {
    names: ["CCADIR"],
    reader: "tls/client_auth.ts",
    worker: true,
    rule: true,
    holds: "folder",
    about: "The same as a folder.",
  },
  {
    names: ["CCAVERIFY"],
    reader: "tls/client_auth.ts",
    worker: true,
    rule: true,
    about: "If set, even to nothing, a valid certificate is required, as by -m.",
  },
  {
    names: ["MAXCONIP"],
    reader: "admit/limits.ts",
    worker: true,
    rule: true,
    about: "Connections that one address may have open, at most -c.",
  },
  {
    names: ["MAXCONRATE"],
    reader: "admit/limits.ts",
    worker: true,
    rule: true,
    about: "'n/s': at most n new connections of one address in s seconds.",
  },
  {
    names: ["MAXCONNET"],
    reader: "admit/limits.ts",
    worker: true,
    rule: true,
    about: "In a rule for a network: connections that all its addresses together may have open.",
  },
  {
    names: ["DNSCACHEIP"],
    reader: "dns/config.ts",
    worker: true,
    about: "Addresses of DNS servers, instead of those in /etc/resolv.conf.",
  },
  {
    names: ["LOCALDOMAIN"],
    reader: "dns/config.ts",
    worker: true,
    about: "Domains that are appended to a host without a dot.",
  },
  {
    names: ["DNSREWRITEFILE"],
    reader: "dns/config.ts",
    worker: true,
    holds: "file",
    about: "Rules for that, instead of /etc/dnsrewrite.",
  },
  {
    names: ["UID", "GID", "GIDLIST"],
    reader: "config/option_table.ts",
    worker: true, // which parses the options again
    about: "User, group, and further groups separated by commas, by number, for -U.",
  },
  {
    names: ["PATH"],
    reader: "check/start.ts",
    shared: true,
    about: "Where prog is looked for; /usr/bin:/bin unless set.",
  },
  {
    names: ["SSL_UID", "SSL_GID"],
    reader: "privsep/identity.ts",
    about: "User and group, by number, of the processes that speak to the network (--workers).",
  },
  {
    names: ["SSL_USER", "SSL_GROUP"],
    reader: "privsep/identity.ts",
    about: "The same by name, as in /etc/passwd and /etc/group.",
  },
  {
    names: ["SSL_CHROOT"],
    reader: "privsep/identity.ts",
    secret: true,
    about: "A folder that becomes the root folder of these processes.",
  },
  {
    names: ["TICKETKEYFILE"],
    reader: "tls/settings.ts",
    worker: true,
    rule: true,
    secret: true,
    refused: true,
    about:
      "Not supported: a start with it ends with exit status 100, and a rule that sets it denies.",
  },
  {
    names: ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"],
    reader: "supervisor/listen_fds.ts",
    supervisor: true,
    about: "The process LISTEN_PID inherits so many sockets, from descriptor 3 on.",
  },
  {
    names: ["NOTIFY_SOCKET"],
    reader: "supervisor/notify.ts",
    supervisor: true,
    about: "A Unix socket, as a path or '@name', that is told when connections can come in,",
  },
  { names: ["LISTEN_PIDFDID"], supervisor: true, about: "Not looked at." },
  {
    names: ["WATCHDOG_USEC", "WATCHDOG_PID"],
    supervisor: true,
    about: "Not looked at: a unit must not have 'WatchdogSec='.",
  },
] as const satisfies readonly ServerRow[];

/** The table of the environment variables that the server reads. variables.ts has functions for
 *  them. The tests compare the table with the manual and with the code. */

/** A variable, or several that one item of sslserver-environment(7) describes. An absent field
 *  means no. */
export interface ServerRow {
  readonly names: readonly string[];
  /** The file below src/ that reads the value. Absent: no file reads it. */
  readonly reader?: string;
  /** It can be set for a server name: `CERTFILE:www.example` is for clients that ask for that
   *  name. */
  readonly perName?: true;
  /** A worker gets it. */
  readonly worker?: true;
  /** A rule can set it for its connections. The rule's value overrides the server's. */
  readonly rule?: true;
  /** Programs do not get it, not even from a rule. The value is never logged. */
  readonly secret?: true;
  /** The supervisor sets it for the server. Programs do not inherit it: they would report to the
   *  supervisor in the server's name, or mistake their descriptor 3 for a socket. */
  readonly supervisor?: true;
  /** No runtime supports it. If the environment has it, the start fails. A rule that sets it
   *  denies. */
  readonly unsupported?: true;
  /** What the value names. `files`: one, or several separated by colons. */
  readonly holds?: "file" | "files" | "folder";
  /** Other programs use it too, so a similar name is not a misspelling. */
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
    about: "The certificate and its chain in PEM form, in any order.",
  },
  {
    names: ["CERTCHAINFILE"],
    reader: "tls/settings.ts",
    perName: true,
    worker: true,
    rule: true,
    holds: "files",
    about: "The same as CERTFILE. If both are set, the server uses CERTCHAINFILE.",
  },
  {
    names: ["KEYFILE"],
    reader: "tls/settings.ts",
    perName: true,
    worker: true,
    rule: true,
    secret: true,
    holds: "files",
    about: "The key in PEM form: PKCS #8, PKCS #1 or SEC 1.",
  },
  {
    names: ["SNI_STRICT"],
    reader: "tls/server_names.ts",
    worker: true,
    rule: true,
    about: "If this variable is not empty, a client must ask for a name that has a certificate.",
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
    about: "Cipher suites for TLS 1.2, as a cipher list of OpenSSL.",
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
    about: "Groups for the key exchange, best first, separated by colons:",
  },
  {
    names: ["TICKETKEYFILE"],
    reader: "tls/unsupported.ts",
    worker: true,
    rule: true,
    secret: true,
    unsupported: true,
    about: "Not supported.",
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
    about: "Certificates of the trusted authorities, in PEM form.",
  },
  {
    names: ["CADIR"],
    reader: "tls/client_auth.ts",
    worker: true,
    rule: true,
    holds: "folder",
    about: "A folder of such files.",
  },
  {
    names: ["CRLFILE"],
    reader: "tls/client_auth.ts",
    worker: true,
    rule: true,
    holds: "file",
    about: "The revocation lists of the authorities, in PEM form.",
  },
  {
    names: ["VERIFYDEPTH"],
    reader: "tls/client_auth.ts",
    worker: true,
    rule: true,
    about: "The maximum number of intermediate certificates in a chain, 1 by default.",
  },
  {
    names: ["CCAFILE"],
    reader: "tls/client_auth.ts",
    worker: true,
    rule: true,
    holds: "file",
    about: "Certificates of authorities, in PEM form.",
  },
  {
    names: ["CCADIR"],
    reader: "tls/client_auth.ts",
    worker: true,
    rule: true,
    holds: "folder",
    about: "A folder of such files.",
  },
  {
    names: ["CCAVERIFY"],
    reader: "tls/client_auth.ts",
    worker: true,
    rule: true,
    about: "If this variable is set, a valid certificate is required, as with -m.",
  },
  {
    names: ["MAXCONIP"],
    reader: "admit/limits.ts",
    worker: true,
    rule: true,
    about: "The maximum number of open connections from one address.",
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
    about: "The maximum number of open connections from a whole network.",
  },
  {
    names: ["DNSCACHEIP"],
    reader: "dns/config.ts",
    worker: true,
    about: "Addresses of DNS servers, in place of those in /etc/resolv.conf.",
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
    about: "A file of rules that rewrite a host, in place of /etc/dnsrewrite.",
  },
  {
    names: ["UID", "GID", "GIDLIST"],
    reader: "config/option_table.ts",
    about: "The user, the group and the supplementary groups for -U, as numbers.",
  },
  {
    names: ["PATH"],
    reader: "check/start.ts",
    shared: true,
    about: "The folders in which the server looks for prog.",
  },
  {
    names: ["NO_COLOR", "TERM"],
    reader: "check/check.ts",
    shared: true,
    about: "If NO_COLOR is set, or TERM is 'dumb', --check writes no colours to a terminal.",
  },
  {
    names: ["SSL_CERT_FILE", "SSL_CERT_DIR"],
    reader: "tls/system_authorities.ts",
    shared: true,
    about: "The file and the folder of the authorities that the system trusts.",
  },
  {
    names: ["SSL_UID", "SSL_GID"],
    reader: "privsep/identity.ts",
    about: "The user and group of the workers, as numbers.",
  },
  {
    names: ["SSL_USER", "SSL_GROUP"],
    reader: "privsep/identity.ts",
    about: "The user and group of the workers, as names in /etc/passwd and /etc/group.",
  },
  {
    names: ["SSL_CHROOT"],
    reader: "privsep/identity.ts",
    secret: true,
    about: "The root folder of the workers.",
  },
  {
    names: ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"],
    reader: "supervisor/listen_fds.ts",
    supervisor: true,
    about: "The number of inherited sockets, the process that inherits them, and their names.",
  },
  {
    names: ["NOTIFY_SOCKET"],
    reader: "supervisor/notify.ts",
    supervisor: true,
    about: "A Unix socket, as a path or '@name'.",
  },
  { names: ["LISTEN_PIDFDID"], supervisor: true, about: "Not used." },
  {
    names: ["WATCHDOG_USEC", "WATCHDOG_PID"],
    supervisor: true,
    about: "Not used. A unit must not set 'WatchdogSec='.",
  },
] as const satisfies readonly ServerRow[];

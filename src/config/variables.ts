/** The names of environment variables: which of them are settings, which a worker may see, which speak
 *  of one connection, and which belong to the supervisor. Reading their values is each stage's part. */

export type Env = Readonly<Record<string, string | undefined>>;

/** Every variable that `tlsConfig` looks at: equal values, equal context. */
export const TLS_VARIABLES = [
  "CERTFILE",
  "CERTCHAINFILE",
  "KEYFILE",
  "CIPHERS",
  "TLS_MIN_VERSION",
  "TLS_MAX_VERSION",
  "ALPN",
] as const;

/** Those that can be set for one server name: `CERTFILE:name`. */
export const CERTIFICATE_VARIABLES: ReadonlySet<string> = new Set([
  "CERTFILE",
  "CERTCHAINFILE",
  "KEYFILE",
]);

export const CLIENT_AUTH_VARIABLES = [
  "CAFILE",
  "CADIR",
  "CCAFILE",
  "CCADIR",
  "CCAVERIFY",
  "VERIFYDEPTH",
  "CRLFILE",
];

/** The variables that privsep/identity.ts reads. */
export const IDENTITY_VARIABLES = [
  "SSL_UID",
  "SSL_GID",
  "SSL_USER",
  "SSL_GROUP",
  "SSL_CHROOT",
] as const;

/** True for the names that tls/variables.ts sets, or could. The server removes inherited ones, so
 *  that a program never takes an old `SSL_CLIENT_VERIFY` for this connection's. */
export function isTlsVariable(name: string): boolean {
  return /^SSL_(?:PROTOCOL$|SESSION_ID$|CIPHER|VERSION_|SERVER_|CLIENT_|TLS_SNI$|ALPN$)/.test(name);
}

/** Between the supervisor and this process alone. A program that got them would speak to the
 *  supervisor in our name, or take its own descriptor 3 for a socket: `baseEnvironment` drops them. */
export const SUPERVISOR_VARIABLES: readonly string[] = [
  "LISTEN_PID",
  "LISTEN_PIDFDID",
  "LISTEN_FDS",
  "LISTEN_FDNAMES",
  "NOTIFY_SOCKET",
  "WATCHDOG_PID",
  "WATCHDOG_USEC",
];

/** What a worker reads beside the settings of TLS. */
export const OTHER_VARIABLES = [
  "DHFILE",
  "DNSCACHEIP",
  "DNSREWRITEFILE",
  "LOCALDOMAIN",
  "MAXCONIP",
  "MAXCONNET",
  "MAXCONRATE",
  "SNI_STRICT",
  "TICKETKEYFILE",
  "UID",
  "GID",
  "GIDLIST",
];

const SEEN: ReadonlySet<string> = new Set([
  ...TLS_VARIABLES,
  ...CLIENT_AUTH_VARIABLES,
  ...OTHER_VARIABLES,
]);

/** `CERTFILE:name` and the like. */
function isOfOneName(name: string): boolean {
  const [kind = "", ...rest] = name.split(":");
  return rest.length > 0 && CERTIFICATE_VARIABLES.has(kind);
}

/** The part of `env` that a worker sees. */
export function workerEnvironment(env: Env): Record<string, string> {
  const seen: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && (SEEN.has(name) || isOfOneName(name))) seen[name] = value;
  }
  return seen;
}

/** Everything that the server reads from its environment or from rules, and honours. */
export const KNOWN: readonly string[] = [
  ...TLS_VARIABLES,
  ...CLIENT_AUTH_VARIABLES,
  ...IDENTITY_VARIABLES,
  ...OTHER_VARIABLES.filter((name) => name !== "TICKETKEYFILE"),
];

/** What clients say when a connection fails, and why. test/e2e/client_says_test.ts provokes each row. */

export interface Symptom {
  /** The words of openssl, curl or another client that end its message. One of them appears. */
  readonly says: readonly string[];
  /** The same in Firefox and Chrome. */
  readonly browsers?: string;
  /** What the server's log has. One of them appears; empty: nothing without -v. */
  readonly log: readonly string[];
  readonly cause: string;
  readonly remedy: string;
}

export const SYMPTOMS = {
  unknownAuthority: {
    says: [
      "unable to get local issuer certificate",
      "self-signed certificate",
      "self signed certificate",
    ],
    browsers: "SEC_ERROR_UNKNOWN_ISSUER, ERR_CERT_AUTHORITY_INVALID",
    log: ["alert from the client: unknown ca"],
    cause:
      "the client does not know the authority: the chain in CERTFILE is not complete, or the certificate is self-signed",
    remedy:
      "CERTFILE must have the whole chain (`fullchain.pem`); `--check` names what is missing. For a client of your own, " +
      "name the authority: `openssl s_client -CAfile`, `curl --cacert`",
  },
  expired: {
    says: ["certificate has expired"],
    browsers: "SEC_ERROR_EXPIRED_CERTIFICATE, ERR_CERT_DATE_INVALID",
    log: ["alert from the client: certificate expired"],
    cause: "the certificate has expired, or the client's clock is wrong",
    remedy: "renew it; the server uses the new file by itself",
  },
  wrongName: {
    says: ["hostname mismatch", "no alternative certificate subject name matches"],
    browsers: "SSL_ERROR_BAD_CERT_DOMAIN, ERR_CERT_COMMON_NAME_INVALID",
    log: ["alert from the client: bad certificate"],
    cause: "the certificate does not contain the name to which the client connects",
    remedy:
      "connect by a name in the certificate, or set CERTFILE:name and KEYFILE:name for the client's name",
  },
  certificateRequired: {
    says: ["alert certificate required"],
    browsers: "SSL_ERROR_RX_CERTIFICATE_REQUIRED_ALERT, ERR_BAD_SSL_CLIENT_AUTH_CERT",
    log: ["peer did not return a certificate"],
    cause:
      "`-m`, `-z` or CCAVERIFY requires a client certificate, and the client has sent none. In TLS 1.2 the compiled " +
      "file sends handshake_failure",
    remedy:
      "give the client a certificate of an authority in CAFILE, with its key and its intermediate certificates",
  },
  certificateRefused: {
    says: ["unexpected eof while reading", "closed"],
    log: [
      "client certificate: unable to get local issuer certificate",
      "client certificate: self-signed certificate",
    ],
    cause:
      "the client's certificate is refused. The client gets no alert: the connection ends after the handshake",
    remedy:
      "read the reason in the log. Often CAFILE lacks the authority, or the client does not send its intermediate certificate",
  },
  decryptError: {
    says: ["alert decrypt error", "closed"],
    log: ["unable to accept TLS"],
    cause:
      "the TLS library does not accept the client's key, for example an RSA key below 2048 bits. The compiled file closes " +
      "the connection without an alert",
    remedy: "give the client a P-256, Ed25519 or RSA key; RSA needs at least 2048 bits",
  },
  handshakeFailure: {
    says: ["alert handshake failure"],
    browsers: "SSL_ERROR_NO_CYPHER_OVERLAP, ERR_SSL_VERSION_OR_CIPHER_MISMATCH",
    log: ["no shared cipher", "no shared group"],
    cause: "client and server have no cipher suite or no group in common",
    remedy:
      "unset CIPHERS and CURVES, or update the client. `--trace` shows what the client offers",
  },
  protocolVersion: {
    says: ["alert protocol version", "alert handshake failure", "unsupported protocol"],
    browsers: "SSL_ERROR_UNSUPPORTED_VERSION, ERR_SSL_VERSION_OR_CIPHER_MISMATCH",
    log: ["no shared protocol version", "no shared signature algorithm"],
    cause: "the client speaks only TLS 1.0 or 1.1, or TLS_MIN_VERSION excludes it",
    remedy: "update the client. If that is impossible, set TLS_MIN_VERSION=TLSv1 (not under Deno)",
  },
  unrecognizedName: {
    says: ["unrecognized name"],
    browsers: "SSL_ERROR_UNRECOGNIZED_NAME_ALERT, ERR_SSL_UNRECOGNIZED_NAME_ALERT",
    log: ["(SNI_STRICT)"],
    cause:
      "SNI_STRICT is set, and the client asks for no name, or for a name without a certificate",
    remedy: "connect by a name that has a certificate, set CERTFILE:name, or unset SNI_STRICT",
  },
  noApplicationProtocol: {
    says: ["alert no application protocol"],
    browsers: "ERR_ALPN_NEGOTIATION_FAILED",
    log: ["no shared application protocol"],
    cause: "the client offers protocols by ALPN, and none of them is in the variable ALPN",
    remedy:
      "add the protocol to the variable ALPN, or unset it. Without it, every client is served",
  },
  wrongVersionNumber: {
    says: ["wrong version number"],
    browsers: "SSL_ERROR_RX_RECORD_TOO_LONG, ERR_SSL_PROTOCOL_ERROR",
    log: [""],
    cause:
      "the connection begins without TLS (`-n`, STARTTLS), or another program listens on the port (`ss -ltnp`)",
    remedy:
      "use STARTTLS in the client (`openssl s_client -starttls smtp`), or leave out `-n`: TLS then begins at once",
  },
  plainHttp: {
    says: [
      "Empty reply from server",
      "Connection reset by peer",
      "Received HTTP/0.9 when not allowed",
    ],
    browsers: "ERR_EMPTY_RESPONSE",
    log: ["http request"],
    cause: "the client speaks plain HTTP",
    remedy: "use `https:`",
  },
  programNotFound: {
    says: ["read:errno=104", "Connection reset by peer", "unexpected eof while reading", "closed"],
    log: ["unable to run"],
    cause: "the program cannot be started, so the connection ends just after the handshake",
    remedy:
      "read the reason in the log. `--check` finds a wrong path, missing permissions, and a missing interpreter of a script",
  },
} as const satisfies Readonly<Record<string, Symptom>>;

/** mod_ssl's variables for a program: turns the facts of a handshake into names and values.
 *  Independent of sockets and of the runtime, and keeps no state. For many connections with one
 *  certificate, call `serverVariables` once and pass the result each time.
 *
 *  The size of a peer's values is limited. A program whose environment is too large cannot be
 *  started (execve(2): E2BIG), so a large certificate could otherwise prevent the start of the
 *  program. A text has at most `MAX_TEXT` characters; a longer one is cut and ends in `...`. The
 *  variables of one certificate or chain together have at most `MAX_TOTAL`. A variable that does
 *  not fit, or an alternative name above its limit, is left out: half a certificate is useless, and
 *  half a name is another name. */

import { nodeCrypto } from "../builtins.ts";
import type { ConnectionVariable } from "../config/variables.ts";
import { DecodeError, hex } from "../codec/bytes.ts";
import { decimal } from "../codec/der.ts";
import type { Certificate, DistinguishedName } from "../codec/x509/certificate.ts";
import { components, escapeText, oneLine } from "../codec/x509/names.ts";
import { algorithmName } from "../codec/x509/oids.ts";
import { encodePem } from "../codec/x509/pem.ts";
import type { SentChain } from "./sent_chain.ts";
import { type CipherName, keySizes, opensslCipher } from "./cipher_names.ts";

/** The verdict on the client's certificate, in mod_ssl's words. */
export type ClientVerify = "NONE" | "SUCCESS" | "GENEROUS" | `FAILED:${string}`;

/** Facts about one TLS connection after its handshake. */
export interface TlsFacts {
  /** `TLSv1.3`. */
  readonly protocol: string;
  readonly cipher: CipherName;
  /** The session id alone, at most 32 bytes. A longer value is left out: it would be a serialized
   *  session with its keys. */
  readonly sessionId?: Uint8Array | undefined;
  /** The variables of the server's certificate, from `serverVariables`. */
  readonly server: ReadonlyMap<ConnectionVariable, string>;
  readonly clientChain: SentChain;
  readonly clientVerify: ClientVerify;
  readonly sni?: string | undefined;
  readonly alpn?: string | undefined;
  /** The client's fingerprint. */
  readonly ja4?: string | undefined;
  /** This program and its version. */
  readonly versionInterface: string;
  /** The runtime's TLS library and its version. */
  readonly versionLibrary: string;
}

/** Maximum characters, names included, of all variables of one certificate or chain. Together with
 *  the rest this stays far below 2 MiB, Linux's default limit for arguments and environment. */
const MAX_TOTAL = 131_072;
/** Maximum length of a name: RFC 1035 2.3.4 and RFC 5321 4.5.3.1.3, with room for escapes. */
const MAX_ALTERNATIVE_NAME = 320;
/** Maximum alternative names, each in a variable. Some certificates have a hundred names, but no
 *  program reads that many. */
const MAX_ALTERNATIVE_NAMES = 64;
/** Maximum certificates after the client's own. The verifier stops at VERIFYDEPTH, which is usually
 *  less. */
const MAX_CHAIN = 16;
/** RFC 5246 7.4.1.2. */
const MAX_SESSION_ID = 32;
/** Maximum length of a short text from the peer or the TLS library. */
const MAX_SHORT = 255;

/** Returns all variables of docs/specification.md#tls-variables for one connection. If the client's
 *  certificate cannot be read, SSL_CLIENT_VERIFY is its only variable. */
export function tlsVariables(facts: TlsFacts): Map<ConnectionVariable, string> {
  const { server, clientChain } = facts;
  const cipher = opensslCipher(facts.cipher);
  const sizes = keySizes(cipher);
  const variables = new Map(server);
  variables.set("SSL_PROTOCOL", short(facts.protocol));
  const { sessionId } = facts;
  if (sessionId && sessionId.length > 0 && sessionId.length <= MAX_SESSION_ID) {
    variables.set("SSL_SESSION_ID", hex(sessionId));
  }
  variables.set("SSL_CIPHER", short(cipher));
  if (sizes) {
    variables.set("SSL_CIPHER_USEKEYSIZE", String(sizes.used));
    variables.set("SSL_CIPHER_ALGKEYSIZE", String(sizes.possible));
  }
  // No current library has export ciphers.
  variables.set("SSL_CIPHER_EXPORT", "false");
  variables.set("SSL_VERSION_INTERFACE", short(facts.versionInterface));
  variables.set("SSL_VERSION_LIBRARY", short(facts.versionLibrary));
  if (facts.sni) variables.set("SSL_TLS_SNI", short(facts.sni));
  if (facts.alpn) variables.set("SSL_ALPN", short(facts.alpn));
  if (facts.ja4) variables.set("SSL_JA4", short(facts.ja4));
  for (const [name, value] of readableVariables(clientChain)) variables.set(name, value);
  variables.set("SSL_CLIENT_VERIFY", short(facts.clientVerify));
  return variables;
}

/** Returns no variables for a certificate that cannot be read; the verdict reports that. */
function readableVariables(chain: SentChain): Map<ConnectionVariable, string> {
  try {
    return clientVariables(chain);
  } catch (error) {
    if (error instanceof DecodeError) return new Map();
    throw error;
  }
}

/** Returns the `SSL_SERVER_*` variables of a certificate. */
export function serverVariables(certificate: Certificate): Map<ConnectionVariable, string> {
  const limited = new Limited();
  addCertificate(limited, "SSL_SERVER", certificate);
  return limited.variables;
}

/** Returns the `SSL_CLIENT_*` variables of a chain, except the verdict; none for an empty chain.
 *  `SSL_CLIENT_CERT_CHAIN_0` is the certificate after the client's own, as in mod_ssl. Throws
 *  `DecodeError` if the client's own certificate cannot be read. */
export function clientVariables(chain: SentChain): Map<ConnectionVariable, string> {
  const [own, ...issuers] = chain;
  const limited = new Limited();
  if (!own) return limited.variables;
  const certificate = own.read();
  limited.set(
    "SSL_CLIENT_FINGERPRINT_SHA256",
    nodeCrypto().createHash("sha256").update(own.der).digest("hex"),
  );
  addCertificate(limited, "SSL_CLIENT", certificate);
  addAlternativeNames(limited, "SSL_CLIENT_SAN_DNS", certificate.dnsNames);
  addAlternativeNames(limited, "SSL_CLIENT_SAN_EMAIL", certificate.emails);
  issuers.slice(0, MAX_CHAIN).forEach((issuer, i) => {
    limited.set(`SSL_CLIENT_CERT_CHAIN_${i}`, encodePem("CERTIFICATE", issuer.der));
  });
  return limited.variables;
}

/** Collects variables of up to `MAX_TOTAL` characters in all. */
class Limited {
  readonly variables = new Map<ConnectionVariable, string>();
  #left = MAX_TOTAL;

  set(name: ConnectionVariable, value: string): void {
    const cost = name.length + value.length + 2;
    if (cost > this.#left) return;
    this.#left -= cost;
    this.variables.set(name, value);
  }
}

/** Adds the small variables first, so that a large one cannot displace them. */
function addCertificate(
  limited: Limited,
  side: "SSL_SERVER" | "SSL_CLIENT",
  certificate: Certificate,
): void {
  limited.set(`${side}_M_VERSION`, String(certificate.version));
  limited.set(`${side}_M_SERIAL`, decimal(certificate.serial));
  limited.set(`${side}_V_START`, certificate.notBefore.text);
  limited.set(`${side}_V_END`, certificate.notAfter.text);
  limited.set(`${side}_A_SIG`, algorithmName(certificate.signatureAlgorithm));
  limited.set(`${side}_A_KEY`, algorithmName(certificate.publicKeyAlgorithm));
  addName(limited, `${side}_S_DN`, certificate.subject);
  addName(limited, `${side}_I_DN`, certificate.issuer);
  limited.set(`${side}_CERT`, encodePem("CERTIFICATE", certificate.der));
}

function addName(
  limited: Limited,
  prefix: `SSL_${"SERVER" | "CLIENT"}_${string}`,
  name: DistinguishedName,
): void {
  limited.set(prefix, oneLine(name));
  for (const [component, text] of components(name)) limited.set(`${prefix}_${component}`, text);
}

function addAlternativeNames(
  limited: Limited,
  prefix: `SSL_CLIENT_SAN_${"DNS" | "EMAIL"}`,
  names: readonly string[],
): void {
  let n = 0;
  for (const name of names) {
    const text = escapeText(name);
    if (text.length > MAX_ALTERNATIVE_NAME) continue;
    if (n === MAX_ALTERNATIVE_NAMES) return;
    limited.set(`${prefix}_${n++}`, text);
  }
}

function short(text: string): string {
  return escapeText(text).slice(0, MAX_SHORT);
}

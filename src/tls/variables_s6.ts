/** The variables that s6-tlsd sets for a program (--variables s6). Pure: no I/O, except a hash. */

import { nodeCrypto } from "../builtins.ts";
import { DecodeError } from "../codec/bytes.ts";
import { commaLine, escapeText } from "../codec/x509/names.ts";
import type { ConnectionVariable } from "../config/variables.ts";
import type { TlsSession } from "../runtime/runtime.ts";
import type { SentChain } from "./sent_chain.ts";

/** Maximum length of a value other than a certificate's name, in characters. */
const MAX_SHORT = 300;

/** The variables of a TLS connection. Without a client certificate, or with one that cannot be
 *  read, those about it are absent. */
export function s6TlsVariables(
  { protocol, cipher, serverName }: Pick<TlsSession, "protocol" | "cipher" | "serverName">,
  [own]: SentChain,
): Map<ConnectionVariable, string> {
  const variables = new Map<ConnectionVariable, string>();
  const set = (name: ConnectionVariable, value: string): void => {
    variables.set(name, escapeText(value).slice(0, MAX_SHORT));
  };
  set("SSL_PROTOCOL", protocol);
  set("SSL_CIPHER", cipher);
  if (serverName) set("SSL_TLS_SNI_SERVERNAME", serverName);
  if (!own) return variables;
  const hash = nodeCrypto().createHash("sha256").update(own.der).digest("hex");
  try {
    variables.set("SSL_PEER_CERT_SUBJECT", commaLine(own.read().subject));
    set("SSL_PEER_CERT_HASH", `SHA256:${hash}`);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
  }
  return variables;
}

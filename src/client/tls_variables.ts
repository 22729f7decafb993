/** mod_ssl's variables for the program of a client (-s): the session, the server's certificate and
 *  the client's own. tls/variables.ts makes names and values. */

import { readCertificate } from "../codec/x509/certificate.ts";
import type { ConnectionVariable } from "../config/variables.ts";
import { DecodeError } from "../codec/bytes.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { sentChain } from "../tls/sent_chain.ts";
import type { ServerKeyPair } from "../tls/key_pairs.ts";
import { serverVariables, tlsVariables } from "../tls/variables.ts";
import { PRODUCT } from "../version.ts";
import type { VerifiedConnection } from "./connect.ts";

/** Returns the variables. `own`: the certificate that the client offers. If there is one,
 *  SSL_CLIENT_VERIFY is `GENEROUS`, because the server's verdict is not known here. */
export function clientTlsVariables(
  { session, serverName }: VerifiedConnection,
  own: ServerKeyPair | undefined,
  runtime: Pick<Runtime, "tlsLibrary">,
): Map<ConnectionVariable, string> {
  return tlsVariables({
    protocol: session.protocol,
    cipher: { name: session.cipher },
    sessionId: session.id,
    server: readable(session.peerCertificates[0]),
    clientChain: sentChain(own?.certificates.map(({ der }) => der)),
    clientVerify: own ? "GENEROUS" : "NONE",
    sni: serverName,
    alpn: session.alpn,
    versionInterface: PRODUCT,
    versionLibrary: runtime.tlsLibrary,
  });
}

/** The variables of the server's certificate; none if it cannot be read. Such a certificate is
 *  accepted only with both -X and -N. */
function readable(der: Uint8Array | undefined): Map<ConnectionVariable, string> {
  if (!der) return new Map();
  try {
    return serverVariables(readCertificate(der));
  } catch (error) {
    if (error instanceof DecodeError) return new Map();
    throw error;
  }
}

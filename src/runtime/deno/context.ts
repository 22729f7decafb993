/** TLS settings to a context of Deno's `node:tls`, and the facts of a finished session.
 *
 *  rustls ignores some settings without a word and reports others only in the handshake. Whatever
 *  it cannot honour is refused here, when the context is made. */

import * as tls from "node:tls";
import { Duplex } from "node:stream";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { ContextError, type TlsContext, type TlsSession, type TlsSettings } from "../runtime.ts";
import { reason, Unsupported } from "../../errors.ts";

/** What a handshake needs of a context. */
export interface ContextParts {
  readonly secure: tls.SecureContext;
  readonly requestCertificate: boolean;
  readonly requireCertificate: boolean;
  readonly alpn: string[] | undefined;
}

/** Certificates taken from a client: rustls caps the whole message at 64 KB; this caps the walk. */
const MAX_CHAIN = 20;

const OURS = "Deno's TLS library (rustls)";

/** @throws Unsupported for what rustls cannot honour, Error for an unusable certificate or key. */
export function makeContext(settings: TlsSettings): TlsContext {
  if (settings.ciphers !== undefined) {
    throw new Unsupported("use CIPHERS", OURS, "unset CIPHERS, or run under Bun");
  }
  for (const version of [settings.minVersion, settings.maxVersion]) {
    if (version === "TLSv1" || version === "TLSv1.1") {
      throw new Unsupported(`speak ${version}`, OURS, "set TLSv1.2 or TLSv1.3, or run under Bun");
    }
  }
  if (settings.minVersion > settings.maxVersion) {
    throw new Error(
      `unable to make a TLS context: ${settings.minVersion} to ${settings.maxVersion} is empty`,
    );
  }
  const [pair, ...more] = settings.keyPairs;
  if (pair === undefined) throw new Error("unable to make a TLS context: no certificate");
  if (more.length > 0) {
    throw new Unsupported(
      "use several certificates in one context",
      OURS,
      "name one certificate, or run under Bun",
    );
  }
  const secure = attempt(() =>
    tls.createSecureContext({
      cert: pair.chain,
      key: matchingKey(pair.chain, pair.key),
      minVersion: settings.minVersion,
      maxVersion: settings.maxVersion,
      ca: settings.requestCertificate?.ca ?? [], // without a list the system's would be trusted
    })
  );
  const parts: ContextParts = {
    secure,
    requestCertificate: settings.requestCertificate !== undefined,
    requireCertificate: settings.requestCertificate?.required ?? false,
    alpn: settings.alpn,
  };
  probe(parts);
  return { opaque: parts };
}

/** `secure` for one connection, whose authorities are named in the request for a certificate and no more.
 *  Deno 2.9.6 reads `ca` as text twice when a connection begins: first it appends those certificates to the
 *  chain that it sends, then it names them. With the system's bundle no client takes such a chain. */
export function namingOnly(secure: tls.SecureContext): tls.SecureContext {
  const { ca, ...rest } = secure.context as { ca?: string | string[] };
  const pem = [ca ?? []].flat().join("");
  let begun = false;
  const context = Object.defineProperty(rest, "ca", {
    enumerable: true,
    get() {
      if (begun) return ca; // later it completes the client's chain
      begun = true;
      let reads = 0;
      return { toString: () => reads++ === 0 ? "" : pem };
    },
  });
  return Object.create(secure, { context: { value: context, enumerable: true } });
}

/** The key as PKCS#8, the one form every version takes, when it belongs to the certificate. */
function matchingKey(chain: string, pem: string): string {
  const key = attempt(() => createPrivateKey(pem));
  if (!attempt(() => new X509Certificate(chain)).checkPrivateKey(key)) {
    throw new ContextError("certificate", "the private key does not match it");
  }
  return key.export({ type: "pkcs8", format: "pem" }) as string;
}

/** Some keys (secp256k1, Ed448) are refused only when a connection begins: begins one. */
function probe(parts: ContextParts): void {
  const nowhere = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  const socket = new tls.TLSSocket(nowhere, { isServer: true, secureContext: parts.secure });
  const { _initError: error } = socket as unknown as { _initError?: Error };
  socket.on("error", () => {});
  socket.destroy();
  if (error) throw new ContextError("certificate", `${OURS} does not take its key`);
}

function attempt<T>(act: () => T): T {
  try {
    return act();
  } catch (thrown) {
    const why = reason(thrown);
    const words = /key too small/.test(why) ? `its key is too small for ${OURS}` : why;
    throw new ContextError("certificate", words);
  }
}

/** The names of what was agreed upon, as the TLS library has them. */
export function suiteOf(socket: tls.TLSSocket): { protocol: string; cipher: string } {
  return { protocol: socket.getProtocol() ?? "", cipher: socket.getCipher()?.name ?? "" };
}

/** The facts of a session whose handshake is done. Deno gives OpenSSL's cipher names. */
export function sessionOf(socket: tls.TLSSocket): TlsSession {
  const { servername } = socket as unknown as { servername?: string | false | null };
  const peerCertificates = peerChain(socket);
  const session: TlsSession = {
    ...suiteOf(socket),
    reused: socket.isSessionReused(),
    peerCertificates,
  };
  if (servername) session.serverName = servername;
  if (socket.alpnProtocol) session.alpn = socket.alpnProtocol;
  if (peerCertificates.length > 0) {
    const error = verifyError(socket);
    if (error !== undefined) session.verifyError = error;
  } else if (sentCertificate(socket)) session.unreadableCertificate = true;
  return session;
}

/** Deno 2.9.6 shows a certificate that it cannot parse (a date that is none, for one) as no
 *  certificate at all. In a full handshake the library's verdict gives it away, in a resumed one only
 *  this call, which throws. */
function sentCertificate(socket: tls.TLSSocket): boolean {
  const { ssl } = socket as unknown as { ssl?: { verifyError?: () => string | null } | null };
  if (ssl?.verifyError?.()) return true;
  try {
    return socket.getPeerX509Certificate() !== undefined;
  } catch {
    return true;
  }
}

/** `authorized` is wrong on a socket made here (always false); the library's own word is right.
 *  Where it cannot be had, nobody is trusted. */
function verifyError(socket: tls.TLSSocket): string | undefined {
  const { ssl } = socket as unknown as { ssl?: { verifyError?: () => string | null } | null };
  if (typeof ssl?.verifyError !== "function") return "no word from the TLS library";
  return ssl.verifyError() || undefined;
}

/** DER, the client's own first. A self-signed certificate names itself as its issuer. */
function peerChain(socket: tls.TLSSocket): Uint8Array[] {
  const chain: Uint8Array[] = [];
  const seen = new Set<object>();
  let next: Partial<tls.DetailedPeerCertificate> | undefined = socket.getPeerCertificate(true);
  while (next?.raw !== undefined && !seen.has(next) && chain.length < MAX_CHAIN) {
    seen.add(next);
    chain.push(new Uint8Array(next.raw));
    next = next.issuerCertificate;
  }
  return chain;
}

/** Makes a context of Deno's `node:tls` from TLS settings, and reads the facts of a session.
 *
 *  rustls silently ignores some settings and reports others only in the handshake. Settings that it
 *  does not support are refused here, when the context is made. */

import * as tls from "node:tls";
import { Duplex } from "node:stream";
import { createPrivateKey, X509Certificate } from "node:crypto";
import {
  type ClientTlsSettings,
  ContextError,
  type KeyPair,
  type TlsContext,
  type TlsSession,
  type TlsSettings,
} from "../runtime.ts";
import { reason, Unsupported } from "../../errors.ts";
import { type NativeContext, nativeContext } from "./native_tls.ts";

/** The parts of a context that a handshake needs. */
export interface ContextParts {
  readonly secure: tls.SecureContext;
  readonly requestCertificate: boolean;
  readonly requireCertificate: boolean;
  readonly alpn: string[] | undefined;
  /** For a server that asks for no client certificate. */
  readonly native?: NativeContext | undefined;
}

/** Maximum certificates read of a client's chain; rustls limits the whole message to 64 KB. */
const MAX_CHAIN = 20;

const LIBRARY = "Deno's TLS library (rustls)";

/** See `Runtime.tlsContext`. Throws `Unsupported` for a setting that rustls does not support, and
 *  an Error for an unusable certificate or key. */
export function makeContext(settings: TlsSettings): TlsContext {
  if (settings.ciphers !== undefined) {
    throw new Unsupported("use CIPHERS", LIBRARY, "unset CIPHERS, or run under Bun");
  }
  if (settings.groups !== undefined) {
    throw new Unsupported("use CURVES", LIBRARY, "unset CURVES, or run under Bun");
  }
  if (settings.tickets === false) {
    throw new Unsupported("issue no tickets", LIBRARY, "run under Bun");
  }
  if (settings.cipherOrder === "server") {
    throw new Unsupported("choose by the server's order", LIBRARY, "run under Bun");
  }
  refuseVersions(settings);
  const [pair, ...more] = settings.keyPairs;
  if (pair === undefined) throw new Error("unable to make a TLS context: no certificate");
  if (more.length > 0) {
    throw new Unsupported(
      "use several certificates in one context",
      LIBRARY,
      "name one certificate, or run under Bun",
    );
  }
  const parts: ContextParts = {
    // Always a list: without one, Deno trusts the system's authorities.
    secure: secureContext(settings, pair, settings.requestCertificate?.ca ?? []),
    requestCertificate: settings.requestCertificate !== undefined,
    requireCertificate: settings.requestCertificate?.required ?? false,
    alpn: settings.alpn,
  };
  const native = probe(parts);
  return { opaque: parts.requestCertificate ? parts : { ...parts, native } };
}

/** See `Runtime.clientContext`. Throws as `makeContext`. */
export function makeClientContext(settings: ClientTlsSettings): TlsContext {
  if (settings.ciphers !== undefined) {
    const remedy = "leave the suites to the library, or run under Bun";
    throw new Unsupported("choose cipher suites", LIBRARY, remedy);
  }
  refuseVersions(settings);
  const secure = secureContext(settings, settings.keyPair, []);
  const none = { requestCertificate: false, requireCertificate: false };
  const parts: ContextParts = { ...none, secure, alpn: settings.alpn && [...settings.alpn] };
  if (settings.keyPair) probe(parts);
  return { opaque: parts };
}

function refuseVersions(
  { minVersion, maxVersion }: Pick<TlsSettings, "minVersion" | "maxVersion">,
): void {
  for (const version of [minVersion, maxVersion]) {
    if (version === "TLSv1" || version === "TLSv1.1") {
      throw new Unsupported(
        `speak ${version}`,
        LIBRARY,
        "set TLSv1.2 or TLSv1.3, or run under Bun",
      );
    }
  }
  if (minVersion > maxVersion) {
    throw new Error(`unable to make a TLS context: ${minVersion} to ${maxVersion} is empty`);
  }
}

function secureContext(
  { minVersion, maxVersion }: Pick<TlsSettings, "minVersion" | "maxVersion">,
  pair: KeyPair | undefined,
  ca: string[],
): tls.SecureContext {
  const own = pair ? { cert: pair.chain, key: matchingKey(pair.chain, pair.key) } : {};
  return attempt(() => tls.createSecureContext({ ...own, minVersion, maxVersion, ca }));
}

/** Returns `secure` for one connection, such that its authorities are named in the request for a
 *  certificate but not sent. When a connection begins, Deno 2.9.6 converts `ca` to text twice:
 *  first to append those certificates to the chain that it sends, then to name them. No client
 *  accepts a chain with the system's whole bundle. */
export function namingOnly(secure: tls.SecureContext): tls.SecureContext {
  const { ca, ...rest } = secure.context as { ca?: string | string[] };
  const pem = [ca ?? []].flat().join("");
  let begun = false;
  const context = Object.defineProperty(rest, "ca", {
    enumerable: true,
    get() {
      if (begun) return ca; // later reads complete the client's chain
      begun = true;
      let reads = 0;
      return { toString: () => reads++ === 0 ? "" : pem };
    },
  });
  return Object.create(secure, { context: { value: context, enumerable: true } });
}

/** Returns the key as PKCS#8, the form that every version of Deno accepts. Throws `ContextError` if
 *  it does not belong to the certificate. */
function matchingKey(chain: string, pem: string): string {
  const key = attempt(() => createPrivateKey(pem));
  if (!attempt(() => new X509Certificate(chain)).checkPrivateKey(key)) {
    throw new ContextError("certificate", "the private key does not match it");
  }
  return key.export({ type: "pkcs8", format: "pem" }) as string;
}

/** Begins a connection, because rustls refuses some keys (secp256k1, Ed448) only then. */
function probe(parts: ContextParts): NativeContext | undefined {
  const nowhere = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  const socket = new tls.TLSSocket(nowhere, { isServer: true, secureContext: parts.secure });
  const { _initError: error } = socket as unknown as { _initError?: Error };
  const native = nativeContext(socket, parts.secure);
  socket.on("error", () => {});
  socket.destroy();
  if (error) throw new ContextError("certificate", `${LIBRARY} does not support its key`);
  return native;
}

function attempt<T>(act: () => T): T {
  try {
    return act();
  } catch (thrown) {
    const why = reason(thrown);
    const words = /key too small/.test(why) ? `its key is too small for ${LIBRARY}` : why;
    throw new ContextError("certificate", words);
  }
}

/** The names of the negotiated protocol and cipher suite. */
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

/** True if the client sent a certificate. Deno 2.9.6 provides no certificate if it cannot parse it
 *  (for instance an invalid date). After a full handshake the library's `verifyError` shows that
 *  one was sent; after a resumed one only `getPeerX509Certificate` does, which throws. */
function sentCertificate(socket: tls.TLSSocket): boolean {
  const { ssl } = socket as unknown as { ssl?: { verifyError?: () => string | null } | null };
  if (ssl?.verifyError?.()) return true;
  try {
    return socket.getPeerX509Certificate() !== undefined;
  } catch {
    return true;
  }
}

/** The library's own verification error, because `authorized` is always false on a socket made
 *  here. If it is not available, no client is trusted. */
function verifyError(socket: tls.TLSSocket): string | undefined {
  const { ssl } = socket as unknown as { ssl?: { verifyError?: () => string | null } | null };
  if (typeof ssl?.verifyError !== "function") return "the TLS library gave no reason";
  return ssl.verifyError() || undefined;
}

/** The chain in DER, the client's own certificate first. A self-signed one refers to itself as
 *  issuer. */
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

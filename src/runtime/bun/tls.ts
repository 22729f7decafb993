/** TLS connections on Bun, from the handshake's outcome to the facts of the session. */

import { sessionId } from "../../codec/ssl_session.ts";
import { RecordTail } from "../../codec/tls_records.ts";
import { BunStream, plainHandler } from "./stream.ts";
import type { NativeSocket, NativeTlsSocket, PeerCertificate, SocketHandler } from "./types.ts";
import { closedEarly, closedLate, refusal } from "./words.ts";
import { CLOSED, GIVEN_UP } from "../endings.ts";
import type { Libc } from "../libc/libc.ts";
import { HandshakeError, type TlsSession, type TlsStream } from "../runtime.ts";

/** Certificates of a client's chain that are looked at; BoringSSL's own limit is 100 KB in all. */
const MAX_CHAIN = 10;

/** What `upgradeTLS` is told. */
export interface BunTlsOptions extends Record<string, unknown> {
  /** BoringSSL sends the alert to who has no certificate. On whom `ca` does not vouch for Bun closes
   *  too, but only after the handshake's callback, and without a word. */
  readonly rejectUnauthorized: boolean;
}

/** A TLS connection; `settle` ends the handshake's promise. */
export class BunTlsStream extends BunStream implements TlsStream {
  settle: ((error?: Error) => void) | undefined;
  readonly #records = new RecordTail();

  /** It is not stopped after the handshake, as its program mostly comes soon. `required`: of
   *  `TlsSettings.requestCertificate`. */
  constructor(native: NativeSocket<BunStream>, readonly required: boolean) {
    super(native);
  }

  attach(native: NativeTlsSocket<BunStream>): void {
    this.native = native;
  }

  /** Acknowledges the client's Finished at once. BoringSSL keeps its session tickets for the first write,
   *  so nothing carries the acknowledgement, and a client without TCP_NODELAY waits 40 ms for it before
   *  it sends its request. */
  acknowledge(libc: Libc): void {
    if (!libc.confines) return;
    try {
      libc.quickAck(this.native.fd);
    } catch {
      // The peer has gone, or the system has no such option: the acknowledgement comes later.
    }
  }

  /** The peer has ended its data: a handshake that is under way still comes to nothing. */
  breakOff(): void {
    if (!this.settle || this.gone) return;
    this.failed(new HandshakeError(CLOSED));
    this.native.close();
  }

  /** Ciphertext has come: it is decrypted when this returns. */
  ciphertext(piece: Uint8Array): void {
    this.#records.feed(piece);
  }

  /** Why the library says that the handshake failed. */
  refused(error: Error | null): void {
    this.failed(refusal(error, this.#records.plainAlert));
  }

  override received(bytes: Uint8Array): void {
    this.#records.decrypted(bytes.length);
    super.received(bytes);
  }

  /** Bun tells of close_notify and of a FIN without it in the same way. */
  override ended(): void {
    super.ended(!this.#records.endsWithAlert);
  }

  override closed(error?: Error): void {
    const settle = this.settle;
    const cause = error ?? this.failure;
    this.settle = undefined;
    settle?.(closedEarly(cause));
    super.closed(cause && closedLate(cause));
  }

  override destroy(): void {
    super.destroy();
    const settle = this.settle;
    this.settle = undefined;
    settle?.(new HandshakeError(GIVEN_UP));
  }

  suite(): { protocol: string; cipher: string } {
    const tls = this.native as NativeTlsSocket<BunStream>;
    return { protocol: tls.getTLSVersion(), cipher: tls.getCipher().name ?? "" };
  }

  session(): TlsSession {
    const tls = this.native as NativeTlsSocket<BunStream>;
    const serverName = tls.getServername();
    const alpn = tls.alpnProtocol;
    const peerCertificates = chainOf(tls.getPeerCertificate(false));
    const error = peerCertificates.length > 0 ? tls.getAuthorizationError() : null;
    const session = tls.getSession();
    const id = session ? sessionId(session) : undefined;
    return {
      ...this.suite(),
      reused: tls.isSessionReused(),
      peerCertificates,
      ...(id ? { id } : {}),
      ...(serverName ? { serverName } : {}),
      ...(alpn ? { alpn } : {}),
      ...(error ? { verifyError: error.message } : {}),
      ...(error && this.required ? { refused: true } : {}),
    };
  }
}

/** Shared by all connections, like `plainHandler`. */
export const tlsHandler: SocketHandler<BunStream> = {
  ...plainHandler,
  handshake(socket, ok, error) {
    const stream = socket.data as BunTlsStream;
    const settle = stream.settle;
    if (!settle) return;
    if (ok) {
      stream.settle = undefined;
      settle();
    } else {
      stream.refused(error);
    }
  },
};

function chainOf(first: PeerCertificate | undefined): Uint8Array[] {
  const chain: Uint8Array[] = [];
  let certificate = first;
  while (certificate?.raw && chain.length < MAX_CHAIN) {
    chain.push(certificate.raw);
    const issuer = certificate.issuerCertificate;
    if (issuer === certificate) break;
    certificate = issuer;
  }
  return chain;
}

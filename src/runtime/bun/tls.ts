/** TLS connections on Bun: the result of the handshake, the stream, and the facts of the
 *  session. */

import { sessionId } from "../../codec/ssl_session.ts";
import { RecordTail } from "../../codec/tls_records.ts";
import { BunStream, plainHandler } from "./stream.ts";
import type { NativeSocket, NativeTlsSocket, PeerCertificate, SocketHandler } from "./types.ts";
import { closedEarly, closedLate, refusal } from "./words.ts";
import { CLOSED, GIVEN_UP } from "../endings.ts";
import type { Libc } from "../libc/libc.ts";
import { HandshakeError, type TlsSession, type TlsStream } from "../runtime.ts";

/** The names of protocols and ciphers. Bun makes new strings for each connection; kept once, they take
 *  no memory for each. */
const names = new Map<string, string>();

function shared(name: string): string {
  const known = names.get(name);
  if (known === undefined) names.set(name, name);
  return known ?? name;
}

/** Maximum certificates read of a client's chain; BoringSSL limits the whole chain to 100 KB. */
const MAX_CHAIN = 10;

/** The TLS options for `upgradeTLS`. */
export interface BunTlsOptions extends Record<string, unknown> {
  /** True: BoringSSL sends an alert to a client without a certificate. Bun also closes the
   *  connection of a client whose certificate does not chain to `ca`, but only after the
   *  handshake's callback, and without an alert. */
  readonly rejectUnauthorized: boolean;
  /** Gets the lines of Runtime.logSecrets. */
  readonly keylog?: (line: Uint8Array) => void;
}

/** A TLS connection. `settle` settles the handshake's promise. */
export class BunTlsStream extends BunStream implements TlsStream {
  settle: ((error?: Error) => void) | undefined;
  closeNotify = true;
  readonly #records = new RecordTail();
  #ended = false;

  /** The stream is not stopped after the handshake, because its program usually starts soon.
   *  `required`: as in `TlsSettings.requestCertificate`. */
  constructor(native: NativeSocket<BunStream>, readonly required: boolean, readonly libc: Libc) {
    super(native);
  }

  attach(native: NativeTlsSocket<BunStream>): void {
    this.native = native;
  }

  /** Acknowledges the client's Finished at once. BoringSSL delays its session tickets until the
   *  first write, so no data carries the acknowledgement, and a client without TCP_NODELAY would
   *  wait 40 ms for it before it sends its request. */
  acknowledge(): void {
    if (!this.libc.confines) return;
    try {
      this.libc.quickAck(this.native.fd);
    } catch {
      // The peer has gone, or the system has no such option: the acknowledgement comes later.
    }
  }

  /** The peer has ended its data: a handshake under way fails. */
  breakOff(): void {
    if (!this.settle || this.gone) return;
    this.failed(new HandshakeError(CLOSED));
    this.native.close();
  }

  /** Ciphertext has come; it is decrypted after this returns. */
  ciphertext(piece: Uint8Array): void {
    this.#records.feed(piece);
  }

  /** The library reports that the handshake failed. */
  refused(error: Error | null): void {
    this.failed(refusal(error, this.#records.plainAlert));
  }

  override received(bytes: Uint8Array): void {
    this.#records.decrypted(bytes.length);
    super.received(bytes);
  }

  /** Bun reports close_notify and a FIN without it in the same way; the records tell them apart. */
  override ended(): void {
    this.#ended = true;
    super.ended(!this.#records.endsWithAlert);
  }

  override closed(error?: Error): void {
    const settle = this.settle;
    const cause = error ?? this.failure;
    this.settle = undefined;
    settle?.(closedEarly(cause));
    // After our end of data, Bun reports the peer's end of data only as a close.
    if (!settle && !cause && !this.#ended && !this.gone) this.ended();
    super.closed(cause && closedLate(cause));
  }

  override destroy(): void {
    super.destroy();
    const settle = this.settle;
    this.settle = undefined;
    settle?.(new HandshakeError(GIVEN_UP));
  }

  /** Bun's own call would send close_notify first. By now the system has all ciphertext. */
  protected override endOutput(): void {
    if (this.closeNotify) return super.endOutput();
    try {
      this.libc.endOutput(this.native.fd);
    } catch {
      // The peer has gone; an event follows.
    }
  }

  suite(): { protocol: string; cipher: string } {
    const tls = this.native as NativeTlsSocket<BunStream>;
    return { protocol: shared(tls.getTLSVersion()), cipher: shared(tls.getCipher().name ?? "") };
  }

  session(): TlsSession {
    const tls = this.native as NativeTlsSocket<BunStream>;
    const serverName = tls.getServername();
    const alpn = tls.alpnProtocol;
    const peerCertificates = chainOf(tls.getPeerCertificate(false));
    const error = peerCertificates.length > 0 ? tls.getAuthorizationError() : null;
    const suite = this.suite();
    // In TLS 1.3 the id is empty, and the session would be serialized only to be dropped.
    const session = suite.protocol === "TLSv1.3" ? undefined : tls.getSession();
    const id = session ? sessionId(session) : undefined;
    return {
      ...suite,
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

/** The handler of a server whose secrets are logged: BoringSSL gives them only to a socket that has a
 *  callback for them. */
export function keylogHandler(write: (line: Uint8Array) => void): SocketHandler<BunStream> {
  return { ...tlsHandler, keylog: (_socket, line) => write(line) };
}

/** For a client. Bun reports a finished handshake with `ok` false if it considers the server's
 *  certificate invalid. That verdict does not count here. */
export const clientTlsHandler: SocketHandler<BunStream> = {
  ...tlsHandler,
  handshake: (socket, ok, error) => tlsHandler.handshake?.(socket, ok || isDone(socket), error),
};

/** True if the handshake is done. BoringSSL exports no key before that. */
function isDone(socket: NativeTlsSocket<BunStream>): boolean {
  try {
    return socket.exportKeyingMaterial(KEY_LENGTH, "EXPERIMENTAL handshake done") !== undefined;
  } catch {
    return false;
  }
}

/** The length does not matter. */
const KEY_LENGTH = 16;

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

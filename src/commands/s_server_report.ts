/** The lines that `s_server` prints about a connection, in OpenSSL's words, as far as they are known
 *  and true. Pure: no I/O. */

import { gatherHello } from "../codec/client_hello.ts";
import { hex, latin1 } from "../codec/bytes.ts";
import { printable } from "../codec/printable.ts";
import { type ClientHelloMessage, readClientHello } from "../codec/tls/hello.ts";
import { EXTENSIONS } from "../codec/tls/registry.ts";
import { commaLine } from "../codec/x509/names.ts";
import { encodePem } from "../codec/x509/pem.ts";
import type { HandlerFacts } from "../program/handler.ts";
import { SentCertificate } from "../tls/sent_chain.ts";
import { advertisedLine, offerLines } from "./s_server_offer.ts";
import type { ServerSettings } from "./s_server_settings.ts";
import { verdictOf, verificationOf } from "./s_server_verdict.ts";

/** Bytes of a handshake message before its body. */
const MESSAGE_HEADER = 4;
const RENEGOTIATION_INFO = 0xff01;
const RENEGOTIATION_SUITE = 0x00ff;

/** What the client offered; undefined if its ClientHello cannot be read. */
export function helloOf(records: Uint8Array | undefined): ClientHelloMessage | undefined {
  const gathered = records && gatherHello(records);
  if (gathered?.is !== "whole") return undefined;
  try {
    return readClientHello(gathered.message.subarray(MESSAGE_HEADER));
  } catch {
    return undefined;
  }
}

/** The summary of a session, without `-brief`. */
export function sessionLines(
  facts: HandlerFacts,
  { serverName, alpn }: Pick<ServerSettings, "serverName" | "alpn">,
): string[] {
  const { environment: env, peerCertificates: [own] } = facts;
  const { SSL_TLS_SNI: name, SSL_ALPN: protocol, SSL_PROTOCOL, SSL_CIPHER } = env;
  const hello = helloOf(facts.hello);
  const lines: string[] = [];
  if (name !== undefined) {
    lines.push(`Hostname in TLS extension: "${printable(name)}"`);
    if (serverName !== undefined && name.toLowerCase() === serverName.toLowerCase()) {
      lines.push("Switching server context.");
    }
  }
  if (alpn !== undefined && hello) lines.push(...advertisedLine(hello));
  if (protocol !== undefined) lines.push(`ALPN protocols selected: ${printable(protocol)}`);
  if (own) lines.push("Client certificate", ...certificateLines(own));
  if (hello) lines.push(...offerLines(hello));
  lines.push(`Protocol  : ${SSL_PROTOCOL ?? "unknown"}`, `CIPHER is ${SSL_CIPHER ?? "(NONE)"}`);
  if (facts.reused) lines.push("Reused session-id");
  const secure = hello?.cipherSuites.includes(RENEGOTIATION_SUITE) ||
    hello?.extensions.some(({ type }) => type === RENEGOTIATION_INFO);
  lines.push(`Secure Renegotiation IS${secure ? "" : " NOT"} supported`);
  return lines;
}

function certificateLines(der: Uint8Array): string[] {
  const names = namesOf(der);
  return [
    ...encodePem("CERTIFICATE", der).trimEnd().split("\n"),
    ...(names ? [`subject=${names.subject}`, `issuer=${names.issuer}`] : []),
  ];
}

/** Undefined for a certificate that cannot be read. */
function namesOf(der: Uint8Array): { subject: string; issuer: string } | undefined {
  try {
    const { subject, issuer } = new SentCertificate(der).read();
    return { subject: commaLine(subject), issuer: commaLine(issuer) };
  } catch {
    return undefined;
  }
}

/** The verdict on the client's certificate; none without one. */
export function verdictLines(
  { environment: env, peerCertificates: [own] }: HandlerFacts,
): string[] {
  if (!own) return [];
  const depth = `depth=0 ${namesOf(own)?.subject ?? "unreadable"}`;
  return [depth, ...verdictOf(env.SSL_CLIENT_VERIFY ?? "NONE")];
}

/** The summary of -brief and -rev. */
export function briefLines({ environment: env, peerCertificates: [own] }: HandlerFacts): string[] {
  return [
    `Protocol version: ${env.SSL_PROTOCOL ?? "unknown"}`,
    `Ciphersuite: ${env.SSL_CIPHER ?? "unknown"}`,
    ...own
      ? [
        `Peer certificate: ${namesOf(own)?.subject ?? "unreadable"}`,
        verificationOf(env.SSL_CLIENT_VERIFY ?? "NONE"),
      ]
      : ["No peer certificate"],
  ];
}

/** The client's extensions as hex dumps (-tlsextdebug). */
export function extensionLines({ hello: records }: HandlerFacts): string[] {
  return helloOf(records)?.extensions.flatMap(({ type, body }) => [
    `TLS client extension "${EXTENSIONS[type] ?? "unknown"}" (id=${type}), len=${body.length}`,
    ...dump(body),
  ]) ?? [];
}

/** Longest dump, in bytes. A record has at most 16,640. */
const MAX_DUMP = 16_645;

/** OpenSSL's form: offset, 16 bytes, characters. */
export function dump(bytes: Uint8Array): string[] {
  const lines: string[] = [];
  for (let at = 0; at < Math.min(bytes.length, MAX_DUMP); at += 16) {
    const part = bytes.subarray(at, at + 16);
    const pairs = hex(part).replaceAll(/..(?=.)/g, "$& ").replace(/^(.{23}) /, "$1-");
    const text = printable(latin1(part)).replaceAll("?", ".");
    lines.push(`${at.toString(16).padStart(4, "0")} - ${pairs.padEnd(47)}   ${text}`);
  }
  return lines;
}

/** What a server has counted. */
export interface HandshakeCounts {
  accepted: number;
  finished: number;
}

/** The statistics of the command `S`, and at the end. There is no session cache: sessions resume by
 *  tickets. */
export function statisticsLines({ accepted, finished }: HandshakeCounts): string[] {
  const rows: [number, string][] = [
    [0, "items in the session cache"],
    [0, "client connects (SSL_connect())"],
    [0, "client renegotiates (SSL_connect())"],
    [0, "client connects that finished"],
    [accepted, "server accepts (SSL_accept())"],
    [0, "server renegotiates (SSL_accept())"],
    [finished, "server accepts that finished"],
    [0, "session cache hits"],
    [0, "session cache misses"],
    [0, "session cache timeouts"],
    [0, "callback cache hits"],
    [0, "cache full overflows (0 allowed)"],
  ];
  return rows.map(([n, text]) => `${String(n).padStart(4)} ${text}`);
}

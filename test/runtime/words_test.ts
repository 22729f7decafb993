/** Error texts of both TLS libraries, as seen on Bun 1.4.5 and Deno 2.9.6, and the reasons made of them. */

import { assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { reasonWords } from "../../src/log/reasons.ts";
import type { StreamReason } from "../../src/reason.ts";
import * as boringssl from "../../src/runtime/bun/words.ts";
import * as rustls from "../../src/runtime/deno/words.ts";
import { lost } from "../../src/runtime/endings.ts";

/** `alert`, `certificate alert`, the fault of TLS, or the kind of the reason. */
function kindOf(reason: StreamReason): string {
  if (reason.kind === "tls") return reason.fault;
  if (reason.kind !== "alert") return reason.kind;
  return reason.certificate ? "certificate alert" : "alert";
}

type Row = readonly [text: string, kind: string, words: string];

const BORINGSSL: readonly Row[] = [
  ["HTTP_REQUEST", "http request", "http request"],
  ["HTTPS_PROXY_REQUEST", "http request", "http request"],
  ["WRONG_VERSION_NUMBER", "not tls", "unexpected record"],
  ["UNEXPECTED_RECORD", "not tls", "unexpected record"],
  ["EXCESSIVE_MESSAGE_SIZE", "malformed", "message too long"],
  ["CLIENTHELLO_PARSE_FAILED", "malformed", "malformed client hello"],
  ["PARSE_TLSEXT", "malformed", "malformed client hello"],
  ["ENCRYPTED_LENGTH_TOO_LONG", "malformed", "record too long"],
  ["DATA_LENGTH_TOO_LONG", "malformed", "record too long"],
  ["BAD_PACKET_LENGTH", "malformed", "malformed message"],
  ["DECODE_ERROR", "malformed", "malformed message"],
  ["LENGTH_MISMATCH", "malformed", "length mismatch"],
  ["DECRYPTION_FAILED_OR_BAD_RECORD_MAC", "malformed", "bad record mac"],
  ["UNEXPECTED_MESSAGE", "malformed", "unexpected message"],
  ["SSLV3_ALERT_HANDSHAKE_FAILURE", "alert", "alert from the client: handshake failure"],
  ["TLSV1_ALERT_USER_CANCELLED", "alert", "alert from the client: user cancelled"],
  ["TLSV1_ALERT_UNKNOWN_CA", "certificate alert", "alert from the client: unknown ca"],
  ["SSLV3_ALERT_BAD_CERTIFICATE", "certificate alert", "alert from the client: bad certificate"],
  [
    "SSLV3_ALERT_CERTIFICATE_EXPIRED",
    "certificate alert",
    "alert from the client: certificate expired",
  ],
  ["TLSV1_ALERT_DECRYPT_ERROR", "certificate alert", "alert from the client: decrypt error"],
  ["CERTIFICATE_VERIFY_FAILED", "bad client certificate", "certificate verify failed"],
  [
    "KEY_USAGE_BIT_INCORRECT",
    "bad client certificate",
    "client certificate: unsuitable certificate purpose",
  ],
  [
    "PEER_DID_NOT_RETURN_A_CERTIFICATE",
    "no client certificate",
    "peer did not return a certificate",
  ],
  ["UNSUPPORTED_PROTOCOL", "no shared version", "no shared protocol version"],
  ["NO_SHARED_CIPHER", "no shared cipher", "no shared cipher"],
  ["NO_SHARED_GROUP", "no shared group", "no shared group"],
  ["WRONG_CURVE", "no shared group", "no shared group"],
  [
    "NO_COMMON_SIGNATURE_ALGORITHMS",
    "no shared signature algorithm",
    "no shared signature algorithm",
  ],
  [
    "NO_APPLICATION_PROTOCOL",
    "no shared application protocol",
    "no shared application protocol",
  ],
  ["SOMETHING_NEW", "other", "something new"],
];

/** The text that Deno appends to most errors, whatever the cause. */
const BEHIND = " (SSL routines:ssl3_get_record:wrong version number)";

const RUSTLS: readonly Row[] = [
  [
    `received corrupt message of type InvalidContentType${BEHIND}`,
    "not tls",
    "unexpected record",
  ],
  [
    `received corrupt message of type HandshakePayloadTooLarge${BEHIND}`,
    "malformed",
    "message too long",
  ],
  [
    `received corrupt message of type MessageTooLarge${BEHIND}`,
    "malformed",
    "record too long",
  ],
  [
    `received corrupt message of type MissingData("ProtocolVersion")${BEHIND}`,
    "malformed",
    "malformed message",
  ],
  ["cannot decrypt peer's message", "malformed", "bad record mac"],
  [
    "received unexpected handshake message: got Finished when expecting ClientHello",
    "malformed",
    "unexpected message",
  ],
  ["received fatal alert: HandshakeFailure", "alert", "alert from the client: handshake failure"],
  ["received fatal alert: UnknownCA", "certificate alert", "alert from the client: unknown ca"],
  [
    "received fatal alert: BadCertificate",
    "certificate alert",
    "alert from the client: bad certificate",
  ],
  [
    "received fatal alert: CertificateExpired",
    "certificate alert",
    "alert from the client: certificate expired",
  ],
  [
    "received fatal alert: DecryptError",
    "certificate alert",
    "alert from the client: decrypt error",
  ],
  ["peer is incompatible: NoCipherSuitesInCommon", "no shared cipher", "no shared cipher"],
  ["peer is incompatible: NoKxGroupsInCommon", "no shared group", "no shared group"],
  [
    "peer is incompatible: NoSignatureSchemesInCommon",
    "no shared signature algorithm",
    "no shared signature algorithm",
  ],
  [
    "peer is incompatible: SignatureAlgorithmsExtensionRequired",
    "no shared signature algorithm",
    "no shared signature algorithm",
  ],
  ["peer is incompatible: Tls12NotOffered", "no shared version", "no shared protocol version"],
  [
    "peer is incompatible: Tls13RequiredForQuic",
    "other",
    "peer is incompatible: Tls13RequiredForQuic",
  ],
  [
    "peer doesn't support any known protocol",
    "no shared application protocol",
    "no shared application protocol",
  ],
  ["peer sent no certificates", "no client certificate", "peer did not return a certificate"],
  [
    `invalid peer certificate: UnknownIssuer${BEHIND}`,
    "bad client certificate",
    "invalid peer certificate: UnknownIssuer",
  ],
  ["", "other", ""],
];

test("each text of BoringSSL has its reason", () => {
  for (const [name, kind, words] of BORINGSSL) {
    const reason = boringssl.faultOf(`error:1000008b:SSL routines:OPENSSL_internal:${name}`);
    assertEquals([kindOf(reason), reasonWords(reason)], [kind, words], name);
  }
});

test("each text of rustls has its reason", () => {
  for (const [text, kind, words] of RUSTLS) {
    const reason = rustls.faultOf(text);
    assertEquals([kindOf(reason), reasonWords(reason)], [kind, words], text);
  }
});

test("the first bytes of the client distinguish the refusals of rustls", () => {
  const first = (text: string) => new TextEncoder().encode(text);
  const corrupt = new Error(`received corrupt message of type InvalidCcs${BEHIND}`);
  const rows: [Uint8Array, string][] = [
    [first("GET / HTTP/1.0"), "http request"],
    [Uint8Array.of(22, 3, 1), "malformed client hello"],
    [Uint8Array.of(23, 3, 1), "malformed message"],
  ];
  for (const [bytes, words] of rows) {
    assertStrictEquals(reasonWords(rustls.refusal(corrupt, bytes)), words);
  }
  const reset = Object.assign(new Error("read ECONNRESET"), {
    code: "ECONNRESET",
    syscall: "read",
  });
  assertEquals(rustls.refusal(reset, first("GET /")), { kind: "client gone", how: "reset" });
});

test("an alert that BoringSSL reports as a damaged record is reported as an alert", () => {
  const error = new Error("error:1:SSL routines:OPENSSL_internal:BAD_PACKET_LENGTH");
  assertEquals(boringssl.refusal(error, 48).reason, {
    kind: "alert",
    alert: "unknown ca",
    certificate: true,
  });
  assertEquals(boringssl.refusal(error, 200).reason, {
    kind: "alert",
    alert: "200",
    certificate: false,
  });
  assertStrictEquals(kindOf(boringssl.refusal(error).reason as StreamReason), "malformed");
});

test("an error of the socket is recognised by its code", () => {
  const of = (code: string) => lost(Object.assign(new Error("text"), { code }));
  for (const code of ["ECONNRESET", "ECONNABORTED", "EPIPE"]) {
    assertEquals(of(code), { kind: "client gone", how: "reset" });
  }
  assertEquals(of("ETIMEDOUT"), { kind: "connection lost", text: "connection timed out" });
  assertEquals(of("ENEW"), { kind: "connection lost", text: "text" });
});

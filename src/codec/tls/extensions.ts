/** Shows the content of an extension as text: one string for each value (RFC 8446 4.2; the readers
 *  name other sources). Pure: no I/O. Text of the peer is printable ASCII in the result. */

import { DecodeError, Reader } from "../bytes.ts";
import {
  CERTIFICATE_COMPRESSIONS,
  CERTIFICATE_STATUS_TYPES,
  CERTIFICATE_TYPES,
  GROUPS,
  HPKE_AEADS,
  HPKE_KDFS,
  POINT_FORMATS,
  PSK_MODES,
  signatureScheme,
} from "./algorithms.ts";
import {
  bytesText,
  either,
  hexText,
  listOf,
  nameIn,
  noContent,
  peerText,
  type Place,
  rawBytes,
  type ReadExtension,
  size,
  vectors,
} from "./extension_values.ts";
import { isGreaseMode } from "./grease.ts";
import { EXTENSIONS, named, type NumberNames, TLS_VERSIONS } from "./registry.ts";

/** An extension as text. */
export interface ExtensionView {
  readonly type: number;
  /** IANA's name and the number, `server_name (0)`. */
  readonly name: string;
  /** Bytes of the body. */
  readonly length: number;
  /** Its content. Empty if the extension has no content. */
  readonly values: readonly string[];
  /** Why the body cannot be read; `values` then has its bytes. */
  readonly malformed?: string;
}

const group = nameIn(GROUPS);
const version = nameIn(TLS_VERSIONS, 4);
const certificateType = nameIn(CERTIFICATE_TYPES);

/** RFC 6066 3. A server answers with an empty body. */
const serverName: ReadExtension = (body) => {
  if (body.left === 0) return [];
  const names = body.inner(2, "server name list");
  const found: string[] = [];
  while (names.left > 0) {
    const type = names.u8("server name type");
    const name = peerText(names.vector(2, "server name"));
    found.push(type === 0 ? name : `type ${type}: ${name}`);
  }
  return found;
};

/** RFC 6066 4. */
const maxFragment: ReadExtension = (body) => {
  const code = body.u8("code");
  return [code >= 1 && code <= 4 ? `${2 ** (8 + code)} bytes` : `unknown (${code})`];
};

/** RFC 6066 8. */
const statusRequest: ReadExtension = (body, place) => {
  if (place !== "client hello" && body.left === 0) return [];
  return [
    nameIn(CERTIFICATE_STATUS_TYPES)(body.u8("type")),
    `responder ids: ${bytesText(body.vector(2, "responder ids"))}`,
    `request extensions: ${bytesText(body.vector(2, "request extensions"))}`,
  ];
};

const keyShare: ReadExtension = (body, place) => {
  if (place === "retry request") return [`selected group: ${group(body.u16("group"))}`];
  const shares = place === "client hello" ? body.inner(2, "key shares") : body;
  const found: string[] = [];
  while (shares.left > 0) {
    const name = group(shares.u16("group"));
    found.push(`${name}, ${bytesText(shares.vector(2, "key share"))}`);
  }
  return found;
};

const preSharedKey: ReadExtension = (body, place) => {
  if (place !== "client hello") return [`selected identity: ${body.u16("selected identity")}`];
  const found: string[] = [];
  const identities = body.inner(2, "identities");
  while (identities.left > 0) {
    const identity = bytesText(identities.vector(2, "identity"));
    found.push(`identity, obfuscated age ${identities.u32("obfuscated age")}, ${identity}`);
  }
  const binders = body.inner(2, "binders");
  while (binders.left > 0) found.push(`binder, ${bytesText(binders.vector(1, "binder"))}`);
  return found;
};

const supportedVersions: ReadExtension = (body, place) =>
  place === "client hello" ? listOf(1, 2, version)(body, place) : [version(body.u16("version"))];

const earlyData: ReadExtension = (body, place) =>
  place === "ticket" ? [`at most ${size(body.u32("size"))}`] : [];

const pskModes: ReadExtension = listOf(
  1,
  1,
  (mode) => isGreaseMode(mode) ? `GREASE (${mode})` : named(PSK_MODES[mode], mode),
);

/** RFC 9849 5 and 7. */
const encryptedHello: ReadExtension = (body, place) => {
  if (place === "retry request") {
    return [`confirmation: ${bytesText(body.take(8, "confirmation"))}`];
  }
  if (place !== "client hello") return rawBytes(body, place);
  const type = body.u8("type");
  if (type === 1) return ["inner"];
  if (type !== 0) return [`unknown (${type})`, ...rawBytes(body, place)];
  const kdf = body.u16("KDF");
  const aead = body.u16("AEAD");
  return [
    "outer",
    `KDF: ${named(HPKE_KDFS[kdf], kdf, 4)}`,
    `AEAD: ${named(HPKE_AEADS[aead], aead, 4)}`,
    `config id: ${body.u8("config id")}`,
    `enc: ${bytesText(body.vector(2, "enc"))}`,
    `payload: ${bytesText(body.vector(2, "payload"))}`,
  ];
};

/** RFC 5764 4.1.1. */
const useSrtp: ReadExtension = (body, place) => [
  ...listOf(2, 2, (profile) => `profile 0x${profile.toString(16).padStart(4, "0")}`)(body, place),
  `MKI: ${bytesText(body.vector(1, "MKI"))}`,
];

const HEARTBEAT_MODES: NumberNames = { 1: "peer_allowed_to_send", 2: "peer_not_allowed_to_send" };

/** RFC 9000 18: numbers of 1, 2, 4 or 8 bytes. */
function varint(body: Reader, field: string): number {
  const first = body.u8(field);
  let value = first & 0x3f;
  for (let more = (1 << (first >> 6)) - 1; more > 0; more--) value = value * 256 + body.u8(field);
  return value;
}

const quicParameters: ReadExtension = (body) => {
  const found: string[] = [];
  while (body.left > 0) {
    const id = varint(body, "parameter");
    const length = varint(body, "length of parameter");
    found.push(`parameter 0x${id.toString(16)}, ${bytesText(body.take(length, "parameter"))}`);
  }
  return found;
};

/** draft-ietf-tls-tlsflags: bits are numbered from the lowest one of the first byte. */
const tlsFlags: ReadExtension = (body) => {
  const bits: string[] = [];
  body.vector(1, "flags").forEach((byte, i) => {
    for (let bit = 0; bit < 8; bit++) if (byte >> bit & 1) bits.push(`flag ${i * 8 + bit}`);
  });
  return bits;
};

/** RFC 9149 2: a client sends two counts, a server one. */
const ticketRequest: ReadExtension = (body, place) =>
  place === "client hello"
    ? [`new session: ${body.u8("new session")}`, `resumption: ${body.u8("resumption")}`]
    : [`expected: ${body.u8("expected")}`];

/** RFC 7685 3. */
const padding: ReadExtension = (body) => {
  const bytes = body.take(body.left, "padding");
  return bytes.every((byte) => byte === 0) ? [] : [bytesText(bytes)];
};

const signatures = listOf(2, 2, signatureScheme);
const certificateTypes = either(
  listOf(1, 1, certificateType),
  (body) => [certificateType(body.u8("type"))],
);
const protocols = vectors(2, 1, peerText);

const READERS: Readonly<Record<number, ReadExtension>> = {
  0: serverName,
  1: maxFragment,
  2: noContent,
  4: noContent,
  5: statusRequest,
  9: certificateTypes,
  10: listOf(2, 2, group),
  11: listOf(1, 1, nameIn(POINT_FORMATS)),
  12: (body) => [peerText(body.vector(1, "identity"))],
  13: signatures,
  14: useSrtp,
  15: (body) => [nameIn(HEARTBEAT_MODES)(body.u8("mode"))],
  16: protocols,
  18: either(noContent, vectors(2, 2, bytesText)),
  19: certificateTypes,
  20: certificateTypes,
  21: padding,
  22: noContent,
  23: noContent,
  24: (body) => [
    `version ${body.u8("major")}.${body.u8("minor")}`,
    ...listOf(1, 1, (value) => `key parameters ${value}`)(body, "answer"),
  ],
  27: listOf(1, 2, nameIn(CERTIFICATE_COMPRESSIONS)),
  28: (body) => [size(body.u16("limit"))],
  33: noContent,
  34: signatures,
  35: rawBytes,
  41: preSharedKey,
  42: earlyData,
  43: supportedVersions,
  44: (body) => [bytesText(body.vector(2, "cookie"))],
  45: pskModes,
  47: vectors(2, 2, bytesText),
  49: noContent,
  50: signatures,
  51: keyShare,
  54: (body) => [bytesText(body.vector(1, "connection id"))],
  55: (body) => [bytesText(body.vector(1, "hash"))],
  56: (body) => [bytesText(body.vector(1, "session id"))],
  57: quicParameters,
  58: ticketRequest,
  61: noContent,
  62: tlsFlags,
  0xfd00: listOf(1, 2, nameIn(EXTENSIONS)),
  0xfe0d: encryptedHello,
  0xff01: (body) => [bytesText(body.vector(1, "verify data"))],
  13172: either(noContent, rawBytes),
  17513: protocols,
  17613: protocols,
  30032: rawBytes,
  0xca34: either(vectors(2, 1, bytesText), rawBytes),
};

/** Shows an extension as text. Never throws. Extensions without a reader show their bytes. */
export function viewExtension(type: number, body: Uint8Array, place: Place): ExtensionView {
  const view = { type, name: named(EXTENSIONS[type], type), length: body.length };
  const reader = new Reader(body, "extension");
  try {
    const values = (READERS[type] ?? rawBytes)(reader, place);
    reader.end("end");
    return { ...view, values };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return { ...view, values: [hexText(body)], malformed: error.message };
  }
}

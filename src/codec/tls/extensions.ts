/** Shows the content of an extension as text: one string for each value (RFC 8446 4.2; the readers
 *  name other sources). Pure: no I/O. Text of the peer is printable ASCII in the result. */

import { DecodeError, hex, latin1, Reader } from "../bytes.ts";
import { printable } from "../printable.ts";
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
import { numberList } from "./hello.ts";
import { isGreaseMode } from "./grease.ts";
import { EXTENSIONS, named, type NumberNames, TLS_VERSIONS } from "./registry.ts";

/** The message that contains an extension. It determines the format of the extension. `answer`: any
 *  other message of a server. */
export type Place = "client hello" | "retry request" | "ticket" | "answer";

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

/** Maximum number of bytes of one value that are shown in hexadecimal. */
const MAX_HEX = 64;
/** Maximum number of characters of a text of the peer that are shown. */
const MAX_TEXT = 255;

/** The number of bytes, `1 byte` or `32 bytes`. */
export const size = (count: number): string => `${count} ${count === 1 ? "byte" : "bytes"}`;

/** The bytes in hexadecimal; the rest of a long value is left out. */
function hexText(bytes: Uint8Array): string {
  return hex(bytes.subarray(0, MAX_HEX)) + (bytes.length > MAX_HEX ? "..." : "");
}

/** The number of bytes, and the bytes in hexadecimal. */
export function bytesText(bytes: Uint8Array): string {
  return bytes.length === 0 ? "empty" : `${size(bytes.length)}: ${hexText(bytes)}`;
}

/** Text of the peer, shortened and without characters that could forge a line. */
function text(bytes: Uint8Array): string {
  const cut = bytes.length > MAX_TEXT ? "..." : "";
  return printable(latin1(bytes.subarray(0, MAX_TEXT))) + cut;
}

type Read = (body: Reader, place: Place) => string[];

const nothing: Read = () => [];
const raw: Read = (body) => body.left === 0 ? [] : [hexText(body.take(body.left, "data"))];

/** A list of numbers after its length. */
function list(lengthWidth: 1 | 2, width: 1 | 2, show: (value: number) => string): Read {
  return (body) => numberList(body.inner(lengthWidth, "list"), width, "value").map(show);
}

const from = (registry: NumberNames, digits?: 2 | 4) => (value: number): string =>
  named(registry[value], value, digits);

/** `inHello` is the form in a ClientHello, `inAnswer` that in a message of the server. */
function either(inHello: Read, inAnswer: Read): Read {
  return (body, place) => (place === "client hello" ? inHello : inAnswer)(body, place);
}

/** A list of vectors after its length. */
function vectors(lengthWidth: 1 | 2, width: 1 | 2, show: (bytes: Uint8Array) => string): Read {
  return (body) => {
    const items = body.inner(lengthWidth, "list");
    const found: string[] = [];
    while (items.left > 0) found.push(show(items.vector(width, "value")));
    return found;
  };
}

const group = from(GROUPS);
const version = from(TLS_VERSIONS, 4);
const certificateType = from(CERTIFICATE_TYPES);

/** RFC 6066 3. A server answers with an empty body. */
const serverName: Read = (body) => {
  if (body.left === 0) return [];
  const names = body.inner(2, "server name list");
  const found: string[] = [];
  while (names.left > 0) {
    const type = names.u8("server name type");
    const name = text(names.vector(2, "server name"));
    found.push(type === 0 ? name : `type ${type}: ${name}`);
  }
  return found;
};

/** RFC 6066 4. */
const maxFragment: Read = (body) => {
  const code = body.u8("code");
  return [code >= 1 && code <= 4 ? `${2 ** (8 + code)} bytes` : `unknown (${code})`];
};

/** RFC 6066 8. */
const statusRequest: Read = (body, place) => {
  if (place !== "client hello" && body.left === 0) return [];
  return [
    from(CERTIFICATE_STATUS_TYPES)(body.u8("type")),
    `responder ids: ${bytesText(body.vector(2, "responder ids"))}`,
    `request extensions: ${bytesText(body.vector(2, "request extensions"))}`,
  ];
};

const keyShare: Read = (body, place) => {
  if (place === "retry request") return [`selected group: ${group(body.u16("group"))}`];
  const shares = place === "client hello" ? body.inner(2, "key shares") : body;
  const found: string[] = [];
  while (shares.left > 0) {
    const name = group(shares.u16("group"));
    found.push(`${name}, ${bytesText(shares.vector(2, "key share"))}`);
  }
  return found;
};

const preSharedKey: Read = (body, place) => {
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

const supportedVersions: Read = (body, place) =>
  place === "client hello" ? list(1, 2, version)(body, place) : [version(body.u16("version"))];

const earlyData: Read = (body, place) =>
  place === "ticket" ? [`at most ${size(body.u32("size"))}`] : [];

const pskModes: Read = list(
  1,
  1,
  (mode) => isGreaseMode(mode) ? `GREASE (${mode})` : named(PSK_MODES[mode], mode),
);

/** RFC 9849 5 and 7. */
const encryptedHello: Read = (body, place) => {
  if (place === "retry request") {
    return [`confirmation: ${bytesText(body.take(8, "confirmation"))}`];
  }
  if (place !== "client hello") return raw(body, place);
  const type = body.u8("type");
  if (type === 1) return ["inner"];
  if (type !== 0) return [`unknown (${type})`, ...raw(body, place)];
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
const useSrtp: Read = (body, place) => [
  ...list(2, 2, (profile) => `profile 0x${profile.toString(16).padStart(4, "0")}`)(body, place),
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

const quicParameters: Read = (body) => {
  const found: string[] = [];
  while (body.left > 0) {
    const id = varint(body, "parameter");
    const length = varint(body, "length of parameter");
    found.push(`parameter 0x${id.toString(16)}, ${bytesText(body.take(length, "parameter"))}`);
  }
  return found;
};

/** draft-ietf-tls-tlsflags: bits are numbered from the lowest one of the first byte. */
const tlsFlags: Read = (body) => {
  const bits: string[] = [];
  body.vector(1, "flags").forEach((byte, i) => {
    for (let bit = 0; bit < 8; bit++) if (byte >> bit & 1) bits.push(`flag ${i * 8 + bit}`);
  });
  return bits;
};

/** RFC 9149 2: a client sends two counts, a server one. */
const ticketRequest: Read = (body, place) =>
  place === "client hello"
    ? [`new session: ${body.u8("new session")}`, `resumption: ${body.u8("resumption")}`]
    : [`expected: ${body.u8("expected")}`];

/** RFC 7685 3. */
const padding: Read = (body) => {
  const bytes = body.take(body.left, "padding");
  return bytes.every((byte) => byte === 0) ? [] : [bytesText(bytes)];
};

const signatures = list(2, 2, signatureScheme);
const certificateTypes = either(
  list(1, 1, certificateType),
  (body) => [certificateType(body.u8("type"))],
);
const protocols = vectors(2, 1, text);

const READERS: Readonly<Record<number, Read>> = {
  0: serverName,
  1: maxFragment,
  2: nothing,
  4: nothing,
  5: statusRequest,
  9: certificateTypes,
  10: list(2, 2, group),
  11: list(1, 1, from(POINT_FORMATS)),
  12: (body) => [text(body.vector(1, "identity"))],
  13: signatures,
  14: useSrtp,
  15: (body) => [from(HEARTBEAT_MODES)(body.u8("mode"))],
  16: protocols,
  18: either(nothing, vectors(2, 2, bytesText)),
  19: certificateTypes,
  20: certificateTypes,
  21: padding,
  22: nothing,
  23: nothing,
  24: (body) => [
    `version ${body.u8("major")}.${body.u8("minor")}`,
    ...list(1, 1, (value) => `key parameters ${value}`)(body, "answer"),
  ],
  27: list(1, 2, from(CERTIFICATE_COMPRESSIONS)),
  28: (body) => [size(body.u16("limit"))],
  33: nothing,
  34: signatures,
  35: raw,
  41: preSharedKey,
  42: earlyData,
  43: supportedVersions,
  44: (body) => [bytesText(body.vector(2, "cookie"))],
  45: pskModes,
  47: vectors(2, 2, bytesText),
  49: nothing,
  50: signatures,
  51: keyShare,
  54: (body) => [bytesText(body.vector(1, "connection id"))],
  55: (body) => [bytesText(body.vector(1, "hash"))],
  56: (body) => [bytesText(body.vector(1, "session id"))],
  57: quicParameters,
  58: ticketRequest,
  61: nothing,
  62: tlsFlags,
  0xfd00: list(1, 2, from(EXTENSIONS)),
  0xfe0d: encryptedHello,
  0xff01: (body) => [bytesText(body.vector(1, "verify data"))],
  13172: either(nothing, raw),
  17513: protocols,
  17613: protocols,
  30032: raw,
  0xca34: either(vectors(2, 1, bytesText), raw),
};

/** Shows an extension as text. Never throws. Extensions without a reader show their bytes. */
export function viewExtension(type: number, body: Uint8Array, place: Place): ExtensionView {
  const view = { type, name: named(EXTENSIONS[type], type), length: body.length };
  const reader = new Reader(body, "extension");
  try {
    const values = (READERS[type] ?? raw)(reader, place);
    reader.end("end");
    return { ...view, values };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return { ...view, values: [hexText(body)], malformed: error.message };
  }
}

/** Shows a handshake message or an alert as text (RFC 8446 4 and 6, RFC 5246 7.4). Pure: no I/O.
 *  Text of the peer is printable ASCII in the result. */

import { DecodeError, Reader } from "../bytes.ts";
import { ALERT_LEVELS, ALERTS } from "./alerts.ts";
import {
  CERTIFICATE_STATUS_TYPES,
  CLIENT_CERTIFICATE_TYPES,
  COMPRESSION_METHODS,
  GROUPS,
  signatureScheme,
} from "./algorithms.ts";
import { cipherSuite } from "./cipher_suites.ts";
import { bytesText, type Place } from "./extension_values.ts";
import { type ExtensionView, viewExtension } from "./extensions.ts";
import {
  type Extension,
  numberList,
  readClientHello,
  readServerHello,
  selectedVersion,
} from "./hello.ts";
import { HANDSHAKE_TYPES, named, TLS_VERSIONS } from "./registry.ts";

/** A field of a message. */
export interface FieldView {
  readonly name: string;
  readonly values: readonly string[];
}

/** A message as text. */
export interface MessageView {
  /** `client_hello` */
  readonly name: string;
  /** Bytes of its body. */
  readonly length: number;
  readonly fields: readonly FieldView[];
  readonly extensions: readonly ExtensionView[];
  /** Why the body cannot be read. There are then no fields. */
  readonly malformed?: string;
}

/** The result of the ServerHello. It determines the format of some messages. */
export interface Agreed {
  readonly version: number;
  readonly cipherSuite: number;
}

/** Handshake types that other files use too. */
export const CLIENT_HELLO = 1;
export const SERVER_HELLO = 2;

type Parts = Pick<MessageView, "fields" | "extensions">;

const versionName = (version: number): string => named(TLS_VERSIONS[version], version, 4);
const groupName = (group: number): string => named(GROUPS[group], group);

function fields(list: Readonly<Record<string, string | readonly string[]>>): FieldView[] {
  return Object.entries(list).map(([name, value]) => ({
    name,
    values: typeof value === "string" ? [value] : value,
  }));
}

const views = (list: readonly Extension[], place: Place): ExtensionView[] =>
  list.map(({ type, body }) => viewExtension(type, body, place));

function clientHello(body: Uint8Array): Parts {
  const hello = readClientHello(body);
  return {
    fields: fields({
      legacy_version: versionName(hello.legacyVersion),
      random: bytesText(hello.random),
      session_id: bytesText(hello.sessionId),
      cipher_suites: hello.cipherSuites.map(cipherSuite),
      compression_methods: hello.compressionMethods.map(compression),
    }),
    extensions: views(hello.extensions, "client hello"),
  };
}

const compression = (method: number): string => named(COMPRESSION_METHODS[method], method);

function serverHello(body: Uint8Array): Parts {
  const hello = readServerHello(body);
  return {
    fields: fields({
      legacy_version: versionName(hello.legacyVersion),
      random: bytesText(hello.random),
      session_id: bytesText(hello.sessionId),
      cipher_suite: cipherSuite(hello.cipherSuite),
      compression_method: compression(hello.compressionMethod),
    }),
    extensions: views(hello.extensions, hello.retry ? "retry request" : "answer"),
  };
}

/** The messages of TLS 1.2 that pass in the clear. TLS 1.3 encrypts its own. */
const READERS: Readonly<Record<number, (body: Reader, agreed: Agreed | undefined) => FieldView[]>> =
  {
    4: (body) =>
      fields({
        ticket_lifetime_hint: `${body.u32("lifetime")} seconds`,
        ticket: bytesText(body.vector(2, "ticket")),
      }),
    11: (body) => {
      const certificates: string[] = [];
      const list = body.inner(3, "certificates");
      while (list.left > 0) certificates.push(bytesText(list.vector(3, "certificate")));
      return fields({ certificates });
    },
    12: serverKeyExchange,
    13: (body) => {
      const types = numberList(body.inner(1, "certificate types"), 1, "certificate type");
      const signatures = numberList(
        body.inner(2, "signature algorithms"),
        2,
        "signature algorithm",
      );
      const authorities: string[] = [];
      const list = body.inner(2, "authorities");
      while (list.left > 0) authorities.push(bytesText(list.vector(2, "authority")));
      return fields({
        certificate_types: types.map((type) => named(CLIENT_CERTIFICATE_TYPES[type], type)),
        signature_algorithms: signatures.map(signatureScheme),
        certificate_authorities: authorities,
      });
    },
    15: (body) =>
      fields({
        algorithm: signatureScheme(body.u16("algorithm")),
        signature: bytesText(body.vector(2, "signature")),
      }),
    16: (body) => fields({ exchange_keys: bytesText(body.take(body.left, "keys")) }),
    22: (body) => {
      const type = body.u8("status type");
      return fields({
        status_type: named(CERTIFICATE_STATUS_TYPES[type], type),
        response: bytesText(body.vector(3, "response")),
      });
    },
  };

const NAMED_CURVE = 3;

/** RFC 8422 5.4: a named elliptic curve, and a signature of TLS 1.2. Other formats are shown as
 *  bytes. */
function serverKeyExchange(body: Reader, agreed: Agreed | undefined): FieldView[] {
  const elliptic = agreed?.version === 0x0303 && /^TLS_ECDHE_(?:RSA|ECDSA)_/.test(
    cipherSuite(agreed.cipherSuite),
  );
  if (!elliptic || body.bytes[body.at] !== NAMED_CURVE) {
    return fields({ parameters: bytesText(body.take(body.left, "parameters")) });
  }
  body.skip(1, "curve type");
  return fields({
    named_curve: groupName(body.u16("named curve")),
    public_key: bytesText(body.vector(1, "public key")),
    algorithm: signatureScheme(body.u16("algorithm")),
    signature: bytesText(body.vector(2, "signature")),
  });
}

/** Shows the body of a handshake message as text. `agreed`: the result of an earlier ServerHello.
 *  Never throws. */
export function viewMessage(type: number, body: Uint8Array, agreed?: Agreed): MessageView {
  const retry = type === SERVER_HELLO && agreedBy(body)?.retry === true;
  const name = retry ? "hello_retry_request" : HANDSHAKE_TYPES[type] ?? named(undefined, type, 2);
  const view = { name, length: body.length };
  try {
    return { ...view, ...parts(type, body, agreed) };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return { ...view, fields: [], extensions: [], malformed: error.message };
  }
}

function parts(type: number, body: Uint8Array, agreed: Agreed | undefined): Parts {
  if (type === CLIENT_HELLO) return clientHello(body);
  if (type === SERVER_HELLO) return serverHello(body);
  const reader = new Reader(body, "handshake message");
  const found = (READERS[type] ?? unread)(reader, agreed);
  reader.end("end");
  return { fields: found, extensions: [] };
}

const unread = (body: Reader): FieldView[] =>
  body.left === 0 ? [] : fields({ data: bytesText(body.take(body.left, "data")) });

/** What the body of a ServerHello selects; undefined if it cannot be read. */
export function agreedBy(body: Uint8Array): Agreed & { retry: boolean } | undefined {
  try {
    const hello = readServerHello(body);
    return {
      version: selectedVersion(hello),
      cipherSuite: hello.cipherSuite,
      retry: hello.retry,
    };
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

/** `fatal (2), handshake_failure (40)`. */
export function alertText(level: number, description: number): string {
  return `${named(ALERT_LEVELS[level], level)}, ${named(ALERTS[description], description)}`;
}

/** Lines of text about the records of a TLS connection, for logs and terminals. Pure: no I/O. Lines
 *  are printable ASCII without line breaks; nested lines are indented. */

import { hex, latin1 } from "../bytes.ts";
import { printable } from "../printable.ts";
import type { TlsEvent } from "./conversation.ts";
import { size } from "./extension_values.ts";
import type { ExtensionView } from "./extensions.ts";
import type { MessageView } from "./messages.ts";
import { CONTENT_TYPES, named, TLS_VERSIONS } from "./registry.ts";

/** Maximum number of values printed for one field or extension. Real clients offer at most about
 *  130 cipher suites; a longer list is only meant to fill the log. */
const MAX_VALUES = 200;
/** Maximum number of extensions printed for one message. */
const MAX_EXTENSIONS = 100;

/** The lines about a record: a heading, then its messages. */
export function eventLines(event: TlsEvent): string[] {
  const heading = event.from === "client" ? "from the client" : "to the client";
  if (event.is === "not TLS") return [`${heading}: not TLS: ${hex(event.bytes)}`];
  const { type, version, length, encrypted, alert, malformed } = event;
  const about = [
    CONTENT_TYPES[type] ?? named(undefined, type, 2),
    TLS_VERSIONS[version] ?? named(undefined, version, 4),
    size(length),
    ...(encrypted ? ["encrypted"] : []),
    ...(malformed === undefined ? [] : [`malformed: ${malformed}`]),
  ].join(", ");
  return [
    `${heading}: ${about}${alert === undefined ? "" : `: ${alert}`}`,
    ...event.messages.flatMap(messageLines).map(indented),
  ];
}

/** The lines about a handshake message: a heading, its fields and its extensions. */
export function messageLines(message: MessageView): string[] {
  const { name, length, malformed, fields, extensions } = message;
  const left = extensions.length - MAX_EXTENSIONS;
  return [
    `${name}, ${size(length)}${malformed === undefined ? "" : `, malformed: ${malformed}`}`,
    ...fields.flatMap((field) => valueLines(field.name, field.values)).map(indented),
    ...extensions.slice(0, MAX_EXTENSIONS).flatMap(extensionLines).map(indented),
    ...(left > 0 ? [`  ... and ${left} more extensions`] : []),
  ];
}

function extensionLines({ name, length, values, malformed }: ExtensionView): string[] {
  const why = malformed === undefined ? "" : `, malformed: ${malformed}`;
  return valueLines(`extension ${name}, ${size(length)}${why}`, values);
}

/** A single value is printed after the name, several are printed below it. */
function valueLines(name: string, values: readonly string[]): string[] {
  if (values.length === 0) return [name];
  if (values.length === 1) return [`${name}: ${values[0]}`];
  const left = values.length - MAX_VALUES;
  return [
    `${name}:`,
    ...values.slice(0, MAX_VALUES).map(indented),
    ...(left > 0 ? [`  ... and ${left} more`] : []),
  ];
}

const indented = (line: string): string => `  ${line}`;

const PER_LINE = 16;
/** Maximum number of bytes dumped from one piece. */
const MAX_DUMP = 16_384 + 2048;

/** A dump of bytes: offset, 16 bytes in hexadecimal, and as characters. */
export function dumpLines(bytes: Uint8Array): string[] {
  const lines: string[] = [];
  const shown = bytes.subarray(0, MAX_DUMP);
  for (let at = 0; at < shown.length; at += PER_LINE) {
    const part = shown.subarray(at, at + PER_LINE);
    const pairs = hex(part).replaceAll(/..(?=.)/g, "$& ").padEnd(3 * PER_LINE - 1);
    lines.push(`${at.toString(16).padStart(4, "0")}  ${pairs}  ${printable(latin1(part))}`);
  }
  if (bytes.length > MAX_DUMP) lines.push(`... and ${bytes.length - MAX_DUMP} more bytes`);
  return lines;
}

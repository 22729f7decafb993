/** Reads and shows the kinds of values of which extensions consist: numbers, lists of them, vectors, bytes and texts of
 *  the peer. Pure: no I/O. extensions.ts has the extensions. */

import { hex, latin1, type Reader } from "../bytes.ts";
import { printable } from "../printable.ts";
import { numberList } from "./hello.ts";
import { named, type NumberNames } from "./registry.ts";

/** The message that contains an extension. It determines the format of the extension. `answer`: any
 *  other message of a server. */
export type Place = "client hello" | "retry request" | "ticket" | "answer";

/** Maximum number of bytes of one value that are shown in hexadecimal. */
const MAX_HEX = 64;
/** Maximum number of characters of a text of the peer that are shown. */
const MAX_TEXT = 255;

/** The number of bytes, `1 byte` or `32 bytes`. */
export const size = (count: number): string => `${count} ${count === 1 ? "byte" : "bytes"}`;

/** The bytes in hexadecimal; the rest of a long value is left out. */
export function hexText(bytes: Uint8Array): string {
  return hex(bytes.subarray(0, MAX_HEX)) + (bytes.length > MAX_HEX ? "..." : "");
}

/** The number of bytes, and the bytes in hexadecimal. */
export function bytesText(bytes: Uint8Array): string {
  return bytes.length === 0 ? "empty" : `${size(bytes.length)}: ${hexText(bytes)}`;
}

/** Text of the peer, shortened and without characters that could forge a line. */
export function peerText(bytes: Uint8Array): string {
  const cut = bytes.length > MAX_TEXT ? "..." : "";
  return printable(latin1(bytes.subarray(0, MAX_TEXT))) + cut;
}

/** Reads the body of an extension: one text for each value. Throws `DecodeError`. */
export type ReadExtension = (body: Reader, place: Place) => string[];

export const noContent: ReadExtension = () => [];
export const rawBytes: ReadExtension = (body) =>
  body.left === 0 ? [] : [hexText(body.take(body.left, "data"))];

/** A list of numbers after its length. */
export function listOf(
  lengthWidth: 1 | 2,
  width: 1 | 2,
  show: (value: number) => string,
): ReadExtension {
  return (body) => numberList(body.inner(lengthWidth, "list"), width, "value").map(show);
}

/** Shows a number with its name in the registry. `digits`: in hexadecimal, with so many bytes. */
export const nameIn = (registry: NumberNames, digits?: 2 | 4) => (value: number): string =>
  named(registry[value], value, digits);

/** `inHello` is the form in a ClientHello, `inAnswer` that in a message of the server. */
export function either(inHello: ReadExtension, inAnswer: ReadExtension): ReadExtension {
  return (body, place) => (place === "client hello" ? inHello : inAnswer)(body, place);
}

/** A list of vectors after its length. */
export function vectors(
  lengthWidth: 1 | 2,
  width: 1 | 2,
  show: (bytes: Uint8Array) => string,
): ReadExtension {
  return (body) => {
    const items = body.inner(lengthWidth, "list");
    const found: string[] = [];
    while (items.left > 0) found.push(show(items.vector(width, "value")));
    return found;
  };
}

/** The fields of messages. One object both writes and reads a field, and knows its maximum size.
 *  Pure: no I/O.
 *
 *  A worker is not trusted: `read` accepts only what `write` can produce, and throws `DecodeError`
 *  for anything else. `json` and `block` are exceptions: only the monitor may send them, and
 *  `trusted` keeps them out of a worker's messages (messages.ts). */

import { DecodeError, type Reader } from "../codec/bytes.ts";
import type { Frame } from "./frame.ts";

export interface Field<T> {
  /** Maximum number of bytes in a frame. */
  readonly max: number;
  /** Throws `EncodeError` for a value that `read` would refuse. */
  write(frame: Frame, value: T): void;
  /** `name` is for the error. Throws `DecodeError`. */
  read(body: Reader, name: string): T;
}

/** A field that only the monitor may send. */
export interface TrustedField<T> extends Field<T> {
  readonly trusted: true;
}

export type Fields = Readonly<Record<string, Field<unknown>>>;

/** Fields that a worker may send. */
export type CappedFields = Readonly<Record<string, Field<unknown> & { readonly trusted?: never }>>;

export type Values<F extends Fields> = {
  readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never;
};

/** A value that the other side would refuse. */
export class EncodeError extends Error {
  /** The name in the text of the error: `name: message`. */
  override name = "EncodeError";
}

/** Maximum length of a frame of the monitor, in bytes. It holds options, environment and lists of
 *  files. */
export const MAX_TRUSTED = 8 << 20;

/** Upper half of the largest id, which is 2^53 - 1. Ids increase as long as a worker lives: at 1000
 *  connections per second, 32 bits last 50 days, and 53 bits are never used up. */
const MAX_ID_HIGH = 0x1fffff;

/** More than ten times the number of counts. */
const MAX_NUMBERS = 4096;

/** Bytes of an address as `addressKey` writes it. */
const ADDRESS = 16;

/** Maximum bytes of a value (Linux's limit for one string of an environment, MAX_ARG_STRLEN) and of
 *  a name, and far more variables than a connection has. */
const MAX_VALUE = 131_072;
const MAX_NAME = 256;
const MAX_VARIABLES = 2048;

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export const u8: Field<number> = {
  max: 1,
  write: (frame, value) => void frame.u8(value),
  read: (body, name) => body.u8(name),
};

export const u32: Field<number> = {
  max: 4,
  write: (frame, value) => void frame.u32(value),
  read: (body, name) => body.u32(name),
};

/** An integer from 0 to 2^53 - 1. */
export const id: Field<number> = {
  max: 8,
  write: (frame, value) => void frame.u32(Math.floor(value / 2 ** 32)).u32(value >>> 0),
  read(body, name) {
    const high = body.u32(name);
    if (high > MAX_ID_HIGH) throw new DecodeError(`privsep: ${name}: too large at byte ${body.at}`);
    return high * 2 ** 32 + body.u32(name);
  },
};

export const flag: Field<boolean> = {
  max: 1,
  write: (frame, value) => void frame.u8(value ? 1 : 0),
  read(body, name) {
    const value = body.u8(name);
    if (value > 1) throw new DecodeError(`privsep: ${name}: ${value} at byte ${body.at - 1}`);
    return value === 1;
  },
};

/** A whole number from 0 to `most`. */
export function upTo(most: number): Field<number> {
  return {
    max: 4,
    write(frame, value) {
      if (value > most) throw new EncodeError(`a number of ${value}, above the maximum ${most}`);
      frame.u32(value);
    },
    read(body, name) {
      const value = body.u32(name);
      if (value > most) throw new DecodeError(`privsep: ${name}: ${value} at byte ${body.at - 4}`);
      return value;
    },
  };
}

export function oneOf<const T extends string>(words: readonly T[]): Field<T> {
  return {
    max: 1,
    write: (frame, value) => void frame.u8(words.indexOf(value)),
    read(body, name) {
      const value = body.u8(name);
      const word = words[value];
      if (word === undefined) {
        throw new DecodeError(`privsep: ${name}: ${value} at byte ${body.at - 1}`);
      }
      return word;
    },
  };
}

/** A text of at most `most` bytes in UTF-8, without a NUL. */
export function text(most: number): Field<string> {
  return {
    max: 4 + most,
    write(frame, value) {
      if (value.includes("\0")) throw new EncodeError("a text that contains a NUL");
      const length = frame.text(value);
      if (length > most) {
        throw new EncodeError(`a text of ${length} bytes, above the maximum ${most}`);
      }
    },
    read(body, name) {
      const length = body.u32(name);
      if (length > most) {
        throw new DecodeError(`privsep: ${name}: ${length} bytes at byte ${body.at}`);
      }
      const bytes = body.take(length, name);
      if (bytes.includes(0)) {
        throw new DecodeError(`privsep: ${name}: contains a NUL at byte ${body.at}`);
      }
      try {
        return DECODER.decode(bytes);
      } catch {
        throw new DecodeError(`privsep: ${name}: not UTF-8 at byte ${body.at}`);
      }
    },
  };
}

/** A text for people, cut to `most / 4` UTF-16 units: these never need more than `most` bytes. */
export function words(most: number): Field<string> {
  const field = text(most);
  const cut = (value: string): string => value.replaceAll("\0", "?").slice(0, most / 4);
  return { ...field, write: (frame, value) => field.write(frame, cut(value)) };
}

/** An address as `addressKey` writes it: one character for each byte. */
export const address: Field<string> = {
  max: ADDRESS,
  write: (frame, value) => void frame.bytes(Uint8Array.from(value, (c) => c.charCodeAt(0))),
  read: (body, name) => String.fromCharCode(...body.take(ADDRESS, name)),
};

/** Any numbers, in this machine's byte order. The receiver must check those of a worker. */
export const numbers: Field<Float64Array> = {
  max: 4 + 8 * MAX_NUMBERS,
  write(frame, { length, buffer, byteOffset, byteLength }) {
    if (length > MAX_NUMBERS) throw new EncodeError(`${length} numbers`);
    frame.u32(length).bytes(new Uint8Array(buffer, byteOffset, byteLength));
  },
  read(body, name) {
    const count = body.u32(name);
    if (count > MAX_NUMBERS) {
      throw new DecodeError(`privsep: ${name}: ${count} numbers at byte ${body.at}`);
    }
    const bytes = new Uint8Array(body.take(8 * count, name)); // Buffer's `slice` would not copy
    return new Float64Array(bytes.buffer);
  },
};

const variableName = text(MAX_NAME);
const variableValue = text(MAX_VALUE);

/** Variables of a program, each name once. */
export const variables: Field<ReadonlyMap<string, string>> = {
  max: 4 + MAX_VARIABLES * (variableName.max + variableValue.max),
  write(frame, variables) {
    const { size } = variables;
    if (size > MAX_VARIABLES) {
      throw new EncodeError(`${size} variables, above the maximum ${MAX_VARIABLES}`);
    }
    frame.u32(size);
    for (const [name, value] of variables) {
      variableName.write(frame, name);
      variableValue.write(frame, value);
    }
  },
  read(body, name) {
    const count = body.u32(name);
    if (count > MAX_VARIABLES) {
      throw new DecodeError(`privsep: ${name}: ${count} of them at byte ${body.at}`);
    }
    const variables = new Map<string, string>();
    for (let i = 0; i < count; i++) {
      const name = variableName.read(body, "variable name");
      if (variables.has(name)) {
        throw new DecodeError(`privsep: variable name: repeated at byte ${body.at}`);
      }
      variables.set(name, variableValue.read(body, "variable value"));
    }
    return variables;
  },
};

/** Combines several fields into one. */
export function group<F extends CappedFields>(fields: F): Field<Values<F>> {
  return {
    max: sizeOf(fields),
    write: (frame, values) => writeFields(frame, fields, values),
    read: (body) => readFields(body, fields, {}) as Values<F>,
  };
}

/** Bytes. Only the monitor may send them. */
export const block: TrustedField<Uint8Array> = {
  trusted: true,
  max: MAX_TRUSTED,
  write: (frame, value) => void frame.u32(value.length).bytes(value),
  // A copy, because the frame's bytes are valid only until the next frame.
  read: (body, name) => new Uint8Array(body.take(body.u32(name), name)),
};

/** The rest of the frame as JSON. Only the monitor may send it. */
export function json<T>(): TrustedField<T> {
  return {
    trusted: true,
    max: MAX_TRUSTED,
    write: (frame, value) => void frame.bytes(ENCODER.encode(JSON.stringify(value))),
    read(body, name) {
      try {
        return JSON.parse(DECODER.decode(body.take(body.left, name))) as T;
      } catch {
        throw new DecodeError(`privsep: ${name}: not JSON at byte ${body.at}`);
      }
    },
  };
}

/** Returns the maximum number of bytes of all fields together. */
export function sizeOf(fields: Fields): number {
  return Object.values(fields).reduce((sum, { max }) => sum + max, 0);
}

export function writeFields(frame: Frame, fields: Fields, values: object): void {
  for (const name in fields) {
    (fields[name] as Field<unknown>).write(frame, (values as Record<string, unknown>)[name]);
  }
}

/** Reads the values into `into`, and returns it. */
export function readFields(
  body: Reader,
  fields: Fields,
  into: Record<string, unknown>,
): Record<string, unknown> {
  for (const name in fields) into[name] = (fields[name] as Field<unknown>).read(body, name);
  return into;
}

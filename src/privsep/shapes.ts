/** Shapes of data that is sent as JSON. A shape takes a parsed value and returns it typed, or
 *  throws a `DecodeError` that names what is wrong. Pure: no I/O. */

import { DecodeError } from "../codec/bytes.ts";

/** `name` is for the error. Throws `DecodeError`. */
export type Shape<T> = (value: unknown, name: string) => T;

/** One shape for each member of T. */
type Shapes<T> = {
  readonly [K in keyof T]-?: Record<never, never> extends Pick<T, K> ? Shape<T[K] | undefined>
    : Shape<T[K]>;
};

function wrong(name: string): DecodeError {
  return new DecodeError(`privsep: ${name}: not of the expected type at byte 0`);
}

export const text: Shape<string> = (value, name) => {
  if (typeof value !== "string") throw wrong(name);
  return value;
};

export const flag: Shape<boolean> = (value, name) => {
  if (typeof value !== "boolean") throw wrong(name);
  return value;
};

/** A whole number that is not negative. */
export const count: Shape<number> = (value, name) => {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw wrong(name);
  return value as number;
};

/** A time, which may have a fraction. */
export const seconds: Shape<number> = (value, name) => {
  if (!Number.isFinite(value) || (value as number) < 0) throw wrong(name);
  return value as number;
};

export function oneOf<const T>(values: readonly T[]): Shape<T> {
  return (value, name) => {
    if (!values.includes(value as T)) throw wrong(name);
    return value as T;
  };
}

/** Allows undefined too: JSON leaves out such members. */
export function optional<T>(shape: Shape<T>): Shape<T | undefined> {
  return (value, name) => value === undefined ? undefined : shape(value, name);
}

export function list<T>(shape: Shape<T>): Shape<T[]> {
  return (value, name) => {
    if (!Array.isArray(value)) throw wrong(name);
    return value.map((one) => shape(one, name));
  };
}

/** An object of texts. */
export const texts: Shape<Record<string, string>> = (value, name) => {
  return Object.fromEntries(Object.entries(plain(value, name)).map(([k, v]) => [k, text(v, k)]));
};

/** An object with exactly these members. A member that may be undefined may be absent, and is then
 *  absent in the result. */
export function object<T extends object>(shapes: Shapes<T>): Shape<T> {
  return (value, name) => {
    const members = plain(value, name);
    for (const member in members) if (!Object.hasOwn(shapes, member)) throw wrong(member);
    const result: Record<string, unknown> = {};
    for (const member in shapes) {
      const read = shapes[member](members[member], member);
      if (read !== undefined) result[member] = read;
    }
    return result as T;
  };
}

function plain(value: unknown, name: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(name);
  return value as Readonly<Record<string, unknown>>;
}

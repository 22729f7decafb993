/** Types of the part of `@std/assert` that the tests use. npm's `deno-std` has the code without types. */

// deno-lint-ignore no-explicit-any -- only with any, `new (...args)` accepts every class of errors.
type ErrorClass<E extends Error> = new (...args: any[]) => E;

export class AssertionError extends Error {}

export function assert(condition: unknown, message?: string): asserts condition;

export function fail(message?: string): never;

/** Deep and strict equality, prototypes included. Unlike node:assert it equates 0 and -0, and an object
 *  without a prototype with one that has Object's. */
export function assertEquals<T>(actual: T, expected: T, message?: string): void;

export function assertNotEquals<T>(actual: T, expected: T, message?: string): void;

/** Equality by Object.is. */
export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  message?: string,
): asserts actual is T;

export function assertNotStrictEquals<T>(actual: T, expected: T, message?: string): void;

export function assertMatch(actual: string, expected: RegExp, message?: string): void;

export function assertNotMatch(actual: string, expected: RegExp, message?: string): void;

/** The properties of `expected`, own ones, are in `actual` with equal values. */
export function assertObjectMatch(actual: object, expected: object, message?: string): void;

/** Returns what `fn` throws. */
export function assertThrows(fn: () => unknown, message?: string): unknown;

/** Returns the error that `fn` throws. `text` is found in its message. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  errorClass: ErrorClass<E>,
  text?: string | RegExp,
  message?: string,
): E;

/** Returns what the promise is rejected with. */
export function assertRejects(fn: () => PromiseLike<unknown>, message?: string): Promise<unknown>;

/** Returns the error that the promise is rejected with. `text` is found in its message. */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  errorClass: ErrorClass<E>,
  text?: string | RegExp,
  message?: string,
): Promise<E>;

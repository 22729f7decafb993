/** Types of the part of `@std/path` that tests and tools use. npm's `deno-std` has the code without types. */

/** What separates the entries of PATH. */
export const DELIMITER: ":" | ";";

export function basename(path: string, suffix?: string): string;

export function dirname(path: string): string;

export function fromFileUrl(url: string | URL): string;

export function join(path: string | URL, ...paths: string[]): string;

export function relative(from: string, to: string): string;

/** Loads the user's module, and loads it again after a change. Both runtimes cache modules by URL,
 *  so each version of the module gets its own URL. The modules that it imports keep their URLs.
 *  Under Bun they are removed from the cache before the next version is loaded; Deno has no way to
 *  do that. */

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { FatalError, reason } from "../errors.ts";
import type { Runtime } from "./runtime.ts";

const HINT = "deno run needs --allow-read for the module and what it imports, " +
  "and --allow-import for what it imports by https:";

/** Loads the versions of one module. */
export class UserModule {
  #version = 0;
  /** Keys, in Bun's cache, of the modules that were loaded for this one. */
  #loaded: readonly string[] = [];

  /** `path`: absolute. */
  constructor(readonly path: string, readonly runtime: Pick<Runtime, "name">) {}

  /** Returns the exports of the module as it is now. Rejects with `FatalError`, which names the
   *  place in the code if it is known. */
  async load(): Promise<Readonly<Record<string, unknown>>> {
    const bun = this.runtime.name === "Bun";
    // Under Bun alone, this cache also has ES modules.
    const cache = bun ? createRequire(this.path).cache : {};
    for (const key of this.#loaded) delete cache[key];
    const before = new Set(Object.keys(cache));
    const version = this.#version++ === 0 ? "" : `?version=${this.#version}`;
    const place = bun ? this.path : pathToFileURL(this.path).href;
    try {
      return await import(place + version);
    } catch (error) {
      throw loadError(this.path, error);
    } finally {
      this.#loaded = Object.keys(cache).filter((key) => !before.has(key));
    }
  }
}

/** A place in an error of a runtime: a path or a file URL, line and column. */
const PLACE = /(?:file:\/\/)?(\/[^\s()?:]+)(?:\?version=[0-9]+)?:([0-9]+):([0-9]+)/;

function loadError(path: string, thrown: unknown): FatalError {
  const error = read(() => firstOf(thrown)) ?? thrown;
  const message = uncoloured(reason(error));
  const first = message.split(/\n| {2}\|| {4}at /)[0]?.trim() || "it throws";
  const denied = /^Requires \w+ access/.test(first);
  const where = read(() => placeOf(error));
  return new FatalError(
    `unable to load ${path}: ${first}${where === undefined ? "" : ` at ${where}`}`,
    undefined,
    denied ? HINT : undefined,
  );
}

/** Reads from a thrown value. Undefined if a getter of the user's throws. */
function read<T>(from: () => T): T | undefined {
  try {
    return from();
  } catch {
    return undefined;
  }
}

/** Bun reports several mistakes of a module as one error. */
function firstOf(thrown: unknown): unknown {
  const { errors } = (thrown ?? {}) as { errors?: readonly unknown[] };
  return errors?.[0] ?? thrown;
}

interface Placed {
  readonly position?:
    | { readonly file: string; readonly line: number; readonly column: number }
    | null;
  readonly message?: string;
  readonly stack?: string;
}

function placeOf(error: unknown): string | undefined {
  const { position, message = "", stack = "" } = (error ?? {}) as Placed;
  if (position) return `${position.file}:${position.line}:${position.column}`;
  const text = uncoloured(`${message}\n${stack}`);
  const [, file, line, column] = PLACE.exec(text) ?? [];
  return file === undefined ? undefined : `${file}:${line}:${column}`;
}

/** Deno colours its messages. */
function uncoloured(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replaceAll(/\x1b\[[0-9;]*m/g, "");
}

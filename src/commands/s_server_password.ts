/** The password of a key, from a source as openssl-passphrase-options(1) writes it. */

import fs from "node:fs";
import { EXIT, FatalError, UsageError } from "../errors.ts";
import { localFiles } from "../files/files.ts";
import type { Env } from "../config/variables.ts";
import { systemReason } from "../runtime/system_reason.ts";
import type { ServerSettings } from "./s_server_settings.ts";

/** Maximum size of a password, in bytes: a source can deliver data without end. */
const MAX_PASSWORD = 4096;

/** Returns the password of all keys. Throws `UsageError`, also if -pass and -dpass differ, and
 *  `FatalError` if a source cannot be read. */
export function keyPassword(
  { identity, second }: Pick<ServerSettings, "identity" | "second">,
  env: Env,
): string | undefined {
  const one = identity.password === undefined
    ? undefined
    : passwordFrom("-pass", identity.password, env);
  const other = second.password === undefined
    ? undefined
    : second.password === identity.password
    ? one
    : passwordFrom("-dpass", second.password, env);
  if (one !== undefined && other !== undefined && one !== other) {
    throw new UsageError(
      "unable to honour -dpass: both keys must have one password",
      "decrypt one of the keys: openssl pkey -in FILE -out FILE",
    );
  }
  return one ?? other;
}

/** Reads one source. `option`: for the messages, which never have the value. */
export function passwordFrom(option: string, source: string, env: Env): string {
  const [, kind = "", rest = ""] = /^(pass|env|file|fd):(.*)$/s.exec(source) ?? [];
  if (kind === "pass") return rest;
  if (kind === "env") {
    const value = (env as Readonly<Record<string, string | undefined>>)[rest];
    if (value !== undefined) return value;
    throw new UsageError(`unable to honour ${option}: $${rest} is not set`);
  }
  try {
    if (kind === "file") return firstLine(localFiles.read(rest, MAX_PASSWORD));
    if (kind === "fd" && /^[0-9]{1,7}$/.test(rest)) return firstLine(lineOf(Number(rest)));
    if (source === "stdin") return firstLine(lineOf(0));
  } catch (error) {
    throw new FatalError(
      `unable to read the password of ${option}: ${systemReason(error)}`,
      EXIT.system,
      "name a source that can be read: pass:TEXT, env:NAME, file:PATH, fd:N or stdin",
    );
  }
  throw new UsageError(
    `option ${option} needs pass:TEXT, env:NAME, file:PATH, fd:N or stdin`,
  );
}

/** Reads up to the first line feed, byte by byte: what follows is for the terminal. */
function lineOf(descriptor: number): Uint8Array {
  const bytes = new Uint8Array(MAX_PASSWORD);
  const byte = new Uint8Array(1);
  for (let length = 0; length < MAX_PASSWORD; length++) {
    if (fs.readSync(descriptor, byte, 0, 1, null) === 0 || byte[0] === LF) {
      return bytes.subarray(0, length);
    }
    bytes[length] = byte[0] as number;
  }
  throw new Error(`longer than ${MAX_PASSWORD} bytes`);
}

const LF = 10;

function firstLine(bytes: Uint8Array): string {
  return (new TextDecoder().decode(bytes).split("\n", 1)[0] ?? "").replace(/\r$/, "");
}

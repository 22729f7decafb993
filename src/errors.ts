/** Exit codes and the errors that end a command.
 *
 *  Messages follow one form: `unable to <verb> <object>: <cause>`, lower case, no period at the
 *  end. The remedy goes into `hint`, which is printed on a line of its own. */

/** Exit codes of the UCSPI tools. */
export const EXIT = { ok: 0, usage: 100, config: 101, system: 111 } as const;

/** Ends a command: printed as `name: fatal: message`, then the process exits with `code`. */
export class FatalError extends Error {
  /** Printed before the message. */
  override name = "FatalError";
  /** `code`: the exit code; `hint`: the remedy; `cause`: the system's error behind it. */
  constructor(
    message: string,
    readonly code: number = EXIT.system,
    readonly hint?: string,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
  }
}

/** Wrong usage: printed with the usage line, exit code 100. */
export class UsageError extends FatalError {
  /** Printed before the message. */
  override name = "UsageError";
  /** `hint`: the remedy. */
  constructor(message: string, hint?: string) {
    super(message, EXIT.usage, hint);
  }
}

/** Something that the runtime cannot do. The message names the runtime and the remedy, so that no
 *  setting is ignored silently. */
export class Unsupported extends FatalError {
  /** Printed before the message. */
  override name = "Unsupported";
  /** `what`: what cannot be done; `runtime`: its name; `remedy`: what to do about it. */
  constructor(what: string, runtime: string, remedy: string) {
    super(`unable to ${what}: ${runtime} cannot`, EXIT.system, remedy);
  }
}

/** Returns the text of anything thrown, on one line. Never throws: code of a user can throw a value
 *  whose text cannot be read. */
export function reason(thrown: unknown): string {
  return textOf(thrown, (error) => error.message || error.name).replaceAll("\n", " ");
}

/** Returns the text of anything thrown. `ofError`: what is read from an Error. Never throws. */
export function textOf(thrown: unknown, ofError: (error: Error) => unknown): string {
  try {
    return String(thrown instanceof Error ? ofError(thrown) : thrown);
  } catch {
    return "a value without text";
  }
}

/** Maximum number of characters of a setting that a message quotes. */
const MAX_QUOTED = 200;

/** Returns a setting as a message quotes it: shortened if it is long. */
export function quoted(text: string): string {
  return text.length <= MAX_QUOTED ? text : `${text.slice(0, MAX_QUOTED)}...`;
}

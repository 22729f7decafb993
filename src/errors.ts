/** Exit codes and the errors that end a command.
 *
 *  Messages follow one form: `unable to <verb> <object>: <cause>`, lower case, no period at the
 *  end; what to do about it goes into `hint`, which is printed on a line of its own. */

/** Exit codes of the UCSPI tools. */
export const EXIT = { ok: 0, usage: 100, config: 101, system: 111 } as const;

/** Ends a command: printed as `name: fatal: message`, then the process exits with `code`. */
export class FatalError extends Error {
  /** As in `name: message`. */
  override name = "FatalError";
  /** `code`: the exit code; `hint`: what to do about it; `cause`: the system's error behind it. */
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
  /** As in `name: message`. */
  override name = "UsageError";
  /** `hint`: what to do about it. */
  constructor(message: string, hint?: string) {
    super(message, EXIT.usage, hint);
  }
}

/** What a runtime cannot do. Names the runtime and the remedy, so that nothing is ignored in silence. */
export class Unsupported extends FatalError {
  /** As in `name: message`. */
  override name = "Unsupported";
  /** What cannot be done, by whom, and what to do about it. */
  constructor(what: string, runtime: string, remedy: string) {
    super(`unable to ${what}: ${runtime} cannot`, EXIT.system, remedy);
  }
}

/** The text of anything thrown, on one line. */
export function reason(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message || thrown.name : String(thrown);
  return text.replaceAll("\n", " ");
}

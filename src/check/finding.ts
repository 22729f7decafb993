/** What `--check` has to say: one line per finding, with what to do about it. */

export type Level = "ok" | "warning" | "error";

export interface Finding {
  level: Level;
  /** What was looked at, and what is the matter. */
  text: string;
  /** What to do. */
  remedy?: string;
}

/** Collects findings. */
export class Findings {
  readonly list: Finding[] = [];

  ok(text: string): void {
    this.list.push({ level: "ok", text });
  }

  /** Works, but not as meant, or not for long. */
  warning(text: string, remedy: string): void {
    this.list.push({ level: "warning", text, remedy });
  }

  /** The start would fail, or every connection. */
  error(text: string, remedy: string): void {
    this.list.push({ level: "error", text, remedy });
  }
}

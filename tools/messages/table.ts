/** What the tables of messages have in common. docs/troubleshooting.md is made from them. */

/** Messages with one cause and one remedy. */
export interface Row {
  /** The messages, without the name and the level before them. Words in capitals stand for values. */
  readonly says: readonly string[];
  readonly cause: string;
  readonly remedy: string;
}

export interface Section {
  readonly title: string;
  /** Text between the title and the table. */
  readonly text: string;
  readonly rows: readonly Row[];
}

export const row = (says: string | readonly string[], cause: string, remedy: string): Row => ({
  says: typeof says === "string" ? [says] : says,
  cause,
  remedy,
});

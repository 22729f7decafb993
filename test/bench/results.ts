/** The figures of all sections, and footnotes about what is missing in them: plain data, so that a file can
 *  keep them from one run to the next. */

import * as fs from "node:fs";
import type { Pass } from "./measure.ts";
import type { Tools } from "./prepare.ts";
import type { Section } from "./sections.ts";
import type { Subject } from "./servers.ts";
import type { Figures, Rounds } from "./table.ts";

/** One section that was measured. */
export interface Measured {
  name: string;
  title: string;
  reference: string;
  /** How it was measured: the number of rounds or turns, the date, the commit. */
  made: string;
  columns: Column[];
}

interface Column {
  server: string;
  peer: boolean;
  rounds: Figures[];
  notes: string[];
}

/** The contents of the file. */
interface Kept {
  /** What each server says about its version. */
  versions: Record<string, string>;
  sections: Measured[];
}

export class Results {
  readonly #file: string | undefined;
  readonly #kept: Kept = { versions: {}, sections: [] };

  /** `file`: where the figures are kept. Those of earlier runs are read from it. */
  constructor(file?: string) {
    this.#file = file;
    if (file !== undefined && fs.existsSync(file)) {
      this.#kept = JSON.parse(fs.readFileSync(file, "utf8"));
    }
  }

  /** Every section, in the order in which they were measured first. */
  get sections(): readonly Measured[] {
    return this.#kept.sections;
  }

  get versions(): Readonly<Record<string, string>> {
    return this.#kept.versions;
  }

  /** Begins a section, which takes the place of an earlier one with the same title. */
  begin({ name, title, reference, subjects }: Section): Measured {
    // Columns are in the order of the subjects, which is not the order of measuring.
    const columns = subjects.map((subject) => (
      { server: subject.name, peer: subject.peer ?? false, rounds: [], notes: [] }
    ));
    const measured = { name, title, reference, made: "", columns };
    const at = this.#kept.sections.findIndex((one) => one.title === title);
    if (at < 0) this.#kept.sections.push(measured);
    else this.#kept.sections[at] = measured;
    return measured;
  }

  /** Notes the versions of servers. */
  about(subjects: readonly Subject[]): void {
    for (const { name, version } of subjects) this.#kept.versions[name] = version;
  }

  /** Writes the file, if there is one. */
  save(): void {
    if (this.#file !== undefined) fs.writeFileSync(this.#file, JSON.stringify(this.#kept, null, 1));
  }

  /** References to the footnotes about one column. */
  marks({ columns }: Measured, server: string): string {
    const about = columns.find((column) => column.server === server)?.notes ?? [];
    return this.#notes().flatMap((text, i) => about.includes(text) ? [`[^${i + 1}]`] : []).join("");
  }

  /** The footnotes in Markdown. Each text is there once. */
  footnotes(): string[] {
    return this.#notes().map((text, i) => `[^${i + 1}]: ${text}\n`);
  }

  #notes(): string[] {
    const all = this.#kept.sections.flatMap(({ columns }) => columns.flatMap(({ notes }) => notes));
    return [...new Set(all)];
  }
}

/** A new round of one server. */
export function next(tools: Tools, { columns }: Measured, subject: Subject): Pass {
  const column = columns.find(({ server }) => server === subject.name) as Column;
  const figures: Figures = {};
  column.rounds.push(figures);
  const note = (text: string): void => {
    const line = text.replaceAll(/\s+/g, " ");
    if (!column.notes.includes(line)) column.notes.push(line);
  };
  return { tools, subject, figures, note };
}

/** The rounds of a section by server. */
export const roundsOf = ({ columns }: Measured): Rounds =>
  new Map(columns.map(({ server, rounds }) => [server, rounds]));

/** How often a section was measured: `5 turns`, `5 turns, servers of other projects 2`. */
export function counted({ columns }: Measured, unit: string): string {
  const most = (peer: boolean): number =>
    Math.max(0, ...columns.map((one) => one.peer === peer ? one.rounds.length : 0));
  const [own, peers] = [most(false), most(true)];
  const words = `${own || peers} ${unit}${(own || peers) === 1 ? "" : "s"}`;
  return peers > 0 && own > 0 && peers !== own
    ? `${words}, servers of other projects ${peers}`
    : words;
}

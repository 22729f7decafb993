/** The figures of all sections, and footnotes about what is missing in them. */

import type { Pass } from "./measure.ts";
import type { Tools } from "./prepare.ts";
import type { Section } from "./sections.ts";
import type { Subject } from "./servers.ts";
import type { Figures, Rounds } from "./table.ts";

export class Results {
  readonly #tables: Map<Section, Rounds>;
  /** The text of each footnote, and the columns that it is about. */
  readonly #notes = new Map<string, Set<string>>();

  constructor(readonly plan: readonly Section[]) {
    // Columns are in the order of the subjects, which is not the order of measuring.
    this.#tables = new Map(plan.map((section) => [
      section,
      new Map(section.subjects.map(({ name }) => [name, []])),
    ]));
  }

  /** A new round of one server. */
  next(tools: Tools, section: Section, subject: Subject): Pass {
    const figures: Figures = {};
    this.#tables.get(section)?.get(subject.name)?.push(figures);
    return { tools, subject, figures, note: (text) => this.note(section, subject.name, text) };
  }

  rounds(section: Section): Rounds {
    return this.#tables.get(section) ?? new Map();
  }

  note(section: Section, subject: string, text: string): void {
    const about = this.#notes.get(text) ?? new Set();
    this.#notes.set(text, about.add(`${section.title}/${subject}`));
  }

  /** References to the footnotes about one column. */
  marks(section: Section, subject: string): string {
    const column = `${section.title}/${subject}`;
    return [...this.#notes.values()]
      .map((about, i) => about.has(column) ? `[^${i + 1}]` : "").join("");
  }

  /** The footnotes in Markdown. */
  footnotes(): string[] {
    return [...this.#notes.keys()].map((text, i) =>
      `[^${i + 1}]: ${text.replaceAll(/\s+/g, " ")}\n`
    );
  }
}

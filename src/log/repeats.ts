/** Lines that peers can cause at any rate. The first few of a kind are printed, and further ones
 *  counted. So the log of a flood is bounded, and shows what kind of flood it was. */

/** Maximum lines of one kind that are printed in one window. */
const BURST = 50;
/** Length of a window, in milliseconds. */
export const WINDOW = 10_000;
/** Maximum kinds, because peers choose the names in some lines. Lines of further kinds are counted
 *  by event. */
const MAX_KINDS = 20;

/** What was not printed: how many lines, and the last of them. */
export interface Repeated<Line> {
  readonly count: number;
  readonly last: Line;
}

interface Seen<Line> {
  printed: number;
  count: number;
  last: Line | undefined;
}

export class Repeats<Line> {
  #kinds = new Map<string, Seen<Line>>();
  #began = 0;

  constructor(readonly now: () => number) {}

  /** Returns true if the line is to be printed. Lines of one event are of one kind if their texts
   *  differ only in numbers and addresses. */
  note(event: string, text: string, line: Line): boolean {
    if (this.#kinds.size === 0) this.#began = this.now();
    const seen = this.#seen(event, `${event} ${template(text)}`);
    if (seen.printed < BURST) {
      seen.printed++;
      return true;
    }
    seen.count++;
    seen.last = line;
    return false;
  }

  #seen(event: string, kind: string): Seen<Line> {
    const key = this.#kinds.has(kind) || this.#kinds.size < MAX_KINDS ? kind : event;
    const seen = this.#kinds.get(key) ?? { printed: 0, count: 0, last: undefined };
    this.#kinds.set(key, seen);
    return seen;
  }

  /** Milliseconds since the window began. */
  get age(): number {
    return this.#kinds.size === 0 ? 0 : this.now() - this.#began;
  }

  /** Ends the window. Returns what was not printed. */
  end(): Repeated<Line>[] {
    const repeated = [...this.#kinds.values()].flatMap(({ count, last }) =>
      last === undefined ? [] : [{ count, last }]
    );
    this.#kinds.clear();
    return repeated;
  }
}

/** Addresses, ports and process ids become `#`. */
function template(text: string): string {
  return text.replaceAll(
    /[\w.:-]+/g,
    (word) => /\d/.test(word) && /^[\da-f.:]+$/i.test(word) ? "#" : word,
  );
}

/** Figures of several rounds as Markdown tables: medians, ratios to one server of the same round, and
 *  footnotes for what is missing. */

/** Figures by name. The name includes the unit. */
export type Figures = Record<string, number>;

/** The figures of each round, by server. A round without figures is empty. */
export type Rounds = Map<string, Figures[]>;

/** One table: a row per figure, a column per server, `value (ratio)`. `marks`: the footnotes of a server,
 *  shown in place of what is missing, or else with its name. */
export function table(
  rounds: Rounds,
  reference: string,
  marks: (server: string) => string = () => "",
): string {
  const servers = [...rounds.keys()];
  const names = new Set(
    [...rounds.values()].flatMap((all) => all.flatMap((one) => Object.keys(one))),
  );
  const yardstick = rounds.get(reference) ?? [];
  const marked = new Set<string>();
  const rows = [...names].map((name) => [
    name,
    ...servers.map((server) => {
      const all = rounds.get(server) ?? [];
      const value = middle(all, name);
      if (value === undefined) {
        marked.add(server);
        return `–${marks(server)}`;
      }
      if (server === reference || name.includes(" / ")) return format(value);
      const ratios = all.flatMap((one, round) => {
        const [mine, theirs] = [one[name], yardstick[round]?.[name]];
        return mine === undefined || !theirs ? [] : [mine / theirs];
      });
      return `${format(value)}${ratioText(ratios)}`;
    }),
  ]);
  const head = servers.map((server) => marked.has(server) ? server : server + marks(server));
  return markdown(["", ...head], rows);
}

/** The median of a figure; undefined if no round has it. */
export function middle(rounds: readonly Figures[], name: string): number | undefined {
  return median(rounds.map((one) => one[name]));
}

/** The number of rounds from which the spread is meaningful. */
const MANY = 10;

/** The median, and with many rounds the quartiles, too. */
function ratioText(ratios: readonly number[]): string {
  const ratio = median(ratios);
  if (ratio === undefined) return "";
  if (ratios.length < MANY) return ` (${ratio.toFixed(2)})`;
  const sorted = ratios.toSorted((a, b) => a - b);
  const at = (part: number): string =>
    (sorted[Math.round(part * (sorted.length - 1))] as number).toFixed(2);
  return ` (${ratio.toFixed(2)}, ${at(0.25)}–${at(0.75)})`;
}

/** A Markdown table. All columns except the first are right-aligned. */
export function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const rule = head.map((_, i) => i === 0 ? "---" : "---:");
  return [head, rule, ...rows].map((row) => `| ${row.join(" | ")} |\n`).join("");
}

/** The median of the finite values; undefined if there are none. */
export function median(values: readonly (number | undefined)[]): number | undefined {
  const sorted = values.filter((value) => Number.isFinite(value)) as number[];
  sorted.sort((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return low === undefined || high === undefined ? undefined : (low + high) / 2;
}

/** A number with three significant digits. */
export function format(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2).replace(/^-(0(\.0+)?)$/, "$1");
}

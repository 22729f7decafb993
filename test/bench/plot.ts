/** A line plot as SVG: labelled lines, no script, readable on a light and a dark page. It knows nothing
 *  of the figures. */

export interface Line {
  name: string;
  points: readonly (readonly [x: number, y: number])[];
  /** True: drawn thicker and in front. */
  strong?: boolean;
}

export interface Plot {
  title: string;
  /** What the axes show, with the unit. */
  x: string;
  y: string;
  /** The values with a tick at the x axis, ascending. */
  ticks: readonly number[];
  /** True: each tick of the x axis has the same distance to the next one. */
  even?: boolean;
  /** True: the y axis is logarithmic. */
  logarithmic?: boolean;
  lines: readonly Line[];
}

const SIZE = { width: 760, height: 420 };
/** The area of the lines. The labels are to the right of it. */
const AREA = { left: 64, right: 600, top: 48, bottom: 364 };
/** The least distance between the base lines of two labels. */
const APART = 15;
/** Colours that differ from each other and from both backgrounds. */
const COLOURS = [
  "#2f81f7",
  "#e5534b",
  "#2da44e",
  "#bf8700",
  "#a475f9",
  "#1b9aaa",
  "#d6568c",
  "#8b6f47",
  "#6e7781",
];

const STYLE = `
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 15px; font-weight: 600 }
.page { fill: #ffffff }
.grid { stroke: #d0d7de; stroke-width: 1 }
path { fill: none; stroke-width: 1.75; stroke-linejoin: round }
path.strong { stroke-width: 3.5 }
path.leader { stroke-width: 1; stroke-dasharray: 2 3 }
text.strong { font-weight: 600 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .page { fill: #0d1117 }
  .grid { stroke: #30363d }
}
`;

/** The plot as an SVG document. */
export function plot({ title, x, y, ticks, even, logarithmic, lines }: Plot): string {
  const shown = lines.filter(({ points }) => points.length > 0);
  const values = shown.flatMap(({ points }) => points.map(([, value]) => value));
  const rows = logarithmic ? decades(values) : steps(Math.max(...values));
  const across = even ? evenly(ticks) : scale(ticks[0] ?? 0, ticks.at(-1) ?? 1, false);
  const up = scale(rows[0] as number, rows.at(-1) as number, logarithmic ?? false);
  const px = (value: number): number => AREA.left + across(value) * (AREA.right - AREA.left);
  const py = (value: number): number => AREA.bottom - up(value) * (AREA.bottom - AREA.top);
  const drawn = shown.map(({ name, points, strong }, i) => ({
    name: escape(name),
    kind: strong ? ` class="strong"` : "",
    strong: strong ?? false,
    colour: COLOURS[i % COLOURS.length] as string,
    path: points.map(([a, b], i) => `${i === 0 ? "M" : "L"}${round(px(a))} ${round(py(b))}`).join(
      "",
    ),
    end: points.at(-1) as readonly [number, number],
  }));
  const places = spread(drawn.map(({ end }) => py(end[1])), APART, AREA.top, AREA.bottom);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIZE.width} ${SIZE.height}" role="img">`,
    `<title>${escape(title)}</title>`,
    `<style>${STYLE}</style>`,
    `<rect class="page" width="${SIZE.width}" height="${SIZE.height}"/>`,
    text(AREA.left, 22, title, "start", "title"),
    text(AREA.left, 40, y, "start"),
    ...rows.flatMap((row) => [
      line(AREA.left, py(row), AREA.right, py(row)),
      text(AREA.left - 8, py(row) + 4, number(row), "end"),
    ]),
    ...ticks.flatMap((tick) => [
      line(px(tick), AREA.bottom, px(tick), AREA.bottom + 5),
      text(px(tick), AREA.bottom + 20, number(tick), "middle"),
    ]),
    text((AREA.left + AREA.right) / 2, AREA.bottom + 42, x, "middle"),
    ...drawn.toSorted((a, b) => Number(a.strong) - Number(b.strong))
      .map(({ kind, colour, path }) => `<path${kind} stroke="${colour}" d="${path}"/>`),
    ...drawn.flatMap(({ name, kind, colour, end }, i) => {
      const at = places[i] as number;
      return [
        // From the end of the line to its label, which may have been moved. A line may end early.
        `<path class="leader" stroke="${colour}" d="M${round(px(end[0]))} ${round(py(end[1]))}L${
          AREA.right + 14
        } ${round(at)}H${AREA.right + 20}"/>`,
        `<text${kind} x="${AREA.right + 25}" y="${round(at + 4)}">${name}</text>`,
      ];
    }),
    "</svg>\n",
  ].join("\n");
}

/** Ticks from 0 to `most` or more, in steps of 1, 2 or 5 times a power of ten. */
export function steps(most: number): number[] {
  if (!(most > 0)) return [0, 1];
  const rough = most / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough) as number;
  const count = Math.ceil(most / step - 1e-9);
  return Array.from({ length: count + 1 }, (_, i) => i * step);
}

/** Ticks of 1, 2 and 5 times a power of ten, from the last one below all values to the first one above. */
export function decades(values: readonly number[]): number[] {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const all = [];
  for (let power = Math.floor(Math.log10(least)); 10 ** power <= most * 10; power++) {
    all.push(...[1, 2, 5].map((one) => one * 10 ** power));
  }
  const from = all.findLastIndex((tick) => tick <= least);
  const to = all.findIndex((tick) => tick >= most);
  return all.slice(Math.max(from, 0), to + 1);
}

/** Moves positions apart so that two of them have at least the distance `apart`: as little as possible, in
 *  the order in which they are, and between `low` and `high` if there is room. */
export function spread(
  positions: readonly number[],
  apart: number,
  low: number,
  high: number,
): number[] {
  const order = positions.map((_, i) => i).sort((a, b) =>
    (positions[a] as number) - (positions[b] as number)
  );
  // Runs of labels that touch each other. `at`: the position of the first that suits all of them best.
  const runs: { at: number; count: number }[] = [];
  for (const i of order) {
    let run = { at: positions[i] as number, count: 1 };
    for (let above = runs.at(-1); above; above = runs.at(-1)) {
      if (above.at + above.count * apart <= run.at) break;
      runs.pop();
      const count = above.count + run.count;
      const at = (above.at * above.count + (run.at - above.count * apart) * run.count) / count;
      run = { at, count };
    }
    runs.push(run);
  }
  const wanted = runs.flatMap(({ at, count }) =>
    Array.from({ length: count }, (_, i) => at + i * apart)
  );
  const moved: number[] = [];
  order.forEach((i, rank) => {
    const below = (order.length - 1 - rank) * apart;
    const least = low + rank * apart;
    moved[i] = Math.max(least, Math.min(wanted[rank] as number, high - below));
  });
  return moved;
}

/** Maps `from` to 0 and `to` to 1. */
function scale(from: number, to: number, logarithmic: boolean): (value: number) => number {
  const f = logarithmic ? Math.log10 : (value: number): number => value;
  return (value) => to === from ? 0 : (f(value) - f(from)) / (f(to) - f(from));
}

/** Maps the first tick to 0, the last one to 1, and the others so that all have the same distance. */
function evenly(ticks: readonly number[]): (value: number) => number {
  return (value) => ticks.length < 2 ? 0 : ticks.indexOf(value) / (ticks.length - 1);
}

const round = (value: number): number => Math.round(value * 10) / 10;

/** A number with a comma after the thousands. */
const number = (value: number): string =>
  String(+value.toPrecision(6)).replace(/\d(?=(?:\d{3})+$)/g, "$&,");

const line = (x1: number, y1: number, x2: number, y2: number): string =>
  `<line class="grid" x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}"/>`;

function text(x: number, y: number, words: string, anchor: string, kind = ""): string {
  const own = kind && ` class="${kind}"`;
  return `<text${own} x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${
    escape(words)
  }</text>`;
}

const escape = (words: string): string =>
  words.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");

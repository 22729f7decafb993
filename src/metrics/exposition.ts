/** Prometheus' text format, version 0.0.4. Pure: families of samples in, text out. Names are
 *  checked and values escaped, so that a scraper never gets a forbidden name or a line break inside
 *  a label. */

/** The media type of what `expose` returns. */
export const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Label names and values, in the order in which they are shown. */
export type Labels = readonly (readonly [name: string, value: string])[];

export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

/** One histogram: the number of values in each bucket, and the sum of all values. */
export interface Distribution {
  /** Upper bounds, ascending, without the infinite one. */
  readonly bounds: readonly number[];
  /** Number of values in each bucket, not cumulative. Has one more element than `bounds`, for
   *  values above the last bound. */
  readonly counts: ArrayLike<number>;
  readonly sum: number;
}

/** All samples under one name. */
export type Family =
  & { readonly name: string; readonly help: string }
  & (
    | { readonly type: "counter" | "gauge"; readonly samples: readonly Sample[] }
    | { readonly type: "histogram"; readonly distribution: Distribution }
  );

/** Returns the text. Throws if a name is not allowed: that is a mistake in this program, not in its
 *  input. */
export function expose(families: Iterable<Family>): string {
  let text = "";
  for (const family of families) {
    const { name, help, type } = family;
    if (!/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name)) {
      throw new Error(`unable to expose metric ${name}: not a metric's name`);
    }
    text += `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`;
    if (family.type === "histogram") text += histogram(name, family.distribution);
    else for (const { labels, value } of family.samples) text += line(name, labels, value);
  }
  return text;
}

/** The buckets in the text are cumulative: each includes the values of those below, and the last
 *  one includes all values. */
function histogram(name: string, { bounds, counts, sum }: Distribution): string {
  let text = "";
  let total = 0;
  for (const [i, bound] of [...bounds, Infinity].entries()) {
    total += counts[i] ?? 0;
    text += line(`${name}_bucket`, [["le", number(bound)]], total);
  }
  return text + line(`${name}_sum`, [], sum) + line(`${name}_count`, [], total);
}

function line(name: string, labels: Labels, value: number): string {
  const pairs = labels.map(([label, text]) => {
    // Prometheus reserves names with a leading `__`.
    if (!/^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/.test(label)) {
      throw new Error(`unable to expose metric ${name}: ${label} is not a label's name`);
    }
    return `${label}="${escapeLabel(text)}"`;
  });
  return `${name}${pairs.length > 0 ? `{${pairs.join(",")}}` : ""} ${number(value)}\n`;
}

/** Infinite values are written as Go writes them. */
function number(value: number): string {
  if (value === Infinity) return "+Inf";
  if (value === -Infinity) return "-Inf";
  return String(value);
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}

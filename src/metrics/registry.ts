/** Counters, gauges and histograms. In memory; no clock, no I/O.
 *
 *  A counter gets all values of its labels when it is made, so a peer can neither put text into the
 *  output nor make memory grow. Any other value counts as `other`. Gauges are only read when
 *  metrics are requested, so they cost nothing in between.
 *
 *  Numbers that can be summed over several workers are also available as a plain array (`counts`),
 *  in the order in which the metrics were made. The sets are closed, so that order is the same in
 *  every worker. */

import type { Distribution, Family, Labels, Sample } from "./exposition.ts";

/** A label and every value it can take. */
export type LabelSet = readonly [name: string, values: readonly string[]];

/** Label value that counts everything outside a label's set. */
export const OTHER = "other";

/** What one number of `Registry.counts` is. `count`: how often something happened. `sum`: a sum of
 *  measured values. `state`: how many there are now. `count` and `state` are integers; only `state`
 *  can fall. */
export type CountKind = "count" | "sum" | "state";

/** Maximum samples of one gauge. Only a wrong configuration has more labels. */
const MAX_SAMPLES = 1000;

export class Counter {
  readonly #sets: readonly LabelSet[];
  readonly #places: readonly ReadonlyMap<string, number>[];
  readonly #values: Float64Array;

  /** Throws if a set is empty: that label could never be counted. */
  constructor(...sets: LabelSet[]) {
    this.#sets = sets;
    this.#places = sets.map(([, values]) => new Map(values.map((value, i) => [value, i])));
    if (this.#places.some((places) => places.size === 0)) {
      throw new Error("unable to make a counter: a label without values");
    }
    this.#values = new Float64Array(sets.reduce((size, [, values]) => size * values.length, 1));
  }

  /** Counts one under these label values, in the order of the sets. */
  add(...values: string[]): void {
    let at = 0;
    for (let i = 0; i < this.#places.length; i++) {
      const places = this.#places[i] as ReadonlyMap<string, number>;
      const place = places.get(values[i] ?? OTHER) ?? places.get(OTHER);
      if (place === undefined) return; // no such value, and no `other`: nothing to count it under
      at = at * places.size + place;
    }
    this.#values[at] = (this.#values[at] as number) + 1;
  }

  /** One number for each combination of values. */
  get values(): Float64Array {
    return this.#values;
  }

  /** Returns all samples, with `numbers` in place of the counter's own if given. If there are
   *  several labels, combinations that were never counted are left out, because most (a version
   *  with another's cipher) never occur. */
  samples(numbers: Float64Array = this.#values): Sample[] {
    const samples: Sample[] = [];
    for (const [at, value] of numbers.entries()) {
      if (value > 0 || this.#sets.length <= 1) samples.push({ labels: this.#labels(at), value });
    }
    return samples;
  }

  #labels(at: number): Labels {
    let rest = at;
    return this.#sets.map((_, i) => {
      const [name, values] = this.#sets[this.#sets.length - 1 - i] as LabelSet;
      const place = rest % values.length;
      rest = (rest - place) / values.length;
      return [name, values[place] as string] as const;
    }).reverse();
  }
}

export class Histogram implements Distribution {
  readonly counts: Float64Array;
  sum = 0;

  /** `bounds`: upper bounds of the buckets, inclusive. Throws unless they are finite and
   *  ascending. */
  constructor(readonly bounds: readonly number[]) {
    const wrong = bounds.some((bound, i) => !(bound > (bounds[i - 1] ?? -Infinity)));
    if (wrong || bounds.at(-1) === Infinity) {
      throw new Error("unable to make a histogram: bounds must be finite and ascend");
    }
    this.counts = new Float64Array(bounds.length + 1);
  }

  /** Adds a value. NaN is dropped: it would make the sum useless permanently. */
  observe(value: number): void {
    if (Number.isNaN(value)) return;
    let i = 0;
    while (i < this.bounds.length && value > (this.bounds[i] as number)) i++;
    this.counts[i] = (this.counts[i] as number) + 1;
    this.sum += value;
  }
}

/** A family whose numbers can be summed over workers. */
interface Summed {
  readonly kinds: readonly CountKind[];
  /** The numbers as they are now, one for each of `kinds`. */
  counts(): ArrayLike<number>;
  /** Returns the family with these numbers. */
  family(numbers: Float64Array): Family;
}

export class Registry {
  readonly #families = new Map<string, Summed | (() => Family)>();

  /** A counter with these labels. */
  counter(name: string, help: string, ...sets: LabelSet[]): Counter {
    const counter = new Counter(...sets);
    this.#add(name, {
      kinds: Array.from(counter.values, () => "count"),
      counts: () => counter.values,
      family: (numbers) => ({ name, help, type: "counter", samples: counter.samples(numbers) }),
    });
    return counter;
  }

  /** A counter that is kept elsewhere. `read` returns its value. */
  counted(name: string, help: string, read: () => number): void {
    this.#add(name, {
      kinds: ["count"],
      counts: () => [read()],
      family: ([value = 0]) => ({ name, help, type: "counter", samples: [{ labels: [], value }] }),
    });
  }

  /** A gauge that is the sum over all workers. `read` returns the part of this one. */
  state(name: string, help: string, read: () => number): void {
    this.#add(name, {
      kinds: ["state"],
      counts: () => [read()],
      family: ([value = 0]) => ({ name, help, type: "gauge", samples: [{ labels: [], value }] }),
    });
  }

  /** A gauge of the whole server. Every worker gives the same value. */
  gauge(name: string, help: string, read: () => number): void {
    this.#add(
      name,
      () => ({ name, help, type: "gauge", samples: [{ labels: [], value: read() }] }),
    );
  }

  /** A counter that is already kept for the whole server, by labels of a closed set. */
  sampled(name: string, help: string, read: () => readonly Sample[]): void {
    this.#add(name, () => ({ name, help, type: "counter", samples: read() }));
  }

  /** A gauge whose labels come from the configuration, never from a peer. Of several samples with
   *  the same labels the first counts, because a scraper refuses duplicates. */
  gauges(name: string, help: string, read: () => Iterable<Sample>): void {
    this.#add(name, () => {
      const samples = new Map<string, Sample>();
      for (const sample of read()) {
        const key = JSON.stringify(sample.labels);
        if (samples.size < MAX_SAMPLES && !samples.has(key)) samples.set(key, sample);
      }
      return { name, help, type: "gauge", samples: [...samples.values()] };
    });
  }

  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    const own = new Histogram(bounds);
    this.#add(name, {
      kinds: [...Array.from(own.counts, () => "count" as const), "sum"],
      counts: () => [...own.counts, own.sum],
      family: (numbers) => {
        const counts = numbers.subarray(0, -1);
        const distribution = { bounds, counts, sum: numbers[counts.length] as number };
        return { name, help, type: "histogram", distribution };
      },
    });
    return own;
  }

  /** Returns what each number of `counts` is. */
  kinds(): CountKind[] {
    return [...this.#families.values()].flatMap((one) => "kinds" in one ? one.kinds : []);
  }

  /** Returns everything that can be summed, as it is now. */
  counts(): Float64Array {
    const summed = [...this.#families.values()].flatMap((one) => "kinds" in one ? [one] : []);
    return Float64Array.from(summed.flatMap((one) => Array.from(one.counts())));
  }

  /** Yields all families as they are now, in the order in which they were made. `counts`: numbers
   *  of the same order to use in place of the registry's own. */
  *families(counts = this.counts()): Iterable<Family> {
    let at = 0;
    for (const one of this.#families.values()) {
      if ("kinds" in one) yield one.family(counts.subarray(at, at += one.kinds.length));
      else yield one();
    }
  }

  #add(name: string, family: Summed | (() => Family)): void {
    if (this.#families.has(name)) throw new Error(`unable to add metric ${name}: it exists`);
    this.#families.set(name, family);
  }
}

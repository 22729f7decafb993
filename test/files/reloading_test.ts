/** The contract of values made from files: which value is in use, when files are read, what is logged. */

import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { type Loaded, RECHECK, Reloading } from "../../src/files/reloading.ts";

/** The content of the file: a value, an error, or a value of which a part is old. */
type Content = string | Error | { value: string; problem: string };

/** One file with `content`, and the messages to the consumer. */
class Bench {
  now = 0;
  stamp = "1";
  content: Content;
  loads = 0;
  said: string[] = [];
  readonly one: Reloading<string>;

  constructor(content: Content, until?: number) {
    this.content = content;
    this.one = new Reloading<string>({
      stamp: () => this.stamp,
      load: (before) => this.#load(before, until),
      kept: "the old one stays",
      report: (problems) => void this.said.push(...problems),
      onReload: (value, before, again) => {
        if (value !== before) this.said.push(`new ${value}`);
        if (again) this.said.push("good again");
      },
    }, () => this.now);
  }

  #load(before: Loaded<string> | undefined, until: number | undefined): Loaded<string> {
    this.loads++;
    const { content } = this;
    if (content instanceof Error) throw content;
    if (typeof content === "object") {
      const { value, problem } = content;
      return { value, problems: [problem], upToDate: before === undefined };
    }
    return { value: content, ...(until === undefined ? {} : { until }) };
  }

  /** Advances the clock by a second. Returns the value, what was logged, and the number of reads. */
  later(): [value: string, said: string, loads: number] {
    this.now += RECHECK;
    this.loads = 0;
    this.said = [];
    return [this.one.value, this.said.join(", "), this.loads];
  }
}

const shortage = Object.assign(new Error("unable to read: no descriptors"), { code: "EMFILE" });
const part = (value: string, problem: string): Content => ({ value, problem });

/** Each row: the new content of the file, and the result a second later. The stamp changes unless the row
 *  says that it stays the same. */
const ROWS: [
  name: string,
  content: Content,
  same: boolean,
  value: string,
  said: string,
  loads: number,
  sound: boolean,
][] = [
  ["as at the start", "a", true, "a", "", 0, true],
  ["touched", "a", false, "a", "", 1, true],
  ["replaced", "b", false, "b", "new b", 1, true],
  ["broken", new Error("bad"), false, "b", "bad; the old one stays", 1, false],
  ["as broken as before", new Error("bad"), true, "b", "", 0, false],
  ["broken in the same way", new Error("bad"), false, "b", "", 1, false],
  ["broken in another way", new Error("worse"), false, "b", "worse; the old one stays", 1, false],
  ["absent", new Error("no such file"), false, "b", "no such file; the old one stays", 1, false],
  ["unreadable", new Error("denied"), false, "b", "denied; the old one stays", 1, false],
  ["good as before", "b", false, "b", "good again", 1, true],
  ["still good", "b", true, "b", "", 0, true],
  ["broken once more", new Error("bad"), false, "b", "bad; the old one stays", 1, false],
  ["good, and other", "c", false, "c", "new c, good again", 1, true],
  [
    "a shortage",
    shortage,
    false,
    "c",
    "unable to read: no descriptors; the old one stays",
    1,
    false,
  ],
  ["it lasts, and the file is the same", shortage, true, "c", "", 1, false],
  ["it is over, and the file is the same", "d", true, "d", "new d, good again", 1, true],
  ["a part is broken", part("e", "x"), false, "e", "x, new e", 1, false],
  ["the same part", part("e", "x"), false, "e", "", 1, false],
  ["another part", part("e", "y"), false, "e", "y", 1, false],
  ["all good", "e", false, "e", "good again", 1, true],
];

test("the old value stays while a file is broken, and each change is reported once", () => {
  const bench = new Bench("a");
  for (const [name, content, same, value, said, loads, sound] of ROWS) {
    bench.content = content;
    if (!same) bench.stamp += "'";
    assertEquals(bench.later(), [value, said, loads], name);
    assertStrictEquals(bench.one.upToDate, sound, name);
    assertStrictEquals(bench.one.current, value, name);
  }
});

test("a failed first load throws", () => {
  assertThrows(() => new Bench(new Error("no such file")), Error, /^no such file$/);
});

test("a part that is broken at the start does not count as an old value", () => {
  const bench = new Bench(part("a", "x"));
  assertStrictEquals(bench.one.upToDate, true);
  assertEquals(bench.one.problems, ["x"]);
  bench.stamp = "2";
  assertEquals(bench.later(), ["a", "", 1], "said by the caller at the start");
});

test("files are looked at once a second, and at once when the clock was set back", () => {
  const bench = new Bench("a");
  bench.content = "b";
  bench.stamp = "2";
  bench.now = RECHECK - 1;
  assertStrictEquals(bench.one.value, "a");
  bench.now = -3_600_000;
  assertStrictEquals(bench.one.value, "b");
  bench.content = "c";
  bench.stamp = "3";
  assertStrictEquals(bench.one.current, "b");
  bench.one.refresh();
  assertStrictEquals(bench.one.current, "c");
});

test("an expired value is made again, also if the files are unchanged", () => {
  const bench = new Bench("a", 2 * RECHECK);
  assertEquals(bench.later(), ["a", "", 0]);
  bench.content = "b";
  assertEquals(bench.later(), ["b", "new b", 1]);
});

test("reload also reads files that have not changed, and reports their problems again", () => {
  const bench = new Bench("a");
  bench.content = new Error("bad");
  for (let i = 0; i < 2; i++) {
    bench.said = [];
    bench.one.reload();
    assertEquals(bench.said, ["bad; the old one stays"]);
  }
  bench.content = "b";
  bench.one.reload();
  assertEquals([bench.one.current, bench.said.at(-1)], ["b", "good again"]);
});

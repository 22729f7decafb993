import { assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { expose, type Family, type Labels } from "../../src/metrics/exposition.ts";

const gauge = (labels: Labels, value: number): Family => ({
  name: "m",
  help: "h",
  type: "gauge",
  samples: [{ labels, value }],
});

test("families come out as HELP, TYPE and their samples", () => {
  const rows: [Family, string][] = [
    [
      { name: "a_total", help: "All of a.", type: "counter", samples: [{ labels: [], value: 3 }] },
      "# HELP a_total All of a.\n# TYPE a_total counter\na_total 3\n",
    ],
    [{ name: "g", help: "", type: "gauge", samples: [] }, "# HELP g \n# TYPE g gauge\n"],
    [
      {
        name: "s_seconds",
        help: "Time.",
        type: "histogram",
        distribution: { bounds: [0.5, 1], counts: [2, 0, 3], sum: 7.25 },
      },
      [
        "# HELP s_seconds Time.",
        "# TYPE s_seconds histogram",
        's_seconds_bucket{le="0.5"} 2',
        's_seconds_bucket{le="1"} 2',
        's_seconds_bucket{le="+Inf"} 5',
        "s_seconds_sum 7.25",
        "s_seconds_count 5",
        "",
      ].join("\n"),
    ],
  ];
  for (const [family, text] of rows) assertStrictEquals(expose([family]), text);
  const all = rows.map(([family]) => family);
  assertStrictEquals(expose(all), rows.map(([, text]) => text).join(""));
});

test("values are written as Prometheus reads them", () => {
  const rows: [number, string][] = [
    [0, "0"],
    [-1.5, "-1.5"],
    [0.00025, "0.00025"],
    [1e21, "1e+21"],
    [1e-7, "1e-7"],
    [2 ** 53, "9007199254740992"],
    [Infinity, "+Inf"],
    [-Infinity, "-Inf"],
    [NaN, "NaN"],
  ];
  for (const [value, text] of rows) {
    assertStrictEquals(expose([gauge([], value)]).split("\n")[2], `m ${text}`);
  }
});

test("label values are escaped, so that none can end its line or its quotes", () => {
  const rows: [string, string][] = [
    ["/etc/ssl/mx.pem", "/etc/ssl/mx.pem"],
    ["", ""],
    ['a"b', 'a\\"b'],
    ["a\\b", "a\\\\b"],
    ["a\nb 1\n", "a\\nb 1\\n"],
    ['\\"\n', '\\\\\\"\\n'],
    ["naïve ☃ {}=,#", "naïve ☃ {}=,#"],
  ];
  for (const [value, text] of rows) {
    assertStrictEquals(expose([gauge([["file", value]], 1)]).split("\n")[2], `m{file="${text}"} 1`);
  }
  assertMatch(expose([gauge([["a", "1"], ["b", "2"]], 1)]), /^m\{a="1",b="2"\} 1$/m);
});

test("help is escaped, its quotes are not", () => {
  const text = expose([{ name: "m", help: 'a\nb\\c"d', type: "gauge", samples: [] }]);
  assertStrictEquals(text, '# HELP m a\\nb\\\\c"d\n# TYPE m gauge\n');
});

test("a name that Prometheus does not allow is a mistake", () => {
  for (const name of ["", "9a", "a-b", "a b", "ä", "a\n"]) {
    const family: Family = { name, help: "", type: "gauge", samples: [] };
    assertThrows(
      () => expose([family]),
      Error,
      /^unable to expose metric .*: not a metric's name$/s,
    );
  }
  for (const label of ["", "1a", "a:b", "__name", "a b", 'a"', "a\n"]) {
    assertThrows(() => expose([gauge([[label, ""]], 1)]), Error, /is not a label's name$/);
  }
});

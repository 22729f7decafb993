/** The command lines of tasks and tools. */

import { assertEquals } from "@std/assert";
import { test } from "node:test";
import { helpText, parseCommandLine } from "../../tools/command_line.ts";

const OPTIONS = {
  rounds: { value: "N", help: "rounds", fallback: 3 },
  form: {
    value: "FORM",
    help: "form of the server",
    fallback: "binary",
    choices: ["binary", "deno"],
  },
  only: { value: "NAMES", help: "sections" },
};
const DEFAULTS = { rounds: 3, form: "binary", only: undefined };

const ROWS: [args: string, result: string | { rounds?: number; form?: string; only?: string }][] = [
  ["", {}],
  ["--only conn,idle --rounds 5", { only: "conn,idle", rounds: 5 }],
  ["--only=conn --form=deno", { only: "conn", form: "deno" }],
  ["--only=-v,--workers", { only: "-v,--workers" }],
  ["--rounds 0", { rounds: 0 }],
  ["--only 5", { only: "5" }],
  ["--rounds many", "--rounds needs a whole number, not 'many'"],
  ["--rounds=-1", "--rounds needs a whole number, not '-1'"],
  ["--rounds 1.5", "--rounds needs a whole number, not '1.5'"],
  ["--rounds 1 --rounds 2", "--rounds is given twice"],
  ["--form bun", "--form takes binary or deno, not 'bun'"],
  ["--only", "--only needs a value: NAMES"],
  ["--only --rounds 2", "--only needs a value: NAMES"],
  ["--round 2", "unknown argument: --round"],
  ["-r 2", "unknown argument: -r"],
  ["--no-only", "unknown argument: --no-only"],
  ["conn", "unknown argument: conn"],
  ["-- conn", "unknown argument: conn"],
  ["--rounds.x 2", "unknown argument: --rounds.x"],
];
for (const [args, result] of ROWS) {
  test(`the arguments '${args}'`, () => {
    assertEquals<unknown>(
      parseCommandLine(args.split(" ").filter(Boolean), OPTIONS),
      typeof result === "string" ? result : { ...DEFAULTS, ...result },
    );
  });
}

test("--help names every option with its value and default", () => {
  assertEquals(
    helpText("deno task x [OPTION…]", OPTIONS),
    `usage: deno task x [OPTION…]

  --rounds N    rounds (3)
  --form FORM   form of the server (binary)
  --only NAMES  sections
  --help        print this text
`,
  );
});

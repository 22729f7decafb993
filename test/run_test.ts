/** How test/run.sh counts: tests that fail, are skipped, or pass only on the second try, and files that crash
 *  or contain no test. A copy of it runs in a folder with such files and nothing to build. */

import { assert, assertMatch, assertStrictEquals } from "@std/assert";
import { dirname, fromFileUrl, join } from "@std/path";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { test } from "node:test";

const ROOT = fromFileUrl(new URL("..", import.meta.url));

const STUB = "#!/bin/sh\nexit 0\n";
const HEAD = `import { test } from "node:test";\n`;
const PASS = `test("passes", () => {});\n`;
const FAIL = `test("fails", () => { throw new Error("meant") });\n`;
const SKIP = `test("is skipped", { skip: "meant" }, () => { throw new Error("not skipped") });\n`;
/** A test that fails in the first process of each runtime that runs it. */
const LATER = `import { existsSync, writeFileSync } from "node:fs";
test("passes later", () => {
  const mark = import.meta.url.slice(7) + ("Bun" in globalThis ? ".bun" : ".deno");
  if (existsSync(mark)) return;
  writeFileSync(mark, "");
  throw new Error("meant");
});\n`;

/** Runs `command` in a folder with only these files. Returns the exit code and the lines printed. */
function runs(
  command: string,
  files: Record<string, string>,
  args: readonly string[] = [],
): { status: number; lines: string[] } {
  const folder = fs.mkdtempSync(join(tmpdir(), "run-"));
  try {
    // A stub, so that nothing is installed.
    const all = { "compile.sh": STUB, "bin/id": "#!/bin/sh\necho 1000\n", ...files };
    for (const [name, content] of Object.entries(all)) {
      const path = join(folder, name);
      fs.mkdirSync(dirname(path), { recursive: true });
      fs.writeFileSync(path, content, { mode: 0o755 });
    }
    if (!fs.existsSync(join(folder, "node_modules"))) {
      fs.symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
    }
    const env = { ...process.env, PATH: `${join(folder, "bin")}:${process.env["PATH"]}` };
    const options = { cwd: folder, env, encoding: "utf8", timeout: 60_000 } as const;
    const { status, stdout, stderr } = spawnSync(join(folder, command), args, options);
    assert(status !== null && stderr === "", stderr);
    return { status, lines: stdout.trimEnd().split("\n") };
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

const script = (name: string): string => fs.readFileSync(join(ROOT, name), "utf8");
const counting = (files: Record<string, string>) =>
  runs("test/run.sh", { "test/run.sh": script("test/run.sh"), ...files }, Object.keys(files));

const PATIENT = { timeout: 120_000 };

test("tests that pass or are skipped are counted, of both runtimes", PATIENT, () => {
  const { status, lines } = counting({
    "test/a_test.ts": HEAD + PASS + SKIP,
    "test/b_test.ts": HEAD + SKIP,
    "test/e2e/c_test.ts": HEAD + PASS + SKIP + SKIP.replace("is", "too is"),
  });
  assertStrictEquals(lines.at(-1), "3 passed, 0 failed, 6 skipped, 0 only in a second try");
  assertStrictEquals(status, 0);
  const words = lines.map((line) => line.replace(/ \(\d+ s\)$/, ""));
  assert(words.includes("ok test/a_test.ts: deno 1 and 1 skipped, bun 1 and 1 skipped"));
  assert(words.includes("ok test/e2e/c_test.ts: bun 1 and 2 skipped"));
});

test("a file that fails only once is counted, and its first output shown", PATIENT, () => {
  const { status, lines } = counting({
    "test/a_test.ts": HEAD + LATER,
    "test/e2e/b_test.ts": HEAD + PASS + LATER,
  });
  assertStrictEquals(lines.at(-1), "4 passed, 0 failed, 0 skipped, 3 only in a second try");
  assertStrictEquals(status, 0);
  assertStrictEquals(lines.filter((line) => line.startsWith("failed beside others: ")).length, 3);
  assert(lines.filter((line) => line.includes("meant")).length >= 3);
});

for (
  const [what, file] of Object.entries({
    "a test that fails": HEAD + PASS + FAIL,
    "a file without a test": HEAD,
    "a file that ends its process": HEAD + PASS +
      `import process from "node:process";\ntest("ends", () => process.exit(0));\n`,
    "a file that cannot be loaded": `import "./missing.ts";\n`,
  })
) {
  test(`${what} fails on both runtimes`, PATIENT, () => {
    const { status, lines } = counting({ "test/a_test.ts": file });
    const sum = /^\d+ passed, (\d+) failed, 0 skipped, 0 only in a second try$/;
    assert(Number(sum.exec(lines.at(-1) ?? "")?.[1]) >= 2, lines.at(-1));
    assertMatch(lines.join("\n"), /^FAILED test\/a_test\.ts: deno .* failed, bun .* failed/m);
    assertStrictEquals(status, 1);
  });
}

for (const [sum, failed] of [["5 passed, 1 failed", 1], ["5 passed, 0 failed", 0]] as const) {
  test(`.ci/run adds its checks to ${sum}`, PATIENT, () => {
    const rest = ", 2 skipped, 3 only in a second try";
    const { status, lines } = runs(".ci/run", {
      ".ci/run": script(".ci/run"),
      "node_modules/deno/deno": STUB,
      "test/run.sh": `#!/bin/sh\necho begins\necho '${sum}${rest}'\nexit ${failed}\n`,
    });
    assertStrictEquals(lines.at(-1), `9 passed, ${failed} failed${rest}`);
    assertStrictEquals(lines.filter((line) => line.endsWith(rest)).length, 1);
    assertStrictEquals(status, failed);
  });
}

test(".ci/run fails if test/run.sh prints no sum", PATIENT, () => {
  const { status, lines } = runs(".ci/run", {
    ".ci/run": script(".ci/run"),
    "node_modules/deno/deno": STUB,
    "test/run.sh": STUB,
  });
  assertStrictEquals(lines.at(-1), "4 passed, 1 failed");
  assertStrictEquals(status, 1);
});

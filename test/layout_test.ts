/** The borders of DESIGN: who may name a runtime, what the codecs may import, and that every import
 *  can be resolved without asking a registry. */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

function sources(folder: string): string[] {
  return fs.readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(folder, name))
    .sort();
}

const read = (file: string): string => fs.readFileSync(join(ROOT, file), "utf8");

/** What remains of a source without comments and texts. */
function code(text: string): string {
  return text
    .replaceAll(/\/\*[\s\S]*?\*\//g, "")
    .replaceAll(/^\s*\/\/.*$/gm, "")
    .replaceAll(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`/g, '""');
}

function imports(file: string): string[] {
  const found = read(file).matchAll(
    /(?:^|\n)\s*(?:import|export)\b[^;"]*?from\s+"([^"]+)"|import\("([^"]+)"\)|(?:^|\n)import "([^"]+)"/g,
  );
  return [...found].map((match) => match[1] ?? match[2] ?? match[3] ?? "");
}

const ALL = [...sources("src"), "cli.ts", "mod.ts"];

test("only src/runtime names Bun or Deno in code", () => {
  const guilty = ALL.filter((file) => !file.startsWith("src/runtime/")).filter((file) =>
    /\b(?:Bun|Deno)\s*[.[]/.test(code(read(file))) ||
    imports(file).some((from) => from === "bun" || from.startsWith("bun:"))
  );
  assert.deepEqual(guilty, []);
});

test("src/codec imports only src/codec", () => {
  const guilty = sources("src/codec").flatMap((file) =>
    imports(file)
      .filter((from) =>
        !relative("src/codec", join(dirname(file), from)).match(/^[a-z]/) || !from.startsWith(".")
      )
      .map((from) => `${file} imports ${from}`)
  );
  assert.deepEqual(guilty, []);
});

test("src/codec has no clock, environment, timer or other global of the outside", () => {
  const outside =
    /\b(?:process|globalThis|setTimeout|setInterval|fetch|performance|Date\.now|new Date\(\)|Math\.random|console)\b/;
  assert.deepEqual(sources("src/codec").filter((file) => outside.test(code(read(file)))), []);
});

test("every import is a relative file with its ending, or node:, or bun: in the Bun adapter", () => {
  const guilty = [...ALL, ...sources("test")].flatMap((file) =>
    imports(file).filter((from) => {
      if (from.startsWith("node:")) return false;
      if (from.startsWith("bun:")) return !file.startsWith("src/runtime/");
      return !/^\.\.?\/.*\.ts$/.test(from) || !fs.existsSync(join(ROOT, dirname(file), from));
    }).map((from) => `${file} imports ${from}`)
  );
  assert.deepEqual(guilty, []);
});

test("only cli.ts ends the process", () => {
  const guilty = [...sources("src"), "mod.ts"].filter((file) =>
    /\bprocess\.exit\(|\bDeno\.exit\(/.test(code(read(file)))
  );
  assert.deepEqual(guilty, []);
});

test("every file of src opens with what its job is", () => {
  assert.deepEqual(ALL.filter((file) => !/^(?:#!.*\n)?\/\*\* ?\S/.test(read(file))), []);
});

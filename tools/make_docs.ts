/** Writes what is made from other files: man/text/ from man/ (with Debian's mandoc), completions/ from the
 *  table of options, examples/text/ from modules, and in docs/ the examples of recipes,
 *  troubleshooting.md and library_reference.md: node_modules/.bin/deno run -A tools/make_docs.ts.
 *  test/docs_test.ts fails if they are out of date. */

import { fromFileUrl } from "@std/path";
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { completionScript } from "../src/commands/completion.ts";
import { EXAMPLES } from "../src/commands/examples.ts";
import { SHELLS } from "../src/config/options.ts";
import { VERSION } from "../src/version.ts";
import { commandLine } from "./command_line.ts";
import { libraryReference } from "./library_reference.ts";
import { troubleshooting } from "./messages/page.ts";

const ROOT = fromFileUrl(new URL("..", import.meta.url));

/** File names under which each shell finds completions. */
const NAMES = { bash: "sslserver.bash", zsh: "_sslserver", fish: "sslserver.fish" } as const;

/** Returns the names of the files in man/. */
export function pages(): string[] {
  return readdirSync(`${ROOT}man`).filter((name) => /\.[17]$/.test(name)).sort();
}

/** Returns a page as plain text: 78 columns, ASCII, without overstrikes. */
export function pageText(page: string): string {
  const options = ["-Tascii", "-Owidth=78", `-Ios=sslserver ${VERSION}`];
  const text = execFileSync("mandoc", [...options, `${ROOT}man/${page}`], { encoding: "utf8" });
  // deno-lint-ignore no-control-regex
  return text.replaceAll(/.\x08/g, "");
}

/** The modules that --example prints. */
function modules(): string[] {
  return Object.values(EXAMPLES).map(({ file }) => file).filter((file) => file.endsWith(".ts"));
}

/** Returns a page of docs/recipes/ with each block of the form ```LANGUAGE examples/FILE filled. */
function recipe(page: string): string {
  const text = readFileSync(`${ROOT}docs/recipes/${page}`, "utf8");
  return text.replaceAll(
    /^(```\w+ (examples\/\S+)\n)[\s\S]*?^```$/gm,
    (_block, fence: string, file: string) => `${fence}${readFileSync(ROOT + file, "utf8")}\`\`\``,
  );
}

/** Returns every generated file: its path from the root, and its text. */
export function docs(): [path: string, text: string][] {
  return [
    ...pages().map((page): [string, string] => [`man/text/${page}.txt`, pageText(page)]),
    ...SHELLS.map((shell): [string, string] => [
      `completions/${NAMES[shell]}`,
      completionScript(shell),
    ]),
    ...modules().map((name): [string, string] => [
      `examples/text/${name}.txt`,
      readFileSync(`${ROOT}examples/${name}`, "utf8"),
    ]),
    ...readdirSync(`${ROOT}docs/recipes`).sort().map((page): [string, string] => [
      `docs/recipes/${page}`,
      recipe(page),
    ]),
    ["docs/troubleshooting.md", troubleshooting()],
    ["docs/library_reference.md", libraryReference(ROOT)],
  ];
}

if (import.meta.main) {
  commandLine("deno run -A tools/make_docs.ts", {});
  for (const folder of ["man/text", "completions", "examples/text"]) {
    mkdirSync(ROOT + folder, { recursive: true });
  }
  for (const [path, text] of docs()) writeFileSync(ROOT + path, text);
}

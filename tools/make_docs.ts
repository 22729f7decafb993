/** Writes what is made from other files: man/text/ from man/ (by Debian's mandoc), completions/ from
 *  the table of options.   node_modules/.bin/deno run -A tools/make_docs.ts
 *  test/docs_test.ts says when that is due. */

import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { completionScript } from "../src/commands/completion.ts";
import { SHELLS } from "../src/config/options.ts";
import { VERSION } from "../src/version.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Where each shell looks for completions by name. */
const NAMES = { bash: "sslserver.bash", zsh: "_sslserver", fish: "sslserver.fish" } as const;

/** Files of man/, without their folder. */
export function pages(): string[] {
  return readdirSync(`${ROOT}man`).filter((name) => /\.[17]$/.test(name)).sort();
}

/** A page as plain text: 78 columns, ASCII, nothing printed twice over itself. */
export function pageText(page: string): string {
  const options = ["-Tascii", "-Owidth=78", `-Ios=sslserver ${VERSION}`];
  const text = execFileSync("mandoc", [...options, `${ROOT}man/${page}`], { encoding: "utf8" });
  // deno-lint-ignore no-control-regex
  return text.replaceAll(/.\x08/g, "");
}

/** Every made file: its path from the root, and its text. */
export function docs(): [path: string, text: string][] {
  return [
    ...pages().map((page): [string, string] => [`man/text/${page}.txt`, pageText(page)]),
    ...SHELLS.map((shell): [string, string] => [
      `completions/${NAMES[shell]}`,
      completionScript(shell),
    ]),
  ];
}

if (import.meta.main) {
  for (const folder of ["man/text", "completions"]) mkdirSync(ROOT + folder, { recursive: true });
  for (const [path, text] of docs()) writeFileSync(ROOT + path, text);
}

/** References between the project's files are valid: cited sections, linked and named files, the metrics in the
 *  specification's table. */

import { assert, assertEquals } from "@std/assert";
import { basename, dirname, fromFileUrl, join } from "@std/path";
import * as fs from "node:fs";
import { test } from "node:test";
import { part } from "./part.ts";

const ROOT = fromFileUrl(new URL("..", import.meta.url));
const read = (path: string): string => fs.readFileSync(join(ROOT, path), "utf8");

/** Every text file of the project, from the root. */
function files(folder = ""): string[] {
  return fs.readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    if (["node_modules", "dist", ".git", "data"].includes(entry.name)) return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? files(path) : entry.isFile() ? [path] : [];
  });
}

const ALL = files();
/** A placeholder, and a program of others. */
const ELSEWHERE = new Set(["NAME.ts", "acme.sh"]);
const MARKDOWN = ALL.filter((file) => file.endsWith(".md"));

/** Names of the sections of a page, as GitHub makes them from the headings. */
function sections(page: string): string[] {
  const text = read(page).replaceAll(/^```[\s\S]*?^```$/gm, "");
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading.toLowerCase().replaceAll(/[^\w\- ]/g, "").replaceAll(" ", "-")
  );
}

test("every section of docs/ that is cited exists", () => {
  const cited = ALL.flatMap((file) =>
    [...read(file).matchAll(/\b(docs\/\w+\.md)#([\w-]+)/g)].map(([, page = "", section = ""]) => ({
      file,
      page,
      section,
    }))
  );
  assert(cited.length > 15);
  const missing = cited.filter(({ page, section }) => !sections(page).includes(section));
  assertEquals(missing, []);
});

test("every link from one page to another leads to a file and to a section", () => {
  const links = MARKDOWN.flatMap((file) =>
    [...read(file).matchAll(/\]\(([^)\s]+)\)/g)].map(([, to = ""]) => ({ file, to }))
  ).filter(({ to }) => !/^[a-z]+:/.test(to));
  assert(links.length > 20);
  const broken = links.filter(({ file, to }) => {
    const [path = "", section] = to.split("#");
    const page = path === "" ? file : join(dirname(file), path);
    if (!fs.existsSync(join(ROOT, page))) return true;
    return section !== undefined && !sections(page).includes(section);
  });
  assertEquals(broken, []);
});

test("no comment cites a numbered specification, which is not here", () => {
  const numbered = new RegExp("\\bSPEC(?:'s\\b| section\\b| [0-9])");
  assertEquals(ALL.filter((file) => numbered.test(read(file))), []);
});

test("every path in docs/runtimes.md exists", () => {
  const paths = [...read("docs/runtimes.md").matchAll(/`((?:\w+\/)*\w+\.(?:ts|mjs|sh))`/g)];
  assert(paths.length > 80);
  const missing = paths.map(([, path = ""]) => path).filter((path) =>
    !["", "src", "test"].some((folder) => fs.existsSync(join(ROOT, folder, path)))
  );
  assertEquals(missing, []);
});

test("the specification's table has every metric and no other", () => {
  const page = "docs/specification.md";
  const table = part(read(page), /^\| metric \| labels \|\n([\s\S]*?)\n\n/m, page);
  const names = [...table.matchAll(/`((?:sslserver|process)_[a-z_]+)`/g)];
  const sources = ALL.filter((file) => /^src\/(?:metrics\/|privsep\/worker\/metrics)/.test(file));
  const defined = sources.flatMap((file) => [
    ...read(file).matchAll(/"((?:sslserver|process)_[a-z_]+)"/g),
  ]);
  const sorted = (matches: RegExpMatchArray[]) => matches.map(([, name]) => name).sort();
  assert(defined.length > 20);
  assertEquals(sorted(names), sorted(defined));
});

test("every source file that a comment or a page names exists", () => {
  const known = new Set(ALL.map((file) => basename(file)));
  const named = ALL.filter((file) => /\.(?:ts|mjs|sh|c|md)$/.test(file)).flatMap((file) =>
    read(file).split("\n")
      .filter((line) => file.endsWith(".md") || /^\s*(?:\/\/|\/\*|\*|#)/.test(line))
      .flatMap((line) => [...line.matchAll(/(?<![\w*-])[\w/-]*\w\.(?:ts|mjs|sh|c|md)\b/g)])
      .map(([name]) => ({ file, name }))
  );
  assert(named.length > 300);
  assertEquals(
    named.filter(({ name }) =>
      !known.has(basename(name)) && !fs.existsSync(join(ROOT, name)) &&
      !ELSEWHERE.has(basename(name))
    ),
    [],
  );
});

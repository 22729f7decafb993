/** Makes docs/library_reference.md from the comments of what mod.ts exports. */

import { join } from "@std/path";
import { readFileSync } from "node:fs";

const HEAD = `# Reference of the library

\`tools/make_docs.ts\` makes this page from the comments in the sources. [library.md](library.md) has an introduction and
programs. Times are in seconds, and numbers are integers, unless an entry says otherwise.
`;

/** A comment, and the code from its end on. */
const COMMENT = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*/;

/** The text of a comment on one line, with its paragraphs joined. */
const prose = (comment: string): string =>
  comment.replaceAll(/^\s*\* ?/gm, "").replaceAll(/\s+/g, " ").trim().replaceAll("|", "\\|");

/** The code up to the end of a declaration's head, or of a member: `;` or `{` outside brackets. */
function headOf(code: string, end: RegExp): string {
  let depth = 0;
  for (let i = 0; i < code.length; i++) {
    const char = code[i] as string;
    if (depth === 0 && end.test(char)) return code.slice(0, i).replaceAll(/\s+/g, " ").trim();
    if ("([{<".includes(char)) depth++;
    else if (")]}".includes(char) || (char === ">" && code[i - 1] !== "=")) depth--;
  }
  throw new Error(`no end of ${code.slice(0, 80)}`);
}

/** The body of an interface or class that begins at `code`. */
function bodyOf(code: string): string {
  const begin = code.indexOf("{") + 1;
  const end = code.search(/^}/m);
  return code.slice(begin, end);
}

/** A declaration on one line, without what says nothing to a caller. */
const plain = (head: string): string =>
  head.replaceAll(/\b(?:readonly|override) /g, "").replaceAll("( ", "(").replaceAll(/,? \)/g, ")")
    .replace(/ \| undefined$/, "");

/** The documented public members of a body, as rows of a table. */
function members(body: string): string {
  const comments = body.matchAll(new RegExp(`^ {2}${COMMENT.source}(?=[\\w[])`, "gm"));
  const rows = [...comments].flatMap((match) => {
    const code = body.slice(match.index + match[0].length);
    const isProperty = /^(?:\w+ )*#?\w+\??(?::| =)/.test(code);
    const shown = plain(headOf(code, isProperty ? /[;=]/ : /[;{]/)).replaceAll("|", "\\|");
    return shown.startsWith("#") ? [] : [`| \`${shown}\` | ${prose(match[1] ?? "")} |\n`];
  });
  return rows.length === 0 ? "" : `\n| member | meaning |\n| --- | --- |\n${rows.join("")}`;
}

function entry(name: string, source: string): string {
  const declaration = new RegExp(
    `${COMMENT.source}export (?:async )?(?:abstract )?(interface|class|function|type|const)\\*? ${name}\\b`,
  );
  const match = declaration.exec(source);
  if (!match) throw new Error(`unable to find the comment of ${name}`);
  const [, comment = "", kind = ""] = match;
  const code = source.slice(match.index + match[0].length - name.length);
  const isBody = kind === "interface" || kind === "class";
  const end = isBody || kind === "function" ? /{/ : kind === "type" ? /;/ : /[=;]/;
  const head = plain(headOf(code, end));
  const text = prose(comment).replaceAll("\\|", "|");
  return `\n### ${name}\n\n\`${kind} ${head}\`\n\n${text}\n${isBody ? members(bodyOf(code)) : ""}`;
}

/** What a module exports: the names, and the files that declare them. */
export function exportsOf(source: string): { name: string; file: string }[] {
  return [...source.matchAll(/^export (?:type )?\{([^}]*)\} from "([^"]+)";/gm)].flatMap((
    [, names = "", file = ""],
  ) =>
    names.split(",").map((name) => name.trim().replace(/^type /, "")).filter((name) => name !== "")
      .map((name) => ({ name, file }))
  );
}

/** Titles of the parts, each with the first name in it. */
const PARTS: Readonly<Record<string, string>> = {
  serve: "Server and client",
  FatalError: "Errors",
  CdbReader: "Codecs",
};

/** Returns the page. `root`: the folder of mod.ts. */
export function libraryReference(root: string): string {
  const read = (file: string): string => readFileSync(join(root, file), "utf8");
  return HEAD + exportsOf(read("mod.ts")).map(({ name, file }) => {
    const part = PARTS[name];
    return (part === undefined ? "" : `\n## ${part}\n`) + entry(name, read(file));
  }).join("");
}

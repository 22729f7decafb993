/** The rules of docs/architecture.md that a test can check: no import cycle, what the monitor may
 *  reach, which files may name a runtime, what the codecs may import, that an exported name has one
 *  meaning, and that every import can be resolved without a registry. */

import { assert, assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import { dirname, fromFileUrl, join, relative } from "@std/path";
import * as fs from "node:fs";
import { test } from "node:test";
import { isListed } from "../src/config/variables.ts";
import { part } from "./part.ts";

const ROOT = fromFileUrl(new URL("..", import.meta.url));

function sources(folder: string): string[] {
  return fs.readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(folder, name))
    .sort();
}

const read = (file: string): string => fs.readFileSync(join(ROOT, file), "utf8");

/** A source without its comments and strings. */
function code(text: string): string {
  return text
    .replaceAll(/\/\*[\s\S]*?\*\//g, "")
    .replaceAll(/^\s*\/\/.*$/gm, "")
    .replaceAll(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`/g, '""');
}

function imports(file: string, text = read(file)): string[] {
  const found = text.matchAll(
    /(?:^|\n)\s*(?:import|export)\b[^;"]*?from\s+"([^"]+)"|import\("([^"]+)"\)|(?:^|\n)import "([^"]+)"/g,
  );
  return [...found].map((match) => match[1] ?? match[2] ?? match[3] ?? "");
}

/** Each file with the files of this project that it imports, types included unless `of` removes them from
 *  its text. `import()` is left out: it loads at run time, and only the runtime's folder and the commands
 *  use it. */
function graph(files: readonly string[], of = (text: string) => text): Map<string, string[]> {
  const arrows = files.map((file): [string, string[]] => {
    const text = of(read(file));
    const dynamic = new Set([...text.matchAll(/import\("([^"]+)"\)/g)].map((match) => match[1]));
    const named = imports(file, text).filter((from) => from.startsWith(".") && !dynamic.has(from));
    return [file, named.map((from) => join(dirname(file), from))];
  });
  return new Map(arrows);
}

/** Groups of several nodes that reach each other (Tarjan's algorithm). */
function cycles(arrows: ReadonlyMap<string, readonly string[]>): string[][] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const found: string[][] = [];
  const visit = (node: string): number => {
    const own = index.size;
    index.set(node, own);
    low.set(node, own);
    stack.push(node);
    for (const next of arrows.get(node) ?? []) {
      if (!index.has(next)) low.set(node, Math.min(low.get(node) ?? 0, visit(next)));
      else if (stack.includes(next)) {
        low.set(node, Math.min(low.get(node) ?? 0, index.get(next) ?? 0));
      }
    }
    if (low.get(node) === own) {
      const group = stack.splice(stack.indexOf(node));
      if (group.length > 1) found.push(group.sort());
    }
    return low.get(node) ?? 0;
  };
  for (const node of arrows.keys()) if (!index.has(node)) visit(node);
  return found;
}

/** The room of a file: its folder; for a file in src/ itself, the file. */
const room = (file: string): string => dirname(file) === "src" ? file : dirname(file);

/** The files that `starts` import, directly or not, each with the path of imports to it. */
function reach(
  starts: readonly string[],
  arrows: ReadonlyMap<string, readonly string[]>,
): Map<string, string> {
  const ways = new Map(starts.map((file) => [file, file]));
  for (const [file, way] of ways) {
    for (const next of arrows.get(file) ?? []) {
      if (!ways.has(next)) ways.set(next, `${way} > ${next}`);
    }
  }
  return ways;
}

const ALL = [...sources("src"), "cli.ts", "mod.ts"];

/** The name that a line declares and exports. */
const DECLARED =
  /^export (?:abstract |async |declare )*(?:class|const|enum|function\*?|interface|let|type) (\w+)/gm;

test("no import cycle between files", () => {
  assertEquals(cycles(graph(ALL)), []);
});

test("no import cycle between folders", () => {
  const rooms = new Map<string, string[]>();
  for (const [file, targets] of graph(ALL)) {
    const others = targets.map(room).filter((target) => target !== room(file));
    rooms.set(room(file), [...rooms.get(room(file)) ?? [], ...others]);
  }
  assertEquals(cycles(rooms), []);
});

test("the cycles of a graph are found", () => {
  const arrows = { a: ["b"], b: ["c", "d"], c: ["a"], d: ["e"], e: ["d"], f: ["a"] };
  assertEquals(cycles(new Map(Object.entries(arrows))), [["d", "e"], ["a", "b", "c"]]);
});

test("the monitor reaches no code for TLS, X.509 or DNS", () => {
  const monitor = sources("src/privsep/monitor");
  assert(monitor.includes("src/privsep/monitor/monitor.ts"));
  const ways = reach(monitor, graph(ALL));
  const foreign = /^src\/(?:tls|dns|client)\/|^src\/codec\/(?:x509|dns|der|client_hello|tls)/;
  assertEquals([...ways].flatMap(([file, way]) => foreign.test(file) ? [way] : []), []);
});

test("the workers' processes start before the monitor's checks and most of its code are loaded", () => {
  const first = ["src/commands/sslserver.ts", "src/privsep/monitor/worker_process.ts"];
  const ways = reach(first, graph(ALL, (text) => text.replaceAll(/^import type [^;]*;/gm, "")));
  const late = /^src\/(?:check|supervisor|dns|tls|metrics)\//;
  assertEquals([...ways].flatMap(([file, way]) => late.test(file) ? [way] : []), []);
});

test("serve.ts enters the stages through these files alone", () => {
  const stages = imports("src/serve.ts").filter((from) => from.split("/").length > 2);
  assertEquals(stages.filter((from) => !from.startsWith("./runtime/")), [
    "./accept/proxy.ts",
    "./admit/admit.ts",
    "./program/converse.ts",
    "./program/report.ts",
    "./program/start.ts",
    "./tls/handshake.ts",
  ]);
});

test("serve.ts is short, and its stages know of no observer", () => {
  const text = read("src/serve.ts");
  assert(text.split("\n").length <= 130);
  const handle = code(part(text, /^(async function handle\([\s\S]*)/m, "src/serve.ts"));
  const calls = [...handle.matchAll(/\b(?:services\.)?(?:gate|metrics|log|life|observers)\b/g)];
  assertEquals(calls.map(([call]) => call), []);
});

test("src itself has at most 12 files", () => {
  const files = sources("src").filter((file) => dirname(file) === "src");
  assert(files.length <= 12, files.join(" "));
});

test("only src/runtime names Bun or Deno in code", () => {
  const guilty = ALL.filter((file) => !file.startsWith("src/runtime/")).filter((file) =>
    /\b(?:Bun|Deno)\s*[.[]/.test(code(read(file))) ||
    imports(file).some((from) => from === "bun" || from.startsWith("bun:"))
  );
  assertEquals(guilty, []);
});

test("src/codec imports only src/codec", () => {
  const guilty = sources("src/codec").flatMap((file) =>
    imports(file)
      .filter((from) =>
        !relative("src/codec", join(dirname(file), from)).match(/^[a-z]/) || !from.startsWith(".")
      )
      .map((from) => `${file} imports ${from}`)
  );
  assertEquals(guilty, []);
});

test("src/codec has no clock, environment, timer or other global of the outside", () => {
  const outside =
    /\b(?:process|globalThis|setTimeout|setInterval|fetch|performance|Date\.now|new Date\(\)|Math\.random|console)\b/;
  assertEquals(sources("src/codec").filter((file) => outside.test(code(read(file)))), []);
});

/** What tests and tools import from packages, by test/packages/: parts of Deno's standard library, and
 *  fast-check. */
const PACKAGES = /^(?:@std\/(?:assert|cli|path)|fast-check)$/;

/** What tests and tools take from these packages instead. */
const REPLACED = new Set(["node:assert", "node:assert/strict", "node:path"]);

test("every import is a relative file with its ending, node:, or bun: in the Bun adapter; tests also have packages", () => {
  const guilty = [...ALL, ...sources("test"), ...sources("tools")].flatMap((file) =>
    imports(file).filter((from) => {
      if (REPLACED.has(from)) return /^(?:test|tools)\//.test(file);
      if (from.startsWith("node:")) return false;
      if (from.startsWith("bun:")) return !file.startsWith("src/runtime/");
      if (PACKAGES.test(from)) return !/^(?:test|tools)\//.test(file);
      return !/^\.\.?\/.*\.ts$/.test(from) || !fs.existsSync(join(ROOT, dirname(file), from));
    }).map((from) => `${file} imports ${from}`)
  );
  assertEquals(guilty, []);
});

test("the shipped program imports nothing from test/, tools/ or node_modules/", () => {
  const guilty = ALL.flatMap((file) =>
    imports(file)
      .filter((from) => /^(?:\.\.|test|tools|node_modules)\//.test(join(dirname(file), from)))
      .map((from) => `${file} imports ${from}`)
  );
  assertEquals(guilty, []);
});

test("Deno and Bun find each package in the same file, which loads a pinned package", () => {
  const { imports: names } = JSON.parse(read("deno.json")) as { imports: Record<string, string> };
  const { compilerOptions } = JSON.parse(read("tsconfig.json")) as {
    compilerOptions: { paths: Record<string, string[]> };
  };
  const { devDependencies } = JSON.parse(read("package.json")) as {
    devDependencies: Record<string, string>;
  };
  assertEquals(
    compilerOptions.paths,
    Object.fromEntries(Object.entries(names).map(([name, file]) => [name, [file]])),
  );
  for (const [name, file] of Object.entries(names)) {
    assertMatch(name, PACKAGES);
    assertMatch(file, /^\.\/test\/packages\/\w+\.js$/);
    const from = [...read(file).matchAll(/"([^"\n]*\/[^"\n]*)"/g)].map(([, path = ""]) => path);
    const types = `./${file.replace(/^.*\/|\.js$/g, "")}.d.ts`;
    assertEquals(from.filter((path) => path !== types).length, 1, file);
    const [, found = ""] =
      /^\.\.\/\.\.\/node_modules\/([\w-]+)\/[\w./-]+$/.exec(from.at(-1) ?? "") ?? [];
    assert(devDependencies[found] !== undefined, file);
  }
});

/** Files in which the text of a message is data, so that looking into it is no decision by our messages. */
const BLIND = [
  "src/reason.ts",
  "src/log.ts",
  "src/connection.ts",
  "src/lifecycle.ts",
  "src/serve.ts",
];
const BLIND_FOLDERS = /^src\/(?:accept|admit|log|metrics|program)\//;

/** Regular expressions that match words with a space between them, that is, texts of messages. */
const ofWords = (text: string): string[] =>
  [...text.matchAll(/(?<=[=(,[:]\s*)\/(?![/*])(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/g)]
    .map(([literal]) => literal)
    .filter((literal) => /[a-z]{2,}\)?\??(?:\\b)? [a-z(]{2,}/.test(literal));

test("no text of our own messages is matched where connections are served, logged and counted", () => {
  assertEquals(ofWords("x = [[/^timed out after/, 1], [/a|(was silent|took) longest/i, 2]];"), [
    "/^timed out after/",
    "/a|(was silent|took) longest/i",
  ]);
  const files = ALL.filter((file) => BLIND.includes(file) || BLIND_FOLDERS.test(file));
  assertEquals(BLIND.filter((file) => !files.includes(file)), []);
  assert(files.length > 40);
  const guilty = files.flatMap((file) =>
    ofWords(read(file).replaceAll(/^\s*(?:\/\/|\*|\/\*).*$/gm, "")).map((literal) =>
      `${file} ${literal}`
    )
  );
  assertEquals(guilty, []);
});

test("only the runtimes' adapters match the text of an error", () => {
  const looks = new RegExp(
    [
      String
        .raw`\b(?:message|why|cause|problem|reason\([^()]*\))\??\.(?:includes|startsWith|endsWith|match|search|indexOf)\(`,
      String.raw`\.(?:test|exec)\((?:\w+\.)*(?:message|why|cause|problem)\b`,
      String.raw`\.message (?:===|!==) `,
    ].join("|"),
  );
  for (const line of ['why.startsWith("")', "/x/.test(error.message)", 'if (e.message === "")']) {
    assertMatch(line, looks);
  }
  const guilty = ALL.filter((file) => !/^src\/(?:runtime|codec)\//.test(file)).flatMap((file) =>
    code(read(file)).split("\n").filter((line) => looks.test(line)).map((line) =>
      `${file}: ${line}`
    )
  );
  assertEquals(guilty, []);
});

test("the messages between monitor and workers are one table", () => {
  const others = (pattern: RegExp, file: string): string[] =>
    sources("src").filter((other) => other !== file && pattern.test(code(read(other))));
  assertEquals(others(/\bnew Frame\(/, "src/privsep/message_codec.ts"), []);
  const json = others(/\bJSON\.parse\(/, "src/privsep/fields.ts");
  assertEquals(json.filter((file) => file.startsWith("src/privsep/monitor/")), []);
  const parsed = others(/\bparseOptions\b/, "src/config/parse.ts");
  assertEquals(parsed, ["src/commands/sslserver.ts"]);
});

test("an exported name is declared in one file, and mod.ts renames none", () => {
  // The two adapters implement one interface; fields.ts and shapes.ts have one structure.
  const alike = ["src/runtime/bun src/runtime/deno", "src/privsep/fields.ts src/privsep/shapes.ts"];
  const declared = new Map<string, Set<string>>();
  for (const file of sources("src")) {
    for (const [, name = ""] of read(file).matchAll(DECLARED)) {
      declared.set(name, (declared.get(name) ?? new Set()).add(file));
    }
  }
  assert(declared.size > 500);
  const twice = [...declared].filter(([, { size }]) => size > 1).filter(([, files]) => {
    const where = [...files].map((file) => file.startsWith("src/runtime/") ? dirname(file) : file);
    return !alike.includes(where.join(" "));
  });
  assertEquals(twice.map(([name, files]) => `${name}: ${[...files].join(" ")}`), []);
  assertNotMatch(read("mod.ts"), /^export [^;]*\bas\b/m);
});

test("only cli.ts ends the process", () => {
  const guilty = [...sources("src"), "mod.ts"].filter((file) =>
    /\bprocess\.exit\(|\bDeno\.exit\(/.test(code(read(file)))
  );
  assertEquals(guilty, []);
});

/** Names of environment variables in the code `text` where the tables are not their source: in brackets,
 *  as one of a list or as a key that no type checks; in a regular expression; and names that are looked
 *  up but are in no table. */
function strayVariables(text: string): string[] {
  const plain = text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/^\s*\/\/.*$/gm, "");
  const all = (pattern: RegExp): string[] =>
    [...plain.matchAll(pattern)].map((match) => match[1] ?? "");
  const lists = all(/\[([^[\]]*)\]/g).flatMap((list) =>
    [...list.matchAll(/"([^"\n]*)"/g)].map((match) => match[1] ?? "")
  );
  const alternatives = all(/((?:\w+\|)+\w+)/g).flatMap((words) => words.split("|"));
  const lookedUp = [
    ...all(/\b(?:get|has|lookup|named|value|version)\(\s*(?:lookup,\s*)?"([A-Z][A-Z0-9_]+)"/g),
    ...all(/\benv\??\.([A-Z][A-Z0-9_]+)\b/g),
  ];
  return [
    ...[...lists, ...alternatives].filter(isListed),
    ...lookedUp.filter((name) => !isListed(name)),
  ];
}

test("the tables of config/variables.ts alone list environment variables", () => {
  // Codecs read no environment, and their names of X.509 components and DNS records are not variables.
  const files = ALL.filter((file) => !/^src\/(?:config\/variables|codec\/)/.test(file));
  const stray = files.flatMap((file) =>
    strayVariables(read(file)).map((name) => `${file}: ${name}`)
  );
  assertEquals(stray, []);
});

test("only these files read the environment of the process", () => {
  const files = ALL.filter((file) => /\b(?:process|Deno|Bun)\.env\b/.test(code(read(file))));
  assertEquals(files, [
    "src/client/library.ts",
    "src/library.ts",
    "src/runtime/look_up.ts",
    "cli.ts",
  ]);
});

test("lists of variables and names outside the tables are found", () => {
  const rows: [string, string[]][] = [
    ['const FILES = ["CAFILE", "x"];', ["CAFILE"]],
    ['const SET = new Set([\n  ...OTHERS,\n  "SSL_CHROOT",\n]);', ["SSL_CHROOT"]],
    ['env["TICKETKEYFILE"]', ["TICKETKEYFILE"]],
    ["/^(CERTFILE|KEYFILE):(.*)$/s", ["CERTFILE", "KEYFILE"]],
    ["/^(?:SSLREMOTEIP|X)$/", ["SSLREMOTEIP"]],
    ['lookup("CERTFIL")', ["CERTFIL"]],
    ['rule.get("MAXCON")', ["MAXCON"]],
    ["env.SSL_CHROT", ["SSL_CHROT"]],
    ['lookup("CERTFILE") ?? env.SSL_CHROOT; name: "MAXCONIP" | "MAXCONNET"', []],
    ['// ["CAFILE"]\n/** `env["CAFILE"]` */', []],
  ];
  for (const [text, names] of rows) assertEquals(strayVariables(text), names, text);
});

test("streams and channels have one owner, and no callback is assigned from outside", () => {
  const slot = /\.on[A-Z]\w*\s*=(?!=)/;
  const guilty = [...ALL, ...sources("test")].filter((file) => slot.test(code(read(file))));
  assertEquals(guilty, []);
});

test("every file of src begins with a comment about its job", () => {
  assertEquals(ALL.filter((file) => !/^(?:#!.*\n)?\/\*\* ?\S/.test(read(file))), []);
});

test("no test skips itself while it runs, which Deno counts as passed", () => {
  const skips = /\b(?:t|context)\.(?:skip|todo)\(/;
  const guilty = sources("test").filter((file) => skips.test(code(read(file))));
  assertEquals(guilty, []);
});

test("every path in docs/architecture.md exists", () => {
  const paths = [...read("docs/architecture.md").matchAll(/`((?:src|test|man)\/[\w/.]+)`/g)];
  assert(paths.length > 30);
  assertEquals(
    paths.map(([, path]) => path ?? "").filter((path) => !fs.existsSync(join(ROOT, path))),
    [],
  );
});

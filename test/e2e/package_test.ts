/** The published packages work: the npm package with bunx, Bun and Deno, types included; the JSR package
 *  as far as a dry run shows. All offline. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotMatch,
  assertNotStrictEquals,
  assertStrictEquals,
} from "@std/assert";
import { DELIMITER, join } from "@std/path";
import { once } from "node:events";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { after } from "node:test";
import { denoDir } from "./admission.ts";
import { talk } from "./clients.ts";
import { claim, type Outcome, ROOT, type Trial } from "./harness.ts";

const DENO = join(ROOT, "node_modules/deno/deno");
const BUN = join(ROOT, "node_modules/bun/bin/bun.exe");
const VERSION = JSON.parse(fs.readFileSync(join(ROOT, "package.json"), "utf8")).version as string;

/** Runs once, because the packages do not depend on the form. */
const ONCE = { forms: ["binary"], timeout: 180_000 } as const;
const LONG = 120_000;

/** An environment independent of the user who runs the test, except PATH, which begins with our Bun. */
function environment(t: Trial): Record<string, string> {
  return {
    HOME: t.dir,
    PATH: [join(ROOT, "node_modules/.bin"), process.env["PATH"] ?? "/usr/bin:/bin"].join(DELIMITER),
    DENO_DIR: denoDir(),
    BUN_INSTALL_CACHE_DIR: join(t.dir, "bun-cache"),
    npm_config_cache: join(t.dir, "npm-cache"),
    npm_config_offline: "true",
    npm_config_update_notifier: "false",
    NO_COLOR: "1",
  };
}

/** Runs a shell line in `folder` and asserts that it succeeds. `words` are $1 and so on. */
async function shell(t: Trial, folder: string, line: string, ...words: string[]): Promise<string> {
  const outcome = await tried(t, folder, line, ...words);
  const text = new TextDecoder().decode(outcome.stdout);
  assertStrictEquals(outcome.status, 0, `${line}\n${text}${outcome.stderr}`);
  return text;
}

function tried(t: Trial, folder: string, line: string, ...words: string[]): Promise<Outcome> {
  const args = ["-c", `cd -- "$0" && ${line}`, folder, ...words];
  return t.run("sh", args, { env: environment(t), limit: LONG });
}

const folder = fs.mkdtempSync(join(tmpdir(), "sslserver-package-"));
after(() => fs.rmSync(folder, { recursive: true, force: true }));
let made: Promise<string> | undefined;

/** The path of the npm package. Made once for all claims, because that takes seconds. */
function tarball(t: Trial): Promise<string> {
  return made ??= shell(t, ROOT, 'npm pack --silent --pack-destination "$1"', folder)
    .then(() => join(folder, `sslserver-${VERSION}.tgz`));
}

/** A project that has the package installed. */
async function installed(t: Trial, installer: "npm" | "bun"): Promise<string> {
  const app = join(t.dir, "app");
  fs.mkdirSync(app);
  fs.writeFileSync(join(app, "package.json"), '{ "name": "app", "type": "module" }\n');
  const add = installer === "npm" ? 'npm install --no-audit --no-fund "$1"' : 'bun add "$1"';
  await shell(t, app, add, await tarball(t));
  return app;
}

const SERVE = `import { serve, type ServeOptions, type TlsServer, VERSION } from "sslserver";

const options: ServeOptions = { hostname: "127.0.0.1", port: 0, selfSigned: true, log: () => {} };
const server: TlsServer = await serve(options, async (conn) => {
  const name: string | undefined = conn.environment["SSL_TLS_SNI"];
  if (name !== undefined) throw new Error(name);
  await conn.readable.pipeTo(conn.writable);
});
process.stdout.write(VERSION + " " + server.port + "\\n");
await server.closed;
`;
/** A declaration for the type checkers, so that the project needs neither Bun's nor Deno's types. */
const PROCESS = "declare const process: { stdout: { write(text: string): void } };\n";

for (const installer of ["npm", "bun"] as const) {
  claim(`bunx runs what ${installer} installed, by each of its names`, async (t) => {
    const app = await installed(t, installer);
    assertStrictEquals(await shell(t, app, "bunx sslserver --version"), `sslserver ${VERSION}\n`);
    assertMatch(await shell(t, app, "node_modules/.bin/sslserver --help"), /--self-signed/);
    assertMatch(await shell(t, app, "node_modules/.bin/sslserver --man"), /^SSLSERVER\(1\)/);
    assertMatch(await shell(t, app, "bunx sslserver --example smtps"), /^#!\/bin\/sh\n/);
    const source = '"127.:allow,A=\\"b\\"\\n:deny\\n"';
    await shell(t, app, `printf ${source} | bunx tcprules rules.cdb rules.tmp`);
    assertMatch(
      await shell(t, app, "TCPREMOTEIP=127.0.0.1 bunx tcprulescheck rules.cdb"),
      /^rule 127\.:\n.*A=b\nallow connection\n$/,
    );
    const own = ["node_modules/.bin/sslserver", "--self-signed", "-1", "127.0.0.1", "0", "cat"];
    const { text, end } = await talk(t, Number(await firstLine(t, app, own)), "hello\n");
    assertEquals([text, end], ["hello\n", "close_notify"]);
    fs.writeFileSync(
      join(app, "module.ts"),
      "export default (conn: { readable: ReadableStream; writable: WritableStream }) =>\n" +
        "  conn.readable.pipeTo(conn.writable);\n",
    );
    const handlers: [string, string[], string, RegExp][] = [
      ["sslserver", ["--echo"], "hello\n", /^hello\n$/],
      ["sslserver", ["--files", "."], "GET /module.ts HTTP/1.0\r\n\r\n", /\r\n\r\nexport default/],
      ["sslhandle", ["module.ts"], "hello\n", /^hello\n$/],
    ];
    for (const [name, words, sent, answer] of handlers) {
      const start = [`node_modules/.bin/${name}`, "--self-signed", "-1"];
      const where = ["127.0.0.1", "0"];
      const command = name === "sslhandle" ? [...where, ...words] : [...words, ...where];
      const port = Number(await firstLine(t, app, [...start, ...command]));
      assertMatch((await talk(t, port, sent)).text, answer);
    }
  }, ONCE);
}

claim("a bunfig.toml or .env where bunx runs neither loads code nor sets variables", async (t) => {
  const app = await installed(t, "npm");
  fs.writeFileSync(join(app, "evil.ts"), 'console.log("loaded");\n');
  fs.writeFileSync(join(app, "bunfig.toml"), 'preload = ["./evil.ts"]\n');
  fs.writeFileSync(join(app, ".env"), "MAXCONIP=many\n");
  const text = await shell(
    t,
    app,
    "node_modules/.bin/sslserver --check --self-signed -H -l x 127.0.0.1 0 cat || [ $? = 1 ]",
  );
  assertNotMatch(text, /loaded|MAXCONIP/);
  assertMatch(text, /^ok: program /m);
}, ONCE);

for (const [runtime, command] of [["Bun", [BUN]], ["Deno", [DENO, "run", "-A"]]] as const) {
  claim(`the library of the npm package serves on ${runtime}`, async (t) => {
    const app = await installed(t, "npm");
    fs.writeFileSync(join(app, "app.ts"), `import process from "node:process";\n${SERVE}`);
    const words = await firstLine(t, app, [...command, "app.ts"]);
    const [version, port] = words.split(" ");
    assertStrictEquals(version, VERSION);
    assertStrictEquals((await talk(t, Number(port), "hello\n")).text, "hello\n");
  }, ONCE);
}

claim("its types are known to Bun and to Deno, and a wrong one is refused", async (t) => {
  const app = await installed(t, "npm");
  fs.writeFileSync(join(app, "good.ts"), PROCESS + SERVE);
  fs.writeFileSync(join(app, "bad.ts"), (PROCESS + SERVE).replace("port: 0", 'port: "0"'));
  const flags = "--strict --lib esnext,dom,dom.iterable";
  for (const check of [`bun check --no-pretty ${flags}`, "deno check"]) {
    await shell(t, app, `${check} good.ts`);
    const { status, stdout, stderr } = await tried(t, app, `${check} bad.ts`);
    assertNotStrictEquals(status, 0, check);
    assertMatch(
      new TextDecoder().decode(stdout) + stderr,
      /TS2322.*'string' is not assignable to type 'number'/,
      check,
    );
  }
}, ONCE);

claim("the npm package holds what it needs and nothing else, and Node is told so", async (t) => {
  const app = await installed(t, "npm");
  const ask = "import(process.argv[1]).then((m) => m.serve({}, () => {})).catch(String)" +
    ".then(console.log)";
  assertMatch(
    await shell(t, app, 'node -e "$1" sslserver', ask),
    /^FatalError: unable to run on Node v\S+: sslserver runs on Bun and Deno\n$/,
  );
  const list = await shell(t, t.dir, 'tar -tzf "$1"', await tarball(t));
  const files = list.trim().split("\n").map((name) => name.replace(/^package\//, "")).sort();
  const wanted =
    /^((mod|cli)\.ts|package\.json|README\.md|LICENSE|CHANGELOG\.md|SECURITY\.md|bin\/[\w@-]+\.ts|src\/[\w/]+\.ts|man\/[\w./@-]+|examples\/[\w./-]+|docs\/[\w/-]+\.(md|svg)|dist\/npm\/(mod|src\/[\w/]+)\.(js|d\.ts))$/;
  assertEquals(files.filter((name) => !wanted.test(name)), []);
  for (const name of ["bin/tcprules.ts", "dist/npm/mod.d.ts", "man/text/sslserver.1.txt"]) {
    assert(files.includes(name), name);
  }
}, ONCE);

claim("the library's documentation is complete", async (t) => {
  const { status, stderr } = await tried(t, ROOT, 'exec "$1" doc --lint mod.ts', DENO);
  assertStrictEquals(status, 0, stderr);
}, ONCE);

claim("the JSR package passes a dry run, with no slow types, and holds no test", async (t) => {
  // The dry run includes the check for slow types, and fails on any without --allow-slow-types.
  const { status, stderr, stdout } = await tried(
    t,
    ROOT,
    'exec "$1" publish --dry-run --allow-dirty',
    DENO,
  );
  const text = stderr + new TextDecoder().decode(stdout);
  assertStrictEquals(status, 0, text);
  assertMatch(text, /Checking for slow types/);
  // A module of the user's (--handler) is found when the server runs.
  const places = [
    ...text.matchAll(/^warning\[unanalyzable-dynamic-import\].*\n *--> .*\/(src\/.*):\d+:/gm),
  ];
  assertEquals(places.map(([, file]) => file), ["src/runtime/user_module.ts"]);
  const others = text.replace(/^warning\[unanalyzable-dynamic-import\]/m, "");
  assertNotMatch(others, /\bwarning|slow-type|missing-explicit/i);
  assertMatch(text, new RegExp(`@sslserver/sslserver@${VERSION.replaceAll(".", "\\.")}`));
  assertMatch(text, /\/src\/serve\.ts /);
  assertNotMatch(text, /\/(test|tools|dist|\.ci)\//);
}, ONCE);

/** Starts a command that runs until the trial ends. Returns the first line that it prints. */
async function firstLine(t: Trial, folder: string, command: readonly string[]): Promise<string> {
  const child = t.spawn("sh", ["-c", 'cd "$0" && exec "$@"', folder, ...command], environment(t));
  let text = "";
  let words = "";
  child.stderr?.on("data", (bytes: Uint8Array) => words += new TextDecoder().decode(bytes));
  const ended = once(child, "exit").then(() => {
    throw new Error(`${command.join(" ")} ended: ${words}`);
  });
  ended.catch(() => {}); // the end of the trial kills it
  const line = new Promise<string>((resolve) => {
    child.stdout?.on("data", (bytes: Uint8Array) => {
      text += new TextDecoder().decode(bytes);
      const end = text.indexOf("\n");
      if (end >= 0) resolve(text.slice(0, end));
    });
  });
  return await Promise.race([line, ended]);
}

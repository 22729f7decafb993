/** sslhandle: a module of the user's serves in the server's process; what its mistakes cost; loading it
 *  again. */

import { assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { talk } from "./clients.ts";
import { claim, formCommand, ROOT, type Server, type StartOptions, type Trial } from "./harness.ts";

/** Options that start sslhandle, which never has workers. */
function sslhandle(t: Trial, module: string, ...options: string[]): StartOptions {
  return {
    command: [...formCommand(t.form, ""), "--as", "sslhandle"],
    options: ["-v", ...options],
    program: [module, "> "],
    workers: false,
  };
}

async function said(t: Trial, server: Server, text: string): Promise<string> {
  return (await talk(t, server, text)).text;
}

claim("sslhandle runs the example, with its argument", async (t) => {
  const server = await t.start(sslhandle(t, join(ROOT, "examples/handler.ts")));
  assertStrictEquals(await said(t, server, "one\ntwo\n"), "> 1 ONE\n> 2 TWO\n");
  assertEquals(server.workers(), []);
  assertMatch(server.log(), /^sslhandle: warning: the module shares a process with the TLS keys/m);
});

const MODULE = `import { mark } from "./mark.ts";
export default async function (conn: { readable: ReadableStream; writable: WritableStream }) {
  const writer = conn.writable.getWriter();
  for await (const chunk of conn.readable) {
    const word: string = new TextDecoder().decode(chunk).trim();
    if (word === "throw") throw new Error("as asked");
    if (word === "reject") void Promise.reject(new Error("nobody waits"));
    if (word === "block") for (const end = Date.now() + 1400; Date.now() < end;);
    await writer.write(new TextEncoder().encode(\`first \${mark} \${word}\`));
    return;
  }
}
`;

claim(
  "an error of a module costs one connection and one log line; SIGHUP loads a corrected module",
  async (t) => {
    const module = join(t.dir, "module.ts");
    const put = (text: string, mark: string): void => {
      fs.writeFileSync(join(t.dir, "mark.ts"), `export const mark: string = "${mark}";\n`);
      fs.writeFileSync(module, text);
    };
    put(MODULE, "a");
    const server = await t.start(sslhandle(t, module));
    assertStrictEquals(await said(t, server, "hello"), "first a hello");
    assertStrictEquals(await said(t, server, "throw"), "");
    await server.waitFor(
      /^sslhandle: error: the handler failed: as asked \(connection from 127\.0\.0\.1\)$/,
    );
    assertStrictEquals(await said(t, server, "reject"), "first a reject");
    await server.waitFor(
      /^sslhandle: error: uncaught exception or unhandled rejection in the module.*nobody waits/,
    );
    assertStrictEquals(await said(t, server, "block"), "first a block");
    await server.waitFor(/^sslhandle: error: the event loop was blocked for [0-9.]+ s/);
    assertStrictEquals(server.lines(/was blocked/).length, 1);

    put(MODULE.replace("first", "second"), "b");
    server.child.kill("SIGHUP");
    await server.waitFor(/^sslhandle: info: loaded .*module\.ts again$/);
    // Deno keeps what the module imports.
    assertStrictEquals(await said(t, server, "hello"), `second ${t.onDeno ? "a" : "b"} hello`);
    put(`${MODULE}let x = ;\n`, "c");
    server.child.kill("SIGHUP");
    await server.waitFor(
      /^sslhandle: error: unable to load .*module\.ts:13:[0-9]+: the old one stays in use$/,
    );
    assertMatch(await said(t, server, "hello"), /^second [ab] hello$/);

    put(`console.error("begun");\nawait new Promise(() => {});\n${MODULE}`, "d");
    server.child.kill("SIGHUP");
    await server.waitFor(/begun$/);
    server.child.kill("SIGHUP");
    await server.waitFor(/^sslhandle: info: still loading .*module\.ts: then it is loaded again$/);
    assertMatch(await said(t, server, "hello"), /^second [ab] hello$/);
  },
);

claim("a module that cannot be loaded ends the start with the reason and the place", async (t) => {
  const rows: [string, RegExp][] = [
    ["export default 1;", /module\.ts: its default export is no function$/m],
    ["\nthrow new Error('at the top');\n", /module\.ts: at the top at .*module\.ts:2:[0-9]+$/m],
    ["\n\nexport default (x: number) => { return x +; };\n", /module\.ts:3:[0-9]+$/m],
    ["import './none.ts';\n", /none\.ts/],
  ];
  for (const [text, message] of rows) {
    const module = join(t.dir, "module.ts");
    fs.writeFileSync(module, text);
    const { status, stderr } = await t.fails(sslhandle(t, module));
    assertStrictEquals(status, 111);
    assertMatch(stderr, /^sslhandle: fatal: unable to load /m);
    assertMatch(stderr, message);
  }
  for (
    const [options, message] of [
      [["-n"], /^sslhandle: fatal: -n is for programs, not for --handler$/m],
      [
        ["--workers", "2"],
        /^sslhandle: fatal: a module serves in one process, and not in 2 workers$/m,
      ],
      [["--echo"], /^sslhandle: fatal: --echo serves in place of a module$/m],
    ] as const
  ) {
    const { status, stderr } = await t.fails(sslhandle(t, "x.ts", ...options));
    assertStrictEquals(status, 100);
    assertMatch(stderr, message);
  }
}, { together: true });

claim(
  "signals end a server whose module never loads, or whose function never returns",
  async (t) => {
    const module = join(t.dir, "module.ts");
    const write = (body: string): void => fs.writeFileSync(module, body);
    write('console.error("begun"); await new Promise((resolve) => setTimeout(resolve, 1e9));\n');
    const loading = t.launch(sslhandle(t, module));
    loading.ready.catch(() => {});
    await loading.waitFor(/^begun$/);
    loading.child.kill("SIGTERM");
    assertEquals(await loading.exited, { status: 0, signal: null });
    assertStrictEquals(loading.stdout, "");
    write('export default () => (console.error("called"), new Promise(() => {}));\n');
    const server = await t.start(sslhandle(t, module));
    t.spawn("openssl", ["s_client", "-quiet", "-connect", `127.0.0.1:${server.port}`]);
    await server.waitFor(/^called$/);
    server.child.kill("SIGQUIT");
    assertEquals(await server.exited, { status: 0, signal: null });
  },
  { together: true },
);

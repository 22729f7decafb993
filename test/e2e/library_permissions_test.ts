/** The library under Deno, with exactly the permissions that docs/library.md lists. */

import { assert, assertEquals, assertNotStrictEquals } from "@std/assert";
import { join } from "@std/path";
import { readFileSync, writeFileSync } from "node:fs";
import { selfSigned } from "./certificates.ts";
import { claim, ROOT } from "./harness.ts";

const PROGRAM = "a program (`command`)";

/** Each row: its text in docs/library.md, the options as source text, further permissions. `CERT` and `KEY` stand
 *  for paths. */
const ROWS: readonly [row: string, options: string, permissions: readonly string[]][] = [
  ["always", "cert, key, env: {}", []],
  ["`env` not given", "cert, key", ["--allow-env"]],
  ["`selfSigned`", "selfSigned: true, env: {}", ["--allow-sys=hostname,networkInterfaces"]],
  [
    "files that `env` or `rules` name",
    "env: { CERTFILE: 'CERT', KEYFILE: 'KEY' }",
    ["--allow-read=CERT,KEY"],
  ],
  [
    "`remoteName`, or a `hostname` that is a name",
    "cert, key, env: {}, remoteName: true",
    ["--allow-read=/etc/resolv.conf", "--allow-sys=hostname"],
  ],
  [PROGRAM, "cert, key, env: {}", ["--allow-run=/bin/cat"]],
];

/** A script that serves one client, itself, and asserts that the client gets back what it sends. */
const script = (options: string, server: string, cert: string, key: string): string =>
  `import { connect } from "node:tls";
import { serve } from ${JSON.stringify(`${ROOT}/mod.ts`)};

const cert = ${JSON.stringify(cert)};
const key = ${JSON.stringify(key)};
const server = await serve({ hostname: "127.0.0.1", ${options} }, ${server});
const client = connect({ port: server.port, host: "127.0.0.1", rejectUnauthorized: false });
client.write("hello");
client.on("data", (chunk) => {
  console.log(String(chunk));
  client.destroy();
  void server.shutdown();
});
`;

claim("the library needs the permissions that docs/library.md lists, and no other", async (t) => {
  const { certificate, key } = await selfSigned(t, "server");
  const texts = [certificate, key].map((path) => readFileSync(path, "utf8")) as [string, string];
  const here = (text: string): string =>
    text.replace("CERT'", `${certificate}'`)
      .replace("KEY'", `${key}'`).replace("CERT,KEY", `${certificate},${key}`);
  const page = readFileSync(join(ROOT, "docs/library.md"), "utf8");
  const runs = ROWS.map(async ([row, options, permissions], i) => {
    const line = page.split("\n").find((line) => line.startsWith(`| ${row} | `)) ?? "";
    assertNotStrictEquals(line, "", `docs/library.md has no row "${row}"`);
    for (const flag of permissions) assert(line.includes(flag.split("=")[0] as string), row);
    const server = row === PROGRAM
      ? '{ command: ["/bin/cat"] }'
      : "(conn) => conn.readable.pipeTo(conn.writable)";
    const file = join(t.dir, `script${i}.ts`);
    writeFileSync(file, script(here(options), server, ...texts));
    const flags = ["--no-prompt", "--no-check", "--allow-net", ...permissions.map(here)];
    const { status, stdout, stderr } = await t.run(
      join(ROOT, "node_modules/deno/deno"),
      ["run", ...flags, file],
    );
    assertEquals([status, new TextDecoder().decode(stdout)], [0, "hello\n"], row + stderr);
    if (permissions.length === 0 || row === PROGRAM) return;
    const less = await t.run(join(ROOT, "node_modules/deno/deno"), [
      "run",
      ...flags.slice(0, 3),
      file,
    ]);
    assertNotStrictEquals(less.status, 0, `${row}: it works without ${permissions.join(" ")}`);
  });
  await Promise.all(runs);
}, { forms: ["deno"] });

/** --files and --www, as curl sees them. test/handlers/ has the paths, ranges and conditions. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import * as fs from "node:fs";
import { join } from "@std/path";
import { makeRules, visit } from "./admission.ts";
import { claim, type Server, type Trial } from "./harness.ts";

async function curl(t: Trial, server: Server, path: string, ...args: string[]): Promise<string> {
  const url = `https://127.0.0.1:${server.port}${path}`;
  const { stdout } = await t.run("curl", ["-sk", "--path-as-is", "--max-time", "10", ...args, url]);
  return new TextDecoder().decode(stdout);
}

claim("--files serves a folder to curl, and nothing outside it", async (t) => {
  const www = join(t.dir, "www");
  fs.mkdirSync(join(www, "sub"), { recursive: true });
  fs.writeFileSync(join(t.dir, "secret"), "secret");
  fs.symlinkSync("../secret", join(www, "out"));
  fs.writeFileSync(join(www, "index.html"), "<p>index");
  const big = "0123456789abcdef".repeat(200_000);
  fs.writeFileSync(join(www, "big.txt"), big);
  fs.writeFileSync(join(www, "private"), "private", { mode: 0 });
  const server = await t.start({ options: ["-v", "-H", "--files", www], program: [] });
  assertMatch(await curl(t, server, "/", "-i"), /^HTTP\/1.1 200 OK\r\n[^]*\r\n\r\n<p>index$/);
  assertEquals((await curl(t, server, "/big.txt")) === big, true);
  assertEquals(await curl(t, server, "/big.txt", "-r", "16-19"), "0123");
  assertMatch(
    await curl(t, server, "/big.txt", "-I"),
    /\r\nContent-Length: 3200000\r\n[^]*\r\n\r\n$/,
  );
  const status = (path: string, ...args: string[]): Promise<string> =>
    curl(t, server, path, "-o", join(t.dir, "got"), "-w", "%{http_code}", ...args);
  const statuses = ["/out", "/../secret", "/%2e%2e/secret", "/sub", "/sub/", "/none"].map((path) =>
    status(path)
  );
  assertEquals(await Promise.all(statuses), ["404", "404", "404", "301", "404", "404"]);
  assertEquals(await status("/", "-d", "x=y"), "405");
  assertEquals(await status("/", "-H", `X: ${"x".repeat(9000)}`), "431");
  assertEquals(await status(`/${"x".repeat(65_000)}`), "414");
  // A file can be added while the server runs.
  fs.writeFileSync(join(www, "later.txt"), "later");
  assertEquals(await curl(t, server, "/later.txt"), "later");
});

claim(
  "a rule that offers HTTP/2 by ALPN refuses its clients, with --files and --www",
  async (t) => {
    const rules = await makeRules(
      t,
      '127.0.0.2:allow,ALPN="http/1.1, h2"\n:allow,ALPN="http/1.1"\n',
    );
    const server = await t.start({ options: ["-Hl0", "-x", rules, "--www"], program: [] });
    assertMatch(await curl(t, server, "/", "-i", "--http1.1"), /^HTTP\/1.1 200 OK\r\n/);
    assertEquals((await visit(server, "127.0.0.2")).certificate, undefined);
    await server.waitFor(
      /unable to use ALPN http\/1\.1, h2: --www and --files do not speak HTTP\/2/,
    );
  },
  { together: true },
);

claim("--www describes the connection to curl", async (t) => {
  const server = await t.start({ options: ["-H", "-l", "localhost", "--www"], program: [] });
  const page = await curl(t, server, "/any<path>", "-i");
  assertMatch(page, /^HTTP\/1.1 200 OK\r\n[^]*\r\nContent-Security-Policy: default-src 'none'/);
  assertMatch(page, /<h1>TLSv1\.3 <span>TLS_[A-Z0-9_]+<\/span><\/h1>/);
  assertMatch(page, /<li class="chosen"><b>TLS 1\.3 /);
  assertMatch(page, /\/any&lt;path&gt;/);
  assert(page.includes("The server&#39;s certificate"));
  assertMatch(page, /CN=localhost/);
});

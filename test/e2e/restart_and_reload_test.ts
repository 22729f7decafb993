/** Certificates are renewed without a restart: within 2 seconds, or at once on SIGHUP. A broken one is
 *  reported, and the old one stays in use. */

import { assert, assertMatch, assertStrictEquals } from "@std/assert";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { environmentOf, type Pair, selfSigned } from "./certificates.ts";
import { talk } from "./clients.ts";
import { claim, type Server, settled, type Trial } from "./harness.ts";

/** The subject of the certificate in use. */
async function subject(t: Trial, server: Server): Promise<string> {
  const where = ["-connect", `127.0.0.1:${server.port}`, "-noservername"];
  const outcome = await t.run("openssl", ["s_client", ...where]);
  return /^subject=CN = (.*)$/m.exec(new TextDecoder().decode(outcome.stdout))?.[1] ?? "";
}

/** Replaces the files of a pair with rename, as renewal tools do. */
function replace(at: Pair, by: Pair): void {
  for (const part of ["certificate", "key"] as const) {
    fs.copyFileSync(by[part], `${at[part]}.new`);
    fs.renameSync(`${at[part]}.new`, at[part]);
  }
}

claim("a renewed certificate is served within 2 seconds and reported once", async (t) => {
  const live = await selfSigned(t, "first");
  const renewed = await selfSigned(t, "second");
  const server = await t.start({ env: environmentOf(live) });
  assertStrictEquals(await subject(t, server), "first");
  replace(live, renewed);
  const start = performance.now();
  const seen = await settled(() => subject(t, server), (name) => name === "second");
  assertStrictEquals(seen, "second");
  assert(performance.now() - start < 4000, `${performance.now() - start} ms`);
  assertStrictEquals(server.lines(/^sslserver: info: certificate renewed: /).length, 1);
});

claim("SIGHUP reads certificates again", async (t) => {
  const live = await selfSigned(t, "first");
  const renewed = await selfSigned(t, "second");
  const server = await t.start({ env: environmentOf(live) });
  replace(live, renewed);
  server.signal("SIGHUP");
  const seen = await settled(() => subject(t, server), (name) => name === "second");
  assertStrictEquals(seen, "second");
});

claim("a broken renewal is reported once and the old certificate stays", async (t) => {
  const live = await selfSigned(t, "first");
  const server = await t.start({ env: environmentOf(live) });
  fs.writeFileSync(live.certificate, "nonsense\n");
  server.signal("SIGHUP");
  const [line = ""] = await server.waitFor(/^sslserver: error: /);
  assertMatch(
    line,
    /unable to use certificate \S+first\.pem: .*; the old certificate stays in use$/,
  );
  assertStrictEquals(await subject(t, server), "first");
  await settled(() => subject(t, server), () => false, 2500);
  assertStrictEquals(server.lines(/stays in use/).length, 1);
  fs.rmSync(live.certificate);
  server.signal("SIGHUP");
  await server.waitFor(/unable to read certificate .*; the old certificate stays in use$/);
  assertStrictEquals(await subject(t, server), "first");
});

for (const options of [[], ["--workers", "0"]]) {
  const title = `${
    options.join(" ")
  } whatever takes a certificate's place is reported once, and blocks nothing`;
  claim(title.trim(), async (t) => {
    const live = await selfSigned(t, "first");
    const good = fs.readFileSync(live.certificate);
    const server = await t.start({ options, env: environmentOf(live) });
    const steps: [says: string, make: (path: string) => void][] = [
      ["a pipe, not a regular file", (path) => execFileSync("mkfifo", [path])],
      ["a directory, not a regular file", (path) => fs.mkdirSync(path)],
      ["a device, not a regular file", (path) => fs.symlinkSync("/dev/zero", path)],
      ["larger than ", (path) => {
        fs.writeFileSync(path, "");
        fs.truncateSync(path, 64 << 20);
      }],
    ];
    for (const [says, make] of steps) {
      fs.rmSync(live.certificate, { recursive: true });
      make(live.certificate);
      const line = new RegExp(
        `^sslserver: error: unable to read certificate .*${says}.*; the old certificate stays in use$`,
      );
      // The server checks the files when a client connects, and every second.
      const seen = async () => {
        assertStrictEquals(await subject(t, server), "first");
        return server.lines(line).length;
      };
      assertStrictEquals(await settled(seen, (n) => n > 0), 1, server.log());
    }
    fs.rmSync(live.certificate);
    fs.writeFileSync(live.certificate, good);
    assertStrictEquals(await subject(t, server), "first");
    assertStrictEquals(server.lines(/^sslserver: error: /).length, steps.length, server.log());
    server.signal("SIGTERM");
    assertStrictEquals((await server.exited).status, 0);
  }, { together: true });
}

claim("a start with a pipe or a device as certificate ends with a reason", async (t) => {
  const live = await selfSigned(t, "first");
  const pipe = `${t.dir}/pipe`;
  execFileSync("mkfifo", [pipe]);
  const rows = [
    ["CERTFILE", "/dev/zero", "a device"],
    ["CERTFILE", t.dir, "a directory"],
    ...["CERTFILE", "KEYFILE", "CAFILE", "CRLFILE"].map((name) => [name, pipe, "a pipe"] as const),
  ] as const;
  for (const [name, path, kind] of rows) {
    const env = { ...environmentOf(live), CAFILE: live.certificate, CCAVERIFY: "", [name]: path };
    const { status, stderr } = await t.fails({ env });
    assertStrictEquals(status, 111);
    assertMatch(stderr, new RegExp(`unable to read .*${path}: ${kind}, not a regular file`));
  }
});

claim("a renewed key without its certificate does not break the server", async (t) => {
  const live = await selfSigned(t, "first");
  const renewed = await selfSigned(t, "second");
  const server = await t.start({ env: environmentOf(live) });
  fs.copyFileSync(renewed.key, live.key);
  server.signal("SIGHUP");
  await server.waitFor(/stays in use$/);
  assertStrictEquals(await subject(t, server), "first");
  fs.copyFileSync(renewed.certificate, live.certificate);
  server.signal("SIGHUP");
  assertStrictEquals(
    await settled(() => subject(t, server), (name) => name === "second"),
    "second",
  );
});

claim("connections that are open stay when the certificate changes", async (t) => {
  const live = await selfSigned(t, "first");
  const renewed = await selfSigned(t, "second");
  const server = await t.start({ env: environmentOf(live) });
  const held = talk(t, server, "held\n", ["-w", "1500"]);
  await settled(() => server.children(), (pids) => pids.length === 1);
  replace(live, renewed);
  server.signal("SIGHUP");
  assertStrictEquals(
    await settled(() => subject(t, server), (name) => name === "second"),
    "second",
  );
  assertStrictEquals((await held).text, "held\n");
});

claim("a changed symbolic link to a certificate is noticed", async (t) => {
  const [first, second] = [await selfSigned(t, "first"), await selfSigned(t, "second")];
  const link = { certificate: `${t.dir}/live.pem`, key: `${t.dir}/live.key` };
  fs.symlinkSync(first.certificate, link.certificate);
  fs.symlinkSync(first.key, link.key);
  const server = await t.start({ env: environmentOf(link) });
  for (const part of ["certificate", "key"] as const) {
    fs.symlinkSync(second[part], `${link[part]}.new`);
    fs.renameSync(`${link[part]}.new`, link[part]);
  }
  assertStrictEquals(
    await settled(() => subject(t, server), (name) => name === "second"),
    "second",
  );
});

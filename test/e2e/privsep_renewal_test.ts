/** A certificate and a key of root are renewed while the worker is jailed, without a signal: the monitor
 *  sends the new files to the worker. No session fails, however a renewal tool writes the files. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { once } from "node:events";
import * as fs from "node:fs";
import process from "node:process";
import { connect } from "node:tls";
import { environmentOf, type Pair, selfSigned } from "./certificates.ts";
import type { Server, Trial } from "./harness.ts";
import { asRoot, jailed, Load, locked, serves, subject, workerOf } from "./privsep.ts";

/** The time in which a new certificate must be served, in milliseconds. */
const SOON = 4000;

const PARTS = ["certificate", "key"] as const;

/** Replaces the files of `live` by those of `by`, with rename. */
function renamed(live: Pair, by: Pair): void {
  for (const part of PARTS) {
    fs.copyFileSync(by[part], `${live[part]}.new`);
    if (part === "key") fs.chmodSync(`${live[part]}.new`, 0o400);
    fs.renameSync(`${live[part]}.new`, live[part]);
  }
}

/** Starts a jailed server with a key that only root can read, and a load of clients. */
async function scene(t: Trial, live: Pair, workers = 1): Promise<{ server: Server; load: Load }> {
  const server = await t.start({
    options: ["-HRl0", "-u", "64003", "-g", "64004", "--workers", String(workers)],
    env: { ...environmentOf(live), ...jailed(t) },
  });
  return { server, load: await Load.start(t, server.port, { rate: 50, atOnce: 16 }) };
}

async function nobodyFailed(load: Load): Promise<void> {
  const { ok, refused, denied, cut } = await load.end();
  assertEquals({ refused, denied, cut }, { refused: 0, denied: 0, cut: 0 }, load.trouble);
  assert(ok > 10, `${ok} sessions`);
}

asRoot("root's key is renewed by renaming: served in 2 s, no session fails", async (t) => {
  const live = locked(await selfSigned(t, "first"));
  const next = await selfSigned(t, "second");
  const { server, load } = await scene(t, live);
  await serves(t, server, "first");
  const held = await session(server);
  renamed(live, next);
  assert(await serves(t, server, "second") < SOON);
  await nobodyFailed(load);
  assertStrictEquals(server.lines(/^sslserver: info: certificate renewed: /).length, 1);
  assertEquals(server.lines(/^sslserver: error: /), []);
  await held();
});

/** Opens a session that stays open. The returned function asserts that it still works, and ends it. */
async function session(server: Server): Promise<() => Promise<void>> {
  const socket = connect({ port: server.port, host: "127.0.0.1", rejectUnauthorized: false });
  await once(socket, "secureConnect");
  return async () => {
    socket.write("still here\n");
    assertStrictEquals(String((await once(socket, "data"))[0]), "still here\n");
    socket.end();
    await once(socket, "close");
  };
}

asRoot("live/ → archive/, as certbot has it: the links are moved", async (t) => {
  const pairs = [locked(await selfSigned(t, "first")), locked(await selfSigned(t, "second"))];
  for (const name of ["archive", "live"]) fs.mkdirSync(`${t.dir}/${name}`, { mode: 0o700 });
  const links = { certificate: `${t.dir}/live/fullchain.pem`, key: `${t.dir}/live/privkey.pem` };
  for (const [i, pair] of pairs.entries()) {
    fs.renameSync(pair.certificate, `${t.dir}/archive/fullchain${i}.pem`);
    fs.renameSync(pair.key, `${t.dir}/archive/privkey${i}.pem`);
  }
  const link = (i: number): void => {
    for (const part of PARTS) {
      const name = part === "key" ? "privkey" : "fullchain";
      fs.rmSync(links[part], { force: true }); // certbot leaves a moment without a link
      fs.symlinkSync(`../archive/${name}${i}.pem`, links[part]);
    }
  };
  link(0);
  const { server, load } = await scene(t, links);
  await serves(t, server, "first");
  link(1);
  assert(await serves(t, server, "second") < SOON);
  await nobodyFailed(load);
});

asRoot("files written in place, in two halves with a pause", async (t) => {
  const live = locked(await selfSigned(t, "first"));
  const next = await selfSigned(t, "second");
  const { server, load } = await scene(t, live);
  await serves(t, server, "first");
  const halves = PARTS.map((part) => {
    const bytes = fs.readFileSync(next[part]);
    const fd = fs.openSync(live[part], "w");
    fs.writeSync(fd, bytes, 0, 200);
    return { fd, rest: bytes.subarray(200) };
  });
  await load.served(20); // meanwhile the old pair is served, never a half
  for (const { fd, rest } of halves) {
    fs.writeSync(fd, rest);
    fs.closeSync(fd);
  }
  assert(await serves(t, server, "second") < SOON);
  await nobodyFailed(load);
  assert(server.lines(/^sslserver: error: .* stays in use$/).length <= 1, server.log());
});

for (const workers of [1, 2]) {
  asRoot(
    `workers ${workers}: a broken renewal is logged once, then a good one is served`,
    async (t) => {
      const live = locked(await selfSigned(t, "first"));
      const next = await selfSigned(t, "second");
      const { server, load } = await scene(t, live, workers);
      await serves(t, server, "first");
      fs.writeFileSync(`${live.certificate}.new`, "nonsense\n");
      fs.renameSync(`${live.certificate}.new`, live.certificate);
      const [line = ""] = await server.waitFor(/^sslserver: error: /);
      assertMatch(
        line,
        /^sslserver: error: unable to use certificate \S+first\.pem: .*; the old certificate stays in use$/,
      );
      await load.served(100); // about two seconds, in which each worker checks the files more than once
      assertStrictEquals(server.lines(/^sslserver: error: /).length, 1, server.log());
      assertStrictEquals(await subject(t, server), "first");
      renamed(live, next);
      const took = await serves(t, server, "second");
      assert(took < SOON, `${took} ms`);
      // All workers serve it, not only the one asked above.
      const names = await Promise.all(Array.from({ length: 10 }, () => subject(t, server)));
      assertEquals(new Set(names), new Set(["second"]));
      await nobodyFailed(load);
      assertStrictEquals(server.lines(/^sslserver: error: /).length, 1, server.log());
      assertStrictEquals(server.lines(/^sslserver: info: certificate renewed: /).length, 1);
    },
  );
}

asRoot(
  "a worker that dies while the certificate is broken is replaced, with the last good one",
  async (t) => {
    const live = locked(await selfSigned(t, "first"));
    const [second, third] = [await selfSigned(t, "second"), await selfSigned(t, "third")];
    const server = await t.start({
      options: ["-HRl0", "-u", "64003", "-g", "64004"],
      env: { ...environmentOf(live), ...jailed(t) },
    });
    renamed(live, second);
    await serves(t, server, "second");
    fs.writeFileSync(live.certificate, "nonsense\n");
    await server.waitFor(/^sslserver: error: .* stays in use$/);
    for (let deaths = 1; deaths <= 2; deaths++) {
      const worker = await workerOf(server);
      process.kill(worker, "SIGKILL");
      await server.waitFor(/^sslserver: error: worker /, deaths);
      await serves(t, server, "second");
    }
    assertStrictEquals(server.lines(/unable to start a worker/).length, 0, server.log());
    renamed(live, third);
    assert(await serves(t, server, "third") < SOON);
  },
);

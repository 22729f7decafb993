/** An upgrade under a running server: its executable is replaced or removed. */

import { assertEquals, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import process from "node:process";
import { talk } from "./clients.ts";
import { executable, formCommand, settled } from "./harness.ts";
import { asRoot, gone, PROGRAM, split, words, workerOf } from "./privsep.ts";

split("a worker is replaced by the same program when its file is gone, or another", async (t) => {
  const file = join(t.dir, "server");
  fs.copyFileSync(executable(t.form), file);
  const server = await t.start({
    command: formCommand(t.form, "cat", file),
    options: ["-HRl0", "--workers", "1"],
  });
  const takeTurn = async (): Promise<void> => {
    const worker = await workerOf(server);
    process.kill(worker, "SIGKILL");
    await gone(worker);
    const next = await workerOf(server);
    assertStrictEquals((await talk(t, server, "hello\n")).text, "hello\n");
    assertStrictEquals(
      fs.readlinkSync(`/proc/${next}/exe`),
      fs.readlinkSync(`/proc/${server.pid}/exe`),
    );
    assertEquals(words(next, "cmdline").slice(-2), ["--as", "sslserver-worker"]);
    await settled(
      () => fs.readFileSync(`/proc/${next}/comm`, "utf8"),
      (it) => it === "sslserver\n",
    );
    assertStrictEquals(fs.readFileSync(`/proc/${next}/comm`, "utf8"), "sslserver\n");
  };
  await takeTurn();
  fs.rmSync(file);
  await takeTurn();
  fs.writeFileSync(file, "#!/bin/sh\nexit 99\n", { mode: 0o755 });
  await takeTurn();
});

asRoot("a user who may not enter the executable's folder can run the server", async (t) => {
  const folder = join(t.dir, "closed");
  fs.mkdirSync(folder, { mode: 0o700 });
  const file = join(folder, "server");
  fs.copyFileSync(executable(t.form), file);
  // setpriv runs the descriptor that the shell has opened as root.
  const { uid, gid } = PROGRAM;
  const server = await t.start({
    prelude: `exec 9<${file}`,
    command: [
      ..."/usr/bin/setpriv --clear-groups --reuid".split(" "),
      ...[String(uid), "--regid", String(gid)],
      ...formCommand(t.form, "cat", "/proc/self/fd/9"),
    ],
    options: ["-HRl0", "--workers", "1"],
  });
  assertStrictEquals((await talk(t, server, "hello\n")).text, "hello\n");
}, { forms: ["binary"] });

/** The ident client against Debian's `oidentd`, asked about a connection of this process. */

import { assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { after, before, test } from "node:test";
import { askIdent } from "../../src/admit/ident.ts";

const OIDENTD = "/usr/sbin/oidentd";

let dir = "";
let port = 0;
let oidentd: ChildProcess;
let server: Server;
let client: Socket;
let accepted: Socket;

/** The name of this process's user in the user database. `userInfo().username` may come from $USER. */
function ownName(): string {
  const uid = String(userInfo().uid);
  const lines = readFileSync("/etc/passwd", "utf8").split("\n").map((line) => line.split(":"));
  return lines.find((fields) => fields[2] === uid)?.[0] ?? uid;
}

/** Waits until a process accepts connections on `port`. */
async function accepting(port: number): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const probe = connect(port, "127.0.0.1");
    const open = await new Promise<boolean>((resolve) => {
      probe.on("connect", () => resolve(true));
      probe.on("error", () => resolve(false));
    });
    probe.destroy();
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error("oidentd did not start");
}

before(async () => {
  if (!existsSync(OIDENTD)) throw new Error(`${OIDENTD} is missing: install Debian's oidentd`);
  server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  client = connect((server.address() as { port: number }).port, "127.0.0.1");
  [accepted] = await once(server, "connection") as [Socket];
  const free = createServer().listen(0, "127.0.0.1");
  await once(free, "listening");
  port = (free.address() as { port: number }).port;
  free.close();
  await once(free, "close");
  dir = mkdtempSync(join(tmpdir(), "oidentd-"));
  const config = join(dir, "oidentd.conf");
  writeFileSync(config, "");
  const { uid, gid } = userInfo();
  oidentd = spawn(
    OIDENTD,
    ["-i", "-a", "127.0.0.1", "-p", `${port}`, "-C", config, "-u", `${uid}`, "-g", `${gid}`, "-S"],
    { stdio: "ignore" },
  );
  await accepting(port);
});

after(async () => {
  for (const socket of [client, accepted]) socket?.destroy();
  server?.close();
  if (oidentd?.exitCode === null) {
    const exit = once(oidentd, "exit");
    oidentd.kill("SIGTERM");
    await exit;
  }
  if (dir !== "") rmSync(dir, { recursive: true });
});

test("oidentd names the user who holds the other end of a connection", async () => {
  const info = await askIdent({
    remoteIp: "127.0.0.1",
    remotePort: accepted.remotePort ?? 0,
    localIp: "127.0.0.1",
    localPort: accepted.localPort ?? 0,
    timeout: 10,
    port,
  });
  assertStrictEquals(info, ownName());
});

test("oidentd's error for a connection that is not there gives no name", async () => {
  const question = { remoteIp: "127.0.0.1", localIp: "127.0.0.1", timeout: 10, port };
  assertStrictEquals(await askIdent({ ...question, remotePort: 1, localPort: 1 }), undefined);
});

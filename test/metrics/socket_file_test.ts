import { assert, assertStrictEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import * as net from "node:net";
import { tmpdir } from "node:os";
import { after, test } from "node:test";
import { SocketFile } from "../../src/metrics/socket_file.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "socket-file-"));
const servers: net.Server[] = [];
after(() => {
  for (const server of servers) server.close();
  fs.rmSync(dir, { recursive: true, force: true });
});

async function bind(name: string): Promise<string> {
  const path = join(dir, name);
  const server = net.createServer().listen({ path });
  servers.push(server);
  await new Promise((resolve) => server.once("listening", resolve));
  return path;
}

test("only a socket counts as a socket file", async () => {
  const file = join(dir, "file");
  fs.writeFileSync(file, "dear");
  fs.symlinkSync(await bind("target"), join(dir, "link"));
  for (const path of [file, join(dir, "link"), join(dir, "none"), join(dir, "no/folder")]) {
    assertStrictEquals(SocketFile.at(path), undefined, path);
  }
  assertThrows(() => SocketFile.at(join(file, "below")));
});

test("the socket file is removed once, unless another file has replaced it", async () => {
  const path = await bind("own");
  const file = SocketFile.at(path);
  assert(file && !file.replaced);
  file.remove();
  assert(!fs.existsSync(path) && !file.replaced);
  file.remove();
});

test("a file or socket that has replaced it stays", async () => {
  const path = await bind("place");
  const file = SocketFile.at(path);
  fs.renameSync(path, `${path}.old`);
  await bind("place");
  for (const put of [(): void => {}, () => fs.renameSync(`${path}.old`, `${path}.older`)]) {
    put();
    assert(file?.replaced);
    file.remove();
    assert(fs.existsSync(path));
  }
  fs.unlinkSync(path);
  fs.writeFileSync(path, "dear");
  assert(file?.replaced);
  file.remove();
  assertStrictEquals(fs.readFileSync(path, "utf8"), "dear");
});

test("a socket file in a removed or replaced folder counts as missing", async () => {
  fs.mkdirSync(join(dir, "folder"));
  const path = await bind("folder/socket");
  const file = SocketFile.at(path);
  fs.renameSync(join(dir, "folder"), join(dir, "away"));
  fs.writeFileSync(join(dir, "folder"), "");
  assertStrictEquals(file?.replaced, false);
  file?.remove();
  assert(fs.existsSync(join(dir, "away/socket")));
});

/** A worker that replaces another starts with the last files that were good. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { HandedFiles } from "../../../src/privsep/handed_files.ts";
import { FROM_WORKER } from "../../../src/privsep/message_codec.ts";
import type { MessageKind } from "../../../src/privsep/messages.ts";
import { KeptFiles } from "../../../src/privsep/monitor/kept_files.ts";
import type { Libc } from "../../../src/runtime/libc/libc.ts";
import { thisRuntime } from "../../runtime/kits.ts";
import { type Puppet, serving } from "../puppet.ts";

const { libc } = await thisRuntime() as { libc: Libc };
const good = (count: number): Uint8Array => FROM_WORKER.encode({ kind: "GOOD", count });
const isFiles = ({ kind }: { kind: MessageKind<"monitor"> }): boolean =>
  kind === "FILES" || kind === "KEPT";

/** Reads messages up to a frame of this kind. Returns the number of messages with files, and the kept files
 *  as "name kind content". */
async function upTo(
  puppet: Puppet,
  kind: MessageKind<"monitor">,
): Promise<{ count: number; kept: string[] }> {
  let count = 0;
  const kept: string[] = [];
  for (;;) {
    await puppet.hears();
    for (let next = puppet.came.shift(); next; next = puppet.came.shift()) {
      if (next.kind === "KEPT") {
        const { bytes, file: { path, is } } = next;
        kept.push(`${path.split("/").at(-1)} ${is} ${new TextDecoder().decode(bytes)}`);
      }
      if (isFiles(next)) count++;
      if (next.kind === kind) return { count, kept };
    }
  }
}

/** Brings a worker to the state "serving". Returns the files that it got before READY and after. */
async function serve(puppet: Puppet) {
  const before = await upTo(puppet, "INIT");
  puppet.dropDescriptors();
  puppet.send({ kind: "READY" });
  const after = await upTo(puppet, "LISTEN");
  puppet.dropDescriptors();
  puppet.send({ kind: "SERVING" });
  await puppet.hear("SLOTS");
  return { before, after };
}

test("a file that is broken when a worker dies is handed to its successor in the last good version, then as it is", async () => {
  const folder = fs.mkdtempSync(join(tmpdir(), "kept-"));
  const [cert, key, ca] = ["cert", "key", "ca"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const put = (path: string, text: string): void => {
    fs.writeFileSync(`${path}.new`, text);
    fs.renameSync(`${path}.new`, path);
  };
  fs.mkdirSync(ca);
  for (const [path, text] of [[cert, "C1"], [key, "K1"], [join(ca, "a.pem"), "A1"]] as const) {
    put(path, text);
  }
  const made = await serving({ env: { CERTFILE: cert, KEYFILE: key, CADIR: ca } });
  let [puppet] = made.puppets as [Puppet];
  puppet.kill();
  puppet = await made.next();
  let { before, after } = await serve(puppet);
  assertEquals([before.kept, after.count], [[], 0], "nobody has said that anything is good");

  // A good renewal, then a bad one.
  put(cert, "C2");
  const renewed = before.count + (await upTo(puppet, "FILES")).count;
  puppet.say(good(renewed - 1)); // ignored: not the number of the last file
  puppet.say(good(renewed));
  put(cert, "broken");
  await upTo(puppet, "FILES");
  fs.rmSync(join(ca, "a.pem"));
  await upTo(puppet, "FILES");
  puppet.dropDescriptors();
  puppet.kill();
  puppet = await made.next();
  ({ before, after } = await serve(puppet));
  assertEquals(before.kept.sort(), ["a.pem file A1", "ca folder ", "cert file C2"]);
  assert(after.count > 0, "what is there now comes before the socket");

  // If a worker cannot start with the kept files, its successor gets the current ones.
  puppet.kill();
  puppet = await made.next();
  assertStrictEquals((await upTo(puppet, "INIT")).kept.length, 3);
  puppet.kill();
  puppet = await made.next();
  assertEquals((await upTo(puppet, "INIT")).kept, []);
  await made.close();
  fs.rmSync(folder, { recursive: true });
});

test("files that are too large are not kept, and neither is what cannot be opened", () => {
  const folder = fs.mkdtempSync(join(tmpdir(), "kept-"));
  const path = join(folder, "f");
  const kept = new KeptFiles(libc);
  const note = (size: number, stamp: string): void => {
    fs.writeFileSync(path, new Uint8Array(size));
    const fd = libc.open(path);
    kept.note({ file: { path, is: "file", stamp, size }, fd });
    libc.close(fd);
    kept.confirm();
  };
  const differing = (): string[] =>
    kept.differing(new Map([[path, "now"]])).map(({ file, bytes }) =>
      `${file.stamp} ${bytes?.length}`
    );
  note(4 << 20, "whole");
  assertEquals(differing(), [`whole ${4 << 20}`]);
  kept.note({
    file: { path, is: "error", stamp: "x", error: { code: "EACCES", message: "" } },
    fd: undefined,
  });
  kept.confirm();
  assertEquals(differing(), [`whole ${4 << 20}`]);
  note((4 << 20) + 1, "too large");
  assertEquals(differing(), []);
  fs.rmSync(folder, { recursive: true });
});

test("a worker reads a kept file like any other, until the file is handed over again", () => {
  const files = new HandedFiles(libc);
  const path = "/nowhere/f";
  files.keep({ path, is: "file", stamp: "old" }, Uint8Array.of(1, 2));
  assertEquals(files.read(path, 9), Uint8Array.of(1, 2));
  assertStrictEquals(files.stamp(path), "old");
  files.take({ path, is: "absent", stamp: "absent" }, undefined);
  assertStrictEquals(files.stamp(path), undefined);
  files.keep({ path: "/nowhere", is: "folder", stamp: "s", names: ["f"] }, undefined);
  assertEquals(files.list("/nowhere"), ["f"]);
});

test("files of 32 MB together are kept, and not one byte more", () => {
  const kept = new KeptFiles({ readAt: (_fd, n, offset) => zeros(n, offset) });
  let size = 4 << 20;
  const zeros = (n: number, offset: number) =>
    new Uint8Array(Math.max(0, Math.min(n, size - offset)));
  const note = (name: string): void =>
    kept.note({ file: { path: name, is: "file", stamp: name }, fd: 1 });
  for (let i = 0; i < 8; i++) note(`file ${i}`);
  size = 1;
  note("one byte");
  kept.confirm();
  const names = kept.differing(new Map()).map(({ file: { path } }) => path);
  assertEquals(names, Array.from({ length: 8 }, (_, i) => `file ${i}`));
});

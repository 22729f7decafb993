/** The image of Containerfile, without a daemon: the test runs the commands of the file that fill the
 *  image, and starts the entry point with that folder as its root. */

import { assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { stdout, talk } from "./clients.ts";
import { part } from "../part.ts";
import { claim, executable, needsRoot, ROOT } from "./harness.ts";

const FILE = fs.readFileSync(join(ROOT, "Containerfile"), "utf8");

/** Returns the arguments of the only line of Containerfile with this instruction after FROM scratch. */
function instruction(name: string): string {
  const last = part(FILE, /^FROM scratch\n([\s\S]*)/m, "Containerfile");
  const lines = last.split("\n").filter((line) => line.startsWith(`${name} `));
  assertStrictEquals(lines.length, 1, name);
  return lines[0]?.slice(name.length + 1) ?? "";
}

claim("the image from scratch has what the executable needs, and serves read-only", async (t) => {
  const image = join(t.dir, "image");
  const copied = part(FILE, /^RUN (.*)$/m, "Containerfile")
    .replaceAll("/usr/local/bin/sslserver", join(t.dir, "usr/local/bin/sslserver"))
    .replaceAll("/image", image);
  fs.mkdirSync(join(t.dir, "usr/local/bin"), { recursive: true });
  fs.copyFileSync(executable("binary"), join(t.dir, "usr/local/bin/sslserver"));
  const filled = await t.run("sh", ["-c", copied]);
  assertStrictEquals(filled.status, 0, filled.stderr);
  // The file lies where it was copied from: below the trial's folder.
  fs.mkdirSync(join(image, "usr/local/bin"), { recursive: true });
  fs.renameSync(
    join(image, t.dir, "usr/local/bin/sslserver"),
    join(image, "usr/local/bin/sslserver"),
  );

  // A container runtime mounts these.
  for (const name of ["proc", "dev"]) fs.mkdirSync(join(image, name));
  const mounts = ["proc", "dev"].map((name) => `mount --rbind /${name} ${join(image, name)}`);
  const inside = [
    "mount --make-rprivate / 2>/dev/null",
    `mount --bind ${image} ${image}`,
    ...mounts,
    `mount -o remount,bind,ro ${image}`,
    `exec chroot --userspec=${instruction("USER")} ${image} "$@"`,
  ].join("; ");
  const entry = JSON.parse(instruction("ENTRYPOINT")) as string[];
  const command = ["unshare", "-m", "--propagation", "unchanged", "sh", "-c", inside, "sh"];
  const [unshare = "", ...rest] = command;
  const help = await t.run(unshare, [...rest, ...entry, ...JSON.parse(instruction("CMD"))]);
  assertMatch(stdout(help), /^usage: sslserver/, help.stderr);

  const server = await t.start({
    command: [...command, ...entry],
    options: ["--echo"],
    program: [],
    workers: false,
  });
  const { text, end } = await talk(t, server, "hello\n");
  assertEquals([text, end], ["hello\n", "close_notify"]);
  assertEquals(server.lines(/error|warning/), []);
}, { forms: ["binary"], skip: needsRoot });

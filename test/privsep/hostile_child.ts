/** Run by hostile_test.ts: confines itself like a worker, then tries every row, and prints the results as
 *  one line of JSON. It starts no process. */

import fs from "node:fs";
import process from "node:process";
import { sandbox } from "../../src/privsep/sandbox.ts";
import { libcHere } from "../runtime/libc/here.ts";
import { ABSTRACT, ABSTRACT_LENGTH, NOBODY, rows } from "./hostile_rows.ts";
import { rawSyscall } from "./raw_syscall.ts";

if (process.env["SANDBOX_CHILD"] !== "1") throw new Error("run by hostile_test.ts only");

const [files = "none", sibling = "", below] = process.argv.slice(2);
const libc = await libcHere();
const raw = await rawSyscall();
await fs.promises.readFile("/etc/hostname"); // makes the runtime start a thread of its pool
const { fd } = libc.listenSocket({ ip: "127.0.0.1", port: 0, backlog: 8 });
const [control] = libc.socketpair("stream");
// An abstract socket to attack. It is in this process, because Landlock hides those of other processes.
const somebody = raw("socket", 1, 1, 0);
raw("bind", somebody, ABSTRACT, ABSTRACT_LENGTH);
raw("listen", somebody, 1);
const confined = libc.landlocked();
const folder = below === undefined ? undefined : libc.openFolder(below);
if (process.getuid?.() === 0) { // root's capabilities would permit what no worker may
  libc.setGroups([]);
  libc.setGid(NOBODY);
  libc.setUid(NOBODY);
}
const { off } = sandbox(libc, {
  files: files === "none" ? "none" : "read",
  ...(folder === undefined ? {} : { readBelow: [folder], beneath: true }),
  confined,
});

const held = {
  raw,
  listener: fd,
  control,
  monitor: process.ppid,
  sibling: Number(sibling),
  folder,
};
const results = rows(folder !== undefined).map(([, , go]) => go(held));

/** Attempts by a thread of the runtime's pool that was started before the sandbox. */
const elsewhere: Record<string, string> = {};
for (const pid of [process.ppid, held.sibling]) {
  for (const name of ["mem", "environ", "maps", "auxv"]) {
    const outcome = fs.promises.open(`/proc/${pid}/${name}`).then(
      (file) => file.close().then(() => "done"),
      (error) => String(error.code ?? error),
    );
    elsewhere[`${name} of ${pid === process.ppid ? "monitor" : "sibling"}`] = await outcome;
  }
}
libc.write(
  1,
  new TextEncoder().encode(JSON.stringify({ off, confined, results, elsewhere }) + "\n"),
);
process.exit(0);

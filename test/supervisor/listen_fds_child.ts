/** Run by test/supervisor/listen_fds_test.ts under a fake supervisor. A separate process, because a process
 *  gets descriptor 3 only when it starts. Prints one line of JSON. */

import { readFileSync, rmSync } from "node:fs";
import process from "node:process";
import { FatalError } from "../../src/errors.ts";
import { inheritedListener } from "../../src/supervisor/listen_fds.ts";
import { makeNotifier } from "../../src/supervisor/notify.ts";
import { libcHere } from "../runtime/libc/here.ts";

/** The kernel's flags of a descriptor, or undefined if it is closed. */
function flagsOf(fd: number): { closeOnExec: boolean; nonBlocking: boolean } | undefined {
  try {
    const text = readFileSync(`/proc/self/fdinfo/${fd}`, "latin1");
    const flags = parseInt(/^flags:\s*([0-7]+)$/m.exec(text)?.[1] ?? "", 8);
    return { closeOnExec: (flags & 0o2000000) !== 0, nonBlocking: (flags & 0o4000) !== 0 };
  } catch {
    return undefined;
  }
}

const [mode = "", option = ""] = process.argv.slice(2);
const options = {
  keyPassword: mode === "password",
  notifyFd: option === "" ? undefined : Number(option),
};
const runtime = { name: "Bun", libc: await libcHere() } as const;
const reports: string[] = [];
let result: unknown;
try {
  const inherited = inheritedListener(process.env, runtime, options);
  const tell = makeNotifier(process.env, runtime, options, inherited, (text) => reports.push(text));
  // Unreachable, as in a jail or for another user.
  if (mode === "hidden") rmSync(process.env["NOTIFY_SOCKET"] ?? "");
  if (mode === "tell" || mode === "hidden") {
    tell.ready("two\nlines");
    tell.reloading();
    tell.ready();
    tell.stopping("waiting for 2 connections");
  }
  result = { inherited: inherited ?? null, pid: process.pid, reports, three: flagsOf(3) ?? null };
} catch (error) {
  if (!(error instanceof FatalError)) throw error;
  result = { message: error.message, hint: error.hint };
}
console.log(JSON.stringify(result));

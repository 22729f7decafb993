/** Unusual start conditions: a child that the server did not start, and a low memory limit. */

import { assertEquals, assertMatch, assertNotMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { ALONE, claim, settled, WITH_FFI } from "./harness.ts";

/** The names of a process's children, zombies included. */
function children(pid: number): string[] {
  return fs.readdirSync("/proc").flatMap((entry) => {
    try {
      const stat = fs.readFileSync(`/proc/${entry}/stat`, "latin1");
      const [, name = "", parent] = /\((.*)\) . (\d+)/.exec(stat) ?? [];
      return Number(parent) === pid ? [name] : [];
    } catch {
      return []; // not a process, or ended
    }
  });
}

claim(
  "strays_are_reaped: a child of the program before exec is no zombie when it ends",
  async (t) => {
    for (const options of [ALONE, []]) {
      const server = await t.start({ prelude: "sleep 0.1 &", options });
      const left = () => children(server.pid).filter((name) => name === "sleep");
      assertEquals(await settled(left, (found) => found.length === 0), []);
    }
  },
  { forms: WITH_FFI },
);

claim(
  "no_executable_memory: the cause is named, and no file of the folder is loaded",
  async (t) => {
    fs.writeFileSync(join(t.dir, "libc.musl-x86_64.so.1"), "no library");
    const { status, stderr } = await t.fails({ prelude: "ulimit -v 1000000" });
    assertStrictEquals(status, 111);
    assertMatch(stderr, /the limit on address space is 1024 MB, and Bun needs 4000 MB/);
    assertNotMatch(stderr, /musl/);
  },
  { forms: ["binary"] },
);

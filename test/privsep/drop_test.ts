/** The rights that a worker gives up on a kernel that lacks features. */

import { assertEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { drop } from "../../src/privsep/drop.ts";
import { systemError } from "../../src/runtime/libc/errno.ts";
import type { Libc } from "../../src/runtime/libc/libc.ts";

/** A fake C library whose seccomp(2) fails with `errno`. */
function kernel(errno: number) {
  const done: string[] = [];
  const ids = { ruid: 7, euid: 7, suid: 7, rgid: 7, egid: 7, sgid: 7 };
  const libc = {
    confines: true,
    getIds: () => ids,
    threads: () => [1],
    setLimit() {},
    dropCapabilities() {},
    hasCapabilities: () => false,
    prctlNoNewPrivs() {
      throw systemError("syscall", errno, "linux");
    },
    prctlNoNewPrivsHere: () => done.push("this thread"),
    prctlDumpable: () => done.push("not dumpable"),
  } as unknown as Libc;
  return { libc, done };
}

const nobody = {};

test("without seccomp in the kernel, a worker serves with the other protections", () => {
  for (const errno of [38, 22]) { // ENOSYS, EINVAL
    const { libc, done } = kernel(errno);
    drop(libc, nobody);
    assertEquals(done, ["this thread", "not dumpable"]);
  }
});

test("if the kernel refuses seccomp, a worker does not serve", () => {
  const { libc } = kernel(1); // EPERM
  assertThrows(() => drop(libc, nobody), Error, /unable to refuse new privileges: .*EPERM/);
});

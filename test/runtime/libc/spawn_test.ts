/** Programs that libc starts and reaps, against the kernel. */

import { assertEquals, assertObjectMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import type { Libc } from "../../../src/runtime/libc/libc.ts";
import { libcHere } from "./here.ts";
import { until } from "../tools.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** Runs a shell script with `more` as descriptors 3 and up. Returns its output and wait status. */
async function run(libc: Libc, script: string, more: (number | undefined)[] = [], env = {}) {
  const [read, write] = libc.pipe();
  const argv = ["sh", "-c", script];
  let pid: number;
  try {
    pid = libc.spawn("/bin/sh", argv, { PATH: "/usr/bin:/bin", ...env }, [2, write, 2, ...more]);
  } finally {
    libc.close(write);
  }
  const output = text(libc.readAll(read, 1 << 20));
  libc.close(read);
  let status: number | undefined;
  await until(() => (status = libc.reap(pid)) !== undefined, "the end of the program");
  return { output, status, pid };
}

test("a program gets its arguments and exactly the environment given", async () => {
  const libc = await libcHere();
  const [read, write] = libc.pipe();
  const env = { A: "ü\n=1", EMPTY: "" };
  const pid = libc.spawn("/usr/bin/env", ["another name", "env"], env, [2, write, 2]);
  libc.close(write);
  assertStrictEquals(text(libc.readAll(read, 1 << 20)), "A=ü\n=1\nEMPTY=\n");
  libc.close(read);
  await until(() => libc.reap(pid) !== undefined, "the end of the program");
});

test("variables of the base are added unless the program has its own", async () => {
  const libc = await libcHere();
  const base = { A: "base", B: "base" };
  const argv = ["env"];
  for (const env of [{ C: "ü" }, { B: "own" }, {}, { C: "x".repeat(9000) }] as const) {
    const [read, write] = libc.pipe();
    const pid = libc.spawn("/usr/bin/env", argv, { ...env }, [2, write, 2], base);
    libc.close(write);
    const lines = text(libc.readAll(read, 1 << 20)).trim().split("\n").sort();
    libc.close(read);
    const wanted = Object.entries({ ...base, ...env }).map(([name, value]) => `${name}=${value}`);
    assertEquals(lines, wanted.sort());
    await until(() => libc.reap(pid) !== undefined, "the end of the program");
  }
});

test("an exited child is reported until it is reaped", async () => {
  const libc = await libcHere();
  assertStrictEquals(libc.ended(), 0);
  const pid = libc.spawn("/bin/true", ["true"], {}, [2, 2, 2]);
  await until(() => libc.ended() !== 0, "the end of the program");
  assertStrictEquals(libc.ended(), pid);
  assertStrictEquals(libc.ended(), pid);
  assertStrictEquals(libc.reap(pid), 0);
  assertStrictEquals(libc.ended(), 0);
});

test("descriptors that are undefined are not open in the program", async () => {
  const libc = await libcHere();
  const pipes = [libc.pipe(), libc.pipe()] as const;
  const [a, b] = [pipes[0][0], pipes[1][0]];
  pipes.forEach(([, write], i) => {
    libc.write(write, new TextEncoder().encode(`pipe ${i}\n`));
    libc.close(write);
  });
  const far = Math.max(a, b) + 5;
  const open = `for fd in ${[a, b, far].join(" ")}; do [ ! -e /proc/$$/fd/$fd ] || echo $fd; done`;
  // First each descriptor gets the other's number, then one a number beyond both.
  const swapped: (number | undefined)[] = Array.from({ length: Math.max(a, b) - 2 });
  swapped[a - 3] = b;
  swapped[b - 3] = a;
  const first = await run(libc, `cat /proc/$$/fd/${a} /proc/$$/fd/${b}; ${open}`, swapped);
  assertStrictEquals(first.output, `pipe 1\npipe 0\n${a}\n${b}\n`);
  const beyond = [...Array.from({ length: far - 3 }, () => undefined), a];
  assertStrictEquals((await run(libc, open, beyond)).output, `${far}\n`);
  for (const fd of [a, b]) libc.close(fd);
});

test("a descriptor gets its number, also if another descriptor has this number", async () => {
  const libc = await libcHere();
  const pipes = Array.from({ length: 7 }, () => libc.pipe());
  const ends = pipes.map(([read]) => read);
  pipes.forEach(([, write], i) => {
    libc.write(write, new TextEncoder().encode(`pipe ${i}\n`));
    libc.close(write);
  });
  const order = [3, 1, 6, 0, 2, 5, 4];
  const script = order.map((_, i) => `cat <&${3 + i}`).join(";");
  const { output } = await run(libc, script, order.map((i) => ends[i] as number));
  ends.forEach((fd) => libc.close(fd));
  assertStrictEquals(output, order.map((i) => `pipe ${i}\n`).join(""));
});

test("a program has no copies of its descriptors under other numbers", async () => {
  const libc = await libcHere();
  const [read, write] = libc.pipe();
  const { output } = await run(libc, "exec readlink /proc/self/fd/3 /proc/self/fd/*", [read]);
  [read, write].forEach((fd) => libc.close(fd));
  const [name, ...all] = output.split("\n");
  assertStrictEquals(all.filter((line) => line === name).length, 1, output);
});

test("a program has SIGPIPE's default and no blocked signal", async () => {
  const libc = await libcHere();
  const { output } = await run(libc, "exec grep -E 'SigBlk|SigIgn' /proc/self/status");
  const [, blocked = "", ignored = ""] =
    /SigBlk:\t([0-9a-f]+)\nSigIgn:\t([0-9a-f]+)/.exec(output) ?? [];
  assertStrictEquals(BigInt(`0x${blocked}`), 0n);
  assertStrictEquals(BigInt(`0x${ignored}`) & 1n << 12n, 0n);
});

test("a signal is blocked from the first instruction of the program on", async () => {
  const libc = await libcHere();
  const [end, theirs] = libc.pipe();
  const command = ["grep", "SigBlk", "/proc/self/status"];
  const pid = libc.spawn("/bin/grep", command, {}, [2, theirs, 2], undefined, 10);
  libc.close(theirs);
  let text = "";
  await until(() => {
    text += new TextDecoder().decode(libc.read(end, 100) ?? new Uint8Array());
    return text.endsWith("\n");
  }, "a line");
  assertStrictEquals(text, "SigBlk:\t0000000000000200\n");
  await until(() => libc.reap(pid) !== undefined, "end");
  libc.close(end);
});

test("exit codes and signals are reported once, as wait statuses", async () => {
  const libc = await libcHere();
  assertStrictEquals((await run(libc, "exit 111")).status, 111 * 256);
  const killed = await run(libc, "kill -9 $$");
  assertStrictEquals(killed.status, 9);
  assertObjectMatch(assertThrows(() => libc.reap(killed.pid), Error), { code: "ECHILD" });
});

test("a running program is not reaped", async () => {
  const libc = await libcHere();
  const pid = libc.spawn("/bin/sleep", ["sleep", "60"], {}, [2, 2, 2]);
  assertStrictEquals(libc.reap(pid), undefined);
  libc.kill(pid, 15);
  let status: number | undefined;
  await until(() => (status = libc.reap(pid)) !== undefined, "the end of the program");
  assertStrictEquals(status, 15);
});

test("a program that cannot be run is an error and leaves nothing behind", async () => {
  const libc = await libcHere();
  const before = readdirSync("/proc/self/fd").length;
  for (const [path, code] of [["/nonexistent", "ENOENT"], ["/", "EACCES"]] as const) {
    assertObjectMatch(assertThrows(() => libc.spawn(path, ["x"], {}, [2, 2, 2]), Error), {
      syscall: "posix_spawn",
      code,
    });
  }
  assertThrows(() => libc.spawn("/bin/true", ["true", "a\0b"], {}, [2, 2, 2]), Error, /NUL/);
  const long = { A: "x".repeat(1 << 20) };
  assertObjectMatch(assertThrows(() => libc.spawn("/bin/true", ["true"], long, [2, 2, 2]), Error), {
    code: "E2BIG",
  });
  assertStrictEquals(readdirSync("/proc/self/fd").length, before);
});

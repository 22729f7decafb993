/** Children that ignore signals which this process handles. */

import { assertEquals, assertStrictEquals } from "@std/assert";
import { constants } from "node:os";
import process from "node:process";
import { test } from "node:test";
import { othersBlock } from "../../../src/runtime/libc/ignoring.ts";
import { until } from "../tools.ts";
import { libcHere } from "./here.ts";

const linux = process.platform === "linux";

test("a child ignores the given signals only, and this process still handles them", {
  skip: !linux,
}, async () => {
  const libc = await libcHere();
  const { SIGHUP, SIGTSTP } = constants.signals;
  let handled = 0;
  const handler = () => handled++;
  process.on("SIGHUP", handler);
  try {
    for (const ignored of [[SIGHUP, SIGTSTP], [], [SIGHUP]]) {
      const [read, write] = libc.pipe();
      const argv = ["grep", "SigIgn", "/proc/self/status"];
      const pid = libc.spawn("/bin/grep", argv, {}, [2, write, 2], undefined, 0, ignored);
      libc.close(write);
      const line = new TextDecoder().decode(libc.readAll(read, 1000));
      libc.close(read);
      await until(() => libc.reap(pid) !== undefined, "the end of the program");
      const bits = ignored.map((signal) => 1n << BigInt(signal - 1));
      const wanted = bits.reduce((all, bit) => all | bit, 0n);
      assertStrictEquals(BigInt(`0x${line.trim().split(/\s+/)[1]}`), wanted);
      const before = handled;
      libc.kill(process.pid, SIGHUP);
      await until(() => handled > before, "the handler");
    }
  } finally {
    process.off("SIGHUP", handler);
  }
});

test("the other threads must block all of the signals", () => {
  const status = (mask: string) =>
    new TextEncoder().encode(`Name:\tx\nSigBlk:\t${mask}\nSigIgn:\t0\n`);
  const cases: [boolean, Record<number, Uint8Array | undefined>][] = [
    [true, { [process.pid]: status("0") }],
    [true, { [process.pid]: status("0"), 1: status("fffffffe3ffbfa07") }],
    [false, { 1: status("fffffffe3ffbfa07"), 2: status("0000000000000005") }],
    [false, { 1: undefined }],
    [false, {}],
  ];
  const found = cases.map(([, threads]) =>
    othersBlock([1, 2], Object.keys(threads).map(Number), (thread) => threads[thread])
  );
  assertEquals(found, cases.map(([wanted]) => wanted));
});

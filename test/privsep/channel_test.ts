import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { Channel, type ToMonitor, type ToWorker } from "../../src/privsep/channel.ts";
import { FROM_MONITOR, FROM_WORKER } from "../../src/privsep/message_codec.ts";
import type { MessageOf } from "../../src/privsep/messages.ts";
import type { Libc } from "../../src/runtime/libc/libc.ts";
import { thisRuntime } from "../runtime/kits.ts";
import { within } from "../runtime/tools.ts";
import { openFiles, settled } from "./puppet.ts";

interface Pair {
  readonly libc: Libc;
  /** The monitor's end, and the worker's. */
  readonly here: ToWorker;
  readonly there: ToMonitor;
}

async function pair(change: Partial<Libc> = {}): Promise<Pair> {
  const runtime = await thisRuntime();
  const libc = runtime.libc as Libc;
  const [a, b] = libc.socketpair("stream");
  const [passA, passB] = libc.socketpair("stream");
  const [mine, other] = [await runtime.adoptSocket(a), await runtime.adoptSocket(b)];
  const here = new Channel({ ...libc, ...change }, mine, passA, FROM_MONITOR, FROM_WORKER);
  const there = new Channel(libc, other, passB, FROM_WORKER, FROM_MONITOR);
  return { libc, here, there };
}

/** Runs `go` and asserts that no descriptor is left open. */
async function tidy(go: (pair: Pair) => Promise<void>, change?: Partial<Libc>): Promise<void> {
  await thisRuntime();
  const before = openFiles().length;
  const made = await pair(change);
  await go(made);
  made.here.close();
  made.there.close();
  await settled("descriptors given back", () => openFiles().length <= before);
}

/** The read end of a pipe that contains `n`. */
function pipeOf(libc: Libc, n: number): number {
  const [read, write] = libc.pipe();
  libc.write(write, Uint8Array.of(n >> 8, n & 255));
  libc.close(write);
  return read;
}

function numberIn(libc: Libc, fd: number): number {
  const [high = 0, low = 0] = libc.readAll(fd, 10);
  libc.close(fd);
  return high * 256 + low;
}

/** A message with the number `n` and `fds` descriptors. */
const said = (n: number, fds = 0): MessageOf<"EXITED"> => ({
  kind: "EXITED",
  id: n,
  pid: 0,
  status: fds,
  running: 0,
  full: false,
  wanted: false,
  granted: 0,
});
const LARGE: MessageOf<"KEPT"> = {
  kind: "KEPT",
  whole: true,
  bytes: new Uint8Array(1 << 20),
  file: { path: "/k", is: "file", stamp: "1" },
};

/** Resolves with the reason when the channel breaks. */
const brokenOf = (channel: Pair["here"]): Promise<string | undefined> =>
  new Promise((resolve) => channel.take({ broken: resolve }));

/** The numbers that `there` receives. Asserts that each descriptor holds the number of its frame. */
function listen({ libc, there }: Pair): number[] {
  const got: number[] = [];
  there.take({
    message(message) {
      assert(message.kind === "EXITED");
      const { id: n, status } = message;
      for (const fd of there.descriptors(status)) assertStrictEquals(numberIn(libc, fd), n);
      got.push(n);
    },
  });
  return got;
}

test("frames come in order, each with its own descriptors", () =>
  tidy(async (made) => {
    const { libc, here, there } = made;
    const got = listen(made);
    there.begin();
    for (let n = 0; n < 500; n++) {
      const fds = Array.from({ length: n % 6 }, () => pipeOf(libc, n));
      here.send(said(n, fds.length), fds);
    }
    await settled("all frames", () => got.length === 500);
    assertEquals(got, Array.from({ length: 500 }, (_, n) => n));
  }));

test("descriptors that the other side does not take wait with the frames behind them", () =>
  tidy(async (made) => {
    const { libc, here, there } = made;
    const got = listen(made);
    let n = 0;
    for (; !here.backedUp; n++) here.send(said(n, 1), [pipeOf(libc, n)]);
    assert(n > 10 && n < 2000, `${n} were taken`);
    const own = openFiles().length;
    for (const end = n + 100; n < end; n++) here.send(said(n, 1), [pipeOf(libc, n)]);
    assertStrictEquals(openFiles().length, own + 100);
    here.send(said(n++));
    let clear = false;
    here.clear().then(() => clear = true);
    // The channel may not become clear here, so there is no event to wait for.
    await new Promise((resolve) => setTimeout(resolve, 10));
    assert(here.open && here.backedUp && !clear);
    there.begin();
    await settled("all frames", () => got.length === n);
    assertEquals(got, Array.from({ length: n }, (_, i) => i));
    assert(!here.backedUp);
    await within(here.clear(), "clear");
    assert(clear);
  }));

test("two thousand descriptors may wait, and then the channel breaks", () =>
  tidy(async ({ libc, here }) => {
    const why: (string | undefined)[] = [];
    here.take({ broken: (text) => why.push(text) });
    let waiting = 0;
    while (here.open) {
      here.send(said(1, 20), Array.from({ length: 20 }, () => pipeOf(libc, 1)));
      if (here.backedUp) waiting += 20;
      assert(waiting <= 2080);
    }
    assertEquals(why, ["it does not read its messages"]);
    await within(here.clear(), "clear of a closed channel");
    here.send(said(1, 1), [pipeOf(libc, 1)]); // closed, too
  }));

test("the monitor kills a worker that leaves 16 MB unread, but a worker waits for its monitor", () =>
  tidy(async ({ here, there }) => {
    const why: (string | undefined)[] = [];
    here.take({ broken: (text) => why.push(text) });
    const chain = Array.from({ length: 8 }, (_, i) => [`C${i}`, "x".repeat(130_000)] as const);
    const start = { id: 1, delayed: false, ruled: false, ip: "", host: "", info: "" };
    for (let n = 0; n < 40; n++) {
      there.send({ kind: "START", ...start, variables: new Map(chain) });
    }
    assert(there.open);
    let sent = 0;
    while (here.open && sent < 100) {
      here.send(LARGE);
      sent++;
    }
    assertEquals(why, ["it does not read its messages"]);
    assert(sent >= 16 && sent < 20, `${sent}`);
  }));

test("a slow reader that catches up loses nothing", () =>
  tidy(async (made) => {
    const { here, there } = made;
    let got = 0;
    there.take({ message: () => got++ });
    there.begin();
    for (let round = 1; round <= 4; round++) {
      for (let n = 0; n < 10; n++) here.send(LARGE);
      await settled("all frames", () => got === 10 * round);
    }
    assert(here.open);
  }));

test("a frame without descriptors takes none", () =>
  tidy(async ({ libc, here, there }) => {
    here.send(said(7, 1), [pipeOf(libc, 7)]);
    assertEquals(there.descriptors(0), []);
    const [fd] = there.descriptors(1);
    assertStrictEquals(numberIn(libc, fd as number), 7);
    assertEquals(there.descriptors(0), []);
  }));

test("descriptors that do not match their frame are closed, and break the channel", async () => {
  for (const [sent, wanted] of [[0, 1], [1, 2], [2, 1], [5, 2]] as const) {
    await tidy(async ({ libc, here, there }) => {
      const broken = new Promise<string | undefined>((resolve) => {
        there.take({ message: () => there.descriptors(wanted), broken: resolve });
      });
      there.begin();
      here.send(said(1), Array.from({ length: sent }, () => pipeOf(libc, 1)));
      assertMatch(await within(broken, "breach") ?? "", /descriptors/);
      assert(!there.open);
    });
  }
});

test("a handler that throws breaks the channel once, and no frame follows", () =>
  tidy(async ({ here, there }) => {
    const why: (string | undefined)[] = [];
    let frames = 0;
    here.take({
      message() {
        frames++;
        throw new Error("not that");
      },
      broken: (text) => why.push(text),
    });
    here.begin();
    for (let id = 0; id < 10; id++) there.send({ kind: "CANCEL", id });
    await settled("the breach", () => why.length > 0);
    await new Promise((resolve) => setImmediate(resolve));
    assertEquals([why, frames], [["not that"], 1]);
  }));

test("a frame that is too long breaks the monitor's end before it has come", () =>
  tidy(async ({ here, there }) => {
    const broken = brokenOf(here);
    here.begin();
    there.stream.write(Uint8Array.of(0x7f, 0xff, 0xff, 0xff, 4));
    assertMatch(await within(broken, "breach") ?? "", /^privsep: length: 2147483647/);
  }));

test("the end of the other side is reported without a reason, our own close is not reported", () =>
  tidy(async ({ here, there }) => {
    const why: (string | undefined)[] = [];
    let told = false;
    here.take({ broken: (text) => why.push(text) });
    there.take({ broken: () => told = true });
    here.begin();
    there.begin();
    there.close();
    await settled("the end", () => why.length > 0);
    assertEquals([why, told, here.open], [[undefined], false, false]);
  }));

test("a half-closed socket is an end, too", () =>
  tidy(async ({ here, there }) => {
    const broken = brokenOf(here);
    here.begin();
    there.stream.end();
    assertStrictEquals(await within(broken, "end"), undefined);
  }));

test("closing releases data that waits to be sent", () =>
  tidy(async ({ libc, here }) => {
    while (!here.backedUp) here.send(said(1, 3), [1, 2, 3].map((n) => pipeOf(libc, n)));
    here.send(said(1, 3), [1, 2, 3].map((n) => pipeOf(libc, n)));
  }));

test("too many descriptors in flight do not break the channel", async () => {
  const { libc } = await thisRuntime() as { libc: Libc };
  let refuse = 3;
  const sendDescriptors: Libc["sendDescriptors"] = (socket, bytes, fds) => {
    if (refuse-- > 0) throw Object.assign(new Error("no"), { code: "ETOOMANYREFS" });
    return libc.sendDescriptors(socket, bytes, fds);
  };
  await tidy(async (made) => {
    const got = listen(made);
    made.there.begin();
    made.here.send(said(9, 1), [pipeOf(libc, 9)]);
    await settled("the frame", () => got.length === 1);
    assert(made.here.open && refuse < 0);
  }, { sendDescriptors });
});

test("a closed socket for descriptors breaks the channel, without a breach", () =>
  tidy(async ({ libc, here, there }) => {
    const broken = brokenOf(here);
    const pass = libc.dup(there.pass);
    there.close();
    libc.close(pass);
    here.send(said(1, 1), [pipeOf(libc, 1)]);
    assertStrictEquals(await within(broken, "end"), undefined);
  }));

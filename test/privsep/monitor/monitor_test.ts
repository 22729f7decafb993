/** What a worker may not do: requests in a wrong state, fields out of bounds. A worker that breaks the
 *  protocol is ended, and no other: the monitor continues, another worker and its programs notice nothing,
 *  no wrong program is started, and nothing is left behind. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { join } from "@std/path";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { test } from "node:test";
import { concat } from "../../../src/codec/bytes.ts";
import { FROM_WORKER } from "../../../src/privsep/message_codec.ts";
import type { Message, WireLimits } from "../../../src/privsep/messages.ts";
import { AHEAD } from "../../../src/runtime/program_pipes.ts";
import { refuses } from "../../runtime/libc/here.ts";
import { within } from "../../runtime/tools.ts";
import { openFiles, type Puppet, serving, settled, type Stage, stage, zombies } from "../puppet.ts";
import { RawFrame } from "../raw_frame.ts";
import { rawSyscall } from "../raw_syscall.ts";

const NOTHING: WireLimits = {
  perAddress: 0,
  rate: { count: 0, seconds: 0 },
  network: { key: "", count: 0 },
};
const ADDRESS = "\0".repeat(10) + "\xff\xff\xc0\x00\x02\x01";

function start(
  id: number,
  variables: Readonly<Record<string, string>> = {},
  more: { delayed?: boolean; ruled?: boolean; ip?: string } = {},
): Uint8Array {
  const { delayed = false, ruled = false, ip = "192.0.2.1" } = more;
  const frame = new RawFrame("START").id(id).u8(+delayed).u8(+ruled).text(ip).text("").text("");
  frame.u32(Object.keys(variables).length);
  for (const [name, value] of Object.entries(variables)) frame.text(name).text(value);
  return frame.done();
}

function run(id: number, pipes: number, variables: Readonly<Record<string, string>> = {}) {
  const frame = new RawFrame("RUN").id(id).u32(pipes).u8(0).text("192.0.2.1").text("").text("");
  frame.u32(Object.keys(variables).length);
  for (const [name, value] of Object.entries(variables)) frame.text(name).text(value);
  return frame.done();
}

const plain = (kind: Message<"worker" | "monitor">["kind"] | number): Uint8Array =>
  new RawFrame(kind).done();
const SETTLED = [plain("LEFT"), plain("SETTLED")];
const cancel = (id: number): Uint8Array => FROM_WORKER.encode({ kind: "CANCEL", id });
const kill = (id: number): Uint8Array =>
  FROM_WORKER.encode({ kind: "KILL", id, signal: "SIGKILL" });
const release = (id: number): Uint8Array => FROM_WORKER.encode({ kind: "RELEASE", id });
const take = (id: number, limits: Partial<WireLimits> = {}): Uint8Array =>
  FROM_WORKER.encode({ kind: "TAKE", id, address: ADDRESS, limits: { ...NOTHING, ...limits } });
/** A TAKE that the encoder does not make. */
const limited = (count: number, seconds: number, key: string): Uint8Array =>
  new RawFrame("TAKE").id(1).bytes(new Uint8Array(16)).u32(0).u32(count).u32(seconds).text(key)
    .u32(1).done();
const check = (id: number, limits: Partial<WireLimits> = {}): Uint8Array =>
  FROM_WORKER.encode({ kind: "CHECK", id, limits: { ...NOTHING, ...limits } });
const giveBack = (count: number): Uint8Array => FROM_WORKER.encode({ kind: "RETURN", count });
const counts = FROM_WORKER.encode({ kind: "COUNTS", id: 0, counts: Float64Array.of(1) });
const scrape = FROM_WORKER.encode({ kind: "SCRAPE", id: 1, counts: Float64Array.of(1) });
const fatal = FROM_WORKER.encode({ kind: "FATAL", code: 111, message: "x", hint: "" });
const resolved = FROM_WORKER.encode({ kind: "RESOLVED", ip: "192.0.2.1" });

/** Starts a program of `puppet`. Returns the worker's ends of its pipes. */
async function startOne(puppet: Puppet, id: number): Promise<{ input: number; output: number }> {
  puppet.say(start(id));
  assertStrictEquals((await puppet.hear("STARTED")).id, id);
  const [input, output] = puppet.fds(2) as [number, number];
  return { input, output };
}

/** Asserts that a program (`cat`) still works. */
function echoes({ libc }: Stage, { input, output }: { input: number; output: number }): void {
  libc.write(input, new TextEncoder().encode("still here\n"));
  assertNotStrictEquals(libc.poll(output, 1, 5000), 0);
  assertStrictEquals(new TextDecoder().decode(libc.read(output, 100)), "still here\n");
}

/** Asserts that `hostile` ends the worker, and nothing else. */
async function breach(
  state: string,
  prepare: (puppet: Puppet, stage: Stage) => void | Promise<void>,
  hostile: (puppet: Puppet, stage: Stage) => void | Promise<void>,
  says: RegExp,
): Promise<void> {
  const before = openFiles().length;
  const made = await serving({ workers: 2 });
  const [bad, good] = made.puppets as [Puppet, Puppet];
  const program = await startOne(good, 1);
  let puppet = bad;
  if (state === "starting") {
    bad.kill();
    puppet = await made.next();
    await puppet.hear("INIT");
    made.lines.length = 0;
  }
  if (state === "draining") {
    made.monitor.drain();
    await puppet.hear("DRAIN");
  }
  await prepare(puppet, made);
  const started = made.programs.length;
  await hostile(puppet, made);
  await within(puppet.ended, "end of the worker");
  // The end of a worker that drains or restarts need not be logged.
  if (state === "serving") {
    await settled("a line", () => made.lines.length > 0);
    assertMatch(made.lines.join("\n"), says);
  }
  assertStrictEquals(made.programs.length, started, "a program was started");
  assert(!good.gone, "the neighbour was ended");
  echoes(made, program);
  assertStrictEquals(made.monitor.slots.running, 1);
  made.libc.close(program.input);
  made.libc.close(program.output);
  await made.close();
  await settled("descriptors given back", () => openFiles().length <= before);
  await settled("every child is reaped", () => zombies().length === 0);
}

const nothing = (): void => {};
const OUT_OF_STATE: Record<string, Record<string, Uint8Array>> = {
  starting: {
    START: start(1),
    CANCEL: cancel(1),
    KILL: kill(1),
    TAKE: take(1),
    CHECK: check(1),
    RELEASE: release(1),
    WANT: plain("WANT"),
    RETURN: giveBack(0),
    LEFT: plain("LEFT"),
    LOST: plain("LOST"),
    SETTLED: plain("SETTLED"),
    "SERVING without a socket": plain("SERVING"),
    RESOLVED: resolved,
    COUNTS: counts,
    SCRAPE: scrape,
    "PLACED without metrics": plain("PLACED"),
  },
  serving: {
    RESOLVED: resolved,
    READY: plain("READY"),
    SERVING: plain("SERVING"),
    FATAL: fatal,
    LEFT: plain("LEFT"),
    SETTLED: plain("SETTLED"),
    PLACED: plain("PLACED"),
  },
  draining: {
    RESOLVED: resolved,
    READY: plain("READY"),
    SERVING: plain("SERVING"),
    FATAL: fatal,
    "SETTLED while it listens": plain("SETTLED"),
  },
};

for (const [state, requests] of Object.entries(OUT_OF_STATE)) {
  for (const [name, frame] of Object.entries(requests)) {
    test(`${name} while ${state} ends the worker`, () =>
      breach(
        state,
        nothing,
        (puppet) => puppet.say(frame),
        /was ended: privsep: kind: no \w+ while/,
      ));
  }
}

for (
  const [name, frame] of [
    ["START", start(1)],
    ["RUN", run(1, 1)],
    ["PREPARE", plain("PREPARE")],
    ["CANCEL", cancel(1)],
    ["TAKE", take(1)],
    ["WANT", plain("WANT")],
    ["CHECK", check(1)],
    ["LEFT", plain("LEFT")],
    ["SETTLED", plain("SETTLED")],
  ] as const
) {
  test(`${name} after SETTLED ends the worker`, () =>
    breach(
      "draining",
      (puppet) => puppet.say(...SETTLED),
      (puppet) => puppet.say(frame),
      /./,
    ));
}

test("READY twice ends a worker that starts", () =>
  breach("starting", nothing, (puppet) => puppet.say(plain("READY"), plain("READY")), /./));

const FRAMES: Record<string, Uint8Array> = {
  "a frame of an unknown kind": plain(63),
  "a frame of the monitor's": plain("STARTED"),
  "a frame of kind 0": plain(0),
  "a frame without a kind": Uint8Array.of(0, 0, 0, 0, 0),
  "a length of 4 GB": Uint8Array.of(0xff, 0xff, 0xff, 0xff, 4),
  "a START of a megabyte and a byte": Uint8Array.of(0, 0x10, 0, 1, 4),
  "a CANCEL of 5000 bytes": Uint8Array.of(0, 0, 0x13, 0x88, 5),
  "bytes after a request": new RawFrame("CANCEL").id(1).u8(0).done(),
  "a request cut short": new RawFrame("CANCEL").u32(1).done(),
  "the id 0": start(0),
  "an id of 2^53": new RawFrame("CANCEL").u32(1 << 21).u32(0).done(),
  "a flag of 2": new RawFrame("START").id(1).u8(2).u8(0).text("").text("").text("").u32(0).done(),
  "a KILL with another signal": new RawFrame("KILL").id(1).u8(2).done(),
  "a billion variables": new RawFrame("START").id(1).u8(0).u8(0).text("").text("").text("")
    .u32(1e9).done(),
  "COUNTS without metrics": counts,
  "a SCRAPE without metrics": scrape,
  "a RELEASE of what was never taken": release(7),
  "a CHECK of what was never taken": check(7),
  "a RETURN of more slots than were lent": giveBack(1_000_000),
  "a RETURN of 4 billion slots": giveBack(0xffff_ffff),
  "a rate of more than any parser lets through": limited(10_001, 1, ""),
  "a rate over more than a day": limited(1, 86_401, ""),
  "a rule's key of 257 bytes": limited(0, 0, "x".repeat(257)),
};
for (const [name, frame] of Object.entries(FRAMES)) {
  test(`${name} ends the worker`, () =>
    breach("serving", nothing, (puppet) => puppet.say(frame), /was ended: privsep: /));
}

for (
  const name of [
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "PATH",
    "IFS",
    "ENV",
    "BASH_ENV",
    "BASH_FUNC_ls%%",
    "PYTHONPATH",
    "PERL5OPT",
    "NODE_OPTIONS",
    "GCONV_PATH",
    "KEYFILE",
    "TICKETKEYFILE",
    "SSL_CHROOT",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSL_UID",
    "RELAYCLIENT",
    "TCPREMOTEIPX",
    "XTCPREMOTEIP",
    "TCPREMOTEIP ",
    "PROTO=x",
    "SSL_CLIENT_=x",
    "SSL_CLIENT_X\nLD_PRELOAD",
    "SSL_CLIENT_\u00e9",
    "SSL_CLIENT_X\0",
    "PROXY_TLS_A\n",
    "SSLCTLFD",
    "SSLREADFD",
    "SSLWRITEFD",
    "",
    "SSL_CLIENT_" + "X".repeat(300),
  ]
) {
  test(`a variable named ${JSON.stringify(name.slice(0, 30))} ends the worker`, () =>
    breach(
      "serving",
      nothing,
      (puppet) => puppet.say(start(1, { TCPREMOTEIP: "192.0.2.1", [name]: "/tmp/x.so" })),
      /was ended: privsep: variable/,
    ));
}

test("a program with more descriptors, without -n, ends the worker", () =>
  breach(
    "serving",
    nothing,
    (puppet) => puppet.say(start(1, {}, { delayed: true })),
    /was ended: privsep: delayed: true/,
  ));

test("a program without them, with -n, ends the worker", async () => {
  const made = await serving({ argv: ["-n"] });
  const [puppet] = made.puppets as [Puppet];
  puppet.say(start(1));
  await within(puppet.ended, "end of the worker");
  assertStrictEquals(made.programs.length, 0);
  await made.close();
});

test("a worker gets pipes ahead, and its program needs no answer", async () => {
  const before = openFiles().length;
  const made = await serving();
  const { libc } = made;
  const [puppet] = made.puppets as [Puppet];
  puppet.say(plain("PREPARE"));
  assertEquals(await puppet.hear("PIPES"), { kind: "PIPES", first: 1, count: AHEAD.batch });
  const fds = puppet.fds(2 * AHEAD.batch);
  const [input, output] = fds.slice(2, 4) as [number, number];
  puppet.say(run(1, 2));
  puppet.send({ kind: "IDENTIFY", id: 1 });
  const { id, pid } = await puppet.hear("RUNS");
  assertEquals([id, pid], [1, [...made.running][0]?.pid]);
  echoes(made, { input, output });
  libc.close(input);
  const exited = await puppet.hear("EXITED");
  assertEquals([exited.id, exited.pid, exited.status], [1, pid, 0]);
  assertNotStrictEquals(libc.poll(output, 1, 5000), 0);
  assertStrictEquals(
    libc.read(output, 10)?.length,
    0,
    "end of file: the monitor has closed its copy",
  );
  puppet.send({ kind: "IDENTIFY", id: 1 });
  puppet.say(plain("PREPARE"));
  assertStrictEquals(
    (await puppet.hears(), puppet.came[0]?.kind),
    "PIPES",
    "no answer about an ended program",
  );
  await made.close();
  for (const fd of fds.filter((fd) => fd !== input)) libc.close(fd);
  await settled("descriptors given back", () => openFiles().length <= before);
});

test("the monitor keeps few pipes for a worker, and closes the oldest", async () => {
  const made = await serving();
  const [puppet] = made.puppets as [Puppet];
  const before = openFiles().length;
  for (let n = 0; n < 20; n++) {
    puppet.say(plain("PREPARE"));
    await puppet.hear("PIPES");
    puppet.dropDescriptors();
  }
  assertStrictEquals(openFiles().length, before + 2 * AHEAD.kept);
  puppet.say(run(1, 20 * AHEAD.batch));
  await puppet.hear("EXITED");
  puppet.say(run(2, 1));
  await within(puppet.ended, "end of the worker");
  await made.close();
});

for (
  const [name, number, prepared, says] of [
    ["that were not made", 1, false, /privsep: pipes: 1 at/],
    ["of a number that is too high", 9, true, /privsep: pipes: 9 at/],
    ["of number 0", 0, true, /privsep: pipes: 0 at/],
  ] as const
) {
  test(`RUN with pipes ${name} ends the worker`, () =>
    breach(
      "serving",
      async (puppet) => {
        if (!prepared) return;
        puppet.say(plain("PREPARE"));
        await puppet.hear("PIPES");
        puppet.dropDescriptors();
      },
      (puppet) => puppet.say(run(1, number)),
      says,
    ));
}

test("RUN with the same pipes twice ends the worker", () =>
  breach("serving", async (puppet) => {
    puppet.say(plain("PREPARE"));
    await puppet.hear("PIPES");
    puppet.dropDescriptors();
    puppet.say(run(1, 3));
    await puppet.hear("EXITED");
  }, (puppet) =>
    puppet.say(run(2, 3)), /privsep: pipes: 3 at/));

test("a RUN with a variable that a worker may not set starts nothing and ends the worker", () =>
  breach(
    "serving",
    async (puppet) => {
      puppet.say(plain("PREPARE"));
      await puppet.hear("PIPES");
      puppet.dropDescriptors();
    },
    (puppet) => puppet.say(run(1, 1, { LD_PRELOAD: "/tmp/x.so" })),
    /privsep: variable/,
  ));

test("PREPARE and RUN with -n end the worker", async () => {
  for (const frame of [plain("PREPARE"), run(1, 1)]) {
    const made = await serving({ argv: ["-n"] });
    const [puppet] = made.puppets as [Puppet];
    puppet.say(frame);
    await within(puppet.ended, "end of the worker");
    assertStrictEquals(made.programs.length, 0);
    await made.close();
  }
});

test("a host name of more labels than the DNS has ends the worker", () =>
  breach(
    "serving",
    nothing,
    (puppet) =>
      puppet.say(
        new RawFrame("START").id(1).u8(0).u8(1).text("192.0.2.1").text("a.".repeat(127) + "b").text(
          "",
        ).u32(0).done(),
      ),
    /was ended: privsep: host: 255 bytes/,
  ));

test("a value with a NUL ends the worker", () =>
  breach(
    "serving",
    nothing,
    (puppet) => puppet.say(start(1, { TCPREMOTEINFO: "x\0LD_PRELOAD=/tmp/x.so" })),
    /NUL/,
  ));

test("a value longer than Linux takes ends the worker", () =>
  breach(
    "serving",
    nothing,
    (puppet) => puppet.say(start(1, { TCPREMOTEINFO: "x".repeat(131_073) })),
    /131073 bytes/,
  ));

test("the same variable twice ends the worker", () =>
  breach("serving", nothing, (puppet) => {
    const frame = new RawFrame("START").id(1).u8(0).u8(0).text("").text("").text("").u32(2);
    puppet.say(frame.text("PROTO").text("TCP").text("PROTO").text("TLS").done());
  }, /repeated/));

test("an id that does not grow ends the worker, for programs and for counted connections", async () => {
  for (const again of [5, 4]) {
    await breach(
      "serving",
      async (puppet, made) => {
        const { input, output } = await startOne(puppet, 5);
        puppet.say(kill(5));
        await puppet.hear("EXITED");
        for (const fd of [input, output]) made.libc.close(fd);
      },
      (puppet) => puppet.say(start(again)),
      /privsep: id: /,
    );
    await breach(
      "serving",
      (puppet) => puppet.say(take(5), release(5)),
      (puppet) => puppet.say(take(again)),
      /privsep: reservation: /,
    );
  }
});

test("a connection that is counted can be checked four times", () =>
  breach(
    "serving",
    async (puppet) => {
      puppet.say(take(1), ...Array(4).fill(check(1, { perAddress: 10 })));
      for (let n = 0; n < 4; n++) await puppet.hear("VERDICT");
    },
    (puppet) => puppet.say(check(1, { perAddress: 10 })),
    /privsep: reservation: 1 checked too often/,
  ));

test("closing the control socket, or one direction of it, ends the worker", async () => {
  await breach("serving", nothing, (puppet) => puppet.stream.end(), /1?.*lost the client/);
  await breach("serving", nothing, (puppet, { libc }) => {
    puppet.stream.destroy();
    libc.setNonBlocking(puppet.control, true);
    puppet.close();
  }, /lost the client/);
});

test("a worker that closes only the socket for descriptors ends with the next program", async () => {
  const made = await serving({ workers: 2 });
  const [bad, good] = made.puppets as [Puppet, Puppet];
  bad.closePass();
  bad.say(start(1));
  await within(bad.ended, "end of the worker");
  await settled("its slot is free", () => made.monitor.slots.running === 0);
  const program = await startOne(good, 1);
  echoes(made, program);
  await made.close();
  for (const fd of [program.input, program.output]) made.libc.close(fd);
});

test("KILL reaches the worker's own programs only", async () => {
  const made = await serving({ workers: 2 });
  const [bad, good] = made.puppets as [Puppet, Puppet];
  const program = await startOne(good, 1);
  const own = await startOne(bad, 2);
  bad.say(kill(1), kill(3), kill(2 ** 40));
  echoes(made, program);
  bad.say(kill(2));
  const { id, status } = await bad.hear("EXITED");
  assertEquals([id, status], [2, 9]);
  echoes(made, program);
  await made.close();
  for (const end of [program, own]) [end.input, end.output].forEach((fd) => made.libc.close(fd));
});

test("a listening socket that a worker has shut down listens again, for all workers", async () => {
  const [raw, made] = [await rawSyscall(), await stage()];
  const [puppet] = made.puppets as [Puppet];
  const fd = await puppet.serveOn();
  await within(made.started, "start");
  assertStrictEquals(raw("shutdown", fd, 2), 0);
  assertStrictEquals(made.libc.socketKind(fd).listening, false);
  await settled("listening", () => made.libc.socketKind(fd).listening);
  const said = "error: a worker shut down the listening socket: it listens again";
  await settled("a line", () => made.lines.length > 0);
  assertStrictEquals(made.lines.filter((line) => line.endsWith(said)).length, 1);
  made.libc.close(fd);
  await made.close();
});

test("files that a worker has lost are handed over to it again, and to no other", async () => {
  const made = await serving({ workers: 2, env: { CERTFILE: "/dev/null" } });
  const [first, second] = made.puppets as [Puppet, Puppet];
  first.say(plain("LOST"), plain("LOST"));
  const { files } = await first.hear("FILES");
  assert(files.some(({ path, open }) => path === "/dev/null" && open));
  first.dropDescriptors();
  assert(second.came.every(({ kind }) => kind !== "FILES"));
  await made.close();
});

test("a program gets the base, what the connection is, and the monitor's own UCSPI-TLS numbers", async () => {
  const made = await serving({
    base: { PATH: "/usr/bin:/bin", HOME: "/nowhere" },
    program: ["env", "-0"],
    argv: ["-n"],
  });
  const [puppet] = made.puppets as [Puppet];
  const before = openFiles().length;
  puppet.say(start(1, { PROTO: "TLS", SSL_CLIENT_S_DN_Email_1: "a b\nc=d" }, { delayed: true }));
  await puppet.hear("EXITED");
  const fds = puppet.fds(5);
  const text = new TextDecoder().decode(made.libc.readAll(fds[1] as number, 10_000));
  assertEquals(text.split("\0").filter((line) => line && !line.startsWith("_=")).sort(), [
    "HOME=/nowhere",
    "PATH=/usr/bin:/bin",
    "PROTO=TLS",
    "SSLCTLFD=3",
    "SSLREADFD=4",
    "SSLWRITEFD=5",
    "SSL_CLIENT_S_DN_Email_1=a b\nc=d",
  ]);
  for (const fd of fds) made.libc.close(fd);
  assertStrictEquals(openFiles().length, before);
  await made.close();
});

test("a program that cannot be started is refused, and its slot is free", async () => {
  const folder = mkdtempSync(join(tmpdir(), "monitor-"));
  const denied = join(folder, "denied");
  writeFileSync(denied, "#!/bin/sh\n", { mode: 0o644 });
  const garbage = join(folder, "garbage");
  writeFileSync(garbage, "\x7fELF, but not really", { mode: 0o755 });
  for (
    const [program, why] of [
      ["/nowhere/program", /no such file|ENOENT|not found/i],
      [denied, /permission|EACCES|EPERM/i],
      [garbage, /exec format|ENOEXEC/i],
    ] as const
  ) {
    const delayed = program === denied;
    const made = await serving({ program: [program], argv: delayed ? ["-nc", "1"] : ["-c", "1"] });
    const [puppet] = made.puppets as [Puppet];
    const before = openFiles().length;
    for (let id = 1; id <= 3; id++) {
      puppet.say(start(id, {}, { delayed }));
      assertMatch((await puppet.hear("REFUSED")).why, why);
      assertStrictEquals(made.monitor.slots.running, 0);
    }
    await settled("descriptors given back", () => openFiles().length <= before);
    assert(!puppet.gone);
    await made.close();
  }
  rmSync(folder, { recursive: true });
  await settled("every child is reaped", () => zombies().length === 0);
});

test("an environment that is too large for the system costs one START, not the next", async () => {
  const made = await serving({ argv: ["-c", "1"] });
  const [puppet] = made.puppets as [Puppet];
  // One string exceeds MAX_ARG_STRLEN, but all of them fit into the frame.
  const name = "SSL_CLIENT_CERT";
  puppet.say(start(1, { [name]: "x".repeat(131_072) }));
  await puppet.hear("REFUSED");
  const seven = Object.fromEntries(
    Array.from({ length: 7 }, (_, i) => [`${name}_CHAIN_${i}`, "x".repeat(131_000)]),
  );
  puppet.say(start(2, seven));
  await puppet.hear("STARTED");
  for (const fd of puppet.fds(2)) made.libc.close(fd);
  await puppet.hear("EXITED");
  const program = await startOne(puppet, 3);
  echoes(made, program);
  await made.close();
  for (const fd of [program.input, program.output]) made.libc.close(fd);
});

test("STARTED comes before EXITED, also of a program that ends at once", async () => {
  const made = await serving({ program: ["true"], argv: ["-c", "3"] });
  const [puppet] = made.puppets as [Puppet];
  const before = openFiles().length;
  for (let id = 1; id <= 50; id++) puppet.say(start(id));
  const seen = new Set<number>();
  for (let left = 100; left > 0; left--) {
    await settled("a message", () => puppet.came.some(({ kind }) => kind !== "SLOTS"));
    while (puppet.came[0]?.kind === "SLOTS") puppet.came.shift();
    const next = puppet.came.shift();
    assert(next?.kind === "EXITED" || next?.kind === "STARTED");
    const { kind, id } = next;
    assertStrictEquals(kind, seen.has(id) ? "EXITED" : "STARTED");
    seen.add(id);
    if (kind === "STARTED") { for (const fd of puppet.fds(2)) made.libc.close(fd); }
  }
  assertStrictEquals(made.monitor.slots.running, 0);
  assertStrictEquals(openFiles().length, before);
  await settled("every child is reaped", () => zombies().length === 0);
  await made.close();
});

test("a START cancelled in the same breath starts nothing", async () => {
  const made = await serving({ argv: ["-c", "1"] });
  const [puppet] = made.puppets as [Puppet];
  puppet.say(concat([start(1), cancel(1)]));
  await puppet.hear("REFUSED");
  const program = await startOne(puppet, 2);
  puppet.say(start(3), start(4), cancel(3));
  await puppet.hear("REFUSED");
  assertStrictEquals(made.programs.length, 1);
  puppet.say(kill(2));
  await puppet.hear("STARTED");
  assertStrictEquals(made.programs.length, 2);
  for (const fd of [...puppet.fds(2), program.input, program.output]) made.libc.close(fd);
  await made.close();
});

test("the starts of a worker that dies waiting start nothing, and -c stays exact", async () => {
  const made = await serving({ workers: 2, argv: ["-c", "2"] });
  const [bad, good] = made.puppets as [Puppet, Puppet];
  const first = await startOne(good, 1);
  const second = await startOne(bad, 1);
  for (let id = 2; id <= 100; id++) bad.say(start(id));
  await settled("they wait", () => made.monitor.slots.waiting === 99);
  good.say(start(2));
  await settled("it waits", () => made.monitor.slots.waiting === 100);
  bad.kill();
  await within(bad.ended, "end of the worker");
  await settled("only the neighbour waits", () => made.monitor.slots.waiting === 1);
  assertStrictEquals(made.monitor.slots.running, 2);
  // Closes the dead worker's pipes, as the kernel would, so that its program gets end of file.
  for (const fd of [second.input, second.output]) made.libc.close(fd);
  await good.hear("STARTED");
  assertStrictEquals(made.programs.length, 3);
  assertStrictEquals(made.monitor.slots.running, 2);
  echoes(made, first);
  for (const fd of [...good.fds(2), first.input, first.output]) made.libc.close(fd);
  await made.close();
});

test("a worker that dies between its slot and its program starts nothing", async () => {
  const made = await serving({ workers: 2, argv: ["-c", "1"] });
  const [bad, good] = made.puppets as [Puppet, Puppet];
  const first = await startOne(good, 1);
  bad.say(start(1));
  await settled("it waits", () => made.monitor.slots.waiting === 1);
  // Both in one event loop turn: the slot becomes free just after the worker has broken the protocol.
  bad.say(plain(63));
  good.say(kill(1));
  await within(bad.ended, "end of the worker");
  await settled("the slot is free", () => made.monitor.slots.running === 0);
  assertStrictEquals(made.programs.length, 1);
  await made.close();
  for (const fd of [first.input, first.output]) made.libc.close(fd);
});

test("the counts of a dead worker are released", async () => {
  const made = await serving({ workers: 2 });
  const [bad, good] = made.puppets as [Puppet, Puppet];
  const limits = { perAddress: 1, network: { key: "rule", count: 1 } };
  const verdict = async (puppet: Puppet, frame: Uint8Array): Promise<string> => {
    puppet.say(frame);
    return (await puppet.hear("VERDICT")).refusal;
  };
  assertStrictEquals(await verdict(bad, take(1, limits)), "none");
  assertStrictEquals(await verdict(good, take(1, limits)), "address");
  bad.kill();
  await within(bad.ended, "end of the worker");
  await settled("the log tells", () => made.lines.length > 0);
  assertStrictEquals(await verdict(good, take(2, limits)), "none");
  await made.close();
});

test("too many waiting starts are refused, and another worker is not affected", async () => {
  const made = await serving({ workers: 2, argv: ["-c", "1", "--pending", "100"] });
  const [bad, good] = made.puppets as [Puppet, Puppet];
  const held = await startOne(bad, 1);
  const frames: Uint8Array[] = [];
  for (let id = 2; id <= 100_000; id++) frames.push(start(id));
  bad.say(concat(frames));
  const refused = 99_999 - 1125;
  let count = 0;
  while (count < refused) {
    await bad.hear("REFUSED");
    count++;
  }
  assertStrictEquals(made.monitor.slots.waiting, 1125);
  assertStrictEquals(made.monitor.slots.running, 1);
  good.say(start(1));
  await settled("it waits", () => made.monitor.slots.waiting === 1126);
  bad.kill();
  await within(bad.ended, "end of the worker");
  for (const fd of [held.input, held.output]) made.libc.close(fd);
  await good.hear("STARTED");
  assertStrictEquals(made.programs.length, 2);
  for (const fd of good.fds(2)) made.libc.close(fd);
  await made.close();
});

test("starts that wait with large environments are refused beyond 64 MB", async () => {
  const made = await serving({ argv: ["-c", "1"] });
  const [puppet] = made.puppets as [Puppet];
  const held = await startOne(puppet, 1);
  const value = "x".repeat(120_000);
  const eight = Object.fromEntries(
    Array.from({ length: 8 }, (_, i) => [`SSL_CLIENT_CERT_CHAIN_${i}`, value]),
  );
  for (let id = 2; id <= 100; id++) puppet.say(start(id, eight));
  await puppet.hear("REFUSED");
  const waiting = made.monitor.slots.waiting;
  assert(waiting > 50 && waiting < 80, `${waiting}`);
  await made.close();
  for (const fd of [held.input, held.output]) made.libc.close(fd);
});

test("starts that wait with many empty variables are refused beyond 64 MB, too", async () => {
  const made = await serving({ argv: ["-c", "1"] });
  const [puppet] = made.puppets as [Puppet];
  const held = await startOne(puppet, 1);
  const empty = Object.fromEntries(
    Array.from({ length: 2048 }, (_, i) => [`SSL_CLIENT_${i.toString(36)}`, ""]),
  );
  for (let id = 2; id <= 300; id++) puppet.say(start(id, empty));
  await puppet.hear("REFUSED");
  const waiting = made.monitor.slots.waiting;
  assert(waiting > 100 && waiting < 200, `${waiting}`);
  await made.close();
  for (const fd of [held.input, held.output]) made.libc.close(fd);
});

test("a worker that does not read is killed before its answers fill the memory", async () => {
  const made = await serving({ workers: 2, argv: ["-c", "1", "--pending", "1"] });
  const [bad, good] = made.puppets as [Puppet, Puppet];
  const program = await startOne(good, 1);
  bad.stream.pause();
  let id = 0;
  while (!bad.gone) {
    const frames: Uint8Array[] = [];
    for (let n = 0; n < 5000; n++) frames.push(start(++id));
    bad.say(concat(frames));
    await new Promise((resolve) => setImmediate(resolve));
    if (id > 5_000_000) break;
  }
  await settled("the log tells", () => made.lines.length > 0);
  assertMatch(made.lines.join("\n"), /was ended: it does not read its messages/);
  echoes(made, program);
  await made.close();
  for (const fd of [program.input, program.output]) made.libc.close(fd);
});

test("a worker that takes no descriptors gets no more programs, and takes none from the monitor", async () => {
  const made = await serving({ workers: 2, program: ["true"] });
  const [bad, good] = made.puppets as [Puppet, Puppet];
  const before = openFiles().length;
  for (let id = 1; id <= 1000; id++) bad.say(start(id));
  await settled("it is full", () => openFiles().length > before && made.running.size === 0);
  await settled("the programs end", () => made.monitor.slots.running === 0);
  assert(made.programs.length < 300, `${made.programs.length} programs`);
  assert(openFiles().length <= before + 10, `${openFiles().length - before} descriptors`);
  assertStrictEquals(made.monitor.slots.waiting, 0);
  for (let id = 1; id <= 20; id++) {
    const { input, output } = await startOne(good, id);
    for (const fd of [input, output]) made.libc.close(fd);
  }
  assert(!bad.gone);
  // When the worker receives them, it gets the rest.
  let taken = 0;
  while (taken < 1000) {
    await bad.hear("STARTED");
    for (const fd of bad.fds(2)) made.libc.close(fd);
    taken++;
  }
  await settled("all is given back", () => openFiles().length <= before);
  await settled("every child is reaped", () => zombies().length === 0);
  await made.close();
});

test("descriptors that a worker sends do not pile up in the monitor", async () => {
  const made = await serving({ workers: 2 });
  const [bad, good] = made.puppets as [Puppet, Puppet];
  const program = await startOne(good, 1);
  const before = openFiles().length;
  const many = Array(250).fill(0);
  let [beside, passed, refused] = [0, 0, 0];
  const sent = (socket: number, bytes: Uint8Array): number => {
    try {
      return made.libc.sendDescriptors(socket, bytes, many) === undefined ? 0 : 1;
    } catch (error) {
      assertStrictEquals((error as Error & { code?: string }).code, "EPERM");
      refused++;
      return 0;
    }
  };
  for (let id = 1; id <= 200; id++) {
    beside += sent(bad.control, cancel(id));
    passed += sent(bad.pass, Uint8Array.of(1));
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (refuses(made.libc)) assertEquals([beside, passed, refused], [0, 0, 400]);
  else assert(beside > 50 && passed > 50, `${beside} ${passed}`);
  // This START was sent after them, so when it is answered they have been read, too.
  const own = await startOne(bad, 1);
  assert(openFiles().length <= before + 3, `${openFiles().length - before} more`);
  echoes(made, program);
  echoes(made, own);
  await made.close();
  for (const end of [program, own]) [end.input, end.output].forEach((fd) => made.libc.close(fd));
});

test("draining waits only for workers that are not settled", async () => {
  const made = await serving({ workers: 2 });
  const [first, second] = made.puppets as [Puppet, Puppet];
  let closed = false;
  made.monitor.closed.then(() => closed = true);
  made.monitor.drain();
  await first.hear("DRAIN");
  await second.hear("DRAIN");
  first.say(...SETTLED);
  const program = await startOne(second, 1);
  assert(!closed);
  second.say(...SETTLED);
  await within(made.monitor.closed, "end", 900); // a worker that has not settled would take a second
  // The programs continue to run.
  echoes(made, program);
  await made.close();
  for (const fd of [program.input, program.output]) made.libc.close(fd);
});

test("a worker that never settles delays the monitor by one second", async () => {
  const made = await serving();
  const begun = performance.now();
  made.monitor.drain();
  await made.puppets[0]?.hear("DRAIN");
  made.puppets[0]?.say(plain("LEFT"));
  await within(made.monitor.closed, "end", 10_000);
  assert(performance.now() - begun > 900);
  assert(!made.puppets[0]?.gone);
  await made.close();
});

test("a worker that keeps the port is ended, the others finish what they have", async () => {
  const made = await serving({ workers: 2, timeouts: { start: 60_000, leave: 1500 } });
  const [first, second] = made.puppets as [Puppet, Puppet];
  made.monitor.drain();
  second.say(plain("LEFT"));
  await within(made.monitor.closed, "end", 5000);
  await within(first.ended, "end of the worker");
  assert(!second.gone);
  await settled("a line", () => made.lines.length > 0);
  assertEquals(made.lines, [
    `test: error: worker ${first.pid} was ended: it did not close the listening socket`,
  ]);
  await made.close();
});

test("the second SIGTERM ends a worker that keeps the port", async () => {
  const made = await serving({ deaf: true });
  const [first] = made.puppets as [Puppet];
  const name = `/proc/${first.pid}/comm`;
  await settled("deaf", () => readFileSync(name, "utf8") === "sleep\n");
  made.monitor.end(500);
  await within(made.monitor.closed, "end", 5000);
  await within(first.ended, "end of the worker");
  await made.close();
});

test("a worker that does not serve in time is killed: fatal at start, later it is replaced", async () => {
  const timeouts = { start: 300, leave: 10_000 };
  const mute = await stage({ timeouts });
  await assertRejects(() => within(mute.started, "start"), Error, /^unable .* within 0\.3 s$/);
  await mute.close();
  const made = await serving({ timeouts });
  const [first] = made.puppets as [Puppet];
  first.kill();
  const second = await made.next();
  await second.hear("INIT");
  await within(second.ended, "end of the worker that says nothing");
  const third = await made.next();
  await third.serve();
  // The deadline of 0.3 s may not end it, so there is no event to wait for.
  await new Promise((resolve) => setTimeout(resolve, 600));
  assert(!third.gone);
  assertMatch(made.lines.join("\n"), /unable to start a worker: it was ended: it did not serve/);
  await made.close();
});

test("a monitor that has had no worker for a while ends, with the reason of the last", async () => {
  const made = await serving({
    workers: 2,
    timeouts: { start: 60_000, leave: 10_000, unserved: 600 },
  });
  const [first, second] = made.puppets as [Puppet, Puppet];
  let over = false;
  const closed = assertRejects(() => made.monitor.closed, Error, /^unable to start .* signal 9$/);
  closed.finally(() => over = true);
  const begun = performance.now();
  first.kill();
  // As long as one worker serves, replacements may fail without limit.
  while (performance.now() - begun < 1000) (await made.next()).kill();
  assert(!over);
  second.kill();
  while (!over) {
    await Promise.race([closed, made.next().then((puppet) => puppet.kill())]);
  }
  await closed;
  await made.close();
});

test("the second SIGTERM ends programs, those of settled workers too, and waits for them", async () => {
  const stubborn = ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"];
  const made = await serving({ workers: 2, program: stubborn });
  const [first, second] = made.puppets as [Puppet, Puppet];
  const ends = [await startOne(first, 1), await startOne(second, 1)];
  for (const { output } of ends) {
    assertNotStrictEquals(made.libc.poll(output, 1, 5000), 0);
    made.libc.read(output, 100);
  }
  made.monitor.drain();
  first.say(...SETTLED);
  await second.hear("DRAIN");
  const begun = performance.now();
  made.monitor.end(1500);
  await within(made.monitor.closed, "end", 5000);
  assert(performance.now() - begun > 1400, "it did not wait for them");
  assertStrictEquals(made.running.size, 0);
  // The workers ignore SIGTERM, so they are killed.
  await within(Promise.all([first.ended, second.ended]), "end of the workers");
  await made.close();
  for (const { input, output } of ends) [input, output].forEach((fd) => made.libc.close(fd));
});

/** Waits until a SLOTS frame has these values: running, full, wanted, granted. */
async function told(puppet: Puppet, ...expected: number[]): Promise<void> {
  for (let seen: number[] = []; seen.join() !== expected.join();) {
    const { running, full, wanted, granted } = await puppet.hear("SLOTS");
    seen = [running, +full, +wanted, granted];
  }
}

test("a worker that is replaced gets the slots that are free when it serves", async () => {
  const made = await serving({ argv: ["-c", "2"] });
  const [first] = made.puppets as [Puppet];
  const { input, output } = await startOne(first, 1);
  first.kill();
  const second = await made.next();
  await second.hear("INIT");
  second.dropDescriptors();
  second.say(plain("READY"));
  await second.hear("LISTEN");
  for (const fd of second.fds(1)) made.libc.close(fd);
  second.say(plain("SERVING"));
  await told(second, 1, 1, 0, 1);
  for (const fd of [input, output]) made.libc.close(fd);
  await settled("the slot is free", () => made.monitor.slots.running === 0);
  await told(second, 0, 0, 0, 0);
  second.say(plain("WANT"));
  await told(second, 0, 1, 0, 1);
  await made.close();
});

test("a free slot goes to the worker that waits for it, and -c holds for both", async () => {
  const made = await serving({ workers: 2, argv: ["-c", "2"] });
  const [a, b] = made.puppets as [Puppet, Puppet];
  const one = await startOne(a, 1);
  // The other slot is granted to the neighbour, which does not use it.
  a.say(plain("WANT"));
  await told(b, 1, 1, 1, 0);
  b.say(giveBack(1));
  await told(a, 1, 1, 0, 1);
  const two = await startOne(a, 2);
  b.say(start(1));
  await settled("it waits", () => made.monitor.slots.waiting === 1);
  assertStrictEquals(made.monitor.slots.running, 2);
  a.say(kill(1));
  await b.hear("STARTED");
  assertStrictEquals(made.monitor.slots.running, 2);
  for (const fd of [...b.fds(2), one.input, one.output, two.input, two.output]) made.libc.close(fd);
  await made.close();
});

test("a worker that waits for more slots than it can have connections is ended", () =>
  breach("serving", nothing, (puppet) => {
    puppet.say(concat(Array.from({ length: 3000 }, () => plain("WANT"))));
  }, /privsep: want: too often/));

test("the slots and requests of a dead worker are released", async () => {
  const made = await serving({ workers: 2, argv: ["-c", "2"] });
  const [bad, good] = made.puppets as [Puppet, Puppet];
  const program = await startOne(good, 1);
  bad.say(plain("WANT"), plain("WANT"));
  await settled("it waits", () => made.monitor.slots.waiting === 2);
  bad.kill();
  await within(bad.ended, "end of the worker");
  await settled("nobody waits", () => made.monitor.slots.waiting === 0);
  const second = await startOne(good, 2);
  for (const { input, output } of [program, second]) {
    [input, output].forEach((fd) => made.libc.close(fd));
  }
  await made.close();
});

test("connections come and go and leave nothing behind", { timeout: 300_000 }, async () => {
  const runs = Number(process.env["FUZZ_RUNS"] ?? 2000);
  const made = await serving({ fake: true });
  const [puppet] = made.puppets as [Puppet];
  const before = openFiles().length;
  for (let id = 1; id <= runs; id++) {
    puppet.say(
      concat([take(id, { perAddress: 5, rate: { count: 10_000, seconds: 1 } }), start(id)]),
    );
    await puppet.hear("STARTED");
    for (const fd of puppet.fds(2)) made.libc.close(fd);
    puppet.say(concat([kill(id), release(id)]));
    await puppet.hear("EXITED");
    if (id % 1000 === 0) made.programs.length = 0;
  }
  assertStrictEquals(made.running.size, 0);
  assertStrictEquals(made.monitor.slots.running, 0);
  assertStrictEquals(openFiles().length, before);
  await made.close();
});

/** System calls of the monitor that fail while it works for a worker: only the one request fails, or the
 *  one worker that cannot start. All others continue, and so does the worker when the calls work again. */

import { assert, assertMatch, assertNotStrictEquals, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { concat, fromLatin1 } from "../../../src/codec/bytes.ts";
import { CdbWriter } from "../../../src/codec/cdb_write.ts";
import { FROM_WORKER } from "../../../src/privsep/message_codec.ts";
import { AHEAD } from "../../../src/runtime/program_pipes.ts";
import { within } from "../../runtime/tools.ts";
import {
  type Breaks,
  openFiles,
  Puppet,
  serving,
  settled,
  type Stage,
  type StageOptions,
} from "../puppet.ts";

const CODES = ["EPERM", "ESRCH", "EMFILE", "ENOMEM", "EAGAIN", "ENOENT"];

interface Program {
  readonly puppet: Puppet;
  readonly id: number;
  readonly fds: readonly number[];
}

let lastId = 0;

function limits(puppet: Puppet, delayed: boolean, ruled = false): number {
  const id = ++lastId;
  const variables = new Map<string, string>();
  const peer = { ip: "192.0.2.1", host: "", info: "" };
  puppet.say(FROM_WORKER.encode({ kind: "START", id, delayed, ruled, ...peer, variables }));
  return id;
}

async function startOne(puppet: Puppet, delayed = false): Promise<Program> {
  const id = limits(puppet, delayed);
  await puppet.hear("STARTED");
  return { puppet, id, fds: puppet.fds(delayed ? 5 : 2) };
}

function echoes({ libc }: Stage, { fds: [input, output] }: Program): void {
  libc.write(input as number, fromLatin1("still here\n"));
  assertNotStrictEquals(libc.poll(output as number, 1, 5000), 0);
  assertStrictEquals(new TextDecoder().decode(libc.read(output as number, 100)), "still here\n");
}

type Made = Stage & { readonly puppets: Puppet[] };

/** Runs `attempt` once for each error, while `call` fails with it. Asserts that two workers and their
 *  programs are not affected. */
async function failing(
  call: string,
  attempt: (made: Made, bad: Puppet, breaks: Breaks, program: Program) => Promise<void>,
  options: StageOptions = {},
  codes: readonly string[] = CODES,
): Promise<void> {
  const before = openFiles().length;
  const breaks: Breaks = { call: undefined, code: "" };
  const made = await serving({ workers: 2, ...options, breaks });
  const [bad, good] = made.puppets as [Puppet, Puppet];
  const delayed = options.argv?.includes("-n") ?? false;
  const programs = [await startOne(bad, delayed), await startOne(good, delayed)] as const;
  for (const code of codes) {
    Object.assign(breaks, { call, code });
    await attempt(made, bad, breaks, programs[0]);
    breaks.call = undefined;
    assert(!good.gone, `${call} ${code}: the neighbour was ended`);
    for (const program of programs) if (!program.puppet.gone) echoes(made, program);
    assertStrictEquals(made.monitor.slots.running, 2, `${call} ${code}`);
  }
  await made.close();
  for (const { fds } of programs) for (const fd of fds) made.libc.close(fd);
  // The monitor keeps earlier rules for a while.
  const kept = options.argv?.includes("-x") ? codes.length : 0;
  await settled("descriptors given back", () => openFiles().length <= before + kept + 1);
}

/** An attempt in which START is refused, and the next START succeeds. */
function refused(delayed: boolean): (made: Made, bad: Puppet, breaks: Breaks) => Promise<void> {
  return async ({ libc }, bad, breaks) => {
    limits(bad, delayed);
    await bad.hear("REFUSED");
    breaks.call = undefined;
    const { id, fds } = await startOne(bad, delayed);
    bad.say(FROM_WORKER.encode({ kind: "KILL", id, signal: "SIGKILL" }));
    await bad.hear("EXITED");
    for (const fd of fds) libc.close(fd);
    assert(!bad.gone);
  };
}

test("a program that cannot be signalled costs its worker nothing", () =>
  failing("kill", async ({ lines }, bad, _breaks, { id }) => {
    bad.say(FROM_WORKER.encode({ kind: "KILL", id, signal: "SIGTERM" }));
    await settled("the log tells", () => lines.length > 0);
    assertMatch(
      lines.join("\n"),
      /^test: error: unable to signal pid \d+: it now runs as another user$/,
    );
    assert(!bad.gone);
  }));

test("a program that cannot be started costs one START", () => failing("launch", refused(false)));

test("no pipe costs one START", () => failing("pipe", refused(false)));

/** Asks for pipes ahead. Returns the number of the first, and the worker's ends. */
async function prepare(puppet: Puppet): Promise<{ first: number; fds: number[] }> {
  puppet.say(FROM_WORKER.encode({ kind: "PREPARE" }));
  const { first, count } = await puppet.hear("PIPES");
  return { first, fds: count === 0 ? [] : puppet.fds(2 * count) };
}

test("no pipe costs the pipes that were to be made ahead", () =>
  failing("pipe", async ({ libc }, bad, breaks) => {
    assertStrictEquals((await prepare(bad)).fds.length, 0);
    breaks.call = undefined;
    const { fds } = await prepare(bad);
    assertStrictEquals(fds.length, 2 * AHEAD.batch);
    for (const fd of fds) libc.close(fd);
  }));

test("a program that cannot be started costs one RUN, and its pipes are closed", () =>
  failing("launch", async ({ libc }, bad) => {
    const { first, fds } = await prepare(bad);
    const id = ++lastId;
    const about = { ruled: false, ip: "192.0.2.1", host: "", info: "", variables: new Map() };
    bad.say(FROM_WORKER.encode({ kind: "RUN", id, pipes: first, ...about }));
    assertStrictEquals((await bad.hear("REFUSED")).id, id);
    assertNotStrictEquals(libc.poll(fds[1] as number, 1, 5000), 0);
    assertStrictEquals(libc.read(fds[1] as number, 10)?.length, 0);
    for (const fd of fds) libc.close(fd);
    assert(!bad.gone);
  }));

test("no socket pair costs one START of -n", () =>
  failing("socketpair", refused(true), { argv: ["-n"] }));

test("descriptors that cannot be passed are passed later", () =>
  failing("sendDescriptors", async ({ libc }, bad, breaks) => {
    breaks.failures = 0;
    const id = limits(bad, false);
    await settled("two attempts", () => (breaks.failures ?? 0) > 1);
    assert(!bad.gone);
    breaks.call = undefined;
    await bad.hear("STARTED");
    const fds = bad.fds(2);
    bad.say(FROM_WORKER.encode({ kind: "KILL", id, signal: "SIGKILL" }));
    await bad.hear("EXITED");
    for (const fd of fds) libc.close(fd);
  }));

/** A rules file with one rule for all clients. */
function rules(t: { after(f: () => void): void }): { path: string; write(value: string): void } {
  const dir = mkdtempSync(join(tmpdir(), "failures-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const path = join(dir, "rules.cdb");
  return {
    path,
    write(value) {
      const writer = new CdbWriter();
      writer.add(fromLatin1(""), fromLatin1(value));
      writeFileSync(`${path}.new`, concat(writer.finish()));
      renameSync(`${path}.new`, path);
    },
  };
}

for (const call of ["open", "dup"]) {
  test(`changed rules that cannot be handed over (${call}) are handed over later`, async (t) => {
    const { path, write } = rules(t);
    write("+V=start\0");
    await failing(call, async ({ monitor, lines }, bad, breaks) => {
      write(`+V=${breaks.code}\0`);
      lines.length = 0;
      bad.came.length = 0;
      monitor.reload();
      // These errors are a fact about the file, so the workers are told at once.
      const told = call === "open" && ["EPERM", "ESRCH", "ENOENT"].includes(breaks.code);
      if (!told) await settled("a line", () => /trying again/.test(lines.join("\n")));
      breaks.call = undefined;
      await bad.hear("FILES");
      bad.dropDescriptors();
      assert(!bad.gone);
    }, { argv: ["-x", path] });
  });
}

test("rules that cannot be read cost one START", async (t) => {
  const { path, write } = rules(t);
  write("+V=start\0");
  await failing("readAt", async ({ monitor, libc }, bad, breaks) => {
    bad.dropDescriptors();
    write(`+V=${breaks.code}\0`);
    monitor.reload();
    bad.dropDescriptors();
    limits(bad, false, true);
    await Promise.race([bad.hear("REFUSED"), within(bad.ended, "end")]);
    assert(!bad.gone);
    breaks.call = undefined;
    const { id, fds } = await startOne(bad);
    bad.say(FROM_WORKER.encode({ kind: "KILL", id, signal: "SIGKILL" }));
    await bad.hear("EXITED");
    for (const fd of fds) libc.close(fd);
  }, { argv: ["-x", path] });
});

/** The next worker that the monitor starts successfully. */
async function nextServing(made: Made): Promise<Puppet> {
  for (;;) {
    const next = await made.next();
    try {
      await next.serve();
      return next;
    } catch (error) {
      if (!next.gone) throw error;
    }
  }
}

for (const call of ["socketpair", "open", "launch worker", "dup"]) {
  for (const code of CODES) {
    test(`a worker that cannot be started (${call}: ${code}) is started later`, () =>
      failing(
        call,
        async (made, bad, breaks) => {
          bad.kill();
          await within(bad.ended, "end of the worker");
          const failed = (): boolean =>
            made.lines.some((line) => /unable to start a worker/.test(line));
          await settled("a start that fails", failed);
          breaks.call = undefined;
          await nextServing(made);
        },
        {},
        [code],
      ));
  }
}

test("a worker that cannot get the port is started again", () =>
  failing(
    "dup",
    async (made, bad, breaks) => {
      breaks.call = undefined;
      bad.kill();
      const next = await made.next();
      await next.hear("INIT");
      next.dropDescriptors();
      made.lines.length = 0;
      breaks.call = "dup";
      next.send({ kind: "READY" });
      await within(next.ended, "end of the worker");
      await settled("a line", () => made.lines.length > 0);
      assertMatch(made.lines.join("\n"), /unable to start a worker: dup: it fails/);
      breaks.call = undefined;
      await nextServing(made);
    },
    {},
    ["EMFILE"],
  ));

test("a worker of a server without programs that asks for one is ended", async () => {
  const { puppets, lines, close } = await serving({ argv: ["--echo"], program: [] });
  const [puppet] = puppets as [Puppet];
  limits(puppet, false);
  await within(puppet.ended, "the end of the worker");
  await settled("the log tells", () => lines.length > 0);
  assertMatch(lines.join("\n"), /there is no program at byte 0.*: its connections are lost/);
  await close();
});

/** Workers that send anything: requests in any order with any ids, damaged requests, and noise, in every
 *  state. The monitor survives, starts only its own program with variables that it knows, keeps to -c, and
 *  answers the other worker. FUZZ_RUNS sets the number of frames. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import process from "node:process";
import { test } from "node:test";
import { concat } from "../../../src/codec/bytes.ts";
import { isFromWorker } from "../../../src/config/variables.ts";
import { FROM_WORKER } from "../../../src/privsep/message_codec.ts";
import type { MessageOf, WorkerMessage } from "../../../src/privsep/messages.ts";
import { mutate, numbers } from "../random.ts";
import { within } from "../../runtime/tools.ts";
import { SAMPLES } from "../messages_samples.ts";
import { openFiles, type Puppet, serving, settled } from "../puppet.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 20_000);
const KINDS = Object.values(SAMPLES);
const TAKE = SAMPLES["TAKE without limits"] as MessageOf<"TAKE">;
const START = SAMPLES["START"] as MessageOf<"START">;
const RUN = SAMPLES["RUN"] as MessageOf<"RUN">;
const SMALL = [
  "START",
  "PREPARE",
  "RUN",
  "IDENTIFY",
  "CANCEL",
  "KILL",
  "TAKE",
  "CHECK",
  "RELEASE",
] as const;

test(`${RUNS} frames of workers that say anything`, { timeout: 3_000_000 }, async () => {
  const below = numbers(1_121_2026);
  const before = openFiles().length;
  let sent = 0;
  let lives = 0;
  let survived = 0;
  let started = 0;
  while (sent < RUNS) {
    const made = await serving({ fake: true, workers: 2, argv: ["-c", "3"] });
    const [bad, good] = made.puppets as [Puppet, Puppet];
    const draining = below(4) === 0;
    if (draining) made.monitor.drain();
    let next = 1;
    /** Counted connections by id, with the number of CHECKs that are still permitted. */
    const held = new Map<number, number>();
    /** The number of the next pipes, and how many are left. */
    let [pipes, ready] = [1, 0];
    const request = (): WorkerMessage => {
      const kind = SMALL[below(SMALL.length)];
      const [id] = [...held.keys()].slice(below(held.size + 1));
      switch (kind) {
        case "TAKE":
          held.set(next, 4);
          return { ...TAKE, id: next++ };
        case "CHECK": {
          const checks = id === undefined ? 0 : held.get(id) ?? 0;
          if (id === undefined || checks === 0) break;
          held.set(id, checks - 1);
          return { kind, id, limits: TAKE.limits };
        }
        case "RELEASE":
          if (id === undefined) break;
          held.delete(id);
          return { kind, id };
        case "PREPARE":
          if (ready > 0) break;
          ready += 8;
          return { kind };
        case "RUN":
          if (ready === 0) break;
          ready--;
          return { ...RUN, id: next++, pipes: pipes++ };
        case "IDENTIFY":
        case "CANCEL":
          return { kind, id: Math.max(1, next - below(9)) };
        case "KILL":
          return { kind, id: Math.max(1, next - below(9)), signal: "SIGTERM" };
      }
      return { ...START, id: next++, delayed: below(500) === 0 };
    };
    let damaged = false;
    const frame = (): Uint8Array => {
      const dice = below(1000);
      damaged ||= dice < 3;
      if (dice === 0) return Uint8Array.from({ length: 1 + below(40) }, () => below(256));
      if (dice < 3) return mutate(FROM_WORKER.encode(request()), below);
      if (dice < 5) return FROM_WORKER.encode(KINDS[below(KINDS.length)] as WorkerMessage);
      return FROM_WORKER.encode(request());
    };
    /** Waits until the monitor has read everything or has ended the worker. After a frame with a damaged
     *  length the monitor may wait for its rest and never answer; the worker is killed then. */
    const read = async (): Promise<void> => {
      const id = next++;
      bad.say(FROM_WORKER.encode({ ...TAKE, id, limits: { ...TAKE.limits, perAddress: 2 ** 31 } }));
      try {
        for (;;) {
          if ((await bad.hear("VERDICT", 300)).id === id) return;
        }
      } catch (error) {
        if (!bad.gone && !damaged) throw error;
        bad.kill();
        await bad.ended;
      }
    };
    for (let batch = 0; batch < 10 && !bad.gone; batch++) {
      const frames = Array.from({ length: 1 + below(30) }, frame);
      sent += frames.length;
      const bytes = concat(frames);
      const cut = below(bytes.length);
      bad.say(bytes.subarray(0, cut));
      bad.say(bytes.subarray(cut));
      good.send({ kind: "CANCEL", id: 1 });
      await read();
      bad.dropDescriptorsIfOpen();
      assert(made.monitor.slots.running <= 3);
      if (below(3) === 0) { for (const program of made.running) program.kill("SIGTERM"); }
    }
    lives++;
    if (!bad.gone) survived++;
    started += made.programs.length;
    for (const { command, env, user } of made.programs) {
      assertEquals([command, user], [["cat"], undefined]);
      for (const name of Object.keys(env)) {
        const own = name === "PATH" || /^SSL(?:CTL|READ|WRITE)FD$/.test(name);
        assert(own || (isFromWorker(name) && /^[A-Za-z0-9_]+$/.test(name)), name);
      }
    }
    bad.kill();
    for (const program of made.running) program.kill("SIGTERM");
    await within(bad.ended, "end of the worker");
    await settled("its slots are free", () => made.monitor.slots.running === 0);
    assertStrictEquals(made.monitor.slots.waiting, 0);
    good.send({ ...START, id: 1, ruled: false, variables: new Map() });
    await good.hear("STARTED");
    good.dropDescriptors();
    await made.close();
    good.close();
  }
  await settled("descriptors given back", () => openFiles().length <= before);
  assert(lives > 5 && survived > 0 && survived < lives && started > 0, `${lives} ${survived}`);
});

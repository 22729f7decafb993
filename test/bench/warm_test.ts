/** Turns of warm servers: their order, and what a failure leaves out. */

import { assertEquals } from "@std/assert";
import { test } from "node:test";
import type { Tools } from "./prepare.ts";
import type { Running } from "./process.ts";
import { counted, next, Results, roundsOf } from "./results.ts";
import type { Section } from "./sections.ts";
import type { Subject } from "./servers.ts";
import { measureTurns } from "./warm.ts";

const subject = (name: string, peer = false): Subject => (
  { name, version: "", peer, at: () => ({ command: [] }) }
);
const [REF, OURS, PEER] = [subject("ref"), subject("ours"), subject("peer", true)];
const SUBJECTS = [REF, OURS, PEER];
const ALIVE = new Map(SUBJECTS.map((one) => [one, {} as Running]));
const TOOLS = {} as Tools;

/** The rounds by server, and the order of the steps, of a section with `turns`. */
async function measured(
  turns: number,
  fails: (server: string) => boolean,
  expired = (): boolean => false,
) {
  const steps: string[] = [];
  const section: Section = {
    name: "conn",
    title: "Connections",
    subjects: SUBJECTS,
    reference: "ref",
    warm: {
      group: "all",
      turns,
      peerTurns: 1,
      steps: ["a", "b"].map((step) => async ({ subject: { name }, figures }) => {
        steps.push(`${name} ${step}`);
        if (fails(name)) throw new Error(`${name} hangs`);
        figures[step] = 1;
      }),
    },
  };
  const results = new Results();
  const into = results.begin(section);
  await measureTurns(section, ALIVE, {
    say: () => {},
    next: (_, subject) => next(TOOLS, into, subject),
    expired,
    done: () => {},
  });
  return { steps, into, rounds: roundsOf(into), notes: results.footnotes() };
}

test("every turn begins with another server, and other projects' servers have fewer turns", async () => {
  const { steps, into } = await measured(2, () => false);
  assertEquals(steps, [
    ...["ref a", "ours a", "peer a", "ref b", "ours b", "peer b"],
    ...["ours a", "ref a", "ours b", "ref b"],
  ]);
  assertEquals(counted(into, "turn"), "2 turns, servers of other projects 1");
});

test("a server that fails is left out, and the others keep their figures", async () => {
  const { steps, rounds, notes } = await measured(2, (name) => name === "ref");
  assertEquals(steps.filter((step) => step.startsWith("ref")), ["ref a"]);
  assertEquals(rounds.get("ours"), [{ a: 1, b: 1 }, { a: 1, b: 1 }]);
  assertEquals(rounds.get("peer"), [{ a: 1, b: 1 }]);
  assertEquals(notes, ["[^1]: ref hangs\n"]);
});

test("no step begins when the time is up", async () => {
  const { steps, notes } = await measured(1, () => false, () => true);
  assertEquals(steps, []);
  assertEquals(notes, ["[^1]: left out, time was up\n"]);
});

/** The effect of each stop event in each stage of a worker. The table here is written by hand. The effect in
 *  a real worker is tested in e2e/privsep_drain_test.ts, privsep_monitor_killed_test.ts and
 *  signals_test.ts. */

import { assertEquals } from "@std/assert";
import { test } from "node:test";
import {
  type Stop,
  type StopEvent,
  STOPS,
  WORKER_STAGES,
} from "../../../src/privsep/worker/stopping.ts";

/** In the order of `WORKER_STAGES`: starting, serving, draining, ending. */
const EXPECTED: Readonly<Record<StopEvent, readonly Stop[]>> = {
  DRAIN: ["give up", "drain", "nothing", "nothing"],
  END: ["give up", "end", "end", "nothing"],
  SIGTERM: ["nothing", "nothing", "end", "nothing"],
  orphaned: ["give up", "drain at once", "nothing", "nothing"],
  late: ["nothing", "nothing", "end", "nothing"],
};

for (const [event, stops] of Object.entries(EXPECTED)) {
  test(`${event} in each stage of a worker`, () => {
    assertEquals(WORKER_STAGES.map((stage) => STOPS[stage][event as StopEvent]), stops);
  });
}

test("every event has an outcome in every stage", () => {
  for (const stage of WORKER_STAGES) {
    assertEquals(Object.keys(STOPS[stage]).sort(), Object.keys(EXPECTED).sort());
  }
});

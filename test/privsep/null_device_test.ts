/** On a system without /dev/null, the start and --check report that by name. */

import { assert, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { Findings } from "../../src/check/finding.ts";
import { checkProcesses } from "../../src/check/processes.ts";
import { defaults } from "../../src/config/options.ts";
import { FatalError } from "../../src/errors.ts";
import { planWorkers } from "../../src/privsep/plan.ts";
import { currentRuntime } from "../../src/runtime/current.ts";
import type { Libc } from "../../src/runtime/libc/libc.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";

const NAMED = "unable to open /dev/null: no such file or directory";

/** This runtime on a system without /dev/null. */
async function withoutNull(): Promise<Runtime> {
  const runtime = await currentRuntime();
  const libc = Object.assign(Object.create(runtime.libc as Libc), {
    open(path: string): number {
      if (path !== "/dev/null") return (runtime.libc as Libc).open(path);
      throw new Error("open: no such file or directory (ENOENT)");
    },
  }) as Libc;
  const self = { command: ["sslserver"], confine: ["sslserver"], env: {} };
  return Object.assign(Object.create(runtime), { libc, selfCommand: () => self }) as Runtime;
}

test("without /dev/null the start with workers names it; without workers it is not needed", async () => {
  const runtime = await withoutNull();
  const options = { ...defaults(), host: "127.0.0.1", port: "0", command: ["cat"] };
  const error = assertThrows(() => planWorkers(options, {}, runtime, "cli.ts"), FatalError);
  assertStrictEquals(error.message, NAMED);
  assertMatch(error.hint ?? "", /mknod/);
  assertStrictEquals(planWorkers({ ...options, workers: 0 }, {}, runtime, "cli.ts"), undefined);
  const findings = new Findings();
  checkProcesses(options, {}, runtime, "cli.ts", findings);
  assert(findings.list.some(({ level, text }) => level === "error" && text === NAMED));
});

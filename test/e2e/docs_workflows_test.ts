/** The files in .github/workflows are valid YAML, the commands of their steps exist, and they call
 *  .ci/run. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { claim, ROOT, type Trial } from "./harness.ts";

const FOLDER = join(ROOT, ".github/workflows");
const ONCE = { forms: ["binary"] } as const;

interface Job {
  "runs-on": string;
  "timeout-minutes": number;
  strategy?: { matrix: Record<string, string[]> };
  steps: { uses?: string; run?: string }[];
}

interface Workflow {
  name: string;
  on: Record<string, unknown>;
  permissions: Record<string, string>;
  jobs: Record<string, Job>;
}

/** Bun runs the end-to-end tests and parses YAML. Deno's types lack it, hence the cast. */
const { Bun: bun } = globalThis as unknown as { Bun: { YAML: { parse(text: string): unknown } } };

function workflow(name: string): Workflow {
  return bun.YAML.parse(fs.readFileSync(join(FOLDER, name), "utf8")) as Workflow;
}

const commands = (job: Job): string[] => job.steps.flatMap(({ run }) => run ?? []);

/** The arguments with which the shell would call `.ci/run`. */
async function filesGiven(t: Trial, run: string): Promise<string[]> {
  const bin = join(t.dir, "bin");
  fs.mkdirSync(bin, { recursive: true });
  fs.writeFileSync(join(bin, "brew"), '#!/bin/sh\necho "$BREW"\n', { mode: 0o755 });
  const text = run.replace(".ci/run", 'printf "%s\\\\n"');
  const { status, stdout, stderr } = await t.run("sh", ["-euc", `cd '${ROOT}'; ${text}`], {
    env: { PATH: `${bin}:/usr/bin:/bin`, BREW: t.dir },
  });
  assertStrictEquals(status, 0, stderr);
  return new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "");
}

claim("every workflow is YAML whose jobs end, may only read, and run .ci/run", async () => {
  assertEquals(fs.readdirSync(FOLDER).sort(), ["newest.yml", "test.yml"]);
  fs.accessSync(join(ROOT, ".ci/run"), fs.constants.X_OK);
  for (const file of fs.readdirSync(FOLDER)) {
    const { name, permissions, jobs } = workflow(file);
    assertStrictEquals(`${name}.yml`, file);
    assertEquals(permissions, { contents: "read" });
    for (const [title, job] of Object.entries(jobs)) {
      assert(job["timeout-minutes"] > 0, title);
      assertMatch(commands(job).at(-1) ?? "", /(?:^|\s)\.ci\/run\b/, title);
    }
  }
}, ONCE);

claim("changes are tested on Linux x64 and arm64 and on macOS", async (t) => {
  const { on, jobs } = workflow("test.yml");
  assertEquals(Object.keys(on), ["push", "pull_request"]);
  assertEquals(jobs["linux"]?.strategy?.matrix, {
    machine: ["ubuntu-24.04", "ubuntu-24.04-arm"],
  });
  assertMatch(jobs["macos"]?.["runs-on"] ?? "", /^macos-/);
  const files = await filesGiven(t, commands(jobs["macos"] as Job).at(-1) ?? "");
  assert(files.length > 40, files.join());
  assertEquals(
    files.filter((file) => !/^test\/(?!e2e|interop)[\w/]+_test\.ts$/.test(file)),
    [],
  );
}, ONCE);

claim(
  "the newest Bun and Deno are tested every week, each in place of the pinned one",
  async (t) => {
    const { on, jobs } = workflow("newest.yml");
    const [{ cron = "" } = {}] = on["schedule"] as { cron?: string }[];
    assertMatch(cron, /^\d+ \d+ \* \* [0-6]$/);
    const job = jobs["newest"] as Job;
    const { runtime = [] } = job.strategy?.matrix ?? {};
    const { devDependencies } = JSON.parse(fs.readFileSync(join(ROOT, "package.json"), "utf8")) as {
      devDependencies: Record<string, string>;
    };
    for (const name of runtime) assert(devDependencies[name], name);
    assertEquals(runtime, ["bun", "deno"]);
    const [install = ""] = commands(job);
    const { status, stderr } = await t.run("sh", ["-nc", install]);
    assertStrictEquals(status, 0, stderr);
    assertMatch(install, /^npm install --package-lock-only .*\$\{\{ matrix\.runtime \}\}@latest$/);
  },
  ONCE,
);

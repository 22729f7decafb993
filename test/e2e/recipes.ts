/** Runs the commands of a recipe in docs/recipes/. Its steps share one folder and its ports. Commands that serve go on
 *  until the recipe ends. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { dirname, join } from "@std/path";
import type { ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import { freePort } from "../free_port.ts";
import { DENO, type Ended, fenced, furnish, listening, outcomeOf, stop } from "./docs.ts";
import { claim, type ClaimOptions, isRoot, LIMIT, type Trial, within } from "./harness.ts";

type Replacement = readonly [string | RegExp, string];

/** One block of a recipe. */
export interface Step {
  /** The first line of the block. */
  first: string;
  /** Replaced in the block and in the files that it writes, before what the recipe replaces. */
  replace?: readonly Replacement[];
  /** Files that the block writes, which are changed for this machine then. */
  writes?: readonly string[];
  /** For a block that serves: the port that it listens on, as the recipe has it. */
  serves?: string;
  /** What a block that ends prints to stdout. */
  prints?: RegExp;
  /** Its exit code; default 0. */
  status?: number;
  /** Runs after the block. */
  then?: (t: Trial, run: Run, outcome?: Ended) => Promise<unknown> | void;
}

/** A page and how it is tested. */
export interface Recipe extends ClaimOptions {
  /** The name without `.md`. */
  page: string;
  /** The ports in the recipe, each of which becomes a free one. */
  ports?: readonly string[];
  /** Stand-ins for programs that this machine lacks: name and shell text. */
  programs?: Readonly<Record<string, string>>;
  replace?: readonly Replacement[];
  /** Runs before the first step. */
  before?: (t: Trial, run: Run) => Promise<unknown> | void;
  /** Runs at the end, also after a failure. */
  after?: (t: Trial, run: Run) => Promise<unknown> | void;
  steps: readonly Step[];
}

/** What the functions of a step need. */
export interface Run {
  /** The free port in place of one in the recipe. */
  port(written: string): number;
  /** Waits until something listens on the port. */
  listens(written: string): Promise<void>;
  /** What has been printed by the commands that serve. */
  log(): string;
}

/** Makes the claim that a recipe works. */
export function tryRecipe(recipe: Recipe): void {
  const { page, steps } = recipe;
  claim(`recipe ${page}`, async (t) => {
    const blocks = fenced(`docs/recipes/${page}.md`);
    const firsts = blocks.map((block) => block.split("\n")[0] ?? "");
    assertEquals(firsts, steps.map(({ first }) => first), "blocks and steps");
    await new Kitchen(t, recipe).cook(blocks);
  }, { forms: ["binary"], timeout: 120_000, ...recipe });
}

/** One run of a recipe. */
class Kitchen implements Run {
  readonly #ports = new Map<string, number>();
  readonly #servers: { child: ChildProcess; ended: Promise<Ended> }[] = [];
  #log = "";

  constructor(readonly t: Trial, readonly recipe: Recipe) {}

  port(written: string): number {
    const port = this.#ports.get(written);
    assert(port !== undefined, `port ${written} is not listed`);
    return port;
  }

  listens(written: string): Promise<void> {
    return listening(this.port(written));
  }

  log(): string {
    return this.#log;
  }

  async cook(blocks: readonly string[]): Promise<void> {
    const { t, recipe } = this;
    for (const port of recipe.ports ?? []) this.#ports.set(port, await freePort());
    await furnish(t, recipe.programs ?? {});
    await recipe.before?.(t, this);
    try {
      for (const [i, step] of recipe.steps.entries()) await this.#step(step, blocks[i] ?? "");
    } catch (error) {
      throw new Error(`${String(error)}\n--- the servers printed:\n${this.#log}`);
    } finally {
      for (const { child } of this.#servers.reverse()) await stop(child);
      await recipe.after?.(t, this);
    }
  }

  async #step(step: Step, block: string): Promise<void> {
    const child = this.t.spawn("setsid", ["sh", "-c", this.#translated(block, step, true)], {
      PATH: `${join(this.t.dir, "bin")}:${dirname(DENO)}:/usr/bin:/bin:/usr/sbin:/sbin`,
      HOME: this.t.dir,
    });
    const ended = outcomeOf(child);
    child.stdin?.end();
    if (step.serves !== undefined) {
      const keep = (bytes: Uint8Array): unknown => this.#log += new TextDecoder().decode(bytes);
      child.stdout?.on("data", keep);
      child.stderr?.on("data", keep);
      this.#servers.push({ child, ended });
      await listening(this.port(step.serves), child);
      return void await step.then?.(this.t, this);
    }
    const outcome = await within(ended, LIMIT * 2, `it did not end: ${block}`);
    assertEquals(outcome.status, step.status ?? 0, `${block}${outcome.stdout}${outcome.stderr}`);
    if (step.prints) assertMatch(outcome.stdout, step.prints, block);
    for (const file of step.writes ?? []) {
      const path = join(this.t.dir, file);
      fs.writeFileSync(path, this.#translated(fs.readFileSync(path, "utf8"), step, false));
    }
    await step.then?.(this.t, this, outcome);
  }

  /** The text with its replacements for this machine. `strict`: each replacement of the step must be in it. */
  #translated(text: string, { replace = [], writes }: Step, strict: boolean): string {
    const common: Replacement[] = [
      ...this.recipe.replace ?? [],
      ["/etc/ssl/mx.pem", `${this.t.dir}/cert.pem`],
      ["/etc/ssl/mx.key", `${this.t.dir}/key.pem`],
      ["/etc/sslserver/", `${this.t.dir}/`],
      ["PATH=/usr/local/bin:", `PATH=${this.t.dir}/bin:`],
      [/\blocalhost:/g, "127.0.0.1:"],
      ...isRoot ? [] : [[/-u \d+ -g \d+ /g, ""] as Replacement],
      ...[...this.#ports].map(([from, to]): Replacement => [
        new RegExp(`\\b${from}\\b`, "g"),
        String(to),
      ]),
    ];
    for (const [from, to] of [...replace, ...common]) {
      const changed = text.replaceAll(from, to.replaceAll("@DIR", this.t.dir));
      const own = replace.some((one) => one[0] === from) && !writes;
      assert(changed !== text || !own || !strict, `${from} is not in the block any more`);
      text = changed;
    }
    return text;
  }
}

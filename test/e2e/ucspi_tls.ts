/** Helpers of the claims about UCSPI-TLS (-n): a service in C, and exact clients in Python. */

import { assertStrictEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { execFileSync } from "node:child_process";
import process from "node:process";
import { found, type Server, type StartOptions, type Trial } from "./harness.ts";

/** The path of a file in test/data. */
export const data = (name: string): string =>
  fromFileUrl(new URL(`../data/${name}`, import.meta.url));

/** Sessions per claim about a race. The default is for runs at every change; set 1,000 for acceptance. */
export const RACES = Number(process.env["UCSPI_TLS_RACES"] ?? 100);

/** Compiles test/data/ucspi_tls.c into the trial's folder. */
export function service(t: Trial): string {
  const built = join(t.dir, "ucspi_tls");
  execFileSync(found("gcc"), ["-O2", "-Wall", "-Werror", "-o", built, data("ucspi_tls.c")]);
  return built;
}

/** Starts a server with -n. */
export function start(t: Trial, program: readonly string[], more: StartOptions = {}) {
  return t.start({ ...more, options: ["-n", "-v", ...(more.options ?? [])], program });
}

/** Starts a server with -n whose program is a shell script. */
export function startScript(t: Trial, script: string, more: StartOptions = {}) {
  return start(t, ["/bin/sh", "-c", script], more);
}

/** The input of test/data/ucspi_tls_talk.py, which describes the fields. `Told` is its output. */
export interface Asked {
  plain?: string;
  until?: string;
  tls?: "yes" | "no" | "bad" | "half" | "leave" | "silent";
  input?: string;
  half?: boolean;
  rate?: number;
}

export interface Told {
  plain: string;
  tls: string;
  end: string;
}

/** Runs one conversation. */
export async function converse(t: Trial, server: Server, asked: Asked = {}): Promise<Told> {
  const input = JSON.stringify(asked);
  const client = [data("ucspi_tls_talk.py"), String(server.port)];
  const { stdout, stderr, status } = await t.run("python3", client, { input, limit: 40_000 });
  assertStrictEquals(status, 0, stderr);
  return JSON.parse(new TextDecoder().decode(stdout)) as Told;
}

/** Sessions of test/data/ucspi_tls_client.py by result. */
export interface Tally {
  good: number;
  refused: number;
}

export async function race(t: Trial, server: Server, how: string, count = RACES): Promise<Tally> {
  const client = [data("ucspi_tls_client.py"), String(server.port), String(count), "8", how];
  const limit = 30_000 + 100 * count;
  const { stdout, stderr, status } = await t.run("python3", client, { limit });
  const text = new TextDecoder().decode(stdout);
  const [, good, refused, bad] = /^good=(\d+) refused=(\d+) bad=(\d+)\n$/.exec(text) ?? [];
  assertStrictEquals(status, 0, stderr);
  assertStrictEquals(bad, "0", stderr);
  return { good: Number(good), refused: Number(refused) };
}

/** Waits until no program is left and the number of descriptors is back to `before`. */
export async function nothingLeft(server: Server, before: number): Promise<void> {
  await server.noChildren();
  await server.descriptorsBackTo(before);
}

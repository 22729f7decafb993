/** Helpers of the claims about --metrics: fetch, parse and compare them. */

import { assertEquals, assertStrictEquals } from "@std/assert";
import { found, type Server, settled, type Trial } from "./harness.ts";

/** The URL of a server's metrics, from its log. `--metrics` may have port 0. */
export async function where(server: Server): Promise<string> {
  const [line = ""] = await server.waitFor(/ metrics at /);
  return line.replace(/^.* metrics at /, "");
}

export async function curl(t: Trial, ...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await t.run("curl", ["-sS", "--fail", ...args]);
  assertStrictEquals(status, 0, stderr);
  return new TextDecoder().decode(stdout);
}

/** Every sample by its name and labels, without the prefix `sslserver_`. */
export function samples(text: string): Map<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(lines.map((line) => {
    const at = line.lastIndexOf(" ");
    return [line.slice(0, at).replace(/^sslserver_/, ""), Number(line.slice(at + 1))];
  }));
}

/** The counters (`_total`, `_seconds_count`) that are not 0. */
export function counted(text: string): Record<string, number> {
  const counts = [...samples(text)]
    .filter(([name, value]) => /_total(\{|$)|_seconds_count$/.test(name) && value !== 0);
  return Object.fromEntries(counts);
}

/** Fetches until the counters are `wanted`. Retries because the server may learn of a program's end
 *  later than the client. */
export async function assertCounts(
  t: Trial,
  url: string,
  wanted: Record<string, number>,
): Promise<string> {
  const same = (text: string): boolean => {
    try {
      assertEquals(counted(text), wanted);
      return true;
    } catch {
      return false;
    }
  };
  const text = await settled(() => curl(t, url), same);
  assertEquals(counted(text), wanted);
  return text;
}

/** Asserts that Prometheus' own checker, promtool, finds nothing wrong. */
export async function assertWellFormed(t: Trial, text: string): Promise<void> {
  const { status, stderr, stdout } = await t.run(promtool(), ["check", "metrics"], { input: text });
  assertEquals([status, stderr, stdout.length], [0, "", 0]);
}

function promtool(): string {
  try {
    return found("promtool");
  } catch {
    throw new Error("promtool is missing: install Debian's prometheus");
  }
}

/** docs/troubleshooting.md has every message that the program can print, and no other. */

import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import * as fs from "node:fs";
import { test } from "node:test";
import { SYMPTOMS } from "../tools/messages/clients.ts";
import { SECTIONS } from "../tools/messages/page.ts";
import { literalsIn, messagesIn } from "../tools/messages/sources.ts";

const SRC = fromFileUrl(new URL("../src/", import.meta.url));

/** Sources of other programs, whose pages have their messages; and of messages that no user of the server sees: of the
 *  library's options, of decoders, of calls of libc that their callers report, of mistakes in this program. */
const OTHERS =
  /^(?:codec|client|runtime\/libc)\/|^commands\/(?:tcprules|tcprulescheck|client|ssl(?:client|cat|connect)\w*|s_server\w*|small_client|https_at|s6_\w+)\.ts$|^config\/(?:client_table|variables_of_s6|variables_of_s_server)\.ts$|^library_options\.ts$|^metrics\/(?:exposition|registry)\.ts$|^privsep\/worker_filter\.ts$|^runtime\/(?:bun\/socket|confine|deno\/ready)\.ts$|^tls\/(?:chain_fault|path_rules|verify)\.ts$/;

/** Templates that are values alone, or mistakes in this program. */
const NO_MESSAGE = [
  "unable to make a TLS context",
  "proxy header",
  "unable to get ${} certificate",
];

const SAYS = SECTIONS.flatMap(({ rows }) => rows.flatMap(({ says }) => says));

const sources = (): string[] =>
  fs.readdirSync(SRC, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !OTHERS.test(name));
const read = (name: string): string => fs.readFileSync(`${SRC}${name}`, "utf8");

/** Matches what a template can become. `${}` is a value. */
function pattern(template: string): string {
  return template.split("${}").map((part) => part.replaceAll(/[.*+?^$()|[\]\\{}]/g, "\\$&"))
    .join(".*");
}

/** The fixed words of a template. */
const fixed = (template: string): number => template.replaceAll(/\$\{\}|\W/g, "").length;

test("the page has every message of the sources", () => {
  const lacking = sources().flatMap((name) =>
    messagesIn(read(name)).filter(({ kind, text }) => {
      if (fixed(text) < 6 || NO_MESSAGE.some((begin) => text.startsWith(begin))) return false;
      const whole = kind === "Unsupported" ? `unable to ${text}: \${} cannot` : text;
      // A literal that is continued by another one is a beginning.
      return !SAYS.some((says) => new RegExp(`^(?:.* )?${pattern(whole)}`).test(says));
    }).map(({ text }) => `${name}: ${text}`)
  );
  assertEquals(lacking, []);
});

test("the page has every reason of the log", () => {
  const all = SAYS.join("\n");
  const files = ["log/reasons.ts", "runtime/bun/words.ts", "runtime/deno/words.ts"];
  const reasons = files.flatMap((name) => literalsIn(read(name)))
    .filter((text) =>
      / /.test(text) && fixed(text) > 8 && !/^(?:it has|its key|the (?:private|TLS))/.test(text)
    );
  assert(reasons.length > 30, String(reasons.length));
  // Kinds of reasons and faults are texts too, and are not printed.
  const kinds = literalsIn(read("reason.ts"));
  const lacking = reasons.filter((text) =>
    !kinds.includes(text) && !new RegExp(pattern(text.trimEnd())).test(all)
  );
  assertEquals(lacking, []);
});

test("every message of the page is in the sources", () => {
  const literals = sources().flatMap((name) => literalsIn(read(name))).filter((text) =>
    fixed(text) > 3
  );
  const patterns = [...new Set(literals)].map((text) => new RegExp(pattern(text)));
  // A message can consist of several literals. Half of it must be in one of them.
  const unknown = SAYS.filter((says) =>
    !patterns.some((one) => {
      const words = one.source.replaceAll(/\.\*|\\/g, "").length;
      return one.test(says) && words >= Math.min(8, says.length / 2);
    })
  );
  assertEquals(unknown, []);
});

test("no message is there twice, and every row has a cause and a remedy", () => {
  assertEquals(SAYS.filter((says, i) => SAYS.indexOf(says) !== i), []);
  const rows = [...SECTIONS.flatMap(({ rows }) => rows), ...Object.values(SYMPTOMS)];
  assertEquals(rows.filter(({ cause, remedy }) => cause === "" || remedy === ""), []);
});

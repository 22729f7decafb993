/** Rules that change under load: every connection gets the result of the old or the new rules, and none
 *  an error. ADMISSION_SECONDS is the duration (default 4). */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import process from "node:process";
import { Guest, makeRules, visit } from "./admission.ts";
import { claim, LIMIT, within } from "./harness.ts";

const SECONDS = Number(process.env["ADMISSION_SECONDS"] ?? 4);
const PER_SECOND = 50;
/** The longest delay until a change is noticed, in milliseconds: the server looks once a second. */
const NOTICED = 1000;
/** What a busy machine may add to it. */
const LATE = 1000;

/** A state of the rules file: the text that a client gets under it, and when it begins and ends. */
interface Reign {
  text: string;
  begins: number;
  ends: number;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

for (const maker of ["tcprules", "ours"] as const) {
  claim(
    `rules changed by ${
      maker === "ours" ? "our" : "Debian's"
    } tcprules while 50 clients connect per second`,
    async (t) => {
      const many = Array.from({ length: 4000 }, (_, i) => `=h${i}.test:deny\n`).join("");
      const states: [text: string, rules: string][] = [
        ["one", ":allow,V='one'\n"],
        ["", ":deny\n"],
        ["two", `${many}:allow,V='two'\n`],
        ["", `127.:deny\n${many}`],
      ];
      const reigns: Reign[] = [];
      let path = await makeRules(t, states[0]?.[1] ?? "", maker);
      reigns.push({ text: "one", begins: -Infinity, ends: Infinity });
      const server = await t.start({
        options: ["-Hl0", "-c", "200", "-x", path],
        program: ["sh", "-c", 'printf "%s" "$V"'],
      });
      await visit(server);
      const end = performance.now() + SECONDS * 1000;

      const changing = (async () => {
        for (let i = 1; performance.now() < end; i++) {
          const [text, rules] = states[i % states.length] ?? ["", ""];
          const begins = performance.now();
          path = await makeRules(t, rules, maker);
          const last = reigns.at(-1);
          if (last) last.ends = performance.now();
          reigns.push({ text, begins, ends: Infinity });
          // Long enough that the server notices every such state, or so short that it misses some.
          await pause(i % 3 === 1 ? NOTICED * 1.3 : 150);
        }
      })();

      const visits: Promise<{ text: string; received: number; from: number; to: number }>[] = [];
      while (performance.now() < end) {
        visits.push((async () => {
          const from = performance.now();
          const guest = new Guest(server.port);
          await within(guest.closed, LIMIT, "a visit did not end");
          const { text, received } = guest;
          return { text, received, from, to: performance.now() };
        })());
        await pause(1000 / PER_SECOND); // the rate of the visits
      }
      const seen = await Promise.all(visits);
      await changing;

      const count = { one: 0, two: 0, "": 0 } as Record<string, number>;
      for (const { text, received, from, to } of seen) {
        const valid = reigns.filter((r) => r.begins <= to && r.ends + NOTICED + LATE >= from);
        assert(
          valid.some((reign) => reign.text === text),
          `"${text}" at ${from} to ${to}; ${JSON.stringify(valid)}`,
        );
        // A denied client gets no byte. Bytes without text would be a failure after admission.
        if (text === "") assertStrictEquals(received, 0, "let in, but not served");
        count[text] = (count[text] ?? 0) + 1;
      }
      assert(seen.length >= SECONDS * PER_SECOND / 2, `${seen.length} visits`);
      assert(count["one"] || count["two"], JSON.stringify(count));
      assert(count[""], JSON.stringify(count));
      assertEquals(server.lines(/: error: /), []);
    },
    { timeout: (SECONDS + 60) * 1000 },
  );
}

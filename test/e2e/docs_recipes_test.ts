/** The recipes in docs/recipes/ work as they stand: for each page, its commands run in their order in one folder, as a
 *  reader runs them, with the examples that `--example` prints. Only what depends on the machine is replaced. */

import { assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { test } from "node:test";
import { ROOT } from "./harness.ts";
import { type Recipe, tryRecipe } from "./recipes.ts";

const RECIPES: readonly Recipe[] = [
  {
    page: "mail",
    ports: ["465", "25"],
    programs: {
      smtpd: "printf '220 mx\\r\\n'; read -r x; echo \"250 $TCPREMOTEIP ${RELAYCLIENT-no}\"",
    },
    steps: [
      { first: "sslserver --example smtps > smtps", writes: ["smtps"] },
      {
        first:
          'printf \'127.:allow,RELAYCLIENT=""\\n10.:allow,RELAYCLIENT=""\\n192.0.2.:deny\\n:allow\\n\' |',
      },
      { first: "./smtps", serves: "465" },
      {
        first:
          "printf 'EHLO me.example\\r\\nQUIT\\r\\n' | openssl s_client -quiet -connect localhost:465",
        prints: /^220 mx\r\n250 127\.0\.0\.1 \n$/,
      },
      { first: "sslserver --example starttls > starttls", writes: ["starttls"] },
      { first: "./starttls", serves: "25" },
      {
        first: "printf 'QUIT\\r\\n' | openssl s_client -quiet -starttls smtp -connect localhost:25",
        prints: /^(?:250 .*\r\n)?221 .*\r\n$/,
      },
    ],
  },
];

for (const recipe of RECIPES) tryRecipe(recipe);

test("every page has its commands tested, and the index has every page", () => {
  const folder = join(ROOT, "docs/recipes");
  const pages = fs.readdirSync(folder).filter((name) => name !== "README.md").sort();
  assertEquals(pages, RECIPES.map(({ page }) => `${page}.md`).sort());
  const index = fs.readFileSync(join(folder, "README.md"), "utf8");
  for (const page of pages) assertMatch(index, new RegExp(`\\]\\(${page}\\)`));
});

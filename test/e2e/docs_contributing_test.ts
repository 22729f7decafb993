/** Every command in CONTRIBUTING.md does what the text says, in a copy of the sources. */

import { assert, assertMatch, assertNotMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { checkout } from "./checkout.ts";
import { npmEnvironment, ROOT, type Trial } from "./harness.ts";
import { type Ended, fenced, tryBlocks } from "./docs.ts";

/** The shell state that the set-up leaves. Also limits tests to one form and reuses Deno's cache. */
const IN_COPY = `cd copy && export PATH="$PWD/node_modules/.bin:$PATH" DENO_NO_PACKAGE_JSON=1 ` +
  `DENO_DIR='${ROOT}/dist/.deno' SSLSERVER_FORM=binary NO_COLOR=1`;

const forms = ["binary"] as const;
const copy = (t: Trial): Promise<void> => Promise.resolve(void checkout(t, [], "copy"));
/** The fields of an entry whose command `first` runs in the copy. */
const inCopy = (
  first: string,
) => ({ before: copy, forms, replace: [[first, `${IN_COPY}\n${first}`]] } as const);

function passed({ status, stdout, stderr }: Ended, pattern: RegExp): void {
  assertMatch(stdout, pattern, stdout + stderr);
  assertStrictEquals(status, 0, stdout + stderr);
}

tryBlocks("CONTRIBUTING.md", fenced("CONTRIBUTING.md"), [
  {
    first: "./compile.sh",
    ...inCopy("./compile.sh"),
    ends: (_t, ended) => passed(ended, /\/copy\/dist\/sslserver\n$/),
  },
  {
    first: 'export PATH="$PWD/node_modules/.bin:$PATH" DENO_NO_PACKAGE_JSON=1',
    before: copy,
    forms,
    replace: [["export", "cd copy && export"]],
    ends: (_t, { status, stdout, stderr }) => {
      assertStrictEquals(status, 0);
      assertMatch(stdout + stderr, /\btest\b/);
      assertNotMatch(stdout + stderr, /Download/);
    },
  },
  {
    first: "deno task ok",
    before: copy,
    forms,
    // This task runs all tests, this one included, so only its definition is checked.
    replace: [["deno task ok", `${IN_COPY}\ndeno task 2>&1`]],
    ends: (_t, ended) => passed(ended, /- ok\n +\.ci\/run\n/),
  },
  {
    first: "deno task ok test/codec/ip_test.ts test/e2e/ready_test.ts",
    ...inCopy("deno task ok"),
    limit: 280_000, // checks all types without a cache
    ends: (_t, ended) => {
      for (const check of ["./compile.sh", "deno fmt --check", "deno lint", "deno check"]) {
        assert(ended.stdout.includes(`ok ${check}\n`), ended.stdout);
      }
      passed(ended, /^ok test\/e2e\/ready_test\.ts: [\s\S]*\n[0-9]+ passed, 0 failed, /m);
    },
  },
  {
    first: "deno task test test/codec/ip_test.ts",
    ...inCopy("deno task test"),
    ends: (_t, ended) =>
      passed(ended, /^ok test\/codec\/ip_test\.ts: deno \d+, bun \d+ .*\n\d+ passed, 0 failed, /m),
  },
  {
    first: "deno test -A --no-check test/codec/ip_test.ts",
    // The last command of the block needs the compiled file.
    before: async (t) => {
      await copy(t);
      fs.symlinkSync(join(ROOT, "dist"), join(t.dir, "copy/dist"));
    },
    forms,
    replace: [["deno test", `${IN_COPY}\nset -e\ndeno test`]],
    ends: (_t, { status, stdout, stderr }) => {
      assertStrictEquals(status, 0, stdout + stderr);
      assertMatch(stdout, /^ok \| \d+ passed \| 0 failed/m);
      assertStrictEquals(stderr.match(/^ 0 fail$/gm)?.length, 2, stderr);
    },
  },
  {
    first: "deno run -A tools/make_docs.ts",
    ...inCopy("deno run"),
    ends: (t, ended) => {
      passed(ended, /\d+ passed, 0 failed, /);
      for (const made of ["man/text/sslserver.1.txt", "completions/sslserver.bash"]) {
        const [here, there] = [ROOT, join(t.dir, "copy")].map((root) =>
          fs.readFileSync(join(root, made), "utf8")
        );
        assertStrictEquals(there, here, made);
      }
    },
  },
  {
    first: "./release.sh",
    before: copy,
    forms,
    // Only one target: release.sh builds the others in the same way.
    replace: [["./release.sh", `${IN_COPY}\n${npmSettings()} ./release.sh linux-x64`]],
    ends: (_t, ended) => passed(ended, /^sslserver-[0-9.]+-linux-x64: OK$/m),
  },
]);

/** A shell prefix that sets this machine's npm settings. */
function npmSettings(): string {
  const set = Object.entries(npmEnvironment()).map(([name, value]) => `'${name}=${value}'`);
  return ["env", ...set].join(" ");
}

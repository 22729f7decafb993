/** All packages that compile.sh installs are pinned by checksum, on every platform. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), "utf8");

interface Locked {
  version?: string;
  integrity?: string;
  devDependencies?: Record<string, string>;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

test("the lock file pins every package that any platform may install", () => {
  const { packages } = JSON.parse(read("package-lock.json")) as {
    packages: Record<string, Locked>;
  };
  const { devDependencies } = JSON.parse(read("package.json")) as Locked;
  assert.deepEqual(packages[""]?.devDependencies, devDependencies);
  let count = 0;
  for (const one of Object.values(packages)) {
    const wanted = { ...one.devDependencies, ...one.dependencies, ...one.optionalDependencies };
    for (const [name, version] of Object.entries(wanted)) {
      const locked = packages[`node_modules/${name}`];
      assert.equal(locked?.version, version, name);
      assert.match(locked?.integrity ?? "", /^sha512-[A-Za-z0-9+/]{86}==$/, name);
      count++;
    }
  }
  assert.equal(count, Object.keys(packages).length - 1, "something is locked that nobody wants");
});

test("compile.sh installs by the lock file alone", () => {
  const script = read("compile.sh");
  assert.match(script, /run_npm ci /);
  assert.doesNotMatch(script, /run_npm (install|i|add|update) /);
});

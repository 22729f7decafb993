/** All packages that compile.sh installs are pinned by checksum, on every platform. */

import { assertEquals, assertMatch, assertNotMatch, assertStrictEquals } from "@std/assert";
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
  assertEquals(packages[""]?.devDependencies, devDependencies);
  let count = 0;
  for (const one of Object.values(packages)) {
    const wanted = { ...one.devDependencies, ...one.dependencies, ...one.optionalDependencies };
    for (const [name, version] of Object.entries(wanted)) {
      const locked = packages[`node_modules/${name}`];
      // A package may name a range: `^8.0.0` is any 8.
      const range = /^\^(\d+\.)/.exec(version);
      if (range) assertStrictEquals(locked?.version?.startsWith(range[1] ?? ""), true, name);
      else assertStrictEquals(locked?.version, version, name);
      assertMatch(locked?.integrity ?? "", /^sha512-[A-Za-z0-9+/]{86}==$/, name);
      count++;
    }
  }
  assertStrictEquals(
    count,
    Object.keys(packages).length - 1,
    "something is locked that nobody wants",
  );
});

test("a package is a development dependency only for a reason that README.md gives", () => {
  const { devDependencies } = JSON.parse(read("package.json")) as Locked;
  const rows = read("README.md").matchAll(/^\| `([\w-]+)` ([\d.]+) \| \w.+ \|$/gm);
  assertEquals(Object.fromEntries([...rows].map(([, name, version]) => [name, version])), {
    ...devDependencies,
  });
});

test("compile.sh installs by the lock file alone", () => {
  const script = read("compile.sh");
  assertMatch(script, /run_npm ci /);
  assertNotMatch(script, /run_npm (install|i|add|update) /);
});

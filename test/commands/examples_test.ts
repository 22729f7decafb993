/** `--example` prints files of examples/, and every file that is not a script for the library has a name. */

import { assertEquals, assertMatch, assertRejects, assertStrictEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { test } from "node:test";
import { example, EXAMPLES } from "../../src/commands/examples.ts";
import { UsageError } from "../../src/errors.ts";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));
const FOLDER = join(ROOT, "examples");
const read = (file: string): string => fs.readFileSync(join(FOLDER, file), "utf8");

test("each name prints its file", async () => {
  for (const [name, { file }] of Object.entries(EXAMPLES)) {
    assertStrictEquals(await example(name), read(file));
  }
});

test("the list has a line of at most 80 characters for each name", async () => {
  const list = await example("");
  assertStrictEquals(await example("list"), list);
  const lines = list.trimEnd().split("\n");
  assertEquals(lines.map((line) => line.split(" ")[0]), Object.keys(EXAMPLES));
  for (const line of lines) assertMatch(line, /^.{20,80}$/);
});

test("another name is a usage error that has all names", async () => {
  for (const name of ["nothing", "constructor", "S6"]) {
    const error = await assertRejects(() => example(name), UsageError);
    assertMatch(error.message, /^option --example needs smtps, .* or list, not '\w+'$/);
  }
});

/** The paths of all files in examples/. */
const files = fs.readdirSync(FOLDER, { recursive: true, encoding: "utf8" })
  .filter((path) => !path.startsWith("text/") && fs.statSync(join(FOLDER, path)).isFile());

/** Files of the library, and a file that goes with another. */
const OTHERS = ["echo.ts", "echo_client.ts", "mutual_tls.ts", "s6/imaps/notification-fd"];

test("every file has a name, except scripts for the library", () => {
  const named = Object.values(EXAMPLES).map(({ file }) => file);
  assertEquals([...named, ...OTHERS].sort(), files.sort());
});

test("shell scripts have no syntax error, and may be executed", () => {
  const scripts = files.filter((file) => read(file).startsWith("#!/bin/sh\n"));
  for (const file of scripts) {
    const path = join(FOLDER, file);
    execFileSync("sh", ["-n", path]);
    assertStrictEquals(fs.statSync(path).mode & 0o111, 0o111, file);
  }
});

import { assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { ignoring } from "../../src/program/ignored_signals.ts";

function tried(command: string[], signals: string[]): { words: string[]; lines: string } {
  let lines = "";
  const log = { warning: (text: string) => void (lines += text) };
  return { words: ignoring(command, signals, log), lines };
}

test("without ignored signals the command is what it was", () => {
  assertEquals(tried(["prog", "a=b"], []), { words: ["prog", "a=b"], lines: "" });
});

test("env(1) ignores for the program what the server was started to ignore", () => {
  const { words, lines } = tried(["prog", "a=b"], ["SIGHUP", "SIGQUIT"]);
  assertMatch(words[0] ?? "", /\/env$/);
  assertEquals(words.slice(1), ["--ignore-signal=SIGHUP,SIGQUIT", "--", "prog", "a=b"]);
  assertStrictEquals(lines, "");
});

test("a program that env(1) would take for a variable is started without, and the log says so", () => {
  const { words, lines } = tried(["./a=b"], ["SIGHUP"]);
  assertEquals(words, ["./a=b"]);
  assertMatch(lines, /^programs will not ignore SIGHUP/);
});

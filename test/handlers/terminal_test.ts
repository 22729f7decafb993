import { assertEquals } from "@std/assert";
import { test } from "node:test";
import { type TerminalCommand, TypedLines } from "../../src/handlers/terminal.ts";
import { reversed } from "../../src/handlers/reverse.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** What pieces of input are: texts of data, and commands. */
function typed(pieces: readonly string[], commands = true): (TerminalCommand | string)[] {
  const lines = new TypedLines(commands);
  const found = pieces.flatMap((piece) => lines.push(bytes(piece)));
  const rest = lines.end();
  return [...found, ...rest.length > 0 ? [rest] : []].map((one) =>
    one instanceof Uint8Array ? new TextDecoder().decode(one) : one
  );
}

const COMMANDS: Readonly<Record<string, TerminalCommand>> = {
  Q: "quit",
  q: "close",
  S: "statistics",
  P: "plain text",
};

test("a line with one letter is a command", () => {
  for (const [letter, command] of Object.entries(COMMANDS)) {
    for (const end of ["\n", "\r\n"]) assertEquals(typed([letter + end]), [command]);
  }
});

test("a command whose line comes in pieces is found", () => {
  assertEquals(typed(["Q", "\n"]), ["quit"]);
  assertEquals(typed(["a\n", "q", "\r", "\nb"]), ["a\n", "close", "b"]);
});

test("renegotiation, key updates and heartbeats are refused with the reason", () => {
  for (const letter of ["r", "R", "k", "K", "c", "B"]) {
    const [command, ...more] = typed([`${letter}\n`]);
    assertEquals([typeof command, more], ["object", []], letter);
  }
});

const DATA: readonly (readonly [pieces: readonly string[], data: readonly string[]])[] = [
  [["hello\n"], ["hello\n"]],
  [["Qx\n"], ["Qx\n"]],
  [[" Q\n"], [" Q\n"]],
  [["QQ\n"], ["QQ\n"]],
  [["a", "Q\n"], ["a", "Q\n"]],
  [["one\ntwo\n"], ["one\n", "two\n"]],
  [["Q"], ["Q"]],
  [["x\n\n"], ["x\n", "\n"]],
  [["Z\n"], ["Z\n"]],
];

test("other input is data, and is sent without delay", () => {
  for (const [pieces, data] of DATA) assertEquals(typed(pieces), [...data]);
});

test("with -quiet no letter is a command", () => {
  assertEquals(typed(["Q\nS\n"], false), ["Q\nS\n"]);
});

test("a line is sent back in reverse order, with a line feed", () => {
  assertEquals(new TextDecoder().decode(reversed(bytes("abc"))), "cba\n");
  assertEquals(new TextDecoder().decode(reversed(bytes(""))), "\n");
});

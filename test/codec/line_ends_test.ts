import { assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { test } from "node:test";
import { concat } from "../../src/codec/bytes.ts";
import { CrAdder, CrRemover } from "../../src/codec/line_ends.ts";
import { forAll, textOf } from "./properties.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (chunks: readonly Uint8Array[]): string =>
  new TextDecoder().decode(concat([...chunks]));

function added(...chunks: string[]): string {
  const adder = new CrAdder();
  return text(chunks.map((chunk) => adder.push(bytes(chunk))));
}

function removed(...chunks: string[]): string {
  const remover = new CrRemover();
  return text([...chunks.map((chunk) => remover.push(bytes(chunk))), remover.end()]);
}

/** A text, the text with CRs added, and with CRs removed. */
const ROWS: readonly (readonly [from: string, added: string, removed: string])[] = [
  ["", "", ""],
  ["a", "a", "a"],
  ["\n", "\r\n", "\n"],
  ["\r", "\r", "\r"],
  ["\r\n", "\r\n", "\n"],
  ["\n\n", "\r\n\r\n", "\n\n"],
  ["a\nb", "a\r\nb", "a\nb"],
  ["a\r\nb\n", "a\r\nb\r\n", "a\nb\n"],
  ["\r\r\n", "\r\r\n", "\r\n"],
  ["\n\r", "\r\n\r", "\n\r"],
  ["a\rb\r\n\rc", "a\rb\r\n\rc", "a\rb\n\rc"],
  ["é\nü\r\n", "é\r\nü\r\n", "é\nü\n"],
];

for (const [from, plus, minus] of ROWS) {
  test(`line ends of ${JSON.stringify(from)}`, () => {
    assertStrictEquals(added(from), plus);
    assertStrictEquals(removed(from), minus);
  });
}

test("line ends do not depend on where the text is cut", () => {
  forAll(3000, fc.array(textOf("\r\nab", 6), { minLength: 1, maxLength: 4 }), (chunks) => {
    const whole = chunks.join("");
    assertStrictEquals(added(...chunks), added(whole));
    assertStrictEquals(added(...chunks), whole.replaceAll(/(?<!\r)\n/g, "\r\n"));
    assertStrictEquals(removed(...chunks), whole.replaceAll("\r\n", "\n"));
    const bare = whole.replaceAll("\r", "");
    assertStrictEquals(removed(added(bare)), bare);
  });
});

/** Log lines of a worker, which may contain any bytes. */

import { assertMatch, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { LogLines } from "../../src/privsep/log_lines.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

test("whole lines pass unchanged, wherever the chunks are cut", () => {
  const text = "sslserver: status: 1/40/0\nsslserver: pid 4711 from 192.0.2.7\n";
  for (let at = 0; at <= text.length; at++) {
    const lines = new LogLines();
    assertStrictEquals(
      lines.push(bytes(text.slice(0, at))) + lines.push(bytes(text.slice(at))),
      text,
    );
    assertStrictEquals(lines.end(), "");
  }
});

test("control bytes and bytes outside ASCII become question marks", () => {
  assertStrictEquals(
    new LogLines().push(bytes("\u001b[31mred\u0007\rback\u0000\t\u00e9\u009b\n")),
    "?[31mred??back??????\n",
  );
});

test("an endless line is cut, and the rest is a new line", () => {
  const lines = new LogLines();
  let text = "";
  for (let i = 0; i < 1000; i++) text += lines.push(bytes("x".repeat(1000)));
  assertStrictEquals(text, "");
  assertStrictEquals(lines.push(bytes("y\nnext\n")), `${"x".repeat(8192)}...\nnext\n`);
});

test("a last line without an end gets one", () => {
  const lines = new LogLines();
  assertStrictEquals(lines.push(bytes("a\npanic")), "a\n");
  assertStrictEquals(lines.end(), "panic\n");
  assertStrictEquals(lines.end(), "");
});

test("the output is always printable lines of limited length", () => {
  for (let run = 0; run < 200; run++) {
    const lines = new LogLines();
    let text = "";
    for (let i = 0; i < 4; i++) {
      const chunk = crypto.getRandomValues(new Uint8Array(Math.floor(9000 * Math.random())));
      if (run % 2) chunk.forEach((byte, at) => byte === 10 && (chunk[at] = 0)); // one line without end
      text += lines.push(chunk);
    }
    assertMatch(text + lines.end(), /^(?:[\x20-\x7e]{0,8195}\n)*$/);
  }
});

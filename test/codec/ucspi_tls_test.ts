/** UCSPI-TLS: the codec. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { concat, latin1 } from "../../src/codec/bytes.ts";
import { environmentMessage, Tap } from "../../src/codec/ucspi_tls.ts";

const bytes = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
const HELLO = "\x16\x03\x01\x00\x05hello";

/** The hello that a tap finds after these events: `<` from the client, `>` from the program. */
function hello(...events: string[]): string {
  const tap = new Tap();
  for (const event of events) {
    if (event.startsWith("<")) tap.fromClient(bytes(event.slice(1)));
    else tap.fromProgram();
  }
  return latin1(tap.hello());
}

test("a ClientHello is found where it can be", () => {
  const rows: [string, string[], string][] = [
    ["nothing", [], ""],
    ["only the command", ["<STARTTLS\r\n", ">"], ""],
    ["after the answer", ["<STARTTLS\r\n", ">", `<${HELLO}`], HELLO],
    ["with the command", [`<STARTTLS\r\n${HELLO}`, ">"], HELLO],
    ["with a command that has no answer", [`<tls\n${HELLO}`], HELLO],
    ["first of all", [`<${HELLO}`], HELLO],
    ["cut by the answer", ["<STARTTLS\r\n\x16\x03\x01", ">", "<\x00\x05hello"], HELLO],
    ["cut after one byte", ["<STARTTLS\r\n\x16", ">", "<\x03\x01"], "\x16\x03\x01"],
    ["an answer in two pieces", [`<STARTTLS\r\n${HELLO}`, ">", ">"], HELLO],
    [
      "bytes behind it",
      ["<STARTTLS\r\n", ">", `<${HELLO}`, "<\n\x16\x03 x"],
      `${HELLO}\n\x16\x03 x`,
    ],
    ["a lone 22 before the answer and other bytes after it", ["<\x16", ">", "<a"], ""],
    ["a round too early", [`<${HELLO}`, ">", "<STARTTLS\r\n", ">"], ""],
    ["in the middle of a line", [`<x${HELLO}`, ">"], ""],
    ["no handshake record", ["<STARTTLS\r\n\x17\x03\x01", ">"], ""],
    ["no TLS version", ["<STARTTLS\r\n\x16\x02\x01", ">"], ""],
    ["behind other plaintext", [`<STARTTLS\r\nRSET\r\n${HELLO}`, ">"], HELLO],
    ["other plaintext after the answer", ["<STARTTLS\r\n", ">", "<RSET\r\n"], ""],
  ];
  for (const [name, events, found] of rows) assertStrictEquals(hello(...events), found, name);
});

test("what is found always begins like a handshake record", () => {
  let seed = 1;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor(seed / 2 ** 32 * below);
  };
  const pieces = ["\x16", "\x03", "\n", "a", "\x16\x03\x01", "\r\n", HELLO];
  for (let run = 0; run < 20_000; run++) {
    const events = Array.from(
      { length: random(8) },
      () => random(3) === 0 ? ">" : `<${pieces[random(pieces.length)]}`,
    );
    const found = hello(...events);
    const begins = found === "" || found === "\x16" || found.startsWith("\x16\x03");
    assert(begins, JSON.stringify(events));
    const sent = events.filter((event) => event !== ">").map((event) => event.slice(1)).join("");
    assert(sent.endsWith(found), "it is the end of what the client sent");
  }
});

test("a ClientHello is reported once", () => {
  const tap = new Tap();
  tap.fromClient(bytes(HELLO));
  assertStrictEquals(latin1(tap.hello()), HELLO);
  assertStrictEquals(tap.hello().length, 0);
});

test("up to 64 KB are remembered and returned unchanged", () => {
  const tap = new Tap();
  const long = concat([bytes("\x16\x03\x01"), new Uint8Array(65_533)]);
  tap.fromClient(long);
  tap.fromClient(Uint8Array.of(1));
  assertEquals(tap.hello(), long);
});

test("the answer to Y is NAME=value NUL for each, and one more NUL", () => {
  const message = (variables: [string, string][]): string =>
    new TextDecoder().decode(environmentMessage(variables));
  assertStrictEquals(message([]), "\0");
  assertStrictEquals(
    message([["SSL_PROTOCOL", "TLSv1.3"], ["SSL_CLIENT_S_DN", "/CN=ü\n"], ["EMPTY", ""]]),
    "SSL_PROTOCOL=TLSv1.3\0SSL_CLIENT_S_DN=/CN=ü\n\0EMPTY=\0\0",
  );
  assertStrictEquals(message([["A", "x\0B=forged"]]), "A=x?B=forged\0\0");
});

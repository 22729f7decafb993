import { assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { fromLatin1, latin1 } from "../../src/codec/bytes.ts";
import { IdentReply, identRequest } from "../../src/codec/ident.ts";

test("a request names the remote port, then the local one", () => {
  assertStrictEquals(latin1(identRequest(50312, 465)), "50312 , 465\r\n");
});

test("a request for an impossible port is refused", () => {
  for (const port of [0, -1, 65536, 1.5, NaN]) {
    assertThrows(() => identRequest(port, 1), Error, /ident: port/);
    assertThrows(() => identRequest(1, port), Error, /ident: port/);
  }
});

const head = "50312 , 465 : USERID : UNIX :";
const ROWS: [title: string, text: string, info: string | undefined, ends: boolean][] = [
  ["a plain reply", `${head}root\r\n`, "root", true],
  ["no blanks", "1,2:USERID:UNIX:root\n", "root", true],
  ["blanks everywhere", `\t ${head} \tro ot \r\n`, "root", true],
  ["colons in the user id", `${head}a:b::c\r\n`, "a:b::c", true],
  ["a character set", "1,2:USERID:UNIX,UTF-8:x\r\n", "x", true],
  ["a lower-case reply type", "1,2:userid:other:x\r\n", "x", true],
  ["an error", "50312 , 465 : ERROR : NO-USER\r\n", undefined, true],
  ["an error with more colons", "1,2:ERROR:X:root\r\n", undefined, true],
  ["an empty user id", `${head}  \r\n`, undefined, true],
  ["an empty line", "\r\n", undefined, true],
  ["no end of line", `${head}root`, undefined, false],
  ["nothing", "", undefined, false],
  ["a second line", `${head}root\r\nHELO evil\r\n`, "root", true],
  ["escape sequences and high bytes", `${head}a\x1b[2J\x7f\x9b\xe4b\r\n`, "a?[2J???b", true],
  ["a NUL", `${head}root\0evil\r\n`, "root", true],
  ["a NUL at its start", `${head}\0evil\r\n`, undefined, true],
  ["a vertical tab, a form feed and a backspace", `${head}a\v\f\bb\r\n`, "a???b", true],
  ["a bare carriage return", `${head}a\rb\n`, "ab", true],
  ["257 characters", `${head}${"u".repeat(257)}\r\n`, "u".repeat(257), true],
  ["2,000 characters", `${head}${"u".repeat(2000)}\r\n`, "u".repeat(257), true],
  ["1 MB without an end", `${head}${"u".repeat(1_000_000)}`, "u".repeat(257), true],
  ["1 MB of blanks", `${head}${" ".repeat(1_000_000)}root\r\n`, undefined, true],
  ["1 MB before any colon", "x".repeat(1_000_000), undefined, true],
  ["a reply type of 1,200", `1,2:${"USERID".repeat(200)}:UNIX:x\r\n`, undefined, true],
];
for (const [title, text, info, ends] of ROWS) {
  test(`a reply with ${title} gives ${info === undefined ? "nothing" : "its user id, clean"}`, () => {
    const whole = new IdentReply();
    assertStrictEquals(whole.push(fromLatin1(text)), ends);
    assertStrictEquals(whole.info, info);
    const pieces = new IdentReply();
    for (const byte of fromLatin1(text)) pieces.push(Uint8Array.of(byte));
    assertStrictEquals(pieces.info, info);
  });
}

test("bytes after the end of a reply have no effect", () => {
  const reply = new IdentReply();
  assertStrictEquals(reply.push(fromLatin1(`${head}root\n`)), true);
  assertStrictEquals(reply.push(fromLatin1(`x:y:z:w\n`)), true);
  assertStrictEquals(reply.info, "root");
});

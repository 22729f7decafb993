import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { RuleBook } from "../../../src/admit/rulebook.ts";
import { concat } from "../../../src/codec/bytes.ts";
import { CdbWriter } from "../../../src/codec/cdb_write.ts";
import { compileRule } from "../../../src/codec/rules_source.ts";
import { programRules } from "../../../src/privsep/monitor/rules_history.ts";

function book(...lines: string[]): RuleBook {
  const writer = new CdbWriter();
  for (const line of lines) {
    const rule = compileRule(new TextEncoder().encode(line));
    for (const key of rule?.keys ?? []) writer.add(key, rule?.value ?? new Uint8Array(0));
  }
  const bytes = concat(writer.finish());
  const open = () => ({
    stamp: "1",
    size: bytes.length,
    readAt: (at: number, length: number) => bytes.subarray(at, at + length),
    close: () => {},
  });
  return new RuleBook({ name: "memory", open, stamp: () => "1" }, {
    allowMissing: false,
    now: () => 0,
  });
}

const none = undefined;
const peer = (ip: string, host = "", info = "") => ({ ip, host, info });

test("without rules there is nothing", () => {
  assertEquals(programRules({ early: none, late: none }, peer("192.0.2.1")), new Map());
});

test("the variables that the monitor's own rules set for this peer only", () => {
  const late = book(
    '192.0.2.1:allow,A="1"',
    '=.example:allow,B="2"',
    'joe@192.0.2.9:allow,C="3"',
    ':allow,D="4"',
  );
  for (
    const [who, wanted] of [
      [peer("192.0.2.1"), [["A", "1"]]],
      [peer("192.0.2.2"), [["D", "4"]]],
      [peer("192.0.2.2", "MAIL.Example"), [["B", "2"]]],
      [peer("192.0.2.9", "", "joe"), [["C", "3"]]],
      [peer("192.0.2.9"), [["D", "4"]]],
      [peer("2001:db8::1"), [["D", "4"]]],
    ] as const
  ) {
    assertEquals<unknown>(
      [...programRules({ early: none, late }, who)],
      wanted,
      JSON.stringify(who),
    );
  }
});

test("a matching early rule decides alone, and others have no effect", () => {
  const early = book('192.0.2.1:allow,E="early"');
  const late = book('192.0.2.1:allow,L="late"', '192.0.2.2:allow,L="late"');
  assertEquals([...programRules({ early, late }, peer("192.0.2.1"))], [["E", "early"]]);
  assertEquals([...programRules({ early, late }, peer("192.0.2.2"))], [["L", "late"]]);
  assertEquals([...programRules({ early, late: none }, peer("192.0.2.2"))], []);
});

test("early rules ignore the worker's name and ident", () => {
  const early = book('=client.example:allow,E="1"', 'joe@192.0.2.1:allow,E="2"');
  const who = peer("192.0.2.1", "client.example", "joe");
  assertEquals([...programRules({ early, late: none }, who)], []);
});

test("a peer that the rules deny gets no program, whatever the worker says", () => {
  const deny = book("192.0.2.1:deny", ":allow");
  for (const rules of [{ early: deny, late: none }, { early: none, late: deny }]) {
    assertThrows(
      () => programRules(rules, peer("192.0.2.1")),
      Error,
      /the rules deny this connection/,
    );
    programRules(rules, peer("192.0.2.2"));
  }
});

test("rules that cannot be read give no program", () => {
  const open = (): never => {
    throw new Error("gone");
  };
  const late = new RuleBook({ name: "r.cdb", open, stamp: () => "1" }, {
    allowMissing: true,
    now: () => 0,
  });
  assertThrows(() => programRules({ early: none, late }, peer("192.0.2.1")), Error, /r\.cdb: gone/);
});

test("a peer without a valid address is refused", () => {
  for (const ip of ["", "192.0.2", "192.0.2.1 ", "client.example", "fe80::1%1", "1".repeat(64)]) {
    assertThrows(() => programRules({ early: none, late: book(":allow") }, peer(ip)), Error, /^ip/);
  }
});

test("an ident answer cannot pass for a key of another kind", () => {
  const late = book('192.0.2.7:allow,A="1"', ":allow");
  for (const info of ["192.0.2.7", "=", "_", "^", "x@192.0.2.7", "\u0000".repeat(3), "@"]) {
    assertStrictEquals(programRules({ early: none, late }, peer("192.0.2.8", "", info)).size, 0);
  }
});

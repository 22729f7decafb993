import { assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { parseRewriteRules, qualify, searchListRules } from "../../../src/codec/dns/rewrite.ts";

const RULES = `# comment
-.local:me
=me:127.0.0.1
*.a:.af.test
?:.heaven.af.test
*.:
not a rule
?no colon
`;

const ROWS: [host: string, names: string[]][] = [
  ["any.thing.local", ["127.0.0.1"]],
  ["me", ["127.0.0.1"]],
  ["ME", ["127.0.0.1"]],
  ["some.me", ["some.me"]],
  ["any.name.a", ["any.name.af.test"]],
  ["cheetah", ["cheetah.heaven.af.test"]],
  ["Cheetah", ["Cheetah.heaven.af.test"]],
  ["cheetah.", ["cheetah"]],
  ["lion.test", ["lion.test"]],
  ["[x]", ["[x]"]],
  ["x+.y.test+.z.test", ["x.y.test", "x.z.test"]],
];
for (const [host, names] of ROWS) {
  test(`the rules turn ${host} into ${names}`, () => {
    assertEquals(qualify(host, parseRewriteRules(RULES)), names);
  });
}

test("each rule is applied once, in order", () => {
  assertEquals(qualify("a", parseRewriteRules("=a:b\n=b:c\n=a:d\n=c:c.\n*.:")), ["c"]);
  assertEquals(qualify("x.y.y", parseRewriteRules("*.y:")), ["x.y"]);
});

test("a rule may add a search list, and blanks at its end are ignored", () => {
  assertEquals(qualify("lion", parseRewriteRules("?:+.h.test+.test \t\r\n")), [
    "lion.h.test",
    "lion.test",
  ]);
});

test("without rules a name stays as it is", () => {
  assertEquals(qualify("name.test.", parseRewriteRules("")), ["name.test."]);
});

test("a search list applies to names without dots", () => {
  const rules = searchListRules(["a.test", ".b.test.", ""]);
  assertEquals(qualify("host", rules), ["host.a.test", "host.b.test"]);
  assertEquals(qualify("host.", rules), ["host"]);
  assertEquals(qualify("host.x", rules), ["host.x"]);
  assertEquals(qualify("host", searchListRules([])), ["host"]);
  assertEquals(qualify("host", searchListRules(["."])), ["host"]);
  assertEquals(qualify("host", searchListRules(["a.test", ".", "b+c"])), [
    "host.a.test",
    "host",
  ]);
});

test("a file of a million lines and a name of a thousand labels are limited", () => {
  assertStrictEquals(parseRewriteRules("=a:b\n".repeat(1_000_000)).length, 1000);
  assertStrictEquals(qualify("x" + "+.y".repeat(1000), []).length, 16);
});

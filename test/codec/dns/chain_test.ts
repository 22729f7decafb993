import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import type { DnsRecord } from "../../../src/codec/dns/message.ts";
import {
  followCnameChain,
  MAX_CNAME_CHAIN,
  startCnameChain,
} from "../../../src/codec/dns/chain.ts";

const A = (name: string, data: string, ttl = 60): DnsRecord => ({ name, type: "A", ttl, data });
const C = (name: string, data: string, ttl = 60): DnsRecord => ({ name, type: "CNAME", ttl, data });
const follow = (records: DnsRecord[]) => followCnameChain(startCnameChain("a"), "A", records);

test("data of the name itself is found, with the lowest TTL", () => {
  const step = follow([A("a", "1.1.1.1", 50), A("b", "9.9.9.9", 1), A("a", "2.2.2.2", 40)]);
  assert(step.kind === "data");
  assertEquals(step.data, ["1.1.1.1", "2.2.2.2"]);
  assertStrictEquals(step.chain.ttl, 40);
});

test("a chain is followed in any order, with the lowest TTL", () => {
  const step = follow([A("c", "1.1.1.1", 50), C("b", "c", 7), C("a", "b", 90)]);
  assert(step.kind === "data");
  assertEquals(step.data, ["1.1.1.1"]);
  assertStrictEquals(step.chain.ttl, 7);
});

test("records outside the chain are ignored", () => {
  const step = follow([C("a", "b"), A("evil", "6.6.6.6"), A("a.b", "6.6.6.7")]);
  assert(step.kind === "end");
  assertStrictEquals(step.chain.name, "b");
});

test("a chain that continues in a second answer is followed", () => {
  const first = follow([C("a", "b", 9)]);
  assert(first.kind === "end");
  const second = followCnameChain(first.chain, "A", [C("b", "c"), A("c", "1.1.1.1")]);
  assert(second.kind === "data");
  assertStrictEquals(second.chain.ttl, 9);
});

test("a loop of any length is detected, also over several answers", () => {
  assertStrictEquals(follow([C("a", "a")]).kind, "loop");
  assertStrictEquals(follow([C("a", "b"), C("b", "c"), C("c", "a")]).kind, "loop");
  const first = follow([C("a", "b")]);
  assert(first.kind === "end");
  assertStrictEquals(followCnameChain(first.chain, "A", [C("b", "a")]).kind, "loop");
});

test(`a chain of ${MAX_CNAME_CHAIN} aliases is followed, a longer one is a loop`, () => {
  const chain = (n: number) =>
    followCnameChain(startCnameChain("n0"), "A", [
      ...Array.from({ length: n }, (_, i) => C(`n${i}`, `n${i + 1}`)),
      A(`n${n}`, "1.1.1.1"),
    ]).kind;
  assertStrictEquals(chain(MAX_CNAME_CHAIN), "data");
  assertStrictEquals(chain(MAX_CNAME_CHAIN + 1), "loop");
});

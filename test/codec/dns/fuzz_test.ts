/** Random and mutated packets through the DNS codec: for any bytes, it returns or throws
 *  `DecodeError`, returns only valid values, and leaves nothing behind.
 *  FUZZ_RUNS sets the number of packets. */

import { assert, assertMatch, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { test } from "node:test";
import { fromLatin1 } from "../../../src/codec/bytes.ts";
import {
  answerMismatch,
  decodeDnsMessage,
  type DnsMessage,
  encodeDnsQuery,
} from "../../../src/codec/dns/message.ts";
import {
  followCnameChain,
  MAX_CNAME_CHAIN,
  startCnameChain,
} from "../../../src/codec/dns/chain.ts";
import { canonicalName } from "../../../src/codec/dns/name.ts";
import { IdentReply } from "../../../src/codec/ident.ts";
import { ipBytes } from "../../../src/codec/dns/reverse.ts";
import { a, cname, message, ptr, question, record, soa, txt, TYPES } from "./build.ts";
import { anyBytes, damaged, decoded, forAll, mostly, runs, textOf } from "../properties.ts";

const RUNS = runs(200_000);

const WWW = question("www.test", TYPES.A);
const POINTER = Uint8Array.of(0xc0, 12);
const SEEDS = [
  message({ question: WWW, answers: [a("www.test", "192.0.2.1"), a("www.test", "2001:db8::1")] }),
  message({
    question: WWW,
    answers: [
      record(POINTER, TYPES.CNAME, Uint8Array.of(1, 0x61, 0xc0, 16)),
      cname("a.test", "b.test"),
      record(Uint8Array.of(0xc0, 42), TYPES.A, Uint8Array.of(192, 0, 2, 1)),
    ],
  }),
  message({ question: WWW, flags: 0x8183, authority: [soa("test", 60, 60)] }),
  message({ question: WWW, flags: 0x8380 }),
  message({
    question: question("7.2.0.192.in-addr.arpa", TYPES.PTR),
    answers: [ptr("7.2.0.192.in-addr.arpa", "host.test"), txt("x.test", "y")],
  }),
  encodeDnsQuery({ id: 0x1234, name: "www.test", type: "A", edns: true }),
];

/** Pointers of compressed names, RFC 1035 section 4.1.4. */
const POINTERS = Array.from({ length: 64 }, (_, to) => Uint8Array.of(0xc0, to));
const PACKETS = mostly(damaged(SEEDS, { likely: POINTERS }), 10, anyBytes(80));

function check(found: DnsMessage): void {
  const query = { id: 0x1234, name: "www.test", type: "A", edns: false } as const;
  answerMismatch(query, found);
  if (found.question !== undefined) {
    assertStrictEquals(canonicalName(found.question.name), found.question.name);
  }
  for (const { name, type, ttl, data } of found.answers) {
    assertStrictEquals(canonicalName(name), name);
    assert(ttl >= 0 && ttl <= 0x7fffffff);
    if (type === "A" || type === "AAAA") assert(ipBytes(data) !== undefined, data);
    else assertStrictEquals(canonicalName(data), data);
  }
  const step = followCnameChain(startCnameChain("www.test"), "A", found.answers);
  if (step.kind !== "loop") assert(step.chain.seen.size <= MAX_CNAME_CHAIN);
}

test(`${RUNS} mutated packets are decoded or refused, without growth`, { timeout: 600_000 }, () => {
  let accepted = 0;
  let slowest = 0;
  let base = 0;
  let run = 0;
  forAll(RUNS, PACKETS, (bytes) => {
    if (run++ === Math.floor(RUNS / 10)) base = process.memoryUsage().rss;
    const began = performance.now();
    const found = decoded(() => decodeDnsMessage(bytes), /^dns: [A-Za-z ]+: .* at byte \d+$/);
    if (found) {
      check(found);
      accepted++;
    }
    slowest = Math.max(slowest, performance.now() - began);
  });
  assert(accepted > RUNS / 20, `only ${accepted} accepted: the mutations are too wild`);
  assert(slowest < 5000, `a packet took ${slowest} ms`);
  const grown = process.memoryUsage().rss - base;
  assert(grown < 200e6, `memory grew by ${grown} bytes`);
});

test(`${Math.ceil(RUNS / 10)} random ident replies give printable text or nothing`, {
  timeout: 600_000,
}, () => {
  const pieces = [":", " ", "\t", "\r", "\n", "\0", "\x1b", "USERID", "ERROR", "x", "1,2", "\xff"];
  const replies = fc.record({
    start: fc.constantFrom("", "1,2:USERID:UNIX:"),
    text: textOf(pieces, 30),
    times: fc.integer({ min: 1, max: 40 }),
  });
  forAll(Math.ceil(RUNS / 10), replies, ({ start, text, times }) => {
    const reply = new IdentReply();
    reply.push(fromLatin1(start + text.repeat(times)));
    assertMatch(reply.info ?? "-", /^[!-~]{1,257}$/);
  });
});

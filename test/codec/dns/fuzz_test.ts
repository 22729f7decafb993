/** Random and mutated packets through the DNS codec: for any bytes, it returns or throws
 *  `DecodeError`, returns only valid values, and leaves nothing behind.
 *  FUZZ_RUNS sets the number of packets. */

import { assert, assertMatch, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { concat, DecodeError } from "../../../src/codec/bytes.ts";
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
import { numbers } from "../mutate.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 200_000);

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

function mutate(bytes: Uint8Array, below: (n: number) => number): Uint8Array {
  if (below(10) === 0) return Uint8Array.from({ length: below(80) }, () => below(256));
  let out = bytes.slice();
  for (let n = 1 + below(4); n > 0; n--) {
    const at = below(out.length + 1);
    const kind = below(7);
    if (kind < 2) out[at] = below(256);
    else if (kind === 2) out[at] = (out[at] ?? 0) ^ (1 << below(8));
    else if (kind === 3) {
      out = concat([out.subarray(0, at), Uint8Array.of(0xc0, below(64)), out.subarray(at + 2)]);
    } else if (kind === 4) out = concat([out.subarray(0, at), out.subarray(at + 1 + below(4))]);
    else if (kind === 5) out = out.slice(0, at);
    else {
      const from = below(out.length + 1);
      out = concat([out.subarray(0, at), out.subarray(from, from + below(40)), out.subarray(at)]);
    }
  }
  return out;
}

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
  const below = numbers(20261121);
  let accepted = 0;
  let slowest = 0;
  let base = 0;
  for (let i = 0; i < RUNS; i++) {
    if (i === Math.floor(RUNS / 10)) base = process.memoryUsage().rss;
    const bytes = mutate(SEEDS[i % SEEDS.length] ?? WWW, below);
    const began = performance.now();
    try {
      check(decodeDnsMessage(bytes));
      accepted++;
    } catch (error) {
      assert(error instanceof DecodeError, `${error} for ${bytes}`);
      assertMatch(error.message, /^dns: [A-Za-z ]+: .* at byte \d+$/);
    }
    slowest = Math.max(slowest, performance.now() - began);
  }
  assert(accepted > RUNS / 20, `only ${accepted} accepted: the mutations are too wild`);
  assert(slowest < 5000, `a packet took ${slowest} ms`);
  const grown = process.memoryUsage().rss - base;
  assert(grown < 200e6, `memory grew by ${grown} bytes`);
});

test(`${Math.ceil(RUNS / 10)} random ident replies give printable text or nothing`, {
  timeout: 600_000,
}, () => {
  const below = numbers(1413);
  const pieces = [":", " ", "\t", "\r", "\n", "\0", "\x1b", "USERID", "ERROR", "x", "1,2", "\xff"];
  for (let i = 0; i < RUNS / 10; i++) {
    const text = (i % 2 ? "1,2:USERID:UNIX:" : "") +
      Array.from({ length: below(30) }, () => pieces[below(pieces.length)]).join("").repeat(
        1 + below(40),
      );
    const reply = new IdentReply();
    reply.push(Uint8Array.from(text, (c) => c.charCodeAt(0)));
    assertMatch(reply.info ?? "-", /^[!-~]{1,257}$/);
  }
});

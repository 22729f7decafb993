import assert from "node:assert/strict";
import { test } from "node:test";
import { concat, DecodeError, hex } from "../../src/codec/bytes.ts";
import { answerMismatch, decodeMessage, encodeQuery, type Query } from "../../src/codec/dns.ts";
import { encodeName } from "../../src/codec/dns_name.ts";
import { a, cname, message, ptr, question, record, soa, txt, TYPES, u16 } from "./dns_build.ts";

const QUERY: Query = { id: 0x1234, name: "www.test", type: "A", edns: false };
const WWW = question("www.test", TYPES.A);

test("a query asks one question with recursion desired", () => {
  assert.equal(
    hex(encodeQuery(QUERY)),
    "1234" + "0100" + "0001000000000000" + "03777777047465737400" + "0001" + "0001",
  );
});

test("a query with EDNS0 offers 1,232 bytes in an OPT record", () => {
  assert.equal(
    hex(encodeQuery({ ...QUERY, type: "AAAA", edns: true })),
    "1234" + "0100" + "0001000000000001" + "03777777047465737400" + "001c" + "0001" +
      "00" + "0029" + "04d0" + "00000000" + "0000",
  );
});

const SAMPLE = message({
  question: WWW,
  answers: [
    cname("www.test", "host.test", 5),
    txt("host.test", "stepped over"),
    a("host.test", "192.0.2.1", 30),
    a("host.test", "2001:db8::1", 0x80000001),
    ptr("host.test", "Other.Test"),
    record("host.test", TYPES.A, Uint8Array.of(1, 2, 3, 4)).map((b, i) => i === 14 ? 3 : b),
  ],
  authority: [soa("test", 300, 120)],
});

test("an answer's records are read, other types and classes stepped over", () => {
  const got = decodeMessage(SAMPLE);
  assert.deepEqual(got, {
    id: 0x1234,
    response: true,
    truncated: false,
    rcode: 0,
    question: { name: "www.test", type: 1, class: 1 },
    answers: [
      { name: "www.test", type: "CNAME", ttl: 5, data: "host.test" },
      { name: "host.test", type: "A", ttl: 30, data: "192.0.2.1" },
      { name: "host.test", type: "AAAA", ttl: 0, data: "2001:db8::1" },
      { name: "host.test", type: "PTR", ttl: 60, data: "other.test" },
    ],
    negativeTtl: 120,
  });
  assert.equal(answerMismatch(QUERY, got), undefined);
});

test("every truncation of an answer fails cleanly", () => {
  for (let end = 0; end < SAMPLE.length; end++) {
    assert.throws(() => decodeMessage(SAMPLE.subarray(0, end)), DecodeError, `at ${end}`);
  }
});

test("an answer marked as truncated is not read beyond its question", () => {
  const cut = message({ flags: 0x8380, question: WWW, counts: { answers: 9 } });
  assert.equal(decodeMessage(cut).truncated, true);
});

test("a compressed answer of 64 KB is read whole", () => {
  const answers = Array.from(
    { length: 4000 },
    (_, i) => record(Uint8Array.of(0xc0, 12), TYPES.A, Uint8Array.of(10, 0, i >> 8, i & 255)),
  );
  const bytes = message({ question: WWW, answers });
  assert.ok(bytes.length > 64_000 && bytes.length < 65_536);
  const got = decodeMessage(bytes);
  assert.equal(got.answers.length, 4000);
  assert.deepEqual(got.answers[3999], {
    name: "www.test",
    type: "A",
    ttl: 60,
    data: "10.0.15.159",
  });
});

test("the most expensive names in 64 KB are refused or read within a second", () => {
  // A chain of pointers, and records that all enter it at its end.
  const chain = concat(
    Array.from({ length: 8000 }, (_, i) => u16(0xc000 | Math.max(0, 10 + 2 * i))),
  );
  const entry = u16(0xc000 | 16_000);
  const records = Array.from(
    { length: 4000 },
    () => record(entry, TYPES.A, Uint8Array.of(1, 1, 1, 1)),
  );
  const began = performance.now();
  assert.throws(
    () =>
      decodeMessage(
        message({ question: WWW, answers: [record(".", TYPES.TXT, chain), ...records] }),
      ),
    DecodeError,
  );
  // The longest legal names, 4,000 times.
  const long = encodeName(Array(127).fill("z").join("."));
  const first = record(long, TYPES.A, Uint8Array.of(1, 1, 1, 1));
  const many = Array.from(
    { length: 4000 },
    () => record(Uint8Array.of(0xc0, 12 + WWW.length), TYPES.A, Uint8Array.of(1, 1, 1, 1)),
  );
  assert.equal(
    decodeMessage(message({ question: WWW, answers: [first, ...many] })).answers.length,
    4001,
  );
  assert.ok(performance.now() - began < 1000);
});

const BAD: [title: string, bytes: Uint8Array, message: RegExp][] = [
  [
    "two questions",
    message({ counts: { questions: 2 } }),
    /question count: more than one at byte 4/,
  ],
  ["another opcode", message({ flags: 0xa980, question: WWW }), /opcode not QUERY at byte 2/],
  [
    "more answers than there are",
    message({ question: WWW, counts: { answers: 1 } }),
    /record name: needs 1 bytes, 0 left/,
  ],
  [
    "an A record of 3 bytes",
    message({ question: WWW, answers: [record("www.test", TYPES.A, new Uint8Array(3))] }),
    /A data: not 4 bytes/,
  ],
  [
    "an AAAA record of 4 bytes",
    message({ question: WWW, answers: [record("www.test", TYPES.AAAA, new Uint8Array(4))] }),
    /AAAA data: not 16 bytes/,
  ],
  [
    "data past the end",
    message({ question: WWW, answers: [record("www.test", TYPES.TXT, new Uint8Array(3), 1, 4)] }),
    /record data: runs past the end/,
  ],
  [
    "a CNAME shorter than its length",
    message({
      question: WWW,
      answers: [record("www.test", TYPES.CNAME, Uint8Array.of(0, 0))],
    }),
    /length does not fit its type/,
  ],
  [
    "a PTR longer than its length",
    message({
      question: WWW,
      answers: [record("www.test", TYPES.PTR, encodeName("host.test"), 1, 4), a("x", "1.2.3.4")],
    }),
    /length does not fit its type/,
  ],
];
for (const [title, bytes, expected] of BAD) {
  test(`an answer with ${title} is refused`, () => {
    assert.throws(() => decodeMessage(bytes), expected);
  });
}

const MISMATCHES: [title: string, bytes: Uint8Array, reason: string | undefined][] = [
  ["the answer", message({ question: WWW }), undefined],
  ["the question's case changed", message({ question: question("WWW.test", 1) }), undefined],
  ["an echo of the query", message({ question: WWW, flags: 0x0100 }), "not a response"],
  ["another id", message({ question: WWW, id: 1 }), "wrong id"],
  ["another name", message({ question: question("ww.test", 1) }), "wrong question name"],
  ["another type", message({ question: question("www.test", 28) }), "wrong question type"],
  ["another class", message({ question: question("www.test", 1, 3) }), "wrong question class"],
  ["no question", message({}), "no question"],
  ["no question and SERVFAIL", message({ flags: 0x8182 }), "no question"],
  ["no question and FORMERR", message({ flags: 0x8181 }), undefined],
  ["no question and NOTIMP", message({ flags: 0x8184 }), undefined],
];
for (const [title, bytes, reason] of MISMATCHES) {
  test(`a message that is ${title} ${reason === undefined ? "answers" : "does not answer"}`, () => {
    assert.equal(answerMismatch(QUERY, decodeMessage(bytes)), reason);
  });
}

test("a SOA gives the lesser of its TTL and its minimum", () => {
  const ttl = (bytes: Uint8Array) => decodeMessage(bytes).negativeTtl;
  assert.equal(ttl(message({ authority: [soa("test", 10, 99)] })), 10);
  assert.equal(ttl(message({ authority: [soa("test", 99, 10)] })), 10);
  assert.equal(ttl(message({ authority: [soa("test", 99, 0xffffffff)] })), 0);
  assert.equal(ttl(message({})), undefined);
});

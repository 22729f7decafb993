import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { concat, DecodeError, hex } from "../../../src/codec/bytes.ts";
import {
  answerMismatch,
  decodeDnsAnswer,
  decodeDnsMessage,
  type DnsQuery,
  type DnsQueryType,
  encodeDnsQuery,
  MAX_DNS_MESSAGE,
  UnusableAnswer,
} from "../../../src/codec/dns/message.ts";
import { encodeName } from "../../../src/codec/dns/name.ts";
import { a, cname, message, ptr, question, record, soa, txt, TYPES, u16 } from "./build.ts";

const QUERY: DnsQuery = { id: 0x1234, name: "www.test", type: "A", edns: false };
const WWW = question("www.test", TYPES.A);

test("a query asks one question with recursion desired", () => {
  assertStrictEquals(
    hex(encodeDnsQuery(QUERY)),
    "1234" + "0100" + "0001000000000000" + "03777777047465737400" + "0001" + "0001",
  );
});

test("a query with EDNS0 offers 1,232 bytes in an OPT record", () => {
  assertStrictEquals(
    hex(encodeDnsQuery({ ...QUERY, type: "AAAA", edns: true })),
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

test("records of an answer are read, and other types and classes are skipped", () => {
  const got = decodeDnsMessage(SAMPLE);
  assertEquals(got, {
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
  assertStrictEquals(answerMismatch(QUERY, got), undefined);
});

test("every truncation of an answer fails cleanly", () => {
  for (let end = 0; end < SAMPLE.length; end++) {
    assertThrows(
      () => decodeDnsMessage(SAMPLE.subarray(0, end)),
      DecodeError,
      undefined,
      `at ${end}`,
    );
  }
});

test("an answer marked as truncated is not read beyond its question", () => {
  const cut = message({ flags: 0x8380, question: WWW, counts: { answers: 9 } });
  assertStrictEquals(decodeDnsMessage(cut).truncated, true);
});

test("only records of the wanted type and CNAMEs are kept", () => {
  const kept = (wanted: DnsQueryType) =>
    decodeDnsMessage(SAMPLE, wanted).answers.map(({ type }) => type);
  assertEquals(kept("A"), ["CNAME", "A"]);
  assertEquals(kept("AAAA"), ["CNAME", "AAAA"]);
  assertEquals(kept("PTR"), ["CNAME", "PTR"]);
});

test("the names of records that are not kept are not decoded", () => {
  const forward = record(u16(0xffff), TYPES.A, Uint8Array.of(1, 2, 3, 4));
  assertThrows(() => decodeDnsMessage(message({ question: WWW, answers: [forward] })), DecodeError);
  const bytes = message({
    question: WWW,
    answers: [
      record(u16(0xffff), TYPES.TXT, new Uint8Array()),
      record(u16(0xffff), TYPES.PTR, u16(0xffff)),
      a("www.test", "192.0.2.1"),
    ],
  });
  assertEquals(decodeDnsMessage(bytes, "A").answers.map(({ data }) => data), ["192.0.2.1"]);
});

const POINTER = Uint8Array.of(0xc0, 12);
const address = (i: number, owner: Uint8Array = POINTER) =>
  record(owner, TYPES.A, Uint8Array.of(10, 0, i >> 8, i & 255));
const times = (n: number, make: (i: number) => Uint8Array) =>
  Array.from({ length: n }, (_, i) => make(i));

test("the first 256 addresses are kept, and the first 16 names and CNAMEs", () => {
  const count = (answers: Uint8Array[], wanted: DnsQueryType) =>
    decodeDnsMessage(message({ question: WWW, answers }), wanted).answers.length;
  const addresses = times(1000, (i) => address(i));
  const got = decodeDnsMessage(message({ question: WWW, answers: addresses }), "A").answers;
  assertStrictEquals(got.length, 256);
  assertStrictEquals(got[255]?.data, "10.0.0.255");
  assertStrictEquals(count(times(400, (i) => a("www.test", `2001:db8::${i}`)), "AAAA"), 256);
  assertStrictEquals(count(times(400, (i) => ptr("www.test", `h${i}.test`)), "PTR"), 16);
  assertStrictEquals(count(times(400, (i) => cname(`h${i}.test`, `h${i + 1}.test`)), "PTR"), 16);
});

/** The longest legal name; one octet of each label differs. */
const long = (octet: number) =>
  concat([...times(126, (i) => Uint8Array.of(1, i === 0 ? octet : 0)), new Uint8Array(1)]);
const pointerAt = (i: number) => 12 + WWW.length + 11 + 2 * i;
/** 2,000 pointers, each to the one before it, in a record that is skipped. */
const chain = record(
  ".",
  TYPES.TXT,
  concat(times(2000, (i) => u16(0xc000 | (i === 0 ? 12 : pointerAt(i - 1))))),
);

/** Answers to `www.test` that cost the decoder as much as a sender can cause. */
const COSTLY: [title: string, wanted: DnsQueryType, answers: Uint8Array[]][] = [
  ["64 KB of addresses", "A", times(4000, (i) => address(i))],
  ["64 KB of names", "PTR", times(3600, (i) => ptr("www.test", `h${i}.test`))],
  ["owners that all end in one long name", "A", [
    record(long(0), TYPES.A, Uint8Array.of(1, 1, 1, 1)),
    ...times(
      255,
      (i) => address(i, concat([Uint8Array.of(1, i), u16(0xc000 | 12 + WWW.length + 2)])),
    ),
  ]],
  ["owners that enter a chain of pointers", "A", [
    chain,
    ...times(200, (i) => address(i, concat([Uint8Array.of(1, i), u16(0xc000 | pointerAt(120))]))),
  ]],
];
for (const [title, type, answers] of COSTLY) {
  test(`an answer with ${title} is refused`, () => {
    const bytes = message({ question: question("www.test", TYPES[type]), answers });
    assertThrows(() => decodeDnsAnswer({ ...QUERY, type }, bytes), UnusableAnswer);
    assertStrictEquals(decodeDnsAnswer({ ...QUERY, id: 1, type }, bytes), "wrong id");
  });
}

test("the most expensive messages take less than 20 ms of CPU each", () => {
  const messages = COSTLY.map(([, type, answers]) =>
    [type, message({ question: question("www.test", TYPES[type]), answers })] as const
  );
  const filled = message({
    question: WWW,
    answers: [...times(256, () => a("www.test", "2001:db8::1")), ...times(100, (i) => address(i))],
  });
  const junk = message({
    question: WWW,
    answers: times(1200, () => record(".", TYPES.TXT, u16(0))),
  });
  assert(filled.length < MAX_DNS_MESSAGE && junk.length < MAX_DNS_MESSAGE);
  messages.push(["AAAA", filled], ["A", junk]);
  for (const [type, bytes] of messages) {
    const began = process.cpuUsage();
    for (let i = 0; i < 100; i++) {
      try {
        decodeDnsMessage(bytes, type);
      } catch (error) {
        assert(error instanceof DecodeError, String(error));
      }
    }
    const each = process.cpuUsage(began).user / 100_000;
    if (process.env["SHOW"]) console.log(type, bytes.length, each.toFixed(3));
    assert(each < 20, `${each} ms for ${bytes.length} bytes`);
  }
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
    assertThrows(() => decodeDnsMessage(bytes), Error, expected);
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
  ["no question and NXDOMAIN", message({ flags: 0x8183 }), "no question"],
  ["no question and SERVFAIL", message({ flags: 0x8182 }), undefined],
  ["no question and REFUSED", message({ flags: 0x8185 }), undefined],
  [
    "a header that counts a question and REFUSED",
    message({
      flags: 0x8185,
      counts: { questions: 1 },
    }),
    undefined,
  ],
  [
    "another question and REFUSED",
    message({
      question: question("ww.test", 1),
      flags: 0x8185,
    }),
    "wrong question name",
  ],
  ["no question and FORMERR", message({ flags: 0x8181 }), undefined],
  ["no question and NOTIMP", message({ flags: 0x8184 }), undefined],
];
for (const [title, bytes, reason] of MISMATCHES) {
  test(`a message that is ${title} ${reason === undefined ? "answers" : "does not answer"}`, () => {
    assertStrictEquals(answerMismatch(QUERY, decodeDnsMessage(bytes)), reason);
  });
}

test("a SOA gives the lesser of its TTL and its minimum", () => {
  const ttl = (bytes: Uint8Array) => decodeDnsMessage(bytes).negativeTtl;
  assertStrictEquals(ttl(message({ authority: [soa("test", 10, 99)] })), 10);
  assertStrictEquals(ttl(message({ authority: [soa("test", 99, 10)] })), 10);
  assertStrictEquals(ttl(message({ authority: [soa("test", 99, 0xffffffff)] })), 0);
  assertStrictEquals(ttl(message({})), undefined);
});

import { assert, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { DerReader, TAG } from "../../../src/codec/der.ts";
import {
  element,
  objectIdentifier,
  sequence,
  stringElement,
  unsigned,
} from "../../../src/codec/der_write.ts";
import { readCertificate } from "../../../src/codec/x509/certificate.ts";
import {
  constraintProblem,
  type NameConstraints,
  readNameConstraints,
} from "../../../src/codec/x509/constraints.ts";
import { damaged, forAll, runs } from "../properties.ts";
import { alternativeNames, certificate, cn, dn } from "./samples.ts";

type Value = readonly [tag: number, value: Uint8Array | string];
const [EMAIL, DNS, DIR, URI, IP, OTHER, RID] = [0x81, 0x82, 0xa4, 0x86, 0x87, 0xa0, 0x88] as const;

const subtree = ([tag, value]: Value) =>
  sequence(typeof value === "string" ? stringElement(tag, value) : element(tag, value));
const subtrees = (tag: number, values: readonly Value[]) =>
  values.length > 0 ? element(tag, ...values.map(subtree)) : new Uint8Array();
const value = (permitted: readonly Value[], excluded: readonly Value[] = []) =>
  sequence(subtrees(0xa0, permitted), subtrees(0xa1, excluded));
const read = (der: Uint8Array): NameConstraints => readNameConstraints(new DerReader(der, "x509"));

function holder(names: readonly Value[], subject: Uint8Array = sequence()) {
  const extensions = names.length > 0 ? [alternativeNames(...names)] : [];
  return readCertificate(certificate({ subject, issuer: cn("issuer"), extensions }));
}

const IN = undefined;
const NOT_PERMITTED = "permitted subtree violation";
const EXCLUDED = "excluded subtree violation";
const NO_NAME = "unsupported or invalid name syntax";
const NO_CONSTRAINT = "unsupported or invalid name constraint syntax";
const NO_KIND = "unsupported name constraint type";

const ip = (...bytes: number[]) => Uint8Array.from(bytes);
const NET = ip(192, 0, 2, 0, 255, 255, 255, 0);
const v6 = (last: number) => [0x20, 1, 0xd, 0xb8, ...Array<number>(11).fill(0), last];
const NET6 = ip(...v6(0), ...Array<number>(15).fill(255), 0);
const acme = dn([["2.5.4.6", TAG.printable, "DE"]], [["2.5.4.10", TAG.utf8, "Acme Works"]]);
const unit = (name: string, tag: number = TAG.printable) =>
  dn([["2.5.4.6", TAG.printable, "de"]], [["2.5.4.10", tag, name]], [["2.5.4.3", TAG.utf8, "me"]]);
const onlyCn = (name: string) => dn([["2.5.4.3", TAG.utf8, name]]);
const withEmail = (address: string) => dn([["1.2.840.113549.1.9.1", TAG.ia5, address]]);
const utf8Mail = [
  objectIdentifier("1.3.6.1.5.5.7.8.9"),
  element(0xa0, stringElement(TAG.utf8, "a@b.c")),
];
const smtpUtf8 = Uint8Array.from(utf8Mail.flatMap((part) => [...part]));

/** A constraint, names, and the result if it is a permitted subtree and if it is an excluded one. */
const ROWS: readonly (readonly [
  constraint: Value,
  names: readonly Value[],
  permitted: string | undefined,
  excluded: string | undefined,
  subject?: Uint8Array,
])[] = [
  [[DNS, "x.example"], [[DNS, "x.example"]], IN, EXCLUDED],
  [[DNS, "x.example"], [[DNS, "a.b.X.Example"]], IN, EXCLUDED],
  [[DNS, "X.example"], [[DNS, "*.x.example"]], IN, EXCLUDED],
  [[DNS, "x.example"], [[DNS, "ax.example"]], NOT_PERMITTED, IN],
  [[DNS, "x.example"], [[DNS, "example"]], NOT_PERMITTED, IN],
  [[DNS, "x.example"], [[DNS, "*.example"]], NOT_PERMITTED, EXCLUDED],
  [[DNS, "a.x.example"], [[DNS, "*.x.example"]], NOT_PERMITTED, EXCLUDED],
  [[DNS, "a.b.x.example"], [[DNS, "*.x.example"]], NOT_PERMITTED, IN],
  [[DNS, "x.example"], [[DNS, "x.example"], [DNS, "y.example"]], NOT_PERMITTED, EXCLUDED],
  [[DNS, ".x.example"], [[DNS, "a.x.example"]], IN, EXCLUDED],
  [[DNS, ".x.example"], [[DNS, "*.x.example"]], IN, EXCLUDED],
  [[DNS, ".x.example"], [[DNS, "x.example"]], NOT_PERMITTED, IN],
  [[DNS, ""], [[DNS, "any.example"]], IN, EXCLUDED],
  [[DNS, "x.example"], [[DNS, ".x.example"]], NO_NAME, NO_NAME],
  [[DNS, "x.example"], [[DNS, "a\0.x.example"]], NO_NAME, NO_NAME],
  [[DNS, "x.example"], [[DNS, "x.example."]], NO_NAME, NO_NAME],
  [[DNS, "*.x.example"], [], NO_CONSTRAINT, NO_CONSTRAINT],
  [[DNS, "x..example"], [], NO_CONSTRAINT, NO_CONSTRAINT],
  // A constraint does not apply to names of other kinds.
  [[DNS, "x.example"], [[EMAIL, "a@y.example"], [IP, ip(1, 2, 3, 4)]], IN, IN],
  [[DNS, "x.example"], [], IN, IN, acme],
  // The common name, if it may be used as a host name.
  [[DNS, "x.example"], [], NOT_PERMITTED, IN, onlyCn("y.example")],
  [[DNS, "x.example"], [], IN, EXCLUDED, onlyCn("www.x.example")],
  [[DNS, "x.example"], [], IN, IN, onlyCn("somebody")],
  [[DNS, "x.example"], [], IN, IN, onlyCn("J. Doe")],
  [[DNS, "x.example"], [[DNS, "x.example"]], IN, EXCLUDED, onlyCn("y.example")],

  [[IP, NET], [[IP, ip(192, 0, 2, 255)]], IN, EXCLUDED],
  [[IP, NET], [[IP, ip(192, 0, 3, 0)]], NOT_PERMITTED, IN],
  [[IP, NET], [[IP, ip(...v6(1))]], NOT_PERMITTED, IN],
  [[IP, NET6], [[IP, ip(...v6(9))]], IN, EXCLUDED],
  [[IP, NET6], [[IP, ip(0x20, 2, ...v6(9).slice(2))]], NOT_PERMITTED, IN],
  [[IP, ip(0, 0, 0, 0, 0, 0, 0, 0)], [[IP, ip(9, 9, 9, 9)]], IN, EXCLUDED],
  [[IP, ip(192, 0, 2, 0, 255, 0, 255, 0)], [], NO_CONSTRAINT, NO_CONSTRAINT],
  [[IP, ip(192, 0, 2, 0)], [], NO_CONSTRAINT, NO_CONSTRAINT],
  [[IP, NET], [[DNS, "192.0.3.1"]], IN, IN],

  [[EMAIL, "a@x.example"], [[EMAIL, "a@X.example"]], IN, EXCLUDED],
  [[EMAIL, "a@x.example"], [[EMAIL, "A@x.example"]], NOT_PERMITTED, IN],
  [[EMAIL, "x.example"], [[EMAIL, "b@x.example"]], IN, EXCLUDED],
  [[EMAIL, "x.example"], [[EMAIL, "b@a.x.example"]], NOT_PERMITTED, IN],
  [[EMAIL, ".x.example"], [[EMAIL, "b@a.x.example"]], IN, EXCLUDED],
  [[EMAIL, ".x.example"], [[EMAIL, "b@x.example"]], NOT_PERMITTED, IN],
  [[EMAIL, "x.example"], [[EMAIL, "b@c@x.example"]], NO_NAME, NO_NAME],
  [[EMAIL, "x.example"], [[EMAIL, "x.example"]], NO_NAME, NO_NAME],
  [[EMAIL, "a@b@x.example"], [], NO_CONSTRAINT, NO_CONSTRAINT],
  [[EMAIL, "@x.example"], [], NO_CONSTRAINT, NO_CONSTRAINT],
  [[EMAIL, "x.example"], [], IN, EXCLUDED, withEmail("b@x.example")],
  [[EMAIL, "x.example"], [], NOT_PERMITTED, IN, withEmail("b@y.example")],
  [[EMAIL, "x.example"], [[OTHER, smtpUtf8]], NO_NAME, NO_NAME],

  [[DIR, acme], [], IN, EXCLUDED, unit("Acme Works")],
  [[DIR, acme], [], IN, EXCLUDED, unit(" acme  WORKS ", TAG.utf8)],
  [[DIR, acme], [], IN, EXCLUDED, unit("\0A\0c\0m\0e\0 \0W\0o\0r\0k\0s", TAG.bmp)],
  [[DIR, acme], [], IN, EXCLUDED, acme],
  [[DIR, acme], [], NOT_PERMITTED, IN, unit("Acme Works Ltd")],
  [[DIR, acme], [], NOT_PERMITTED, IN, onlyCn("me")],
  [[DIR, acme], [[DIR, unit("Acme Works")]], IN, EXCLUDED],
  [[DIR, acme], [[DIR, onlyCn("me")]], NOT_PERMITTED, IN],
  [[DIR, acme], [[DIR, Uint8Array.of(5, 0)]], NO_NAME, NO_NAME],
  [[DIR, sequence()], [], IN, EXCLUDED, onlyCn("me")],
  [[DIR, Uint8Array.of(5, 0)], [], NO_CONSTRAINT, NO_CONSTRAINT],

  [[URI, "x.example"], [[URI, "https://u:p@X.example:8443/y?z"]], IN, EXCLUDED],
  [[URI, "x.example"], [[URI, "https://x.example"]], IN, EXCLUDED],
  [[URI, "x.example"], [[URI, "https://a.x.example/"]], NOT_PERMITTED, IN],
  [[URI, ".x.example"], [[URI, "https://a.x.example/"]], IN, EXCLUDED],
  [[URI, "x.example"], [[URI, "urn:x.example"]], NO_NAME, NO_NAME],
  [[URI, "x.example"], [[URI, "https://[::1]/"]], NO_NAME, NO_NAME],
  [[URI, "x.example"], [[URI, "https://192.0.2.1/"]], NO_NAME, NO_NAME],
  [[URI, "x.example"], [[URI, "https://a@x.example@y.example/"]], NO_NAME, NO_NAME],

  [[RID, Uint8Array.of(42)], [[RID, Uint8Array.of(42)]], NO_KIND, NO_KIND],
  [[RID, Uint8Array.of(42)], [[DNS, "x.example"]], IN, IN],
  [[OTHER, smtpUtf8], [[OTHER, objectIdentifier("1.2.3")]], NO_KIND, NO_KIND],
];

for (const [i, [constraint, names, permitted, excluded, subject]] of ROWS.entries()) {
  test(`row ${i}: ${JSON.stringify([constraint[1], names.map(([, name]) => name)])}`, () => {
    const below = holder(names, subject);
    const problem = (der: Uint8Array) => constraintProblem(read(der), below, true);
    assertStrictEquals(problem(value([constraint])), permitted, "permitted");
    assertStrictEquals(problem(value([], [constraint])), excluded, "excluded");
  });
}

test("one permitted subtree is enough, and an excluded one overrides it", () => {
  const x = [[DNS, "x.example"], [DNS, "y.example"]] as const;
  const of = (name: string, excluded: readonly Value[] = []) =>
    constraintProblem(read(value(x, excluded)), holder([[DNS, name]]), true);
  assertStrictEquals(of("a.y.example"), IN);
  assertStrictEquals(of("z.example"), NOT_PERMITTED);
  assertStrictEquals(of("a.y.example", [[DNS, "a.y.example"]]), EXCLUDED);
  assertStrictEquals(of("b.y.example", [[DNS, "a.y.example"]]), IN);
});

test("the common name of an authority is not a host name", () => {
  const sub = holder([], onlyCn("y.example"));
  assertStrictEquals(constraintProblem(read(value([[DNS, "x.example"]])), sub, false), IN);
});

test("a constraint with wrong syntax forbids everything", () => {
  const x: Value = [DNS, "x.example"];
  const shapes: [title: string, der: Uint8Array][] = [
    ["nothing", sequence()],
    ["no names", sequence(element(0xa0), element(0xa1))],
    ["no SEQUENCE", Uint8Array.of(5, 0)],
    ["excluded before permitted", sequence(subtrees(0xa1, [x]), subtrees(0xa0, [x]))],
    ["a minimum", sequence(element(0xa0, sequence(stringElement(DNS, "x"), element(0x80, ip(1)))))],
    ["a maximum", sequence(element(0xa0, sequence(stringElement(DNS, "x"), element(0x81, ip(1)))))],
    ["more behind", sequence(subtrees(0xa0, [x]), unsigned(ip(1)))],
    ["1,025 names", value(Array.from({ length: 1025 }, () => x))],
  ];
  for (const [title, der] of shapes) {
    assertStrictEquals(constraintProblem(read(der), holder([]), true), NO_CONSTRAINT, title);
  }
});

test("too many names and constraints are refused without a long comparison", () => {
  const many = read(value(Array.from({ length: 1024 }, (_, i) => [DNS, `n${i}.example`] as const)));
  const names = Array.from({ length: 4000 }, () => [DNS, "n.test"] as const);
  const below = holder(names);
  const began = process.cpuUsage();
  assertStrictEquals(constraintProblem(many, below, true), "too many name constraints");
  assertStrictEquals(
    constraintProblem(many, holder(names.slice(0, 250)), true),
    NOT_PERMITTED,
  );
  assert(process.cpuUsage(began).user < 500_000);
});

test("mutated constraints are read, or forbid everything", { timeout: 30_000 }, () => {
  const count = runs(20_000);
  const all: Value[] = [[DNS, "x.example"], [IP, NET], [EMAIL, "a@x.example"], [DIR, acme]];
  const sample = value(all, [[URI, "x.example"], [RID, ip(42)]]);
  const subject = holder([[DNS, "a.x.example"], [IP, ip(192, 0, 2, 1)]], acme);
  let readable = 0;
  forAll(count, damaged([sample]), (der) => {
    const constraints = read(der);
    const problem = constraintProblem(constraints, subject, true);
    if (constraints === "malformed") assertStrictEquals(problem, NO_CONSTRAINT);
    else readable++;
  });
  assert(readable > count / 100, String(readable));
});

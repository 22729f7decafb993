/** Names of certificates against the host that the user named: the rules of RFC 6125 for names are in
 *  match_test.ts; here are addresses, `0`, and which kind of name counts. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { formatIp } from "../../src/codec/ip.ts";
import { readCertificate } from "../../src/codec/x509/certificate.ts";
import { addressOf, asciiHost, isFor } from "../../src/client/host_name.ts";
import { alternativeNames, certificate, cn, dn } from "../codec/x509/samples.ts";

const DNS = 0x82;
const IP = 0x87;
const EMAIL = 0x81;
const v4 = Uint8Array.of(192, 0, 2, 7);
const v6 = Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
const loop6 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
const loop4 = Uint8Array.of(127, 0, 0, 1);

type Names = readonly (readonly [tag: number, value: string | Uint8Array])[];

/** The common name, the alternative names, and the hosts that the certificate is and is not for. */
const ROWS: readonly (readonly [
  common: string | undefined,
  names: Names,
  is: string,
  isNot: string,
])[] = [
  [undefined, [[DNS, "a.example"]], "a.example A.EXAMPLE a.example.", "b.example 0 a.example.. ."],
  [undefined, [[DNS, "*.a.example"]], "x.a.example X.A.Example.", "a.example y.x.a.example 0"],
  [undefined, [[DNS, "xn--bcher-kva.example"]], "bücher.example BÜCHER.example", "bucher.example"],
  [undefined, [[DNS, "xn--bcher-kva.example"]], "bücher.example. bücher。example", "bücher"],
  [undefined, [[DNS, "bücher.example"]], "", "bücher.example xn--bcher-kva.example"],
  [
    undefined,
    [[IP, v4]],
    "192.0.2.7 ::ffff:192.0.2.7",
    "192.0.2.8 a.example 0xc0000207 3221225991",
  ],
  [undefined, [[IP, v6]], "2001:db8::1 2001:DB8:0::0:1 2001:db8::1%eth0", "2001:db8::2 ::1"],
  [undefined, [[IP, v4], [DNS, "a.example"]], "192.0.2.7 a.example", "192.0.2.1 b.example"],
  // A DNS name is no address, and an address is no DNS name.
  [undefined, [[DNS, "192.0.2.7"]], "", "192.0.2.7"],
  [undefined, [[DNS, "*.0.2.7"]], "", "192.0.2.7"],
  [undefined, [[DNS, "2001:db8::1"]], "", "2001:db8::1"],
  // The common name counts where there is no name of the kind.
  ["a.example", [], "a.example", "b.example 192.0.2.7"],
  ["a.example", [[DNS, "b.example"]], "b.example", "a.example"],
  ["a.example", [[IP, v4]], "a.example 192.0.2.7", "b.example"],
  ["a.example", [[EMAIL, "me@b.example"]], "a.example", "b.example"],
  ["*.a.example", [], "x.a.example", "a.example"],
  ["192.0.2.7", [], "192.0.2.7 ::ffff:192.0.2.7", "192.0.2.8"],
  ["192.0.2.7", [[DNS, "a.example"]], "192.0.2.7 a.example", "192.0.2.8"],
  ["192.0.2.7", [[IP, v6]], "2001:db8::1", "192.0.2.7"],
  ["2001:DB8::1", [], "2001:db8::1", "2001:db8::2"],
  ["::ffff:192.0.2.7", [], "192.0.2.7", "192.0.2.8"],
  ["192.0.2.7 ", [], "", "192.0.2.7"],
  ["192.0.2.07", [], "", "192.0.2.7"],
  ["0", [], "", "0"],
  // This machine.
  [undefined, [[DNS, "localhost"]], "localhost 0", "127.0.0.1 ::1"],
  [undefined, [[IP, loop4]], "127.0.0.1 0", "localhost ::1"],
  [undefined, [[IP, loop6]], "::1 0", "localhost 127.0.0.1"],
  ["localhost", [], "localhost 0", "127.0.0.1"],
  ["127.0.0.1", [], "127.0.0.1 0", "localhost"],
  [undefined, [], "", "a.example 0 192.0.2.7"],
];

for (const [common, names, is, isNot] of ROWS) {
  const shown = names.map(([, value]) =>
    typeof value === "string" ? value : formatIp(value.slice())
  );
  test(`a certificate for ${[common ?? "no name", ...shown].join(", ")}`, () => {
    const one = readCertificate(certificate({
      subject: common === undefined ? dn() : cn(common),
      issuer: cn("x"),
      extensions: names.length > 0 ? [alternativeNames(...names)] : [],
    }));
    const hosts = (text: string): string[] => text === "" ? [] : text.split(" ");
    for (const host of hosts(is)) assert(isFor(one, host), host);
    for (const host of hosts(isNot)) assert(!isFor(one, host), host);
    assertStrictEquals(isFor(one, ""), isFor(one, "0"), "an empty host");
  });
}

test("a host name becomes A-labels, and any other text stays as it is", () => {
  const rows: [host: string, ascii: string][] = [
    ["bücher.example", "xn--bcher-kva.example"],
    ["BÜCHER.example.", "xn--bcher-kva.example."],
    ["straße.example", "xn--strae-oqa.example"],
    ["例え.テスト", "xn--r8jz45g.xn--zckzah"],
    ["a.example", "a.example"],
    ["A.example", "A.example"],
    ["", ""],
    ["bücher@evil.example", "bücher@evil.example"],
    ["ü/evil.example", "ü/evil.example"],
    ["ü:443", "ü:443"],
    ["ü%41", "ü%41"],
    ["ü evil", "ü evil"],
    ["xn--\u{ff}", "xn--\u{ff}"],
  ];
  for (const [host, ascii] of rows) assertStrictEquals(asciiHost(host), ascii, host);
});

test("an address is recognised with a zone and in its mapped form, and a name is none", () => {
  assertEquals(addressOf("192.0.2.7"), v4);
  assertEquals(addressOf("::ffff:192.0.2.7"), v4);
  assertEquals(addressOf("2001:db8::1%eth0"), v6);
  for (const host of ["a.example", "", "192.0.2.7%eth0", "127.1", "1", "[::1]"]) {
    assertStrictEquals(addressOf(host), undefined, host);
  }
});

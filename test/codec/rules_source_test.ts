import { assert, assertEquals, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { DecodeError, fromLatin1, latin1 } from "../../src/codec/bytes.ts";
import { decodeRule, ruleKeys } from "../../src/codec/rules.ts";
import { compileRule } from "../../src/codec/rules_source.ts";

test("lines compile to the keys and values of the specification", () => {
  const rows: [line: string, keys: string[], value: string][] = [
    [":deny", [""], "D\0"],
    [":allow", [""], ""],
    ["1.2.3.4:deny \t", ["1.2.3.4"], "D\0"],
    ["10.:allow", ["10."], ""],
    ["1.2.3.37-39:deny", ["1.2.3.37", "1.2.3.38", "1.2.3.39"], "D\0"],
    ["10.2-3.:deny", ["10.2.", "10.3."], "D\0"],
    ["1-2.3.:deny", ["1.3.", "2.3."], "D\0"],
    ["10.2-3.1.5:deny", ["10.2.1.5", "10.3.1.5"], "D\0"],
    ["1.2.3.004-005:deny", ["1.2.3.4", "1.2.3.5"], "D\0"],
    ["10.0.0.0/8:deny", ["_0000e0g0"], "D\0"],
    ["10./8:deny", ["_0000e0g0"], "D\0"],
    ["10/8:deny", ["_0000e0g0"], "D\0"],
    ["10.255.0.1/8:deny", ["_0000e0g0"], "D\0"],
    ["0.0.0.0/0:deny", ["_"], "D\0"],
    ["::/0:deny", ["^"], "D\0"],
    ["2001:db8:1::/48:allow", ["^00`000000000000a0000bc0de0fgh000000000000000000i"], ""],
    ["2001:db8::1:deny", ["2001:0DB8:0000:0000:0000:0000:0000:0001"], "D\0"],
    ["::1:deny", ["0000:0000:0000:0000:0000:0000:0000:0001"], "D\0"],
    ["::ffff:10.0.0.1:deny", ["10.0.0.1"], "D\0"],
    ["::ffff:10.0.0.0/104:deny", ["_0000e0g0"], "D\0"],
    ["joe@10.0.0.1:deny", ["joe@10.0.0.1"], "D\0"],
    ["joe@::1:deny", ["joe@0000:0000:0000:0000:0000:0000:0000:0001"], "D\0"],
    ["a@b@10.0.0.1:deny", ["a@b@10.0.0.1"], "D\0"],
    ["j-o-e@=a-b.example:deny", ["j-o-e@=a-b.example"], "D\0"],
    ["=a-b.example:deny", ["=a-b.example"], "D\0"],
    ["=.example:deny", ["=.example"], "D\0"],
    ["=:deny", ["="], "D\0"],
    [':allow,A="x",B=/y,z/,C=""', [""], "+A=x\0+B=y,z\0+C=\0"],
    [':deny,A="x"', [""], "D\0+A=x\0"],
    [':allow,A=xyx,B= z ,C=""', [""], "+A=y\0+B=z\0+C=\0"],
    [':allow,A=":deny,"', [""], "+A=:deny,\0"],
    ['::1:allow,A="a:b:deny"', ["0000:0000:0000:0000:0000:0000:0000:0001"], "+A=a:b:deny\0"],
    [':allow,A="a=b"', [""], "+A=a=b\0"],
    [':allow,CERTFILE:www.example="/c"', [""], "+CERTFILE:www.example=/c\0"],
    [':allow,A="\xc3\xa4"', [""], "+A=\xc3\xa4\0"],
  ];
  for (const [line, keys, value] of rows) {
    const rule = compileRule(fromLatin1(line));
    assertEquals(rule?.keys.map(latin1), keys, line);
    assertStrictEquals(latin1(rule!.value), value, line);
    assertStrictEquals(rule?.warning, undefined, line);
    decodeRule(rule!.value);
  }
});

test("comments and empty lines compile to nothing", () => {
  for (const line of ["", " ", "\t ", "#", "# 1.2.3.4:deny", "#:nonsense"]) {
    assertStrictEquals(compileRule(fromLatin1(line)), undefined);
  }
});

test("each bad line is refused with its own reason", () => {
  const rows: [line: string, reason: RegExp][] = [
    ["x", /no colon/],
    ["1.2.3.4 deny", /no colon/],
    ["1.2.3.4:permit", /neither allow nor deny/],
    ["1.2.3.4:", /neither allow nor deny/],
    ["1.2.3.4: deny", /neither allow nor deny/],
    ["1.2.3.4:allowx", /neither allow nor deny/],
    ["1.2.3.4:deny\r", /neither allow nor deny/],
    ["1.2.3.4:Deny", /neither allow nor deny/],
    ["::deny", /group/],
    [" 1.2.3.4:deny", /begins with a space/],
    [":allow,", /variable: no value/],
    [":allow,A", /variable: no value/],
    [":allow,A=", /no closing quote/],
    [':allow,A="', /no closing quote/],
    [':allow,A="x', /no closing quote/],
    [':allow,A="x"z', /no comma/],
    [':allow,A="x",', /variable: no value/],
    [':allow,A="x",,B="y"', /name not of letters/],
    [':allow,="x"', /name not of letters/],
    [':allow,A B="x"', /name not of letters/],
    [':allow,1A="x"', /name not of letters/],
    [':allow,A="\0"', /NUL in value/],
    ["10.0.0.0/33:deny", /prefix/],
    ["10.0.0.0.0/8:deny", /not four octets/],
    ["300./8:deny", /octet/],
    ["/8:deny", /no octet before/],
    ["10.0.0.0-1/8:deny", /address|octet/],
    ["2001:db8::/129:deny", /prefix/],
    ["2001:db8:::1:deny", /address|group/],
    ["fe80::1%eth0:deny", /zone id/],
    ["1.2.3.7-4:deny", /no range of octets/],
    ["1.2.3.4-300:deny", /no range of octets/],
    ["1.2.3.4-:deny", /not of one octet/],
    ["1.2.3.-7:deny", /not of one octet/],
    ["1-2.3-4.5:deny", /not of one octet/],
    ["mail-1.example:deny", /not of one octet/],
    [`:allow,A="${"x".repeat(17_000)}"`, /16384 bytes/],
    [`:allow${',A="x"'.repeat(256)}`, /255 variables/],
  ];
  for (const [line, reason] of rows) {
    assertThrows(() => compileRule(fromLatin1(line)), DecodeError, reason, line);
  }
});

test("a line that can never match compiles, with a warning", () => {
  for (
    const line of [
      ...["10:deny", "10.0:deny", "10.0.0:deny", "1.2.3.4.:deny", "999.:deny", "01.2.3.4:deny"],
      ...[
        "host.example:deny",
        "=Host.Example:deny",
        "joe@=Host:deny",
        "joe@10.:deny",
        "a:b@x:deny",
      ],
      ...[
        "joe@10.0.0.0/8:deny",
        "joe@1.2.3.4-5:deny",
        "1.2.3.4-5.:deny",
        "10.2-3.1:deny",
        ".:deny",
      ],
    ]
  ) {
    const rule = compileRule(fromLatin1(line));
    assert(rule?.warning, line);
  }
});

test("an impossible host name causes a warning with the reason", () => {
  const rows: [host: string, why: RegExp | undefined][] = [
    ["=*.example.com", /\* stands for nothing/],
    ["=.*.com", /\* stands for nothing/],
    ["=host.example.", /without the dot at the end/],
    ["=.example.", /without the dot at the end/],
    ["=a b", /blank/],
    ["= a.example", /blank/],
    ["=a.example\t", /blank/],
    ["=host..example", /empty label/],
    ["=..example", /empty label/],
    ["=.", /empty label/],
    ["=host,example", /not a host name/],
    ["=b\xc3\xbccher.example", /not a host name/],
    ["=10.1.2.3", /like an address/],
    ["joe@=.example", /only a whole host name/],
    ["joe@=", /no host name/],
    ["joe@=host.example.", /without the dot/],
    ["=host.example", undefined],
    ["=.example", undefined],
    ["=", undefined],
    ["=_x-1.b\\195\\188cher.example", undefined],
    ["=xn--bcher-kva.example", undefined],
    ["joe@=host", undefined],
  ];
  for (const [address, why] of rows) {
    const rule = compileRule(fromLatin1(`${address}:deny`));
    if (why) assertMatch(rule?.warning ?? "", why, address);
    else assertStrictEquals(rule?.warning, undefined, address);
  }
});

test("every key without a warning can match a peer", () => {
  const rows: [address: string, ip: string, host?: string | undefined, info?: string][] = [
    ["10.1.2.3", "10.1.2.3"],
    ["10.1.", "10.1.2.3"],
    ["10.1.2.0/29", "10.1.2.3"],
    ["2001:db8::/29", "2001:db8::1"],
    ["2001:db8::1", "2001:db8::1"],
    ["::ffff:10.1.2.3", "10.1.2.3"],
    ["10.1.2.0-9", "10.1.2.3"],
    ["=.example", "::1", "a.example"],
    ["joe@=a.example", "::1", "a.example", "joe"],
    ["jö@2001:db8::1", "2001:db8::1", undefined, "jö"],
    ["", "::1"],
  ];
  for (const [address, ip, host, info] of rows) {
    const rule = compileRule(new TextEncoder().encode(`${address}:deny`));
    const asked = [...ruleKeys({ ip, host, info })].map(latin1);
    assert(rule?.keys.some((key) => asked.includes(latin1(key))), address);
  }
});

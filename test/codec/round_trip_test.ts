/** Properties of every codec without a separate fuzz test: a written value reads back as the same value, and
 *  truncated, damaged or random bytes give a value or a `DecodeError`. The values are the same in every
 *  run. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import fc, { type Arbitrary } from "fast-check";
import { test } from "node:test";
import { concat, fromLatin1, hex, latin1, Reader } from "../../src/codec/bytes.ts";
import { CdbReader } from "../../src/codec/cdb.ts";
import { CdbWriter } from "../../src/codec/cdb_write.ts";
import { DerReader, TAG } from "../../src/codec/der.ts";
import * as der from "../../src/codec/der_write.ts";
import { encodeName, readDnsName } from "../../src/codec/dns/name.ts";
import { parseResolvConf, parseServerList } from "../../src/codec/dns/resolv_conf.ts";
import { parseRewriteRules } from "../../src/codec/dns/rewrite.ts";
import { IdentReply } from "../../src/codec/ident.ts";
import * as ip from "../../src/codec/ip.ts";
import { printable } from "../../src/codec/printable.ts";
import { compileRule } from "../../src/codec/rules_source.ts";
import { decodeSockaddr, encodeSockaddr } from "../../src/codec/sockaddr.ts";
import { sessionId } from "../../src/codec/ssl_session.ts";
import { tcpListeners } from "../../src/codec/tcp_table.ts";
import { decodePem, encodePem } from "../../src/codec/x509/pem.ts";
import { readTime } from "../../src/codec/x509/time.ts";
import { anyBytes, damaged, decodes, forAll, textOf } from "./properties.ts";

const RUNS = 200;

/** An IPv4 or IPv6 address, often with long runs of zeros. */
const ADDRESS = fc.constantFrom(4, 16).chain((length) =>
  fc.array(fc.oneof(fc.constant(0), fc.nat({ max: 255 })), { minLength: length, maxLength: length })
).map((bytes) => Uint8Array.from(bytes));

interface Codec<T> {
  values: Arbitrary<T>;
  /** Writes a value, asserts that it reads back as the same, and returns its bytes for `read`. */
  write(value: T): Uint8Array;
  read(bytes: Uint8Array): unknown;
  /** True: truncated bytes are always refused. */
  whole?: true;
  /** True: there is no writer, and the only value is a sound sample. */
  sample?: true;
}

const text = (read: (text: string) => unknown) => (bytes: Uint8Array): unknown =>
  read(latin1(bytes));

/** A codec that has no writer. `sample` is sound. */
const reader = (sample: string, read: (bytes: Uint8Array) => unknown): Codec<Uint8Array> => ({
  values: fc.constant(fromLatin1(sample)),
  write: (bytes) => bytes,
  read,
  sample: true,
});

function properties<T>(name: string, { values, write, read, whole, sample }: Codec<T>): void {
  test(`${name}: ${sample ? "a sample is read" : "what is written is read as the same value"}`, () => {
    forAll(sample ? 1 : RUNS, values, (value) => void read(write(value)));
  });

  test(`${name}: what is cut is ${whole ? "" : "read or "}refused`, () => {
    forAll(RUNS, fc.tuple(values, fc.nat({ max: 0xffff })), ([value, cut]) => {
      const bytes = write(value);
      const taken = decodes(() => read(bytes.subarray(0, cut % bytes.length)));
      assert(!whole || !taken, hex(bytes));
    });
  });

  test(`${name}: what is damaged or random is read or refused`, () => {
    const bytes = values.chain((value) => damaged([write(value)]));
    forAll(2 * RUNS, fc.oneof(bytes, anyBytes(40)), (bytes) => void decodes(() => read(bytes)));
  });
}

properties("addresses", {
  values: ADDRESS,
  write(one) {
    for (const form of [ip.formatIp(one), ip.formatIpFull(one)]) {
      assertStrictEquals(hex(ip.parseIp(form)), hex(one), form);
    }
    return fromLatin1(ip.formatIp(one));
  },
  read: text(ip.parseIp),
});

properties("networks", {
  values: ADDRESS.chain((one) => fc.tuple(fc.constant(one), fc.nat({ max: 8 * one.length }))),
  write([one, prefix]) {
    const network = { ip: ip.maskIp(one, prefix), prefix };
    assertEquals(ip.parseNetwork(ip.formatNetwork(network)), network);
    assertEquals(ip.networkOfKey(ip.networkKey(network)), network);
    assert(ip.inNetwork(one, network));
    return fromLatin1(ip.formatNetwork(network));
  },
  read: text(ip.parseNetwork),
});

properties("sockaddr", {
  values: fc.tuple(ADDRESS, fc.nat({ max: 65_535 }), fc.nat({ max: 2 ** 32 - 1 })),
  write([one, port, zone]) {
    const value = { ip: one, port, scopeId: one.length === 4 ? 0 : zone };
    assertEquals(decodeSockaddr(encodeSockaddr(value, "darwin"), "darwin"), value);
    return encodeSockaddr(value, "linux");
  },
  read: (bytes) => decodeSockaddr(bytes, "linux"),
  whole: true,
});

properties("object identifiers", {
  values: fc.tuple(
    fc.oneof(
      fc.tuple(fc.constantFrom(0, 1), fc.nat({ max: 39 })),
      fc.tuple(fc.constant(2), fc.nat({ max: 2 ** 20 - 1 })),
    ),
    fc.array(fc.oneof(fc.nat({ max: 2 ** 31 - 1 }), fc.nat({ max: 199 })), { maxLength: 12 }),
  ),
  write([first, rest]) {
    const arcs = [...first, ...rest].join(".");
    const written = der.objectIdentifier(arcs);
    assertStrictEquals(new DerReader(written, "der").oid("oid"), arcs);
    return written;
  },
  read: (bytes) => new DerReader(bytes, "der").oid("oid"),
  whole: true,
});

properties("times", {
  values: fc.nat({ max: 2 ** 32 - 1 }),
  write(seconds) {
    const written = der.time(1000 * seconds);
    assertStrictEquals(readTime(new DerReader(written, "x509"), "time").ms, 1000 * seconds);
    return written;
  },
  read: (bytes) => readTime(new DerReader(bytes, "x509"), "time"),
  whole: true,
});

properties("TLS sessions", {
  values: fc.tuple(anyBytes(2, 2), anyBytes(32), anyBytes(199)),
  write([cipher, id, secret]) {
    const written = der.sequence(
      der.unsigned(Uint8Array.of(1)),
      der.unsigned(Uint8Array.of(3, 4)),
      der.element(TAG.octetString, cipher),
      der.element(TAG.octetString, id),
      der.element(TAG.octetString, secret),
    );
    assertEquals(sessionId(written), id.length > 0 ? id : undefined);
    return written;
  },
  read: sessionId,
  whole: true,
});

properties("names of the DNS", {
  values: fc.array(textOf("abcdefghijklmnopqrstuvwxyz", 20, 1), { minLength: 1, maxLength: 5 }),
  write(labels) {
    const name = labels.join(".");
    const written = encodeName(name);
    assertStrictEquals(readDnsName(new Reader(written, "dns"), "name"), name);
    return written;
  },
  read: (bytes) => readDnsName(new Reader(bytes, "dns"), "name"),
  whole: true,
});

properties("PEM", {
  values: fc.array(anyBytes(200, 1), { minLength: 1, maxLength: 3 }),
  write(parts) {
    const written = fromLatin1(parts.map((part) => encodePem("CERTIFICATE", part)).join("text\n"));
    assertEquals(decodePem(written).map(({ bytes }) => hex(bytes)), parts.map(hex));
    return written;
  },
  read: decodePem,
});

properties("cdb", {
  values: fc.array(fc.tuple(anyBytes(8), anyBytes(29)), { minLength: 1, maxLength: 20 }),
  write(pairs) {
    const records = pairs.map(([key, value], i) =>
      [concat([Uint8Array.of(i), key]), value] as const
    );
    const writer = new CdbWriter();
    for (const [key, value] of records) writer.add(key, value);
    const file = concat(writer.finish());
    const reader = cdb(file);
    for (const [key, value] of records) assertEquals(reader.find(key), value);
    assertStrictEquals(reader.find(fromLatin1("none of them")), undefined);
    return file;
  },
  read: (bytes) => cdb(bytes).find(Uint8Array.of(1)),
});

properties("ident replies", {
  values: fc.array(fc.integer({ min: 0x21, max: 0x7e }), { minLength: 1, maxLength: 20 })
    .map((codes) => String.fromCharCode(...codes)),
  write(name) {
    const written = fromLatin1(`23, 113 : USERID : UNIX : ${name}\r\n`);
    assertStrictEquals(reply(written), name);
    return written;
  },
  read: (bytes) => {
    const info = reply(bytes);
    assert(info === undefined || info === printable(info), info);
  },
});

const READERS: Record<string, Codec<Uint8Array>> = {
  "rules": reader('10.1-9.:allow,A="b",MAXCONIP="2"', compileRule),
  "resolv.conf": reader(
    "nameserver 192.0.2.1\noptions ndots:2 timeout:3\nsearch a.test b.test\n",
    text(parseResolvConf),
  ),
  "lists of servers": reader(
    "192.0.2.1 [2001:db8::1]:53 192.0.2.2:5353",
    text(parseServerList),
  ),
  "rewriting rules": reader(
    "# text\n-.local:me\n=host:host.test\n*.a:\n?:.b.test\n",
    text(parseRewriteRules),
  ),
  "tables of sockets": reader(
    "  sl  local_address\n   0: 0100007F:1F90 00000000:0000 0A 0 0 0 0 0 12345 1\n",
    text(tcpListeners),
  ),
};
for (const [name, codec] of Object.entries(READERS)) properties(name, codec);

function cdb(file: Uint8Array): CdbReader {
  return new CdbReader((at, length) => file.subarray(at, at + length), file.length);
}

function reply(bytes: Uint8Array): string | undefined {
  const one = new IdentReply();
  for (const byte of bytes) one.push(Uint8Array.of(byte));
  return one.info;
}

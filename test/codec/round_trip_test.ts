/** Properties of every codec without a separate fuzz test: a written value reads back as the same value, and
 *  truncated, damaged or random bytes give a value or a `DecodeError`. The values are the same in every
 *  run. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { concat, DecodeError, fromLatin1, hex, latin1, Reader } from "../../src/codec/bytes.ts";
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
import { mutate, numbers } from "./mutate.ts";

const RUNS = 200;

type Below = (n: number) => number;

const bytesOf = (below: Below, length: number): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length }, () => below(256));

/** An IPv4 or IPv6 address, often with long runs of zeros. */
const address = (below: Below): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length: below(2) ? 4 : 16 }, () => below(2) && below(256));

/** True if `read` returns, false if it throws `DecodeError`. */
function returns(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch (error) {
    assert(error instanceof DecodeError, String(error));
    assertMatch(error.message, /^[a-z][\w .]*: /);
    return false;
  }
}

interface Codec {
  /** Writes a random value, asserts that it reads back as the same, and returns its bytes for `read`. */
  write(below: Below): Uint8Array;
  read(bytes: Uint8Array): unknown;
  /** True: truncated bytes are always refused. */
  whole?: true;
}

const text = (read: (text: string) => unknown) => (bytes: Uint8Array): unknown =>
  read(latin1(bytes));

const CODECS: Record<string, Codec> = {
  "addresses": {
    write(below) {
      const one = address(below);
      for (const form of [ip.formatIp(one), ip.formatIpFull(one)]) {
        assertStrictEquals(hex(ip.parseIp(form)), hex(one), form);
      }
      return fromLatin1(ip.formatIp(one));
    },
    read: text(ip.parseIp),
  },
  "networks": {
    write(below) {
      const one = address(below);
      const prefix = below(8 * one.length + 1);
      const network = { ip: ip.maskIp(one, prefix), prefix };
      assertEquals(ip.parseNetwork(ip.formatNetwork(network)), network);
      assertEquals(ip.networkOfKey(ip.networkKey(network)), network);
      assert(ip.inNetwork(one, network));
      return fromLatin1(ip.formatNetwork(network));
    },
    read: text(ip.parseNetwork),
  },
  "sockaddr": {
    write(below) {
      const one = address(below);
      const scopeId = one.length === 4 ? 0 : below(2 ** 32);
      const value = { ip: one, port: below(65_536), scopeId };
      const written = encodeSockaddr(value, "darwin");
      assertEquals(decodeSockaddr(written, "darwin"), value);
      return encodeSockaddr(value, "linux");
    },
    read: (bytes) => decodeSockaddr(bytes, "linux"),
    whole: true,
  },
  "object identifiers": {
    write(below) {
      const top = below(3);
      const arcs = [top, below(top === 2 ? 2 ** 20 : 40)];
      while (below(5) > 0) arcs.push(below(2) ? below(2 ** 31) : below(200));
      const written = der.objectIdentifier(arcs.join("."));
      assertStrictEquals(new DerReader(written, "der").oid("oid"), arcs.join("."));
      return written;
    },
    read: (bytes) => new DerReader(bytes, "der").oid("oid"),
    whole: true,
  },
  "times": {
    write(below) {
      const ms = 1000 * below(2 ** 32);
      const written = der.time(ms);
      assertStrictEquals(readTime(new DerReader(written, "x509"), "time").ms, ms);
      return written;
    },
    read: (bytes) => readTime(new DerReader(bytes, "x509"), "time"),
    whole: true,
  },
  "TLS sessions": {
    write(below) {
      const id = bytesOf(below, below(33));
      const written = der.sequence(
        der.unsigned(Uint8Array.of(1)),
        der.unsigned(Uint8Array.of(3, 4)),
        der.element(TAG.octetString, bytesOf(below, 2)),
        der.element(TAG.octetString, id),
        der.element(TAG.octetString, bytesOf(below, below(200))),
      );
      assertEquals(sessionId(written), id.length > 0 ? id : undefined);
      return written;
    },
    read: sessionId,
    whole: true,
  },
  "names of the DNS": {
    write(below) {
      const labels = Array.from(
        { length: 1 + below(5) },
        () => latin1(Uint8Array.from({ length: 1 + below(20) }, () => 0x61 + below(26))),
      );
      const name = labels.join(".");
      const written = encodeName(name);
      assertStrictEquals(readDnsName(new Reader(written, "dns"), "name"), name);
      return written;
    },
    read: (bytes) => readDnsName(new Reader(bytes, "dns"), "name"),
    whole: true,
  },
  "PEM": {
    write(below) {
      const parts = Array.from({ length: 1 + below(3) }, () => bytesOf(below, 1 + below(200)));
      const written = parts.map((part) => encodePem("CERTIFICATE", part)).join("text\n");
      assertEquals(
        decodePem(fromLatin1(written)).map(({ bytes }) => hex(bytes)),
        parts.map(hex),
      );
      return fromLatin1(written);
    },
    read: decodePem,
  },
  "cdb": {
    write(below) {
      const records = Array.from(
        { length: 1 + below(20) },
        (
          _,
          i,
        ): [Uint8Array, Uint8Array] => [
          concat([Uint8Array.of(i), bytesOf(below, below(9))]),
          bytesOf(below, below(30)),
        ],
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
  },
  "ident replies": {
    write(below) {
      const name = latin1(Uint8Array.from({ length: 1 + below(20) }, () => 0x21 + below(94)));
      const written = fromLatin1(`23, 113 : USERID : UNIX : ${name}\r\n`);
      assertStrictEquals(reply(written), name);
      return written;
    },
    read: (bytes) => {
      const info = reply(bytes);
      assert(info === undefined || info === printable(info), info);
    },
  },
  "rules": {
    write: () => fromLatin1('10.1-9.:allow,A="b",MAXCONIP="2"'),
    read: compileRule,
  },
  "resolv.conf": {
    write: () =>
      fromLatin1("nameserver 192.0.2.1\noptions ndots:2 timeout:3\nsearch a.test b.test\n"),
    read: text(parseResolvConf),
  },
  "lists of servers": {
    write: () => fromLatin1("192.0.2.1 [2001:db8::1]:53 192.0.2.2:5353"),
    read: text(parseServerList),
  },
  "rewriting rules": {
    write: () => fromLatin1("# text\n-.local:me\n=host:host.test\n*.a:\n?:.b.test\n"),
    read: text(parseRewriteRules),
  },
  "tables of sockets": {
    write: () =>
      fromLatin1("  sl  local_address\n   0: 0100007F:1F90 00000000:0000 0A 0 0 0 0 0 12345 1\n"),
    read: text(tcpListeners),
  },
};

function cdb(file: Uint8Array): CdbReader {
  return new CdbReader((at, length) => file.subarray(at, at + length), file.length);
}

function reply(bytes: Uint8Array): string | undefined {
  const one = new IdentReply();
  for (const byte of bytes) one.push(Uint8Array.of(byte));
  return one.info;
}

for (const [name, { write, read, whole }] of Object.entries(CODECS)) {
  test(`${name}: what is written is read, what is cut or damaged is read or refused`, () => {
    const below = numbers(0x726f756e);
    for (let run = 0; run < RUNS; run++) {
      const bytes = write(below);
      assert(returns(() => read(bytes)), `refused: ${latin1(bytes)}`);
      const cut = bytes.subarray(0, below(bytes.length));
      const taken = returns(() => read(cut));
      assert(!whole || !taken, `cut at ${cut.length}: ${hex(bytes)}`);
      returns(() => read(mutate(bytes, below)));
      returns(() => read(bytesOf(below, below(40))));
    }
  });
}

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { RuleBook, type RuleResult } from "../../src/admit/rulebook.ts";
import { IN_MEMORY } from "../../src/admit/rules_database.ts";
import { RECHECK } from "../../src/files/reloading.ts";
import { HandedRules, PathRules, type RulesFile } from "../../src/files/rules_file.ts";
import { concat, fromLatin1 } from "../../src/codec/bytes.ts";
import { CdbWriter } from "../../src/codec/cdb_write.ts";
import { ruleWords } from "../../src/codec/rules.ts";
import { compileRule } from "../../src/codec/rules_source.ts";

function compile(...lines: string[]): Uint8Array<ArrayBuffer> {
  const writer = new CdbWriter();
  for (const line of lines) {
    const rule = compileRule(new TextEncoder().encode(line));
    for (const key of rule?.keys ?? []) writer.add(key, rule!.value);
  }
  return concat(writer.finish());
}

/** A file in memory that counts its uses. */
function memory(bytes: Uint8Array, stamp = "1") {
  const used = { opened: 0, closed: 0, stamped: 0 };
  const open = (): RulesFile => {
    used.opened++;
    return {
      stamp,
      size: bytes.length,
      readAt: (at, length) => bytes.subarray(at, at + length),
      close: () => {
        used.closed++;
      },
    };
  };
  const source = { name: "memory", open, stamp: () => (used.stamped++, stamp) };
  return { source, used };
}

/** Runs `run` in a new folder, with a rulebook on `cdb` there and a clock that the test moves. */
function withBook(
  allowMissing: boolean,
  run: (book: RuleBook, cdb: string, clock: { ms: number }, folder: string) => void,
): void {
  const folder = mkdtempSync(join(tmpdir(), "rules-"));
  const clock = { ms: 5000 };
  const cdb = join(folder, "rules.cdb");
  const book = new RuleBook(new PathRules(cdb), { allowMissing, now: () => clock.ms });
  try {
    run(book, cdb, clock, folder);
  } finally {
    book.close();
    rmSync(folder, { recursive: true });
  }
}

function assertDenied(verdict: RuleResult, error: RegExp): void {
  assertStrictEquals(verdict.allow, false);
  assertMatch(verdict.error ?? "", error);
  assertStrictEquals(verdict.env.size, 0);
}

/** Enough records for a file that is too large to be kept in memory. */
function many(count = 4000): string[] {
  return Array.from({ length: count }, (_, i) => `=host${i}.example:allow,N="${i}"`);
}

test("the verdict has the rule's variables and key", () => {
  const bytes = compile('10.0.0.0/8:allow,A="1",B="2"', '192.168.:deny,A="1"', "=.example:deny");
  const book = new RuleBook(memory(bytes).source, { allowMissing: false, now: () => 0 });
  assertEquals(book.evaluate({ ip: "10.1.2.3" }), {
    allow: true,
    env: new Map([["A", "1"], ["B", "2"]]),
    rule: fromLatin1("_0000e0g0"),
    kind: "network",
  });
  assertStrictEquals(book.evaluate({ ip: "192.168.1.1" }).allow, false);
  const hosts = book.evaluate({ ip: "::1", host: "a.example" });
  assertStrictEquals(ruleWords(hosts.rule), "rule =.example");
  assertEquals(book.evaluate({ ip: "::1" }), { allow: true, env: new Map() });
  assertDenied(book.evaluate({ ip: "not an address" }), /memory: ip: address/);
});

test("a missing file denies, unless -X allows it", () => {
  withBook(false, (book) => {
    assertDenied(book.evaluate({ ip: "::1" }), /unable to read .*rules\.cdb: no such file/);
  });
  withBook(true, (book, cdb, clock) => {
    assertStrictEquals(book.evaluate({ ip: "::1" }).allow, true);
    writeFileSync(cdb, compile(":deny"));
    clock.ms += RECHECK;
    assertStrictEquals(book.evaluate({ ip: "::1" }).allow, false);
  });
});

test("-X allows only for a missing file, and an unreadable file denies", () => {
  withBook(true, (book, cdb, clock) => {
    writeFileSync(cdb, "not a database");
    assertDenied(book.evaluate({ ip: "::1" }), /unable to read .*: cdb: header/);
    rmSync(cdb);
    mkdirSync(cdb);
    clock.ms += RECHECK;
    assertDenied(
      book.evaluate({ ip: "::1" }),
      /unable to read .*: a directory, not a regular file/,
    );
    clock.ms += RECHECK;
    const below = new RuleBook(new PathRules("/dev/null/rules.cdb"), book.options);
    assertDenied(below.evaluate({ ip: "::1" }), /ENOTDIR/);
    const device = new RuleBook(new PathRules("/dev/zero"), book.options);
    assertDenied(device.evaluate({ ip: "::1" }), /not a regular file/);
  });
});

test("a renamed-over file is noticed, but looked for once a second at most", () => {
  withBook(false, (book, cdb, clock, folder) => {
    writeFileSync(cdb, compile(":deny"));
    assertStrictEquals(book.evaluate({ ip: "::1" }).allow, false);
    writeFileSync(join(folder, "tmp"), compile(":allow"));
    renameSync(join(folder, "tmp"), cdb);
    clock.ms += RECHECK - 1;
    assertStrictEquals(book.evaluate({ ip: "::1" }).allow, false);
    clock.ms += 1;
    assertStrictEquals(book.evaluate({ ip: "::1" }).allow, true);
  });
});

test("a clock that goes back does not keep old rules, and expire() does not wait", () => {
  withBook(false, (book, cdb, clock) => {
    writeFileSync(cdb, compile(":deny"));
    assertStrictEquals(book.evaluate({ ip: "::1" }).allow, false);
    writeFileSync(cdb, compile(":allow", "10.:deny"));
    clock.ms -= 3000;
    assertStrictEquals(book.evaluate({ ip: "::1" }).allow, true);
    writeFileSync(cdb, compile(":deny"));
    book.expire();
    assertStrictEquals(book.evaluate({ ip: "::1" }).allow, false);
  });
});

test("a file that breaks denies, and one that is repaired is followed again", () => {
  withBook(false, (book, cdb, clock) => {
    writeFileSync(cdb, compile(":allow"));
    assertStrictEquals(book.evaluate({ ip: "::1" }).allow, true);
    truncateSync(cdb, 2050);
    clock.ms += RECHECK;
    assertDenied(book.evaluate({ ip: "::1" }), /unable to read/);
    writeFileSync(cdb, compile(":allow"));
    clock.ms += RECHECK;
    assertStrictEquals(book.evaluate({ ip: "::1" }).allow, true);
    rmSync(cdb);
    clock.ms += RECHECK;
    assertDenied(book.evaluate({ ip: "::1" }), /no such file/);
  });
});

test("a large file is read in place; its successor is too, and the old one is closed", () => {
  withBook(false, (book, cdb, clock, folder) => {
    const old = compile(...many(), ":deny");
    assert(old.length > IN_MEMORY);
    writeFileSync(cdb, old);
    const { env } = book.evaluate({ ip: "::1", host: "host77.example" });
    assertEquals([...env], [["N", "77"]]);
    assertStrictEquals(book.evaluate({ ip: "::1" }).allow, false);
    copyFileSync(cdb, join(folder, "tmp"));
    writeFileSync(join(folder, "tmp"), compile(...many()));
    renameSync(join(folder, "tmp"), cdb);
    assertStrictEquals(book.evaluate({ ip: "::1" }).allow, false);
    clock.ms += RECHECK;
    assertStrictEquals(book.evaluate({ ip: "::1" }).allow, true);
    truncateSync(cdb, 3000);
    assertDenied(book.evaluate({ ip: "::1", host: "host77.example" }), /file shrank/);
  });
});

test("small files are closed once read, large ones when they are replaced", () => {
  for (const bytes of [compile(":deny"), compile(...many())]) {
    const { source, used } = memory(bytes);
    const clock = { ms: 0 };
    const book = new RuleBook(source, { allowMissing: false, now: () => clock.ms });
    for (let i = 0; i < 100; i++) {
      clock.ms += 100;
      book.evaluate({ ip: "::1" });
    }
    assertStrictEquals(used.opened, 1);
    assert(used.stamped >= 10 && used.stamped <= 11, `${used.stamped}`);
    assertStrictEquals(used.closed, bytes.length > IN_MEMORY ? 0 : 1);
    book.close();
    book.close();
    assertStrictEquals(used.closed, 1);
  }
});

test("a broken large file is closed, not leaked", () => {
  const { source, used } = memory(compile(...many()).subarray(1));
  const book = new RuleBook(source, { allowMissing: false, now: () => 0 });
  assertDenied(book.evaluate({ ip: "::1" }), /cdb/);
  assertEquals([used.opened, used.closed], [1, 1]);
});

test("a worker without the path works from descriptors handed over", () => {
  withBook(false, (_book, cdb) => {
    const handed = new HandedRules("-x rules.cdb");
    const book = new RuleBook(handed, { allowMissing: false, now: () => 0 });
    const closed: number[] = [];
    const hand = (...lines: string[]) => {
      writeFileSync(cdb, compile(...lines));
      const fd = openSync(cdb, "r");
      handed.hand({
        stamp: "",
        size: readFileSync(cdb).length,
        readAt: (at, length) => {
          const bytes = new Uint8Array(length);
          return bytes.subarray(0, readSync(fd, bytes, 0, length, at));
        },
        close: () => {
          closed.push(fd);
          closeSync(fd);
        },
      });
      rmSync(cdb);
      book.expire();
    };
    assertDenied(book.evaluate({ ip: "::1" }), /-x rules.cdb: no such file/);
    hand(":deny", ...many());
    assertStrictEquals(book.evaluate({ ip: "::1" }).allow, false);
    hand(":allow", ...many());
    assertStrictEquals(closed.length, 0, "still in use until the next is opened");
    assertEquals(book.evaluate({ ip: "::1" }).rule, new Uint8Array(0));
    assertStrictEquals(closed.length, 1);
    handed.hand(undefined);
    book.expire();
    assertDenied(book.evaluate({ ip: "::1" }), /no such file/);
  });
});

test("a small file with any damaged byte never admits a denied client", () => {
  const sound = compile(
    ...['10.0.0.0/8:allow,A="1"', "192.168.1.1:allow", "192.168.:deny", "=.example:deny"],
    ...["joe@1.2.3.4:allow", '2001:db8::/32:allow,B="x"', ":deny"],
  );
  const peers = [
    { ip: "11.1.1.1" },
    { ip: "192.168.1.2" },
    { ip: "192.168.2.1", host: "host.example", info: "joe" },
    { ip: "2001:db9::1" },
    { ip: "1.2.3.4", info: "jo" },
  ];
  let noticed = 0;
  let damaged = 0;
  for (let at = 0; at < sound.length; at++) {
    for (const flip of [0x01, 0x80, 0xff, sound[at]!]) {
      if (flip === 0) continue;
      const bytes = sound.slice();
      bytes[at]! ^= flip;
      damaged++;
      const book = new RuleBook(memory(bytes).source, { allowMissing: true, now: () => 0 });
      for (const peer of peers) {
        const verdict = book.evaluate(peer);
        assertStrictEquals(verdict.allow, false, `byte ${at} ^ ${flip}: ${JSON.stringify(peer)}`);
        if (verdict.error !== undefined && peer === peers[0]) noticed++;
      }
    }
  }
  // Some damage has no effect: positions of empty tables, bytes of values that are not looked up.
  assert(noticed > damaged / 10, `${noticed} of ${damaged}`);
});

test("a small file cut at any length denies", () => {
  const sound = compile("10.:allow", ":allow", "192.168.:deny");
  for (let size = 0; size < sound.length; size++) {
    const { source } = memory(sound.subarray(0, size));
    const book = new RuleBook(source, { allowMissing: true, now: () => 0 });
    assertDenied(book.evaluate({ ip: "10.1.1.1" }), /cdb/);
  }
});

test("damage in any byte that a look-up in a large file reads denies", () => {
  const sound = compile(...many(), ":deny");
  const read = new Set<number>();
  const watch = (bytes: Uint8Array) => {
    const { source } = memory(bytes);
    return {
      ...source,
      open: () => ({
        ...source.open(),
        readAt: (at: number, length: number) => {
          for (let i = at; i < at + length; i++) read.add(i);
          return bytes.subarray(at, at + length);
        },
      }),
    };
  };
  const peer = { ip: "192.0.2.1", host: "host99999.example" };
  const options = { allowMissing: true, now: () => 0 };
  assertStrictEquals(new RuleBook(watch(sound), options).evaluate(peer).allow, false);
  for (const at of read) {
    for (const flip of [0x01, 0xff]) {
      const bytes = sound.slice();
      bytes[at]! ^= flip;
      const verdict = new RuleBook(memory(bytes).source, options).evaluate(peer);
      assertStrictEquals(verdict.allow, false, `byte ${at} ^ ${flip}`);
    }
  }
});

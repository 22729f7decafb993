/** s6's access rules: as a folder with libc and without, and as a cdb file that s6 makes of it. */

import { assertEquals, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import {
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { test } from "node:test";
import { type AccessRules, makeAccessRules } from "../../src/admit/access_rules.ts";
import { AccessFolder } from "../../src/admit/access_sources.ts";
import type { RuleResult } from "../../src/admit/rulebook.ts";
import { latin1 } from "../../src/codec/bytes.ts";
import { inNetwork, parseIp, parseNetwork } from "../../src/codec/ip.ts";
import { defaults } from "../../src/config/options.ts";
import { RECHECK } from "../../src/files/reloading.ts";
import type { Libc } from "../../src/runtime/libc/libc.ts";
import { thisRuntime } from "../runtime/kits.ts";
import { type AccessTree, compileTree, withPlace, writeTree } from "./access_trees.ts";

const libc = (await thisRuntime()).libc as Libc;

/** Stands for execlineb, which need not be installed. */
const command = (line: string): readonly string[] => ["/bin/execlineb", "-c", line];

interface Clock {
  ms: number;
}

type Source = { accessDir: string } | { accessCdb: string };

function rulesOf(
  source: Source,
  { names = true, calls = libc, paths = false, clock = { ms: 0 }, run = command }: {
    names?: boolean;
    calls?: Libc;
    /** Without libc. */
    paths?: boolean;
    clock?: Clock;
    run?: typeof command;
  } = {},
): AccessRules {
  const options = { ...defaults(), ...source, remoteName: names };
  return makeAccessRules(options, paths ? undefined : calls, () => clock.ms, run);
}

/** Runs `run` with the rules of a tree in each form. */
function inEachForm(
  tree: AccessTree,
  run: (make: (names: boolean) => AccessRules, form: string) => void,
): void {
  withPlace((place) => {
    const [folder, cdb] = [join(place, "rules"), join(place, "rules.cdb")];
    writeTree(folder, tree);
    compileTree(folder, cdb);
    run((names) => rulesOf({ accessCdb: cdb }, { names }), "cdb");
    run((names) => rulesOf({ accessDir: folder }, { names }), "folder");
    run((names) => rulesOf({ accessDir: folder }, { names, paths: true }), "paths");
  });
}

/** A result as one line: `allow ip4/10.0.0.0_8 A=1 -B [command]`, `deny …`, or the error. */
function line({ allow, env, rule, command, error }: RuleResult): string {
  if (error !== undefined) return error;
  const variables = [...env]
    .sort(([a], [b]) => a < b ? -1 : 1)
    .map(([name, value]) => value === undefined ? `-${name}` : `${name}=${value}`);
  return [
    allow ? "allow" : "deny",
    ...(rule ? [latin1(rule)] : []),
    ...variables,
    ...(command ? [`[${command.at(-1)}]`] : []),
  ].join(" ");
}

const SETS: Readonly<Record<string, AccessTree>> = {
  networks: {
    "ip4/192.0.2.1_32": { env: { WHO: "one\n", GONE: "" } },
    "ip4/192.0.2.2_32": "deny",
    "ip4/192.0.2.0_24": { env: { WHO: "net" }, exec: "echo net" },
    "ip4/192.0.2.128_25": "deny",
    "ip4/10.0.0.0_8": { env: { WHO: "ten \t\nmore", TEXT: "a\0b" } },
    "ip4/10.1.0.0_16": "deny",
    "ip4/10.1.2.0_23": {},
    "ip4/127.0.0.1_32": { exec: "export A 1 prog\n" },
    "ip6/2001:db8::_32": { env: { SIX: "yes" } },
    "ip6/2001:db8:1::_48": "deny",
    "ip6/2001:db8:1::7_128": { exec: "seven" },
    "ip6/::1_128": {},
    "ip6/fe80::_10": { env: { LINK: "local" } },
  },
  names: {
    "ip4/192.0.2.0_24": { env: { BY: "address" } },
    "ip4/192.0.2.66_32": "deny",
    "ip6/2001:db8::_32": "deny",
    "reversedns/mail.example.org": { env: { BY: "name", HOST: "" } },
    "reversedns/bad.example.org": "deny",
    "reversedns/example.org": { env: { BY: "suffix" }, exec: "suffix" },
    "reversedns/org": "deny",
    "reversedns/localhost": {},
    "reversedns/@": { env: { BY: "any name" } },
  },
  open: {
    "ip4/0.0.0.0_0": { env: { ALL: "4" } },
    "ip6/::_0": "deny",
    "ip4/198.51.100.0_22": "deny",
    "ip4/198.51.100.7_32": { exec: "seven" },
    "reversedns/example.org": { env: { NEVER: "decides" } },
  },
};

const CLIENTS: readonly (readonly [ip: string, host?: string])[] = [
  ["192.0.2.1"],
  ["192.0.2.1", "mail.example.org"],
  ["192.0.2.2"],
  ["192.0.2.3"],
  ["192.0.2.66", "mail.example.org"],
  ["192.0.2.127"],
  ["192.0.2.128"],
  ["192.0.2.255"],
  ["192.0.3.1"],
  ["192.0.3.1", "mail.example.org"],
  ["10.0.0.0"],
  ["10.1.0.1"],
  ["10.1.1.255"],
  ["10.1.2.1"],
  ["10.1.3.255"],
  ["10.1.4.0"],
  ["10.255.255.255"],
  ["11.0.0.0"],
  ["127.0.0.1"],
  ["127.0.0.1", "localhost"],
  ["127.0.0.2", "localhost"],
  ["198.51.100.7"],
  ["198.51.100.8"],
  ["198.51.103.255"],
  ["198.51.104.0"],
  ["0.0.0.0"],
  ["255.255.255.255"],
  ["::ffff:192.0.2.1"],
  ["::1"],
  ["::2", "sub.mail.example.org"],
  ["2001:db8::1"],
  ["2001:db8:1::7"],
  ["2001:db8:1::8"],
  ["2001:db9::1", "bad.example.org"],
  ["2001:db9::1", "very.bad.example.org"],
  ["fe80::1:2:3:4"],
  ["febf::1", "Example.ORG"],
  ["fec0::1", "badexample.org"],
  ["203.0.113.9", "client.test"],
  ["203.0.113.9", "no host name.test"],
];

/** The rule that decides, found in another way: of the networks that contain the address the
 *  smallest, then of the names that end the client's the longest. */
function decides(tree: AccessTree, ip: string, host: string | undefined): string | undefined {
  const networks = Object.keys(tree)
    .filter((path) => path.startsWith("ip"))
    .map((path) => ({ path, net: parseNetwork(path.slice(4).replace("_", "/")) }))
    .filter(({ net }) => inNetwork(parseIp(ip), net))
    .sort((a, b) => b.net.prefix - a.net.prefix);
  if (networks[0]) return networks[0].path;
  if (host === undefined || host.includes(" ")) return undefined;
  const names = Object.keys(tree)
    .filter((path) => path.startsWith("reversedns/") && !path.endsWith("@"))
    .filter((path) => `.${host}`.endsWith(`.${path.slice(11)}`))
    .sort((a, b) => b.length - a.length);
  return names[0] ?? Object.keys(tree).find((path) => path === "reversedns/@");
}

/** What that rule gives, as `line` has it. */
function expected(tree: AccessTree, ip: string, host: string | undefined): string {
  const path = decides(tree, ip, host?.toLowerCase());
  const rule = path === undefined ? undefined : tree[path];
  if (path === undefined || rule === undefined) return "deny";
  if (rule === "deny") return `deny ${path}`;
  const env = Object.entries(rule.env ?? {}).sort().map(([name, file]) => {
    const value = file.split("\n")[0]?.replace(/[ \t\r]+$/, "").replaceAll("\0", "\n");
    return file === "" ? `-${name}` : `${name}=${value}`;
  });
  return [`allow ${path}`, ...env, ...(rule.exec ? [`[${rule.exec}]`] : [])].join(" ");
}

assertStrictEquals(CLIENTS.length, 40);
for (const [name, tree] of Object.entries(SETS)) {
  test(`verdict and environment of 40 clients, with the rules "${name}"`, () => {
    inEachForm(tree, (make, form) => {
      const rules = make(true);
      for (const [ip, host] of CLIENTS) {
        const peer = { ip, ...(host === undefined ? {} : { host: host.toLowerCase() }) };
        const text = `${ip} ${host}, ${form}`;
        assertStrictEquals(line(rules.evaluate(peer)), expected(tree, ip, host), text);
      }
    });
  });
}

test("selected cases, written by hand", () => {
  const rows: [set: string, ip: string, host: string | undefined, result: string][] = [
    ["networks", "192.0.2.1", undefined, "allow ip4/192.0.2.1_32 -GONE WHO=one"],
    ["networks", "192.0.2.3", undefined, "allow ip4/192.0.2.0_24 WHO=net [echo net]"],
    ["networks", "192.0.2.200", undefined, "deny ip4/192.0.2.128_25"],
    ["networks", "10.9.9.9", undefined, "allow ip4/10.0.0.0_8 TEXT=a\nb WHO=ten"],
    ["networks", "2001:db8:1::7", undefined, "allow ip6/2001:db8:1::7_128 [seven]"],
    ["networks", "8.8.8.8", "dns.test", "deny"],
    ["names", "203.0.113.9", "client.test", "allow reversedns/@ BY=any name"],
    [
      "names",
      "203.0.113.9",
      "x.mail.example.org",
      "allow reversedns/mail.example.org BY=name -HOST",
    ],
    ["names", "203.0.113.9", undefined, "deny"],
    ["open", "203.0.113.9", undefined, "allow ip4/0.0.0.0_0 ALL=4"],
    ["open", "2001:db8::1", "example.org", "deny ip6/::_0"],
  ];
  for (const [set, ip, host, result] of rows) {
    inEachForm(SETS[set] ?? {}, (make, form) => {
      const peer = { ip, ...(host === undefined ? {} : { host }) };
      assertStrictEquals(line(make(true).evaluate(peer)), result, `${ip} ${form}`);
    });
  }
});

test("without look-ups, a client that no address rule allows is denied at once", () => {
  inEachForm(SETS["names"] ?? {}, (make, form) => {
    const peer = { ip: "203.0.113.9", host: "mail.example.org" };
    assertStrictEquals(line(make(true).byAddress(peer.ip)), "allow", form);
    assertStrictEquals(make(true).byAddress(peer.ip).rule, undefined);
    assertStrictEquals(line(make(false).byAddress(peer.ip)), "deny", form);
    assertStrictEquals(line(make(false).byHost(peer.host)), "deny", form);
    assertStrictEquals(line(make(false).evaluate(peer)), "deny", form);
    assertStrictEquals(line(make(true).byHost(undefined)), "deny", form);
  });
});

test("an invalid address is denied, with an error", () => {
  inEachForm({ "ip4/0.0.0.0_0": {}, "ip6/::_0": {} }, (make) => {
    for (const ip of ["", "localhost", "192.0.2", "fe80::1%1"]) {
      assertMatch(line(make(true).evaluate({ ip })), /^unable to use access rules: ip: /);
    }
  });
});

test("a denial has the kind of its rule", () => {
  inEachForm(SETS["names"] ?? {}, (make) => {
    const kind = (ip: string, host: string): unknown => make(true).evaluate({ ip, host }).kind;
    assertStrictEquals(kind("192.0.2.66", "x"), "address");
    assertStrictEquals(kind("2001:db8::1", "x"), "network");
    assertStrictEquals(kind("203.0.113.9", "bad.example.org"), "host");
    assertStrictEquals(kind("203.0.113.9", "not a name"), "any");
  });
});

test("a command that cannot run denies with an error, and does so only to its clients", () => {
  const run = (): never => {
    throw new Error("not installed");
  };
  withPlace((place) => {
    writeTree(place, SETS["networks"] ?? {});
    const rules = rulesOf({ accessDir: place }, { run });
    assertStrictEquals(
      line(rules.evaluate({ ip: "192.0.2.3" })),
      "unable to use access rules: exec of ip4/192.0.2.0_24: not installed",
    );
    assertStrictEquals(
      line(rules.evaluate({ ip: "192.0.2.1" })),
      "allow ip4/192.0.2.1_32 -GONE WHO=one",
    );
  });
});

test("a folder without allow and deny is skipped, and allow overrides deny", () => {
  withPlace((place) => {
    writeTree(place, { "ip4/10.0.0.0_8": { env: { A: "1" } }, "ip4/10.0.0.1_32": "deny" });
    mkdirSync(join(place, "ip4/10.1.0.0_16/env"), { recursive: true });
    writeFileSync(join(place, "ip4/10.0.0.1_32/allow"), "");
    const rules = rulesOf({ accessDir: place });
    assertStrictEquals(line(rules.evaluate({ ip: "10.1.0.1" })), "allow ip4/10.0.0.0_8 A=1");
    assertStrictEquals(line(rules.evaluate({ ip: "10.0.0.1" })), "allow ip4/10.0.0.1_32");
  });
});

test("an unreadable allow is ignored, and an unreadable deny denies", () => {
  withPlace((place) => {
    writeTree(place, {
      "ip4/10.0.0.0_8": {},
      "ip4/10.1.0.0_16": {},
      "ip4/10.2.0.0_16": "deny",
    });
    for (const hidden of ["allow", "deny"]) {
      const openIn: typeof libc.openIn = (dir, name, folder) => {
        const fd = libc.openIn(dir, name, folder);
        if (name !== hidden || fd === undefined) return fd;
        libc.close(fd);
        throw Object.assign(new Error("openat: permission denied (EACCES)"), { code: "EACCES" });
      };
      const rules = rulesOf({ accessDir: place }, { calls: { ...libc, openIn } });
      const verdict = (ip: string): string => line(rules.evaluate({ ip }));
      assertStrictEquals(
        verdict("10.1.0.1"),
        hidden === "allow" ? "deny" : "allow ip4/10.1.0.0_16",
      );
      assertStrictEquals(verdict("10.2.0.1"), "deny ip4/10.2.0.0_16");
    }
  });
});

test("names in env that are not variables are skipped, as in s6", () => {
  inEachForm(
    { "ip4/0.0.0.0_0": { env: { ".hidden": "1", "A=B": "2", "a-b.c": "3" } } },
    (make, form) => {
      assertStrictEquals(
        line(make(true).evaluate({ ip: "192.0.2.1" })),
        "allow ip4/0.0.0.0_0 a-b.c=3",
        form,
      );
    },
  );
});

test("a broken entry of a folder denies, and the error names it", () => {
  const breaks: Readonly<Record<string, (rule: string) => void>> = {
    "/allow: a link": (rule) => symlinkSync("env", join(rule, "allow")),
    "/deny: a link": (rule) => symlinkSync("env", join(rule, "deny")),
    "/exec: a link": (rule) => {
      writeFileSync(join(rule, "allow"), "");
      symlinkSync("/bin/sh", join(rule, "exec"));
    },
    "/exec: s6 rules: command: over 4096": (rule) => {
      writeFileSync(join(rule, "allow"), "");
      writeFileSync(join(rule, "exec"), "x".repeat(4097));
    },
    "/exec: s6 rules: command: a NUL": (rule) => {
      writeFileSync(join(rule, "allow"), "");
      writeFileSync(join(rule, "exec"), "a\0b");
    },
    "/env/A: a link": (rule) => {
      writeFileSync(join(rule, "allow"), "");
      symlinkSync("/etc/passwd", join(rule, "env", "A"));
    },
    "/env/A: s6 rules: variable: a line over 4096": (rule) => {
      writeFileSync(join(rule, "allow"), "");
      writeFileSync(join(rule, "env", "A"), "x".repeat(4097));
    },
    "/env: more than 256 variables": (rule) => {
      writeFileSync(join(rule, "allow"), "");
      for (let i = 0; i < 257; i++) writeFileSync(join(rule, "env", `V${i}`), "");
    },
    "/env: (a link|not a directory)": (rule) => {
      writeFileSync(join(rule, "allow"), "");
      rmSync(join(rule, "env"), { recursive: true });
      symlinkSync("/etc", join(rule, "env"));
    },
    ": not a directory": (rule) => {
      rmSync(rule, { recursive: true });
      writeFileSync(rule, "");
    },
  };
  for (const [why, damage] of Object.entries(breaks)) {
    for (const paths of [false, true]) {
      withPlace((place) => {
        writeTree(place, { "ip4/0.0.0.0_0": {} });
        const rule = join(place, "ip4/10.0.0.0_8");
        mkdirSync(join(rule, "env"), { recursive: true });
        damage(rule);
        const rules = rulesOf({ accessDir: place }, { paths });
        assertMatch(
          line(rules.evaluate({ ip: "10.1.2.3" })),
          new RegExp(`^unable to use access rules: ${place}/ip4/10\.0\.0\.0_8${why}`),
        );
        assertStrictEquals(rules.evaluate({ ip: "10.1.2.3" }).allow, false, why);
        assertStrictEquals(rules.evaluate({ ip: "11.1.2.3" }).allow, true, why);
      });
    }
  }
});

test("a missing folder or file denies, and a folder is read again for each client", () => {
  withPlace((place) => {
    const folder = join(place, "rules");
    for (const paths of [false, true]) {
      const rules = rulesOf({ accessDir: folder }, { paths });
      const verdict = (): string => line(rules.evaluate({ ip: "10.1.2.3" }));
      assertMatch(verdict(), /^unable to use access rules: .*\/rules: no such file or directory$/);
      writeTree(folder, { "ip4/10.0.0.0_8": {} });
      assertStrictEquals(verdict(), "allow ip4/10.0.0.0_8");
      writeTree(folder, { "ip4/10.1.0.0_16": "deny" });
      assertStrictEquals(verdict(), "deny ip4/10.1.0.0_16");
      rmSync(folder, { recursive: true });
      assertMatch(verdict(), /no such file/);
    }
    const rules = rulesOf({ accessCdb: join(place, "none.cdb") });
    assertMatch(line(rules.evaluate({ ip: "10.1.2.3" })), /none\.cdb: no such file$/);
  });
});

test("a cdb file is checked once a second, and at once after expire()", () => {
  withPlace((place) => {
    const [folder, cdb] = [join(place, "rules"), join(place, "rules.cdb")];
    const clock = { ms: 0 };
    const rules = rulesOf({ accessCdb: cdb }, { clock });
    const allowed = (): boolean => rules.evaluate({ ip: "10.1.2.3" }).allow;
    writeTree(folder, { "ip4/10.0.0.0_8": {} });
    compileTree(folder, cdb);
    assertStrictEquals(allowed(), true);
    writeTree(folder, { "ip4/10.1.0.0_16": "deny" });
    compileTree(folder, cdb);
    assertStrictEquals(allowed(), true);
    clock.ms += RECHECK;
    assertStrictEquals(allowed(), false);
    rmSync(join(folder, "ip4/10.1.0.0_16"), { recursive: true });
    compileTree(folder, cdb);
    rules.expire();
    assertStrictEquals(allowed(), true);
  });
});

test("a cdb file cut at any length denies", () => {
  withPlace((place) => {
    const [folder, cdb] = [join(place, "rules"), join(place, "rules.cdb")];
    writeTree(folder, { "ip4/0.0.0.0_0": {}, "ip4/10.0.0.0_8": "deny" });
    compileTree(folder, cdb);
    const { length } = readFileSync(cdb);
    for (let size = length - 1; size >= 0; size -= size > 2048 ? 1 : 97) {
      truncateSync(cdb, size);
      const result = rulesOf({ accessCdb: cdb }).evaluate({ ip: "192.0.2.1" });
      assertStrictEquals(result.allow, false, String(size));
      assertMatch(result.error ?? "", /^unable to use access rules: .*rules\.cdb: cdb: /);
    }
  });
});

test("a byte of a cdb file damaged in turn: no client gets more than before", () => {
  withPlace((place) => {
    const [folder, cdb] = [join(place, "rules"), join(place, "rules.cdb")];
    writeTree(folder, {
      "ip4/0.0.0.0_0": { env: { A: "1" } },
      "ip4/10.0.0.0_8": "deny",
    });
    compileTree(folder, cdb);
    const bytes = readFileSync(cdb);
    for (let at = 2048; at < bytes.length; at++) {
      const damaged = Uint8Array.from(bytes);
      damaged[at] = damaged[at]! ^ (1 << at % 8);
      writeFileSync(`${cdb}.new`, damaged);
      renameSync(`${cdb}.new`, cdb);
      const result = rulesOf({ accessCdb: cdb }).evaluate({ ip: "10.1.2.3" });
      // The value itself is not protected: D can become another kind, which is passed over. Then
      // the next rule counts, as in s6.
      const isValue = bytes[at] === "D".charCodeAt(0);
      assertStrictEquals(result.allow, isValue && damaged[at] !== "D".charCodeAt(0), String(at));
    }
  });
});

test("a value of another kind is skipped, and a malformed one denies", async () => {
  const { CdbWriter } = await import("../../src/codec/cdb_write.ts");
  const { concat, fromLatin1 } = await import("../../src/codec/bytes.ts");
  withPlace((place) => {
    const cdb = join(place, "rules.cdb");
    const verdict = (value: string): string => {
      const writer = new CdbWriter();
      writer.add(fromLatin1("ip4/10.0.0.0_8"), fromLatin1(value));
      writer.add(fromLatin1("ip4/0.0.0.0_0"), fromLatin1("A\0\0\0\0"));
      writeFileSync(cdb, concat(writer.finish()));
      return line(rulesOf({ accessCdb: cdb }).evaluate({ ip: "10.1.2.3" }));
    };
    assertStrictEquals(verdict("X"), "allow ip4/0.0.0.0_0");
    assertStrictEquals(verdict("Deny"), "deny ip4/10.0.0.0_8");
    for (const value of ["", "A", "A\0\0\0", "A\0\x01x\0\0", "A\xff\xff", "A\0\0\0\0x"]) {
      const error = verdict(value);
      assertMatch(error, /rules\.cdb: ip4\/10\.0\.0\.0_8: s6 rules: /, JSON.stringify(value));
    }
  });
});

test("a folder with many rules is searched as one with few", () => {
  const many = Object.fromEntries(
    Array.from({ length: 300 }, (_, i) => [`ip4/10.${i >> 8}.${i & 255}.0_24`, "deny"] as const),
  );
  const asked: string[] = [];
  const calls = {
    ...libc,
    openIn: (dir: number, name: string, folder?: boolean) => {
      asked.push(name);
      return libc.openIn(dir, name, folder);
    },
  };
  withPlace((place) => {
    const rules = rulesOf({ accessDir: place }, { calls });
    const verdict = (ip: string): [string, number] => {
      asked.length = 0;
      return [line(rules.evaluate({ ip })), asked.length];
    };
    writeTree(place, { "ip4/10.0.0.0_8": {} });
    assertEquals(verdict("10.0.5.1"), ["allow ip4/10.0.0.0_8", 5]); // with allow, env and exec
    writeTree(place, many);
    assertEquals(verdict("10.0.5.1"), ["deny ip4/10.0.5.0_24", 12]);
    assertStrictEquals(verdict("10.9.9.9")[0], "allow ip4/10.0.0.0_8");
  });
});

test("a folder is closed after each look-up, whatever happens in it", () => {
  let open = 0;
  const calls = {
    ...libc,
    open: (path: string) => (open++, libc.open(path)),
    openIn: (dir: number, name: string, folder?: boolean) => {
      const fd = libc.openIn(dir, name, folder);
      if (fd !== undefined) open++;
      return fd;
    },
    close: (fd: number) => {
      open--;
      libc.close(fd);
    },
  };
  withPlace((place) => {
    writeTree(place, { ...SETS["networks"], ...SETS["names"] });
    symlinkSync("/etc", join(place, "ip4/9.9.9.9_32"));
    const rules = rulesOf({ accessDir: place }, { calls });
    for (const [ip, host = "x"] of [...CLIENTS, ["9.9.9.9"] as const]) rules.evaluate({ ip, host });
    assertThrows(
      () =>
        new AccessFolder(place, calls).lookUp((find) => {
          find({ folder: "ip4", name: "10.0.0.0_8", kind: "network" });
          throw new Error("inside");
        }),
      Error,
      /inside/,
    );
    assertStrictEquals(open, 0);
  });
});

/** What --check says of s6's access rules: each planted mistake, and nothing of sound rules. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import { chmodSync, mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import { checkAccessRules } from "../../src/check/access_rules.ts";
import { Findings } from "../../src/check/finding.ts";
import type { Actors } from "../../src/check/processes.ts";
import { RuleTrials } from "../../src/check/rule_trials.ts";
import { checkCommand, checkOperands } from "../../src/check/start.ts";
import { parseOptions } from "../../src/config/parse.ts";
import { currentRuntime } from "../../src/runtime/current.ts";
import type { Libc } from "../../src/runtime/libc/libc.ts";
import { type AccessTree, compileTree, withPlace, writeTree } from "../admit/access_trees.ts";

const runtime = await currentRuntime();

/** The findings about the rules, as `level: text`. */
function found(...argv: string[]): string[] {
  const request = parseOptions([...argv, "-l0", "127.0.0.1", "0", "cat"], {});
  assert("serve" in request);
  const options = { ...request.serve, workers: 0 };
  const findings = new Findings();
  const actors: Actors = checkCommand(options, {}, runtime, "cli.ts", findings);
  checkOperands(options, {}, runtime, actors, findings);
  checkAccessRules(options, runtime, new RuleTrials(actors, undefined, findings));
  return findings.list
    .filter(({ text }) => text.startsWith("access rules "))
    .map(({ level, text }) => `${level}: ${text}`);
}

const SOUND: AccessTree = {
  "ip4/127.0.0.0_8": { env: { A: "1" } },
  "ip4/127.0.0.1_32": "deny",
  "ip6/2001:db8::_32": "deny",
  "reversedns/example.org": {},
  "reversedns/@": "deny",
};

test("sound rules are counted, in a folder and in a cdb file", () => {
  withPlace((place) => {
    const [folder, cdb] = [join(place, "rules"), join(place, "rules.cdb")];
    writeTree(folder, SOUND);
    writeFileSync(join(folder, ".note"), "");
    compileTree(folder, cdb);
    const counts = (path: string): string[] => [
      `ok: access rules ${path}: 5 rules, 3 of them deny`,
    ];
    assertEquals(found("--access-dir", folder), counts(folder));
    assertEquals(found("--access-cdb", cdb), counts(cdb));
  });
});

const MISTAKES: Readonly<Record<string, [plant: (folder: string) => void, finding: string]>> = {
  "another folder": [
    (folder) => mkdirSync(join(folder, "ipv4")),
    "warning: access rules @: ipv4: no rule for any client",
  ],
  "host bits": [
    (folder) => writeTree(folder, { "ip4/10.0.0.1_8": {} }),
    "warning: access rules @: ip4/10.0.0.1_8: no rule for any client",
  ],
  "an IPv6 address that is not canonical": [
    (folder) => writeTree(folder, { "ip6/2001:DB8::_48": {} }),
    "warning: access rules @: ip6/2001:DB8::_48: no rule for any client",
  ],
  "an address in the wrong folder": [
    (folder) => writeTree(folder, { "ip6/10.0.0.0_8": {} }),
    "warning: access rules @: ip6/10.0.0.0_8: no rule for any client",
  ],
  "no address": [
    (folder) => writeTree(folder, { "ip4/10.0.0.0": {} }),
    "warning: access rules @: ip4/10.0.0.0: no rule for any client",
  ],
  "a name with capitals": [
    (folder) => writeTree(folder, { "reversedns/Example.org": {} }),
    "warning: access rules @: reversedns/Example.org: no rule for any client",
  ],
  "neither allow nor deny": [
    (folder) => mkdirSync(join(folder, "ip4/10.0.0.0_8")),
    "warning: access rules @: ip4/10.0.0.0_8: no rule for any client",
  ],
  "a link": [
    (folder) => {
      writeTree(folder, { "ip4/10.0.0.0_8": {} });
      symlinkSync("/etc/passwd", join(folder, "ip4/10.0.0.0_8/exec"));
    },
    "error: access rules @: ip4/10.0.0.0_8: @/ip4/10.0.0.0_8/exec: a link: nobody is allowed in by it",
  ],
  "a limit": [
    (folder) => writeTree(folder, { "ip4/10.0.0.0_8": { env: { MAXCONIP: "many" } } }),
    "error: access rules @: ip4/10.0.0.0_8: unable to parse MAXCONIP: ",
  ],
  "a misspelled variable": [
    (folder) => writeTree(folder, { "ip4/10.0.0.0_8": { env: { CERTFLE: "/x" } } }),
    "warning: access rules @: ip4/10.0.0.0_8: ",
  ],
  "nobody": [
    (folder) => {
      rmSync(folder, { recursive: true });
      writeTree(folder, { "ip4/10.0.0.0_8": "deny" });
    },
    "warning: access rules @: nobody is allowed in",
  ],
  "no folder": [
    (folder) => rmSync(folder, { recursive: true }),
    "error: access rules @: no such file or directory: every connection is denied",
  ],
  "a file": [
    (folder) => {
      rmSync(folder, { recursive: true });
      writeFileSync(folder, "");
    },
    "error: access rules @: @: not a directory: every connection is denied",
  ],
};

for (const [name, [plant, finding]] of Object.entries(MISTAKES)) {
  test(`a mistake in a folder is found: ${name}`, () => {
    withPlace((place) => {
      const folder = join(place, "rules");
      writeTree(folder, SOUND);
      plant(folder);
      const all = found("--access-dir", folder).map((text) => text.replaceAll(folder, "@"));
      assert(all.some((text) => text.startsWith(finding)), all.join("\n"));
    });
  });
}

test("exec without execlineb is found, and so are names that -H does not look up", () => {
  withPlace((place) => {
    writeTree(place, { ...SOUND, "ip4/10.0.0.0_8": { exec: "echo" } });
    const { PATH } = process.env;
    process.env["PATH"] = "/nowhere";
    try {
      const [one] = found("--access-dir", place).filter((text) => text.startsWith("error"));
      assertStrictEquals(
        one,
        `error: access rules ${place}: ip4/10.0.0.0_8: execlineb: not found in PATH ` +
          "(Debian: execline): nobody is allowed in by it",
      );
    } finally {
      process.env["PATH"] = PATH;
    }
    assert(
      found("-H", "--access-dir", place).includes(
        `warning: access rules ${place}: -H: rules in reversedns do nothing`,
      ),
    );
  });
});

test("a cdb file that is missing, damaged or has a malformed value is found", () => {
  withPlace((place) => {
    const [folder, cdb] = [join(place, "rules"), join(place, "rules.cdb")];
    assertEquals(found("--access-cdb", cdb), [
      `error: access rules ${cdb}: no such file or directory: every connection is denied`,
    ]);
    writeTree(folder, SOUND);
    compileTree(folder, cdb);
    truncateSync(cdb, 2100);
    assertMatch(
      found("--access-cdb", cdb).join(),
      /^error: .*: cdb: .*: every connection is denied$/,
    );
  });
});

test("an allow that may not be read is found", () => {
  const libc = runtime.libc as Libc;
  withPlace((place) => {
    writeTree(place, SOUND);
    chmodSync(join(place, "ip4/127.0.0.0_8/allow"), 0);
    const openIn: typeof libc.openIn = (dir, name, folder) => {
      if (name !== "allow") return libc.openIn(dir, name, folder);
      throw Object.assign(new Error("openat: permission denied (EACCES)"), { code: "EACCES" });
    };
    const request = parseOptions(["--access-dir", place, "127.0.0.1", "0", "cat"], {});
    assert("serve" in request);
    const options = { ...request.serve, workers: 0 };
    const findings = new Findings();
    const actors = checkCommand(options, {}, runtime, "cli.ts", new Findings());
    checkAccessRules(
      options,
      { libc: { ...libc, openIn } },
      new RuleTrials(actors, undefined, findings),
    );
    const texts = findings.list.map(({ text }) => text);
    assert(
      texts.includes(
        `access rules ${place}: ip4/127.0.0.0_8: allow cannot be read: nobody is allowed in by it`,
      ),
      texts.join("\n"),
    );
  });
});

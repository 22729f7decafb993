/** How paths resolve in a jail. */

import { assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { inJail, obstacle } from "../../src/check/access.ts";

test("a path in a root folder stays there, also with links and dots", () => {
  const jail = fs.mkdtempSync(join(tmpdir(), "jail-"));
  try {
    fs.mkdirSync(join(jail, "etc/real"), { recursive: true });
    const links: [link: string, target: string][] = [
      ["absolute", "/etc/real"],
      ["relative", "etc/real"],
      ["out", "../../../../etc"],
      ["etc/up", "../../.."],
      ["circle", "/circle"],
    ];
    for (const [link, target] of links) fs.symlinkSync(target, join(jail, link));
    const rows: [path: string, found: string][] = [
      ["/etc/real/key", "/etc/real/key"],
      ["etc/real/key", "/etc/real/key"],
      ["/absolute/key", "/etc/real/key"],
      ["/relative/./key", "/etc/real/key"],
      ["/out/passwd", "/etc/passwd"],
      ["/etc/up/passwd", "/passwd"],
      ["/../../passwd", "/passwd"],
      ["/none/at/../all", "/none/all"],
      ["/", "/"],
    ];
    for (const [path, found] of rows) {
      assertStrictEquals(inJail(path, jail), join(jail, found), path);
    }
    assertThrows(() => inJail("/circle", jail), Error, /too many symbolic links/);
  } finally {
    fs.rmSync(jail, { recursive: true });
  }
});

test("paths outside the root folder do not exist inside it", () => {
  const jail = fs.mkdtempSync(join(tmpdir(), "jail-"));
  try {
    fs.chmodSync(jail, 0o755);
    fs.writeFileSync(join(jail, "key"), "", { mode: 0o644 });
    const who = { uid: 65533, gid: 65533, groups: [], ourselves: false, jail };
    assertStrictEquals(obstacle("/key", who, "read"), undefined);
    assertMatch(obstacle("/etc/passwd", who, "read")?.text ?? "", /^no such file or directory/i);
    fs.chmodSync(join(jail, "key"), 0o600);
    assertStrictEquals(obstacle("/key", who, "read")?.text, "user 65533 cannot read it");
  } finally {
    fs.rmSync(jail, { recursive: true });
  }
});

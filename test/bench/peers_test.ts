/** Servers of other projects: which of those in PATH are measured. */

import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { test } from "node:test";
import { which } from "./peers.ts";

/** What a server with this name does when it is asked for its version. */
const SERVERS: [folder: string, script: string][] = [
  ["ours", "echo 'sslserver 0.2.0 (bun 1.4.5)'"],
  [
    "theirs",
    "echo 'sslserver: usage: sslserver [ -1346UXpPhHrRoOdDqQvVIeEsSnNmzZ ]' >&2; exit 100",
  ],
  ["later", "echo 'sslserver: usage' >&2; exit 100"],
];

test("the first server in PATH that does not tell our version is measured", () => {
  const folder = fs.mkdtempSync(join(tmpdir(), "peers-"));
  const path = process.env["PATH"];
  try {
    const folders = SERVERS.map(([name, script]) => {
      const own = join(folder, name);
      fs.mkdirSync(own);
      fs.writeFileSync(join(own, "sslserver"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      return own;
    });
    process.env["PATH"] = folders.join(":");
    assertEquals(which("sslserver"), join(folder, "theirs/sslserver"));
    process.env["PATH"] = folders[0];
    assertEquals(which("sslserver"), undefined);
  } finally {
    process.env["PATH"] = path;
    fs.rmSync(folder, { recursive: true });
  }
});

/** The executable for arm64, run by a user-mode emulator. The emulator has no seccomp and no Landlock, so
 *  workers cannot be tested with it. */

import { assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import process from "node:process";
import { stdout, talk } from "./clients.ts";
import { claim, npmEnvironment, ROOT } from "./harness.ts";

const EMULATOR = ["/usr/bin/qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"] as const;

claim("the arm64 executable prints its version and serves TLS", async (t) => {
  const { PATH = "/usr/bin:/bin", HOME = "" } = process.env;
  const built = await t.run(join(ROOT, "compile.sh"), ["linux-arm64"], {
    env: { PATH, HOME, ...npmEnvironment(), DIST: t.dir },
    limit: 200_000,
  });
  assertStrictEquals(built.status, 0, built.stderr);
  const command = [...EMULATOR, join(t.dir, "sslserver-linux-arm64")];
  const [qemu = "", ...args] = command;
  const version = await t.run(qemu, [...args, "--version"]);
  assertMatch(stdout(version), /^sslserver [0-9]/, version.stderr);

  const options = ["-Vs", "--workers", "0"];
  const program = ["sh", "-c", 'echo "$SSL_PROTOCOL"; cat'];
  const server = await t.start({ command, options, program });
  const { text, end } = await talk(t, server, "hello\n");
  assertStrictEquals(text, "TLSv1.3\nhello\n");
  assertStrictEquals(end, "close_notify");
  await server.waitFor(/^sslserver: ended by [0-9]+ status 0$/);
  assertEquals(server.lines(/error/), []);
}, { forms: ["binary"], timeout: 240_000 });

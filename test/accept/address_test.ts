/** Ports by number and by the names of /etc/services. */

import { assertStrictEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { portNumber } from "../../src/accept/address.ts";
import { FatalError } from "../../src/errors.ts";

const SERVICES = `# comment
tcpmux\t\t1/tcp\t\t\t\t# TCP port service multiplexer
  smtp\t\t25/tcp\t\tmail
domain\t\t53/udp
domain\t\t53/tcp

`;

test("a port is a number or a service's name, and the empty text is neither", () => {
  const folder = mkdtempSync(join(tmpdir(), "services-"));
  const file = join(folder, "services");
  writeFileSync(file, SERVICES);
  try {
    for (
      const [port, number] of [["0", 0], ["65535", 65_535], ["mail", 25], ["smtp", 25], [
        "domain",
        53,
      ]] as const
    ) {
      assertStrictEquals(portNumber(port, file), number, port);
    }
    for (const port of ["", " ", "65536", "-1", "#", "25/tcp", "imap"]) {
      assertThrows(() => portNumber(port, file), FatalError, `port ${port}`, `port '${port}'`);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

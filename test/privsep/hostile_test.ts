/** A compromised worker: inside its sandbox it makes the attempts of hostile_rows.ts, with rules (it may
 *  read files, and was started through confine.ts) and without. */

import { assertEquals, assertStrictEquals } from "@std/assert";
import { dirname, fromFileUrl, join } from "@std/path";
import { spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { test } from "node:test";
import { confinedByExec } from "../../src/privsep/sandbox.ts";
import { libcHere, runFile } from "../runtime/libc/here.ts";
import { within } from "../runtime/tools.ts";
import { ERRNO, NOBODY, ROWS } from "./hostile_rows.ts";

const HERE = dirname(fromFileUrl(import.meta.url));
const CONFINE = join(HERE, "../../src/runtime/confine.ts");
const onLinux = process.platform === "linux" && ["x64", "arm64"].includes(process.arch);

const NAMES = new Map(Object.entries(ERRNO).map(([name, number]) => [number as number, name]));

for (const files of ["none", "read"] as const) {
  test(
    `a compromised worker can do no harm (files: ${files})`,
    { skip: !onLinux && "there is no seccomp" },
    async () => {
      const by = confinedByExec(await libcHere(), files);
      const ids = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
      const sibling = spawn("sleep", ["60"], { stdio: "ignore", cwd: "/", ...ids });
      const command = [...runFile(join(HERE, "hostile_child.ts")), files, String(sibling.pid)];
      const args = by ? [...runFile(CONFINE), process.execPath, ...command] : command;
      const child = spawn(process.execPath, args, {
        stdio: ["ignore", "pipe", "inherit", "ignore", "ignore"], // 3 and 4: sockets to the monitor
        env: { ...process.env, SANDBOX_CHILD: "1" },
      });
      try {
        let text = "";
        child.stdout?.on("data", (data) => text += data);
        await within(once(child, "close"), "end", 60_000);
        const { off, confined, rows, elsewhere } = JSON.parse(text);
        assertEquals(off, []);
        assertStrictEquals(confined, by);
        const outcomes = ROWS.map(([what], i) =>
          `${what}: ${rows[i] >= 0 ? "done" : NAMES.get(-rows[i]) ?? rows[i]}`
        );
        assertEquals(outcomes, ROWS.map(([what, outcome]) => `${what}: ${outcome}`));
        assertEquals(new Set(Object.values(elsewhere)), new Set(["EACCES"]), text);
      } finally {
        child.kill("SIGKILL");
        sibling.kill("SIGKILL");
      }
    },
  );
}

/** A compromised worker: inside its sandbox it makes the attempts of hostile_rows.ts: with rules (it may
 *  read files, and was started through confine.ts), without, and with the folder of --files. */

import { assertEquals, assertStrictEquals } from "@std/assert";
import { dirname, fromFileUrl, join } from "@std/path";
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { test } from "node:test";
import { confinedByExec } from "../../src/privsep/file_access.ts";
import { libcHere, runFile } from "../runtime/libc/here.ts";
import { within } from "../runtime/tools.ts";
import { ERRNO, NOBODY, rows } from "./hostile_rows.ts";

const HERE = dirname(fromFileUrl(import.meta.url));
const CONFINE = join(HERE, "../../src/runtime/confine.ts");
const onLinux = process.platform === "linux" && ["x64", "arm64"].includes(process.arch);

const NAMES = new Map(Object.entries(ERRNO).map(([name, number]) => [number as number, name]));

/** Makes the folder that FOLDER_ROWS describe, readable for every user. */
function makeFolder(within: string): string {
  fs.chmodSync(within, 0o755);
  fs.writeFileSync(join(within, "secret"), "secret\n", { mode: 0o644 });
  const folder = join(within, "folder");
  fs.mkdirSync(folder, { mode: 0o755 });
  fs.writeFileSync(join(folder, "file"), "file\n", { mode: 0o644 });
  fs.symlinkSync("../secret", join(folder, "out"));
  return folder;
}

for (const files of ["none", "read", "folder"] as const) {
  test(
    `a compromised worker can do no harm (files: ${files})`,
    { skip: !onLinux && "there is no seccomp" },
    async () => {
      const by = confinedByExec(await libcHere(), files === "none" ? files : "read");
      const scratch = fs.mkdtempSync(join(tmpdir(), "hostile-"));
      const below = files === "folder" ? [makeFolder(scratch)] : [];
      const ids = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
      const sibling = spawn("sleep", ["60"], { stdio: "ignore", cwd: "/", ...ids });
      const command = [
        ...runFile(join(HERE, "hostile_child.ts")),
        files,
        String(sibling.pid),
        ...below,
      ];
      const args = by ? [...runFile(CONFINE), process.execPath, ...command] : command;
      const child = spawn(process.execPath, args, {
        stdio: ["ignore", "pipe", "inherit", "ignore", "ignore"], // 3 and 4: sockets to the monitor
        env: { ...process.env, SANDBOX_CHILD: "1" },
      });
      try {
        let text = "";
        child.stdout?.on("data", (data) => text += data);
        await within(once(child, "close"), "end", 60_000);
        const { off, confined, results, elsewhere } = JSON.parse(text);
        assertEquals(off, []);
        assertStrictEquals(confined, by);
        const tried = rows(below.length > 0);
        const outcomes = tried.map(([what], i) =>
          `${what}: ${results[i] >= 0 ? "done" : NAMES.get(-results[i]) ?? results[i]}`
        );
        assertEquals(outcomes, tried.map(([what, outcome]) => `${what}: ${outcome}`));
        assertEquals(new Set(Object.values(elsewhere)), new Set(["EACCES"]), text);
      } finally {
        child.kill("SIGKILL");
        sibling.kill("SIGKILL");
        fs.rmSync(scratch, { recursive: true });
      }
    },
  );
}

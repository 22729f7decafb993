import assert from "node:assert/strict";
import fs from "node:fs";
import { test } from "node:test";
import { userCommand } from "../../src/privsep/program_user.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";

const switches = { name: "Bun", switchesUser: true } as Runtime;
const cannot = { name: "Deno", switchesUser: false } as Runtime;
const command = ["prog", "-u", "0"];
const setpriv = fs.existsSync("/usr/bin/setpriv") ? "/usr/bin/setpriv" : "/bin/setpriv";

type Who = { uid: number | undefined; gid: number | undefined; groups: number[] | undefined };
const who = (uid?: number, gid?: number, groups?: number[]): Who => ({ uid, gid, groups });

test("without -u and -g a program is started as it is", () => {
  for (const runtime of [switches, cannot]) {
    assert.deepEqual(userCommand({ command, ...who() }, runtime), { command });
    assert.deepEqual(userCommand({ command, ...who(undefined, undefined, [5]) }, runtime), {
      command,
    });
  }
});

test("a runtime that can switches user and group by itself", () => {
  for (const [uid, gid] of [[7, 8], [7, undefined], [undefined, 8]] as const) {
    const wanted = { command, user: { uid, gid } };
    assert.deepEqual(userCommand({ command, ...who(uid, gid) }, switches), wanted);
  }
});

test("else setpriv does, and always says what becomes of the groups", () => {
  const clear = "--clear-groups";
  for (
    const [runtime, ids, words] of [
      [cannot, who(7, 8), ["--reuid", "7", "--regid", "8", clear]],
      [cannot, who(7), ["--reuid", "7", clear]],
      [cannot, who(undefined, 8), ["--regid", "8", clear]],
      [cannot, who(7, 8, [3, 4]), ["--reuid", "7", "--regid", "8", "--groups", "3,4"]],
      [switches, who(7, 8, [3]), ["--reuid", "7", "--regid", "8", "--groups", "3"]],
    ] as const
  ) {
    assert.deepEqual(userCommand({ command, ...ids }, runtime), {
      command: [setpriv, ...words, "--", ...command],
      argv0: "setpriv",
    });
  }
});

test("a program whose name looks like an option of setpriv stays a program", () => {
  const { command: words } = userCommand({ command: ["--help"], ...who(7, 8) }, cannot);
  assert.deepEqual(words.slice(-2), ["--", "--help"]);
});

/** The contract under Deno without FFI, in a separate process. Tests that need libc are skipped there. The
 *  rest tests other code than with FFI. */

import { assert } from "@std/assert";
import process from "node:process";
import { test } from "node:test";
import { run, runtimeCommand } from "./tools.ts";

const skip = !("Deno" in globalThis) && "only Deno can do without FFI";

test("the contract holds without FFI", { skip, timeout: 120_000 }, async () => {
  const file = new URL("./contract_test.ts", import.meta.url).pathname;
  const flags = ["test", "-A", "--deny-ffi", "--no-prompt", "--no-check", "--quiet", file];
  const { stdout } = await run(runtimeCommand[0] ?? "", flags, "", {
    env: { ...process.env, NO_COLOR: "1" },
  });
  const passed = /^ok \| (\d+) passed.* \| 0 failed/m.exec(stdout)?.[1];
  assert(Number(passed) > 60, stdout);
});

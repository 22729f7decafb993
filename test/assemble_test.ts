/** Only a server that uses DNS reads the settings of DNS. Otherwise their files may be missing, or reading
 *  them may not be permitted. */

import { assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { assemble, type Overrides } from "../src/assemble.ts";
import { defaults, type Options } from "../src/config/options.ts";
import { type Files, localFiles } from "../src/files/files.ts";
import { Log } from "../src/log.ts";
import { currentRuntime } from "../src/runtime/current.ts";
import { selfSigned } from "../src/tls/self_signed.ts";

const NO_NAMES = { remoteName: false, localName: "mx.example", host: "127.0.0.1" };

const ROWS: readonly [what: string, options: Partial<Options>, given: Overrides, reads: boolean][] =
  [
    ["-H, -l and an address", {}, {}, false],
    ["-h", { remoteName: true }, {}, true],
    ["no -l", { localName: undefined }, {}, true],
    ["no -l in a script", { localName: undefined }, { findsOwnName: false }, false],
    ["a host name", { host: "mx.example" }, {}, true],
    ["localhost", { host: "localhost" }, {}, false],
    ["all addresses", { host: "0" }, {}, false],
  ];

test("resolv.conf is read only if names are looked up", async () => {
  const runtime = await currentRuntime();
  const log = new Log({ verbosity: 0, form: "text", name: "x", write: () => {} });
  for (const [what, row, overrides, reads] of ROWS) {
    const looked: string[] = [];
    const files: Files = {
      ...localFiles,
      stamp(path) {
        looked.push(path);
        return localFiles.stamp(path);
      },
    };
    const options = {
      ...defaults(),
      selfSigned: true,
      port: "0",
      command: ["cat"],
      ...NO_NAMES,
      ...row,
    };
    const keyPair = selfSigned(options, log);
    const { close } = await assemble(options, {}, runtime, log, { ...overrides, files, keyPair });
    close();
    assertStrictEquals(looked.includes("/etc/resolv.conf"), reads, what);
  }
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { defaults } from "../../src/config/options.ts";
import { wantedFiles } from "../../src/privsep/monitor/file_watch.ts";

test("files are those that options and environment name", () => {
  const options = { ...defaults(), rules: "/r.cdb", command: [], host: "0", port: "1" };
  const wanted = wantedFiles(options, {
    CERTFILE: "/a:/b",
    "KEYFILE:x.example": "/k",
    CADIR: "/ca",
    CCAFILE: "-",
    PATH: "/bin",
  });
  assert.deepEqual(
    wanted.filter(({ path }) => !path.startsWith("/etc/")).map(({ kind, path }) =>
      `${kind} ${path}`
    ),
    ["files /a:/b", "file /k", "folder /ca", "rules /r.cdb"],
  );
});

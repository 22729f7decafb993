import assert from "node:assert/strict";
import * as fs from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { defaults } from "../../src/config/options.ts";
import { workerEnvironment } from "../../src/config/variables.ts";
import { wantedFiles } from "../../src/privsep/monitor/file_watch.ts";

const SRC = fileURLToPath(new URL("../../src/", import.meta.url));

/** The variables that the stages ask for. */
function asked(): string[] {
  const files = ["assemble.ts"].concat(
    ["accept", "admit", "config", "dns", "tls"].flatMap((folder) =>
      fs.readdirSync(SRC + folder).map((f) => `${folder}/${f}`)
    ),
  );
  const names = files.flatMap((file) =>
    [...fs.readFileSync(SRC + file, "utf8").matchAll(/\b(?:env\[|lookup\()"([A-Z_0-9]+)"/g)]
      .map((match) => match[1] as string)
  );
  return [...new Set(names)];
}

test("a worker sees every variable that the stages ask for", () => {
  const names = asked();
  assert.ok(names.includes("SNI_STRICT") && names.includes("MAXCONIP"), names.join());
  const env = Object.fromEntries(names.map((name) => [name, "x"]));
  assert.deepEqual(Object.keys(workerEnvironment(env)).sort(), names.sort());
});

test("a worker sees nothing that only programs are meant to have", () => {
  const env = { PATH: "/bin", DB_PASSWORD: "x", SSL_CHROOT: "/j", "CERTFILE:a.example": "/c" };
  assert.deepEqual(workerEnvironment(env), { "CERTFILE:a.example": "/c" });
});

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

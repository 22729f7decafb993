/** Which variable a wrong name was meant to be. */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import { test } from "node:test";
import { spelling } from "../../src/check/spelling.ts";

test("a name one letter off, in lower case, or another program's is recognized", () => {
  const rows: [string, string][] = [
    ["CERTFLE", "CERTFILE"],
    ["CERTFILES", "CERTFILE"],
    ["CETRFILE", "CERTFILE"],
    ["CERTFILR", "CERTFILE"],
    ["ACERTFILE", "CERTFILE"],
    ["certfile", "CERTFILE"],
    ["Keyfile", "KEYFILE"],
    ["SSL_CERTFILE", "CERTFILE"],
    ["CERT_FILE:a.example", "CERTFILE:a.example"],
    ["CIPHER", "CIPHERS"],
    ["MAXCONPERIP", "MAXCONIP"],
    ["TLS_MIN_VERSON", "TLS_MIN_VERSION"],
    ["VERIFYDEPHT", "VERIFYDEPTH"],
    ["DNSCACHE", "DNSCACHEIP"],
    ["SSL_CHROT", "SSL_CHROOT"],
    ["SSL_USR", "SSL_USER"],
    ["TLS_UID", "SSL_UID"],
    ["TLS_GID", "SSL_GID"],
    ["ALPn", "ALPN"],
  ];
  for (const [wrong, meant] of rows) assert.equal(spelling(wrong), meant, wrong);
});

test("a slip in any variable that the manual describes is found", () => {
  const page = fs.readFileSync(
    new URL("../../man/sslserver-environment.7", import.meta.url),
    "utf8",
  );
  const settings = page.slice(0, page.indexOf(".Ss Supervisor"));
  const names = [...settings.matchAll(/^\.It Ev (.*)$/gm)].flatMap(([, names = ""]) =>
    names.split(/[ ,]+/)
  );
  // Not ours, ended with an error, or too short: one letter off they are other words.
  const not = ["PATH", "TICKETKEYFILE", "UID", "GID", "ALPN"];
  const ours = names.filter((name) => !name.includes(":") && !not.includes(name));
  assert.ok(ours.length > 20 && ours.includes("SSL_CHROOT"), ours.join(" "));
  for (const name of ours) {
    assert.equal(spelling(name), undefined, name);
    for (const slip of [`${name}X`, `${name.slice(0, -1)}Q`, name.toLowerCase()]) {
      assert.ok(spelling(slip) !== undefined, slip);
    }
    const lost = name.slice(0, 2) + name.slice(3);
    if (name.length >= 6) assert.ok(spelling(lost) !== undefined, lost);
  }
});

test("right names and those that are none of ours are left alone", () => {
  const names = ["CERTFILE", "CERTFILE:a.example", "CCAFILE", "CAFILE", "CADIR", "CCADIR", "ALPN"];
  const others = ["PATH", "HOME", "LANG", "PROFILE", "ENVFILE", "SSL_CERT_FILE", "PWD", "", "_"];
  for (const name of [...names, ...others]) assert.equal(spelling(name), undefined, name);
});

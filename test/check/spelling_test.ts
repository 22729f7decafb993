/** Which variable --check suggests for a misspelled name. */

import { assertStrictEquals } from "@std/assert";
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
    ["KEYFIL:*.example", "KEYFILE:*.example"],
    ["CIPHER:a.example", "CIPHERS"],
    ["CIPHERS:a.example", "CIPHERS"],
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
  for (const [wrong, meant] of rows) assertStrictEquals(spelling(wrong), meant, wrong);
});

test("correct names and names of other programs are not changed", () => {
  const names = ["CERTFILE", "CERTFILE:a.example", "CCAFILE", "CAFILE", "CADIR", "CCADIR", "ALPN"];
  const others = ["PATH", "HOME", "LANG", "PROFILE", "ENVFILE", "SSL_CERT_FILE", "PWD", "", "_"];
  for (const name of [...names, ...others]) assertStrictEquals(spelling(name), undefined, name);
});

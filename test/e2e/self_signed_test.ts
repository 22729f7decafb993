/** --self-signed makes a certificate for localhost and the host's addresses, prints its fingerprint, and
 *  writes no file. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotStrictEquals,
  assertStrictEquals,
} from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { networkInterfaces } from "node:os";
import { claim, type Server, type Trial } from "./harness.ts";

async function certificate(t: Trial, server: Server): Promise<string> {
  const where = ["-connect", `127.0.0.1:${server.port}`];
  const outcome = await t.run("openssl", ["s_client", ...where]);
  const text = new TextDecoder().decode(outcome.stdout);
  const pem = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/.exec(text)?.[0] ?? "";
  const path = join(t.dir, "seen.pem");
  fs.writeFileSync(path, `${pem}\n`);
  return path;
}

claim("the printed fingerprint is that of the certificate served, P-256", async (t) => {
  const server = await t.start({ selfSigned: true });
  const [line = ""] = await server.waitFor(/fingerprint/);
  const told = /^sslserver: info: self-signed certificate, SHA-256 fingerprint ([0-9a-f]{64})$/
    .exec(line)?.[1];
  const file = await certificate(t, server);
  const outcome = await t.run("openssl", [
    "x509",
    "-in",
    file,
    "-noout",
    "-fingerprint",
    "-sha256",
    "-text",
  ]);
  const text = new TextDecoder().decode(outcome.stdout);
  const seen = /Fingerprint=([0-9A-F:]+)/i.exec(text)?.[1]?.replaceAll(":", "").toLowerCase();
  assertStrictEquals(told, seen);
  assertMatch(text, /ASN1 OID: prime256v1/);
});

claim(
  "its names are localhost and the addresses of this host; openssl and curl accept it",
  async (t) => {
    const program = ["sh", "-c", "printf 'HTTP/1.0 200 OK\\r\\n\\r\\nhello\\n'"];
    const server = await t.start({ selfSigned: true, program });
    const file = await certificate(t, server);
    const outcome = await t.run("openssl", [
      "x509",
      "-in",
      file,
      "-noout",
      "-ext",
      "subjectAltName",
    ]);
    const text = new TextDecoder().decode(outcome.stdout);
    assertMatch(text, /DNS:localhost/);
    const own = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
      .filter(({ family }) => family === "IPv4").map(({ address }) => address);
    for (const address of ["127.0.0.1", ...own]) {
      assert(
        text.includes(`IP Address:${address}`),
        text,
      );
    }
    const args = ["-sS", "--cacert", file, `https://localhost:${server.port}/`, "-4"];
    const curl = await t.run("curl", args);
    assertStrictEquals(new TextDecoder().decode(curl.stdout), "hello\n", curl.stderr);
  },
);

claim("the certificate is new at each start, and no file is written", async (t) => {
  const before = fs.readdirSync(t.dir).filter((name) => !name.startsWith("log-"));
  const [one, two] = [await t.start({ selfSigned: true }), await t.start({ selfSigned: true })];
  const [first, second] = [one, two].map((server) => /fingerprint (.*)/.exec(server.log())?.[1]);
  assertNotStrictEquals(first, second);
  assertEquals(fs.readdirSync(t.dir).filter((name) => !name.startsWith("log-")), before);
});

/** CURVES chooses the groups for the key exchange on Bun, and is refused on Deno. */

import { assertEquals, assertMatch } from "@std/assert";
import { RECORDED } from "../codec/tls/samples.ts";
import { Raw, stdout } from "./clients.ts";
import { claim, ON_BUN, type Server, type Trial } from "./harness.ts";

/** The group of a handshake with openssl, `X25519` or `secp384r1`; otherwise its alert. */
async function group(t: Trial, server: Server, ...args: string[]): Promise<string> {
  const where = ["-connect", `127.0.0.1:${server.port}`];
  const outcome = await t.run("openssl", ["s_client", ...where, ...args], { input: "" });
  const used = /Server Temp Key: (?:ECDH, )?(\w+)/.exec(stdout(outcome))?.[1];
  return used ?? /alert [a-z ]+/.exec(outcome.stderr)?.[0] ?? outcome.stderr;
}

claim("CURVES: the server's order counts, and other groups are refused", async (t) => {
  const server = await t.start({ env: { CURVES: "P-384:X25519" }, program: ["true"] });
  assertEquals(await group(t, server), "secp384r1"); // openssl has sent a share for X25519
  assertEquals(await group(t, server, "-tls1_2"), "secp384r1");
  assertEquals(await group(t, server, "-groups", "X25519"), "X25519");
  assertEquals(await group(t, server, "-groups", "P-521:P-256"), "alert handshake failure");
  const other = await t.start({ env: { CURVES: "x25519, secp384r1,secp521r1" } });
  assertEquals(await group(t, other), "X25519");
  assertEquals(await group(t, other, "-groups", "P-521:P-384"), "secp384r1");
}, { forms: ON_BUN });

claim("CURVES: a post-quantum group is used with a client that offers it", async (t) => {
  const shares: string[] = [];
  for (const CURVES of ["X25519MLKEM768:X25519", "X25519:X25519MLKEM768"]) {
    const server = await t.start({ env: { CURVES }, options: ["--trace"] });
    const raw = (await Raw.connect(server.port)).send(RECORDED.get("chromium") as Uint8Array);
    const lines = await server.waitFor(/extension key_share \(51\), (36|1124) bytes: /);
    raw.destroy();
    shares.push(/bytes: (\w+ \(\d+\)), \d+ bytes/.exec(lines[0] ?? "")?.[1] ?? "");
  }
  assertEquals(shares, ["X25519MLKEM768 (4588)", "x25519 (29)"]);
}, { forms: ON_BUN });

claim("CURVES is refused on Deno, which cannot choose groups", async (t) => {
  if (!t.onDeno) return;
  const { status, stderr } = await t.fails({ env: { CURVES: "X25519" } });
  assertEquals(status, 111);
  assertMatch(stderr, /fatal: unable to use CURVES: Deno's TLS library \(rustls\) cannot/);
  assertMatch(stderr, /unset CURVES, or run under Bun/);
}, { forms: ["deno", "deno-noffi"] });

/** Hosts `0`, `::`, `:0` and literal addresses accept exactly the address families they stand for. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { networkInterfaces } from "node:os";
import { portIsFree, talk } from "./clients.ts";
import { claim, WITH_FFI } from "./harness.ts";

const WHO = ["sh", "-c", 'echo "$SSLREMOTEIP $SSLLOCALIP"'];

claim("host 0 is all of IPv4 and no IPv6", async (t) => {
  for (const host of ["0", "0.0.0.0"]) {
    const server = await t.start({ host, program: WHO });
    assertStrictEquals((await talk(t, server)).text, "127.0.0.1 127.0.0.1\n");
    assert(await portIsFree(server.port, "::1"));
  }
});

claim("host :: is all of IPv6 and no IPv4", async (t) => {
  const program = ["sh", "-c", 'echo "$SSLREMOTEIP $SSLLOCALIP $SSLINTERFACE $TCP6INTERFACE"'];
  const server = await t.start({ host: "::", program, options: ["-e"] });
  assertStrictEquals((await talk(t, server, "", ["-6"])).text, "::1 ::1  \n");
  assert(await portIsFree(server.port, "127.0.0.1"));
  // The interface of a link-local client, if this machine has a link-local address.
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    const ip = addresses?.find(({ address }) => address.startsWith("fe80:"))?.address.split("%")[0];
    if (ip === undefined) continue;
    const connect = ["s_client", "-quiet", "-connect", `[${ip}%${name}]:${server.port}`];
    const { stdout } = await t.run("openssl", connect);
    assertStrictEquals(new TextDecoder().decode(stdout), `${ip} ${ip} ${name} ${name}\n`);
  }
}, { forms: WITH_FFI });

claim("host :: without FFI: 111, naming Deno and the remedy", async (t) => {
  const outcome = await t.fails({ host: "::" });
  assertStrictEquals(outcome.status, 111);
  assertMatch(outcome.stderr, /Deno without FFI/);
  assertMatch(outcome.stderr, /--allow-ffi/);
}, { forms: ["deno-noffi"] });

claim("host :0 is both on one socket, and IPv4 peers appear as dotted IPv4", async (t) => {
  const server = await t.start({ host: ":0", program: WHO, options: ["-v"] });
  assertStrictEquals((await talk(t, server, "", ["-6"])).text, "::1 ::1\n");
  assertStrictEquals((await talk(t, server)).text, "127.0.0.1 127.0.0.1\n");
  assertStrictEquals((await server.waitFor(/^sslserver: pid [0-9]+ from 127\.0\.0\.1$/)).length, 1);
  assertEquals(server.lines(/::ffff/), []);
});

claim("host ::1 accepts only local IPv6 clients", async (t) => {
  const server = await t.start({ host: "::1", program: WHO });
  assertStrictEquals((await talk(t, server, "", ["-6"])).text, "::1 ::1\n");
  assert(await portIsFree(server.port, "127.0.0.1"));
});

claim("another loopback address is distinguished", async (t) => {
  const server = await t.start({ host: "127.0.0.2", program: WHO });
  assertMatch(
    (await talk(t, server, "", ["-i", "127.0.0.2"])).text,
    /^127\.0\.0\.\d 127\.0\.0\.2\n$/,
  );
  assert(await portIsFree(server.port, "127.0.0.1"));
});

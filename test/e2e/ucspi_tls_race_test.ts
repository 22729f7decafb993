/** UCSPI-TLS: a ClientHello that arrives before the program's request is not lost, and plaintext sent
 *  before the handshake is never delivered as data inside TLS (CVE-2011-0411). */

import { assertEquals, assertStrictEquals } from "@std/assert";
import { claim, WITH_FFI } from "./harness.ts";
import { nothingLeft, race, RACES, service, start } from "./ucspi_tls.ts";

const OPTIONS = { forms: WITH_FFI, timeout: 120_000 + 1000 * RACES };

for (
  const [how, what] of [
    ["same", "in one packet with the last plaintext"],
    ["split", "in one packet with the last plaintext, cut anywhere"],
    ["after", "as soon as the answer is there"],
    ["bytewise", "byte by byte"],
  ] as const
) {
  claim(`a ClientHello succeeds ${what}, before the server has seen Y`, async (t) => {
    const server = await start(t, [service(t), "Y", "wait"]);
    await race(t, server, how, 1); // opens the descriptors that the server keeps
    const before = server.descriptors().length;
    assertEquals(await race(t, server, how), { good: RACES, refused: 0 });
    await nothingLeft(server, before);
  }, OPTIONS);

  claim(`a ClientHello succeeds ${what}, while Y is on its way`, async (t) => {
    const server = await start(t, [service(t), "Y"]);
    assertEquals(await race(t, server, how), { good: RACES, refused: 0 });
  }, OPTIONS);
}

for (const wait of [["wait"], []]) {
  const when = wait.length > 0 ? "before the server has seen Y" : "while Y is on its way";

  for (const how of ["injected", "between"]) {
    claim(`plaintext (${how}) never comes out within TLS, ${when}`, async (t) => {
      const server = await start(t, [service(t), "y", ...wait]);
      const { good, refused } = await race(t, server, how);
      assertStrictEquals(good + refused, RACES);
    }, OPTIONS);
  }
}

claim("plaintext without a ClientHello is refused, and each counts in the log", async (t) => {
  const server = await start(t, [service(t), "y"]);
  const before = server.descriptors().length;
  assertEquals(await race(t, server, "garbage"), { good: 0, refused: RACES });
  await server.waitFor(/ended by/, RACES);
  await nothingLeft(server, before + 8); // descriptors that the server keeps
  server.signal("SIGTERM");
  await server.exited;
  assertStrictEquals(server.count("error: unable to accept TLS from: 127.0.0.1 for pid: "), RACES);
}, OPTIONS);

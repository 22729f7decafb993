/** The address that the server listens on, and which addresses a host name may resolve to. */

import { assertEquals, assertObjectMatch, assertThrows, fail } from "@std/assert";
import { test } from "node:test";
import { checkNamed, type ListenAddress, literalHost } from "../../src/accept/address.ts";
import { listenSocket, listenWithoutLibc } from "../../src/accept/listen.ts";

for (const ip of ["192.0.2.1", "127.0.0.1", "2001:db8::1", "::1", "fe80::1", "223.255.255.255"]) {
  test(`a name may lead to ${ip}`, () => checkNamed("host.example", ip));
}

for (const ip of ["0.0.0.0", "::", "::ffff:0.0.0.0"]) {
  test(`a name may not lead to ${ip}, every address`, () => {
    assertObjectMatch(assertThrows(() => checkNamed("host.example", ip), Error), {
      message:
        `unable to listen on "host.example": the name leads to ${ip}, which means every address`,
      hint: "give host as an address of this machine; 0 or :: mean all of them",
    });
  });
}

for (const ip of ["224.0.0.1", "239.1.2.3", "255.255.255.255", "ff02::1", "::ffff:224.0.0.1"]) {
  test(`a name may not lead to ${ip}, which is not the address of one host`, () => {
    assertThrows(() => checkNamed("host.example", ip), Error, /not the address of one host$/);
  });
}

/** A fake system without IPv6, with libc and without. Records the addresses listened on. */
const without6 = (warn: (text: string) => void) => {
  const listened: string[] = [];
  const listen = ({ ip }: { ip: string }): void => {
    if (ip.includes(":")) {
      throw Object.assign(new Error("no such family"), { code: "EAFNOSUPPORT" });
    }
    listened.push(ip);
  };
  const libc = {
    listenSocket: (where: { ip: string }) => (listen(where), { fd: 9, port: 1 }),
    interfaceIndex: () => 0,
  };
  const runtime = {
    name: "Deno" as const,
    listen: (where: { ip: string }) => (listen(where), undefined as never),
  };
  const forms = [
    (address: ListenAddress) => listenSocket(libc, address, warn),
    (address: ListenAddress) => listenWithoutLibc(runtime, address, warn, () => {}),
  ];
  return { listened, forms };
};

const address = (host: string): ListenAddress => {
  const literal = literalHost(host) ?? fail();
  return { ...literal, port: 1, backlog: 1, interface: undefined };
};

test("without IPv6 the host :0 is every IPv4 address, with a warning", () => {
  const warnings: string[] = [];
  const { forms, listened } = without6((text) => warnings.push(text));
  for (const listen of forms) listen(address(":0"));
  assertEquals(listened, ["0.0.0.0", "0.0.0.0"]);
  const warning = "this system has no IPv6: host :0 means all IPv4 addresses";
  assertEquals(warnings, [warning, warning]);
});

test("without IPv6 an IPv6 address is refused, with the remedy", () => {
  const { forms } = without6(() => fail());
  for (const listen of forms) {
    assertObjectMatch(assertThrows(() => listen(address("::1")), Error), {
      message: "unable to listen on ::1 port 1: no such family",
      hint: "this system has no IPv6; host 0 means all IPv4 addresses",
    });
  }
});

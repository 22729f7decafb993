import { assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { tcpListeners } from "../../src/codec/tcp_table.ts";

const HEAD =
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
const row = (local: string, state: string, inode: number): string =>
  `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1 0000000000000000 100 0 0 10 0\n`;

test("only the listening sockets at the beginning of the table are read", () => {
  const text = HEAD + row("0100007F:1F90", "0A", 17) + row("00000000:0016", "0A", 18);
  assertEquals(tcpListeners(text), {
    listeners: [
      { ip: "127.0.0.1", port: 8080, inode: 17 },
      { ip: "0.0.0.0", port: 22, inode: 18 },
    ],
    more: true,
  });
  const established = text + row("0100007F:1F90", "01", 19);
  assertStrictEquals(tcpListeners(established).more, false);
  assertStrictEquals(tcpListeners(established).listeners.length, 2);
});

test("IPv6 addresses are four words", () => {
  const local = "B80D0120000000000000000001000000:01BB";
  assertEquals(tcpListeners(HEAD + row(local, "0A", 7)).listeners, [
    { ip: "2001:db8::1", port: 443, inode: 7 },
  ]);
});

test("an incomplete line waits for its rest", () => {
  const text = HEAD + row("0100007F:1F90", "0A", 17);
  assertEquals(tcpListeners(text.slice(0, -5)), { listeners: [], more: true });
  assertEquals(tcpListeners(""), { listeners: [], more: true });
});

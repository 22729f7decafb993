import { assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { parseMetricsAddress } from "../../src/config/metrics_address.ts";

test("an address without a host is loopback", () => {
  const rows: [string, unknown][] = [
    [":9100", { host: "127.0.0.1", port: 9100 }],
    ["localhost:0", { host: "127.0.0.1", port: 0 }],
    ["127.0.0.1:65535", { host: "127.0.0.1", port: 65_535 }],
    ["0:9100", { host: "0.0.0.0", port: 9100 }],
    ["0.0.0.0:9100", { host: "0.0.0.0", port: 9100 }],
    ["192.0.2.7:1", { host: "192.0.2.7", port: 1 }],
    ["[::1]:9100", { host: "::1", port: 9100 }],
    ["[2001:db8::1]:9100", { host: "2001:db8::1", port: 9100 }],
    ["[::]:9100", { host: "::", port: 9100 }],
    ["/run/sslserver/metrics", { path: "/run/sslserver/metrics" }],
    ["./metrics:1", { path: "./metrics:1" }],
    [`/${"x".repeat(102)}`, { path: `/${"x".repeat(102)}` }],
  ];
  for (const [text, wanted] of rows) assertEquals(parseMetricsAddress(text), wanted, text);
});

test("text that is neither an address with a port nor a path is refused", () => {
  const rows = [
    "",
    "9100",
    ":",
    ":x",
    ":-1",
    ":65536",
    ":123456",
    "127.0.0.1",
    "127.0.0.1:",
    "127.0.0:1",
    "256.0.0.1:1",
    "::1:9100",
    "[::1]",
    "[]:1",
    "[1]:1",
    "[1:2]:1",
    "[192.0.2.1]:1",
    "127.0.0.01:1",
    "[fe80::1%eth0]:1",
    "mx.example:9100",
    " :9100",
    ":9100 ",
    ":9100\n",
    "metrics.sock",
    "/run/",
    "/run/\0",
    `/${"x".repeat(103)}`,
    `/${"é".repeat(52)}`,
  ];
  for (const text of rows) assertStrictEquals(parseMetricsAddress(text), undefined, text);
});

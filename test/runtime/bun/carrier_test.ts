/** The carrier of TLS on Bun: a detail that the contract cannot test. */

import { assertEquals } from "@std/assert";
import { test } from "node:test";
import { BunTlsCarrier } from "../../../src/runtime/bun/carrier.ts";
import type { BunStream } from "../../../src/runtime/bun/stream.ts";
import type { BunTlsOptions } from "../../../src/runtime/bun/tls.ts";
import type { NativeSocket } from "../../../src/runtime/bun/types.ts";
import type { Libc } from "../../../src/runtime/libc/libc.ts";

test("ciphertext that TLS has is freed, but not what came before TLS", () => {
  const native = { pause() {}, resume() {}, terminate() {}, close() {} };
  const socket = { ...native, upgradeTLS: () => [native, native] };
  const carrier = new BunTlsCarrier(socket as unknown as NativeSocket<BunStream>, {} as Libc);
  const [first, held, later] = [1, 2, 3].map(() => new Uint8Array(20_000)) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  carrier.received(held);
  carrier.upgrade({ rejectUnauthorized: false } as BunTlsOptions, first, {}).catch(() => {});
  carrier.received(later);
  assertEquals([first, held, later].map((one) => one.byteLength), [20_000, 20_000, 0]);
  carrier.destroy();
});

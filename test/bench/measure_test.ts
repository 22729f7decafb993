/** What the measurements note about a load. */

import { assertEquals } from "@std/assert";
import { test } from "node:test";
import type { Load } from "./client.ts";
import { judge } from "./measure.ts";

const LOADS: [seen: Pick<Load, "failed" | "error" | "protocol">, notes: string[]][] = [
  [{ failed: 0, error: "", protocol: "TLSv1.3" }, []],
  [{ failed: 0, error: "", protocol: "TLSv1.2" }, ["it has TLSv1.2 only"]],
  [{ failed: 2, error: "unable to read", protocol: "TLSv1.3" }, [
    "2 failed, 16 at once: unable to read",
  ]],
];

test("failures and TLS 1.2 are noted", () => {
  for (const [seen, notes] of LOADS) {
    const noted: string[] = [];
    judge((text) => noted.push(text), seen as Load, ", 16 at once");
    assertEquals(noted, notes);
  }
});

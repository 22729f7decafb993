/** The HTTP server of --www and --files, on streams without a connection. */

import { assertEquals, assertRejects } from "@std/assert";
import process from "node:process";
import { test } from "node:test";
import { serveHttp, statusPage } from "../../src/handlers/http.ts";
import { turns } from "../runtime/tools.ts";

test("a connection that is lost before the request rejects once", async () => {
  const unhandled: unknown[] = [];
  const note = (error: unknown): void => void unhandled.push(error);
  process.on("unhandledRejection", note);
  try {
    const readable = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.error(new Error("lost"));
      },
    });
    const conn = { readable, writable: new WritableStream<Uint8Array>() };
    await assertRejects(() => serveHttp(conn, () => statusPage(404)), Error, "lost");
    await turns();
    assertEquals(unhandled, []);
  } finally {
    process.off("unhandledRejection", note);
  }
});

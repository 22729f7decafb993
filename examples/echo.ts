/** Echo: sends back what it reads.   PORT=7007 bun examples/echo.ts
 *  Uses CERTFILE and KEYFILE, or without them a temporary certificate. */

import process from "node:process";
import { serve } from "../mod.ts";

const server = await serve({
  hostname: "127.0.0.1",
  port: Number(process.env["PORT"] ?? 0),
  selfSigned: process.env["CERTFILE"] === undefined,
}, (conn) => conn.readable.pipeTo(conn.writable));

console.log(`echo on port ${server.port}`);
process.on("SIGTERM", () => void server.shutdown());
await server.closed;

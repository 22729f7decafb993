/** Mutual TLS: admits only clients with a certificate of an authority in CAFILE, and greets
 *  them by name.   CAFILE=ca.pem CERTFILE=cert.pem KEYFILE=key.pem bun examples/mutual_tls.ts */

import process from "node:process";
import { serve } from "../mod.ts";

const server = await serve({
  hostname: "127.0.0.1",
  port: Number(process.env["PORT"] ?? 0),
  clientCertificate: "valid",
}, async (conn) => {
  const writer = conn.writable.getWriter();
  await writer.write(
    new TextEncoder().encode(`hello ${conn.environment["SSL_CLIENT_S_DN_CN"]}\n`),
  );
  await writer.close();
});

console.log(`mutual TLS on port ${server.port}`);
process.on("SIGTERM", () => void server.shutdown());
await server.closed;

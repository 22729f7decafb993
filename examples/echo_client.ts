/** Sends its arguments to the server of echo.ts, and prints the answer.
 *  PORT=7007 CAFILE=cert.pem bun examples/echo_client.ts hello world
 *  CAFILE names the certificate of echo.ts (its CERTFILE). */

import process from "node:process";
import { connect, UntrustedServer } from "../mod.ts";

try {
  await using conn = await connect({
    hostname: process.env["HOST"] ?? "localhost",
    port: Number(process.env["PORT"] ?? 7007),
  });
  const writer = conn.writable.getWriter();
  await writer.write(new TextEncoder().encode(`${process.argv.slice(2).join(" ")}\n`));
  await writer.close(); // the end of our data; the answer still comes
  const decoder = new TextDecoder();
  for await (const chunk of conn.readable) {
    process.stdout.write(decoder.decode(chunk, { stream: true }));
  }
} catch (error) {
  if (!(error instanceof UntrustedServer)) throw error;
  console.error(`${error.message}\n${error.hint ?? ""}`);
  process.exitCode = 111;
}

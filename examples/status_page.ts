/** An HTTPS status page that describes its connection.   PORT=8443 bun examples/status_page.ts
 *  One request, one answer, then close, which HTTP/1.1 allows. */

import process from "node:process";
import { type HandlerConnection, serve } from "../mod.ts";

/** Requests whose head is larger are not answered. */
const MAX_HEAD = 8192;

async function readHead(conn: HandlerConnection): Promise<string | undefined> {
  const decoder = new TextDecoder();
  let head = "";
  for await (const chunk of conn.readable) {
    head += decoder.decode(chunk, { stream: true });
    if (head.includes("\r\n\r\n")) return head;
    if (head.length > MAX_HEAD) return undefined;
  }
  return undefined;
}

function page(head: string | undefined, { remote, environment }: HandlerConnection): string {
  const [method, path] = (head ?? "").split(" ");
  const found = method === "GET" && path === "/";
  const body = found
    ? `you are ${remote.ip} port ${remote.port}, by ${environment["SSL_PROTOCOL"]} with ${
      environment["SSL_CIPHER"]
    }\n`
    : "not found\n";
  return [
    `HTTP/1.1 ${found ? "200 OK" : "404 Not Found"}`,
    "Content-Type: text/plain",
    `Content-Length: ${body.length}`,
    "Connection: close",
    "",
    body,
  ].join("\r\n");
}

const server = await serve({
  hostname: "127.0.0.1",
  port: Number(process.env["PORT"] ?? 0),
  selfSigned: process.env["CERTFILE"] === undefined,
  idleTimeout: 10,
}, async (conn) => {
  const writer = conn.writable.getWriter();
  await writer.write(new TextEncoder().encode(page(await readHead(conn), conn)));
  await writer.close();
});

console.log(`status page on port ${server.port}`);
process.on("SIGTERM", () => void server.shutdown());
await server.closed;

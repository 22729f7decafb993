/** A handler for sslhandle: an HTTPS page that describes its connection. Each connection gets one answer and is closed,
 *  which HTTP/1.1 allows.
 *
 *      sslhandle -s -w 10 0 443 status_page.ts
 *
 *  Only a type checker reads "../mod.ts", so the module runs without it. In a project of your own:
 *  import type { HandlerConnection } from "sslserver"; */

import type { HandlerConnection } from "../mod.ts";

/** Maximum size of a request's head, in characters. A larger request gets the answer 404. */
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

export default async function (conn: HandlerConnection): Promise<void> {
  const writer = conn.writable.getWriter();
  await writer.write(new TextEncoder().encode(page(await readHead(conn), conn)));
  await writer.close();
}

/** A handler for sslhandle: answers each line with its number and its text in capitals.
 *
 *      sslhandle --self-signed 127.0.0.1 7007 examples/handler.ts "> "
 *
 *  Only a type checker reads "../mod.ts", so the module runs without it. In a project of your own:
 *  import type { HandlerConnection } from "sslserver"; */

import process from "node:process";
import type { HandlerConnection } from "../mod.ts";

/** The first argument after the module. */
const prefix = process.argv[2] ?? "";

/** Longest line, in characters; a longer one ends the connection. */
const MAX_LINE = 10_000;

export default async function (conn: HandlerConnection): Promise<void> {
  const writer = conn.writable.getWriter();
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  let count = 0;
  let text = "";
  for await (const chunk of conn.readable) {
    text += decoder.decode(chunk, { stream: true });
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) {
      await writer.write(encoder.encode(`${prefix}${++count} ${line.toUpperCase()}\n`));
    }
    if (text.length > MAX_LINE) return;
  }
}

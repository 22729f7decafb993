/** A Gemini server: pages from a folder, and /whoami for clients with a certificate that they made
 *  themselves.   PORT=1965 bun examples/gemini.ts FOLDER
 *  CCAFILE=/dev/null asks for a certificate without naming authorities. */

import { readFile, realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import process from "node:process";
import { type HandlerConnection, serve } from "../mod.ts";

/** The folder, with symbolic links resolved: clients may read only what is below it. */
const folder = await realpath(process.argv[2] ?? ".");

/** Gemini allows a request line of 1,024 bytes and CRLF. */
async function requestLine(conn: HandlerConnection): Promise<string | undefined> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of conn.readable) {
    text += decoder.decode(chunk, { stream: true });
    const end = text.indexOf("\r\n");
    if (end >= 0) return end <= 1024 ? text.slice(0, end) : undefined;
    if (text.length > 1026) return undefined;
  }
  return undefined;
}

/** The path in a request; undefined if the request is not an absolute gemini: URL. `gemini:../x` has no
 *  host, and its path does not begin at the root. */
function pathOf(line: string): string | undefined {
  try {
    const { protocol, hostname, username, pathname } = new URL(line);
    if (protocol !== "gemini:" || hostname === "" || username !== "") return undefined;
    return decodeURIComponent(pathname || "/");
  } catch {
    return undefined;
  }
}

/** A page. Throws if there is none in our folder: `..` and links may lead to files outside. */
async function page(path: string): Promise<string> {
  const file = await realpath(join(folder, path.endsWith("/") ? `${path}index.gmi` : path));
  if (!file.startsWith(folder === sep ? sep : folder + sep)) throw new Error("outside");
  if (!(await stat(file)).isFile()) throw new Error("no file"); // a pipe would make us wait
  return await readFile(file, "utf8");
}

async function answer(line: string | undefined, conn: HandlerConnection): Promise<string> {
  const path = line === undefined ? undefined : pathOf(line);
  if (path === undefined) return "59 bad request\r\n";
  if (path === "/whoami") {
    const fingerprint = conn.environment["SSL_CLIENT_FINGERPRINT_SHA256"];
    if (fingerprint === undefined) return "60 show me a certificate\r\n";
    return `20 text/gemini\r\nYou are ${fingerprint}\n`;
  }
  try {
    return `20 text/gemini\r\n${await page(path)}`;
  } catch {
    return "51 not found\r\n";
  }
}

const server = await serve({
  hostname: "127.0.0.1",
  port: Number(process.env["PORT"] ?? 0),
  selfSigned: process.env["CERTFILE"] === undefined,
  idleTimeout: 30,
  env: { ...process.env, CCAFILE: "/dev/null" },
}, async (conn) => {
  const writer = conn.writable.getWriter();
  await writer.write(new TextEncoder().encode(await answer(await requestLine(conn), conn)));
  await writer.close();
});

console.log(`gemini on port ${server.port}`);
process.on("SIGTERM", () => void server.shutdown());
await server.closed;

/** A handler for sslhandle: a Gemini server for the pages of a folder. /whoami shows the fingerprint of the client's
 *  certificate, which can be self-signed.
 *
 *      env CCAFILE=/dev/null sslhandle -s 0 1965 gemini.ts /srv/gemini
 *
 *  -s sets the variables that describe the certificate. CCAFILE=/dev/null asks clients for a certificate, and names no
 *  authorities. Only a type checker reads "../mod.ts", so the module runs without it. In a project of your own:
 *  import type { HandlerConnection } from "sslserver"; */

import { readFile, realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import process from "node:process";
import type { HandlerConnection } from "../mod.ts";

/** The folder, with symbolic links resolved. Clients may read only files below it. */
const folder = await realpath(process.argv[2] ?? ".");

/** Reads the request: at most 1,024 bytes and CRLF. Returns undefined if it is longer or not complete. */
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

/** Returns the path in a request, or undefined if the request is not an absolute gemini: URL. `gemini:../x`, for
 *  example, has no host, and its path does not begin at the root. */
function pathOf(line: string): string | undefined {
  try {
    const { protocol, hostname, username, pathname } = new URL(line);
    if (protocol !== "gemini:" || hostname === "" || username !== "") return undefined;
    return decodeURIComponent(pathname || "/");
  } catch {
    return undefined;
  }
}

/** Returns a page. Throws if the folder has no such file. `..` and symbolic links could lead to files outside. */
async function page(path: string): Promise<string> {
  const file = await realpath(join(folder, path.endsWith("/") ? `${path}index.gmi` : path));
  if (!file.startsWith(folder === sep ? sep : folder + sep)) throw new Error("outside");
  if (!(await stat(file)).isFile()) throw new Error("no file"); // a pipe would block
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

export default async function (conn: HandlerConnection): Promise<void> {
  const writer = conn.writable.getWriter();
  await writer.write(new TextEncoder().encode(await answer(await requestLine(conn), conn)));
  await writer.close();
}

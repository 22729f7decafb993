/** A handler for sslhandle: a Gemini server with the pages of a folder, and /whoami for clients with a certificate that
 *  they made themselves.
 *
 *      env CCAFILE=/dev/null sslhandle -s 0 1965 gemini.ts /srv/gemini
 *
 *  -s describes the certificate. CCAFILE=/dev/null asks for one without naming authorities.
 *  The module runs without "../mod.ts", which only a type checker reads. In a project of your own:
 *  import type { HandlerConnection } from "sslserver"; */

import { readFile, realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import process from "node:process";
import type { HandlerConnection } from "../mod.ts";

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

export default async function (conn: HandlerConnection): Promise<void> {
  const writer = conn.writable.getWriter();
  await writer.write(new TextEncoder().encode(await answer(await requestLine(conn), conn)));
  await writer.close();
}

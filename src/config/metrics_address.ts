/** The value of --metrics: `host:port`, or the path of a unix socket. Pure.
 *
 *  Nobody is asked about names, and no host means loopback: what a server does is the business of
 *  its own machine unless somebody writes down otherwise. */

import { ipOrUndefined } from "../codec/ip.ts";

export type MetricsAddress =
  | { readonly path: string }
  | { readonly host: string; readonly port: number };

/** What is wanted, for the message of whoever got `undefined`. */
export const WANTED = "address:port, :port, [IPv6 address]:port or the path of a unix socket";

/** Linux: `sun_path` has 108 bytes with its NUL (unix(7)); macOS has 104. */
const MAX_PATH = 103;

/** `127.0.0.1:9100`, `[::1]:9100`, `:9100` and `localhost:9100` (127.0.0.1), `0:9100` (all IPv4), or
 *  a path, which has a slash. Undefined: none of them. */
export function parseMetricsAddress(text: string): MetricsAddress | undefined {
  if (text.includes("/")) {
    const fits = new TextEncoder().encode(text).length <= MAX_PATH;
    return fits && !text.endsWith("/") && !text.includes("\0") ? { path: text } : undefined;
  }
  const [, host = "", digits = ""] = /^(.*):([0-9]{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === "" || port > 65_535) return undefined;
  if (host === "" || host === "localhost") return { host: "127.0.0.1", port };
  if (host === "0") return { host: "0.0.0.0", port };
  const six = /^\[(.*)\]$/.exec(host)?.[1];
  const length = ipOrUndefined(six ?? host)?.length;
  return length === (six === undefined ? 4 : 16) ? { host: six ?? host, port } : undefined;
}

/** The value of --metrics: `host:port`, or the path of a unix socket. Pure.
 *
 *  Names are not looked up. Without a host it is the loopback address: metrics are for the local
 *  machine unless the administrator names another address. */

import { ipOrUndefined } from "../codec/ip.ts";

export type MetricsAddress =
  | { readonly path: string }
  | { readonly host: string; readonly port: number };

/** The accepted forms, for the caller's error message. */
export const EXPECTED_FORM =
  "address:port, :port, [IPv6 address]:port or the path of a unix socket";

/** Bytes of the longest path. `sun_path` has 108 bytes with its NUL on Linux (unix(7)), 104 on
 *  macOS. */
const MAX_PATH = 103;

/** Parses `127.0.0.1:9100`, `[::1]:9100`, `:9100` and `localhost:9100` (127.0.0.1), `0:9100` (all
 *  IPv4), or a path, which has a slash. Undefined for any other text. */
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

/** Fields of log lines: texts of peers and of the system made harmless, and the ends of a
 *  connection. */

import { printable } from "../codec/printable.ts";
import type { Connection, Peer } from "../connection.ts";

/** Maximum length of a peer's text in a line (docs/specification.md#log-lines). */
const MAX_FIELD = 100;

/** Replaces `%` and everything outside printable ASCII by `?`, and cuts the text at 100
 *  characters. */
export function clean(text: string): string {
  return printable(text.slice(0, MAX_FIELD)).replaceAll("%", "?");
}

/** Like `clean`, for messages of the system and of libraries, which may be longer. */
export function cleanMessage(text: string): string {
  return printable(text.slice(0, 1000));
}

/** Returns a number in the form `4,211`. */
export function grouped(count: number): string {
  return String(count).replaceAll(/\B(?=(?:\d{3})+$)/g, ",");
}

/** `mx.example:192.0.2.1:465`; without a name the first field is empty. */
export function localEnd(peer: Peer): string {
  return `${clean(peer.host ?? "")}:${peer.ip}:${peer.port}`;
}

/** `host.example:192.0.2.7:ident:50312` */
export function remoteEnd({ remote }: Connection): string {
  return `${clean(remote.host ?? "")}:${remote.ip}:${clean(remote.info ?? "")}:${remote.port}`;
}

export function ends({ local, remote, proxy }: Connection): Record<string, unknown> {
  return {
    localHost: local.host === undefined ? undefined : clean(local.host),
    localIp: local.ip,
    localPort: local.port,
    remoteHost: remote.host === undefined ? undefined : clean(remote.host),
    remoteIp: remote.ip,
    remoteInfo: remote.info === undefined ? undefined : clean(remote.info),
    remotePort: remote.port,
    ...(proxy
      ? {
        proxyIp: proxy.ip,
        proxyPort: proxy.port,
        uniqueId: proxy.variables.get("PROXY_UNIQUE_ID"),
      }
      : {}),
  };
}

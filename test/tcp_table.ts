/** What the system tells about a connection over IPv4 whose two ends are here. */

import * as fs from "node:fs";

const hex = (value: number): string => value.toString(16).toUpperCase().padStart(4, "0");

/** Whether somebody listens on `port`, of any IPv4 address. Unlike a connection that tries, the look
 *  does not keep a server that drains its queue accepting. */
export function listens(port: number): boolean {
  const LISTEN = "0A";
  const line = new RegExp(`:${hex(port)} [0-9A-F]{8}:0000 ${LISTEN} `);
  return line.test(fs.readFileSync("/proc/net/tcp", "latin1"));
}

/** Bytes that have come from `peer` to `port` and that nobody has read; undefined: no such connection.
 *  They may wait in a connection that is not accepted yet. */
export function unread(port: number, peer: number): number | undefined {
  const line = new RegExp(`:${hex(port)} \\S+:${hex(peer)} \\S+ \\S+:(\\S+) `);
  const found = line.exec(fs.readFileSync("/proc/net/tcp", "latin1"));
  return found ? parseInt(found[1] as string, 16) : undefined;
}

/** What a server reports when it is ready: the first lines of -v, and its port on stdout. */

import fs from "node:fs";
import process from "node:process";
import type { Log } from "../log.ts";
import type { HandlerChoice, Options } from "../config/options.ts";
import type { Identity } from "../privsep/identity.ts";
import type { Runtime } from "../runtime/runtime.ts";

/** The bound socket. */
export interface Bound {
  readonly ip: string;
  readonly port: number;
  /** True if IPv4 clients also connect to `::`. */
  readonly dualStack: boolean;
}

/** The number of workers and their identity; undefined: one process does everything. */
export interface ServingWorkers {
  readonly workers: number;
  readonly identity: Identity;
}

/** Logs both lines. */
export function logServing(
  log: Pick<Log, "detail" | "listening">,
  { ip, port, dualStack }: Bound,
  options: Pick<Options, "uid" | "gid" | "handler">,
  { libc }: Pick<Runtime, "libc">,
  workers?: ServingWorkers,
): void {
  log.listening(ip, port, dualStack);
  const own = { uid: process.getuid?.(), gid: libc?.getIds().egid };
  const programs = ids({ ...own, ...defined(options) });
  const { handler } = options;
  if (!workers) {
    const what = handler ? `; handler: ${nameOf(handler)}` : "";
    log.detail(`serving in one process, ${programs}${what}`, { event: "serving", workers: 0 });
    return;
  }
  const { identity, workers: count } = workers;
  const jail = identity.chroot === undefined ? "" : `, root folder ${identity.chroot}`;
  const many = count === 1 ? "1 worker" : `${count} workers`;
  log.detail(
    `serving with ${many}, ${ids({ ...own, ...identity })}${jail}; ${
      handler ? `handler: ${nameOf(handler)}` : `programs: ${programs}`
    }`,
    { event: "serving", workers: count },
  );
}

function ids({ uid, gid }: { uid?: number | undefined; gid?: number | undefined }): string {
  const user = uid === undefined ? "user unknown" : `user ${uid}`;
  return gid === undefined ? user : `${user}, group ${gid}`;
}

/** -u and -g, without those that were not given. */
function defined({ uid, gid }: Pick<Options, "uid" | "gid">): Identity {
  return { ...(uid === undefined ? {} : { uid }), ...(gid === undefined ? {} : { gid }) };
}

/** Prints the port and closes stdout, if the options say so. /dev/null then takes the number 1, so
 *  that no later file gets it and is used as stdout. */
export function announcePort(
  { printPort, closeStdout }: Pick<Options, "printPort" | "closeStdout">,
  port: number,
  libc: Runtime["libc"],
): void {
  if (printPort) fs.writeSync(1, `${port}\n`);
  if (!closeStdout) return;
  if (!libc) return; // Deno keeps a copy of stdout open until it exits
  libc.close(1);
  libc.open("/dev/null");
}

function nameOf(handler: HandlerChoice): string {
  return handler.kind === "handler" ? handler.file : handler.kind;
}

/** What a supervisor hears from the server: that connections can come in, that it reads its files
 *  again, that it stops. Two protocols: systemd's datagrams to $NOTIFY_SOCKET (sd_notify(3)) and s6's
 *  newline on a descriptor (--notify-fd, s6-supervise's notification-fd).
 *
 *  Only the process that the supervisor has started may do this (NotifyAccess=main), outside any jail:
 *  the monitor, or the one process of --workers 0.
 *
 *    const notifier = makeNotifier(env, runtime, options, inherited, (text) => log.error(text)); // at start
 *    notifier.ready("listening on …");          // once connections can come in, where -1 prints the port
 *    notifier.reloading(); …; notifier.ready(); // SIGHUP, before and after files are read again
 *    notifier.stopping();                       // SIGTERM, before the socket is closed */

import process from "node:process";
import type { Env } from "../config/variables.ts";
import { withoutControls } from "../codec/printable.ts";
import type { Options } from "../config/options.ts";
import { FatalError, reason } from "../errors.ts";
import type { Libc } from "../runtime/libc/libc.ts";
import { needsFfi } from "../runtime/needs_ffi.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { InheritedListener } from "./listen_fds.ts";

/** Words to the supervisor; without one that asked they do nothing. None throws: a supervisor that
 *  does not listen is reported, and no reason to stop serving. `status` is for its users, one line. */
export interface Notifier {
  /** Connections can come in, or can again after `reloading`. */
  ready(status?: string): void;
  /** Files are read again; `ready` follows. */
  reloading(): void;
  /** No more connections are taken; those that are open go on. */
  stopping(status?: string): void;
}

/** Looks at once whether the supervisor can be told anything. Throws `FatalError` where it cannot,
 *  `Unsupported` without libc. The descriptor of --notify-fd is closed on exec from now on. */
export function makeNotifier(
  env: Env,
  runtime: Pick<Runtime, "name" | "libc">,
  options: Pick<Options, "notifyFd" | "keyPassword">,
  inherited: InheritedListener | undefined,
  report: (text: string) => void,
): Notifier {
  const where = env.NOTIFY_SOCKET || undefined;
  let fd = options.notifyFd;
  const { libc } = runtime;
  if (!libc) {
    if (where !== undefined) throw needsFfi("speak to $NOTIFY_SOCKET", runtime.name);
    if (fd !== undefined) throw needsFfi("write to a descriptor (--notify-fd)", runtime.name);
    return { ready() {}, reloading() {}, stopping() {} };
  }
  const socket = where === undefined ? undefined : connect(where, libc, report);
  if (fd !== undefined) checkDescriptor(fd, libc, options, inherited);

  function send(...words: string[]): void {
    if (!libc || socket === undefined) return;
    try {
      const taken = libc.write(socket, new TextEncoder().encode(words.join("\n")));
      if (taken === undefined) report("unable to speak to $NOTIFY_SOCKET: it takes no more");
    } catch (error) {
      report(`unable to speak to $NOTIFY_SOCKET: ${reason(error)}`);
    }
  }

  function writeNewline(): void {
    if (!libc || fd === undefined) return;
    const once = fd;
    fd = undefined;
    try {
      libc.write(once, Uint8Array.of(0x0a));
      libc.close(once);
    } catch (error) {
      report(`unable to write to descriptor ${once} (--notify-fd): ${reason(error)}`);
    }
  }

  return {
    ready(status) {
      // MAINPID: where a shell stands between, with NotifyAccess=all, the supervisor waits for us.
      send("READY=1", `MAINPID=${process.pid}`, ...statusLine(status));
      writeNewline();
    },
    reloading() {
      // Type=notify-reload compares the time with that of its signal.
      send("RELOADING=1", `MONOTONIC_USEC=${libc.monotonicMicroseconds()}`);
    },
    stopping(status) {
      send("STOPPING=1", ...statusLine(status));
    },
  };
}

/** A newline in it would begin another assignment. */
function statusLine(status: string | undefined): string[] {
  return status === undefined ? [] : [`STATUS=${withoutControls(status)}`];
}

/** Connected at once: later the process may be another user, or in a jail. Undefined, and reported, if
 *  nobody is there: the variable may be left over from a supervisor of a supervisor. */
function connect(where: string, libc: Libc, report: (text: string) => void): number | undefined {
  try {
    return libc.connectUnix(where);
  } catch (error) {
    if (error instanceof RangeError) {
      throw new FatalError(
        `unable to use $NOTIFY_SOCKET: ${reason(error)}`,
        undefined,
        "a supervisor sets it to the path of its socket; unset NOTIFY_SOCKET if none did",
      );
    }
    report(`unable to speak to $NOTIFY_SOCKET: ${reason(error)}`);
    return undefined;
  }
}

/** A descriptor that was not handed over may be one of the runtime's own by now. Those that come first,
 *  an epoll and an event counter, take no empty write; a pipe or a file does. */
function checkDescriptor(
  fd: number,
  libc: Libc,
  options: Pick<Options, "keyPassword">,
  inherited: InheritedListener | undefined,
): void {
  const refuse = (cause: string, hint: string): never => {
    throw new FatalError(
      `unable to use descriptor ${fd} for --notify-fd: ${cause}`,
      undefined,
      hint,
    );
  };
  const other = "s6 takes any number in notification-fd: 4, and --notify-fd 4";
  if (fd === inherited?.fd) refuse("the socket of $LISTEN_FDS is there", other);
  if (fd === 3 && options.keyPassword) refuse("-3 reads the key's password there", other);
  try {
    libc.checkWritable(fd);
    libc.setCloseOnExec(fd, true);
  } catch (error) {
    refuse(
      reason(error),
      `the supervisor must open it for writing; s6 does, with ${fd} in the file notification-fd`,
    );
  }
}

/** What a supervisor has given, and is told. */
export interface Supervised {
  inherited: InheritedListener | undefined;
  notifier: Notifier;
}

/** Reports the server's state to a supervisor: it accepts connections, reads its files again, or stops.
 *  There are two protocols: systemd's datagrams to $NOTIFY_SOCKET (sd_notify(3)) and s6's newline on a
 *  descriptor (--notify-fd, s6-supervise's notification-fd).
 *
 *  Only the process that the supervisor started may do this (NotifyAccess=main), outside any jail:
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

/** Sends messages to the supervisor; does nothing if no supervisor has asked for them. No call
 *  throws: a failure is reported, and the server goes on. `status` is one line for users of the
 *  supervisor. */
export interface Notifier {
  /** The server accepts connections; or, after `reloading`, has read its files. */
  ready(status?: string): void;
  /** Files are being read again. `ready` must follow. */
  reloading(): void;
  /** The server accepts no more connections. Open connections go on. */
  stopping(status?: string): void;
}

/** Checks at once whether the supervisor can be reached. Throws `FatalError` if the
 *  configuration is unusable, `Unsupported` if libc is needed and missing. Makes the descriptor
 *  of --notify-fd close-on-exec. */
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
    if (where !== undefined) throw needsFfi("write to $NOTIFY_SOCKET", runtime.name);
    if (fd !== undefined) throw needsFfi("write to a descriptor (--notify-fd)", runtime.name);
    return { ready() {}, reloading() {}, stopping() {} };
  }
  const socket = where === undefined ? undefined : connect(where, libc, report);
  if (fd !== undefined) checkDescriptor(fd, libc, options, inherited);

  function send(...words: string[]): void {
    if (!libc || socket === undefined) return;
    try {
      const taken = libc.write(socket, new TextEncoder().encode(words.join("\n")));
      if (taken === undefined) report("unable to write to $NOTIFY_SOCKET: its queue is full");
    } catch (error) {
      report(`unable to write to $NOTIFY_SOCKET: ${reason(error)}`);
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
      // MAINPID: if a shell started the server, with NotifyAccess=all, the supervisor must wait for
      // this process.
      send("READY=1", `MAINPID=${process.pid}`, ...statusLine(status));
      writeNewline();
    },
    reloading() {
      // With Type=notify-reload, systemd compares this time with that of its signal.
      send("RELOADING=1", `MONOTONIC_USEC=${libc.monotonicMicroseconds()}`);
    },
    stopping(status) {
      send("STOPPING=1", ...statusLine(status));
    },
  };
}

/** Removes control characters: a newline would begin another assignment. */
function statusLine(status: string | undefined): string[] {
  return status === undefined ? [] : [`STATUS=${withoutControls(status)}`];
}

/** Connects at start: later the process may run as another user or in a jail. If no process
 *  listens, reports it and returns undefined: the variable may be left over from an outer
 *  supervisor. */
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
    report(`unable to write to $NOTIFY_SOCKET: ${reason(error)}`);
    return undefined;
  }
}

/** If the supervisor did not pass this descriptor, it may now belong to the runtime. The
 *  runtime's first descriptors, an epoll and an event counter, refuse an empty write; a pipe or
 *  a file accepts it. */
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
  const other = "s6 accepts any number: put 4 into the file notification-fd, and use --notify-fd 4";
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

/** What a supervisor passed to the server, and how to report to it. */
export interface Supervised {
  inherited: InheritedListener | undefined;
  notifier: Notifier;
}

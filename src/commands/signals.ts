/** The signals of a server, whether it is one process or a monitor with workers.
 *
 *    TERM, INT   stop: free the port, let connections finish; the second signal ends them
 *    QUIT        end connections and programs at once
 *    HUP         read files again
 *    ABRT        default: ends the process with a core file; mostly sent by the process itself
 *
 *  With `signals: "s6"` as in s6-tcpserverd:
 *
 *    TERM, INT   as above
 *    HUP         send programs SIGTERM and SIGCONT
 *    QUIT        the same, and stop
 *    ABRT        send programs SIGKILL, and stop
 *
 *    others      ignored, see runtime/libc/ignored_signals.ts */

import type { Options } from "../config/options.ts";
import { GRACE } from "../lifecycle.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Notifier } from "../supervisor/notify.ts";

/** What the server does at a signal. */
export interface SignalHandlers {
  /** Frees the port; connections finish. Called once, or not at all. */
  drain(): void;
  /** Frees the port, and ends connections and programs. May be called again. */
  end(grace: number): void;
  reload(): void;
  /** Sends a signal to every program. A stopped one gets SIGCONT with SIGTERM. */
  signalPrograms(signal: "SIGTERM" | "SIGKILL"): void;
}

/** Handles signals from now on. */
export function onSignals(
  runtime: Runtime,
  notifier: Pick<Notifier, "stopping" | "reloading" | "ready">,
  server: SignalHandlers,
  { signals }: Pick<Options, "signals">,
): void {
  let stopping = false;
  const stop = (how: () => void): void => {
    if (!stopping) notifier.stopping();
    stopping = true;
    how();
  };
  const end = (): void => server.end(GRACE);
  const term = (): void => stop(stopping ? end : () => server.drain());
  runtime.onSignal("SIGTERM", term);
  runtime.onSignal("SIGINT", term);
  if (signals === "s6") {
    runtime.onSignal("SIGHUP", () => server.signalPrograms("SIGTERM"));
    for (const [name, signal] of [["SIGQUIT", "SIGTERM"], ["SIGABRT", "SIGKILL"]] as const) {
      runtime.onSignal(name, () => {
        server.signalPrograms(signal);
        stop(() => server.drain());
      });
    }
  } else {
    runtime.onSignal("SIGQUIT", () => stop(end));
    runtime.onSignal("SIGHUP", () => {
      notifier.reloading();
      server.reload();
      notifier.ready();
    });
  }
  runtime.ignoreSignals();
}

/** The signals of a server, whether it is one process or a monitor with workers.
 *
 *    TERM, INT   stop: free the port, let connections finish; at the second time end them
 *    QUIT        end connections and programs at once
 *    HUP         read files again
 *    ABRT        default: whoever sends it, the process itself above all, wants it to end in a core file
 *    others      ignored, see runtime/libc/ignored_signals.ts */

import { GRACE } from "../lifecycle.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Notifier } from "../supervisor/notify.ts";

/** What the signals ask for. */
export interface SignalHandlers {
  /** Frees the port; connections finish. Called once, or not at all. */
  drain(): void;
  /** Frees the port, and ends connections and programs. May be called again. */
  end(grace: number): void;
  reload(): void;
}

/** Obeys signals from now on. */
export function onSignals(
  runtime: Runtime,
  notifier: Pick<Notifier, "stopping" | "reloading" | "ready">,
  server: SignalHandlers,
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
  runtime.onSignal("SIGQUIT", () => stop(end));
  runtime.onSignal("SIGHUP", () => {
    notifier.reloading();
    server.reload();
    notifier.ready();
  });
  runtime.ignoreSignals();
}

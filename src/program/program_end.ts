/** What follows after SIGTERM to a program. SIGTERM is a request: a program may ignore it, or need
 *  long to finish a delivery. So SIGKILL follows only with --kill-after. Without it, the log names
 *  a program that still runs after a minute. */

import type { Log } from "../log.ts";
import type { Options } from "../config/options.ts";
import type { Launched } from "../runtime/runtime.ts";

/** How long after SIGTERM a program that still runs is logged, in seconds. */
const WARN_AFTER = 60;

export interface EndOptions {
  options: Pick<Options, "killAfter">;
  log: Log;
}

/** Returns `program` with a `kill` whose first SIGTERM starts the timers. */
export function watchEnd<P extends Launched>(
  program: P,
  { options, log }: EndOptions,
  later = timer,
): P {
  let asked = false;
  const after = (seconds: number, act: () => void): void => {
    program.exited.then(later(act, seconds * 1000));
  };
  const begin = (): void => {
    const { killAfter } = options;
    if (killAfter !== undefined) after(killAfter, () => program.kill("SIGKILL"));
    if (killAfter !== undefined && killAfter <= WARN_AFTER) return;
    after(
      WARN_AFTER,
      () => log.warning(`program ${program.pid} still runs a minute after SIGTERM`),
    );
  };
  return {
    ...program,
    kill(signal) {
      const sent = program.kill(signal);
      if (sent && signal === "SIGTERM" && !asked) {
        asked = true;
        begin();
      }
      return sent;
    },
  };
}

/** Calls `act` once after `ms` milliseconds. The returned function cancels this. */
function timer(act: () => void, ms: number): () => void {
  const id = setTimeout(act, ms);
  id.unref?.();
  return () => clearTimeout(id);
}

/** Notices that the event loop was blocked. A handler that computes for long, or waits
 *  synchronously, stops all connections of its process. */

/** Milliseconds between two checks. */
const INTERVAL = 250;
/** How long the loop must have been blocked, in milliseconds. */
const BLOCKED = 1000;

/** Logs each time that the event loop was blocked for a second or more, once it runs again. Does
 *  not keep the process alive. Returns a function that stops the checks. */
export function watchEventLoop(
  log: { error(text: string): void },
  now: () => number = () => performance.now(),
): () => void {
  let last = now();
  const timer = setInterval(() => {
    const late = now() - last - INTERVAL;
    last = now();
    if (late < BLOCKED) return;
    const seconds = (late / 1000).toFixed(1);
    log.error(`the event loop was blocked for ${seconds} s: no connection was served meanwhile`);
  }, INTERVAL);
  timer.unref();
  return () => clearInterval(timer);
}

/** Reads the output of `perf trace`: the system calls of each process, their number and the time in them. */

import { format, markdown } from "./table.ts";

/** Calls that wait until something happens. Their time is not the server's. */
const WAITS = /^(?:epoll_p?wait2?|futex|poll|ppoll|restart_syscall|nanosleep|clock_nanosleep)$/;

/** True if the calls wait. A thread that blocks in another call takes more than a millisecond on average;
 *  clone3 does so, too, because it returns when the child has called execve. */
const doWait = (name: string, { count, ms }: Calls): boolean =>
  WAITS.test(name) || (name !== "clone3" && ms / count > 1);

/** A call: its duration in ms, thread name and id, name. A call during which another thread printed
 *  something has a line without a duration first, and "continued" at its end. perf also prints such an end
 *  for calls that were complete, with the duration of another call. */
const LINE = /^ *[\d.]+ \( *(?:([\d.]+) ms|)\): .*?\/(\d+) +(\.\.\. \[continued\]: )?(\w+)\(/gm;

interface Calls {
  count: number;
  ms: number;
}

/** A table of the calls per connection. `own`: the role of the process of each thread; other threads do not
 *  count. `roles`: the columns. Rows with less than 0.1 calls are left out. */
export function callTable(
  trace: string,
  own: ReadonlyMap<number, string>,
  roles: readonly string[],
  connections: number,
): string {
  const found = new Map<string, Map<string, Calls>>();
  /** The call of each thread that has begun. */
  const begun = new Map<string, string>();
  for (const [, ms, thread = "", continued, call = ""] of trace.matchAll(LINE)) {
    const role = own.get(Number(thread));
    const whole = continued === undefined || begun.get(thread) === call;
    begun.delete(thread);
    if (ms === undefined) begun.set(thread, call);
    if (ms === undefined || role === undefined || !whole) continue;
    const byRole = found.get(call) ?? new Map<string, Calls>();
    found.set(call, byRole);
    const calls = byRole.get(role) ?? { count: 0, ms: 0 };
    byRole.set(role, { count: calls.count + 1, ms: calls.ms + Number(ms) });
  }
  const all = [...found].map(([name, byRole]) => {
    const each = roles.map((role) => byRole.get(role) ?? { count: 0, ms: 0 });
    return { name, each, waits: each.map((calls) => doWait(name, calls)) };
  });
  const weight = ({ each, waits }: typeof all[number]): number =>
    each.reduce((sum, { ms }, i) => sum + (waits[i] ? 0 : ms), 0);
  const rows = all
    .filter(({ each }) => each.reduce((sum, { count }) => sum + count, 0) / connections >= 0.1)
    .sort((a, b) => weight(b) - weight(a))
    .map(({ name, each, waits }) => [
      name,
      ...each.flatMap(({ count, ms }, i) => [
        count === 0 ? "" : (count / connections).toFixed(1),
        count === 0 ? "" : waits[i] ? "waits" : format(ms * 1000 / connections),
      ]),
    ]);
  const sums = roles.flatMap((_, i) => {
    const working = all.filter(({ waits }) => !waits[i]);
    const [count, ms] = (["count", "ms"] as const).map((kind) =>
      working.reduce((sum, { each }) => sum + (each[i]?.[kind] ?? 0), 0) / connections
    ) as [number, number];
    return [count.toFixed(1), format(ms * 1000)];
  });
  const head = ["call", ...roles.flatMap((role) => [role, "µs"])];
  return markdown(head, [...rows, ["all that do not wait", ...sums]]);
}

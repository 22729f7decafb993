/** Which requests a worker may make in which state. Anything else is a breach, and ends the worker
 *  (OpenSSH's monitor is the model). */

import { DecodeError } from "../../codec/bytes.ts";
import { KIND } from "../frame.ts";
import type { WorkerMessage } from "../messages.ts";
import type { WorkerState } from "./worker_handle.ts";

const PERMITTED: Readonly<Record<WorkerMessage["kind"], readonly WorkerState[]>> = {
  [KIND.RESOLVED]: ["starting"],
  [KIND.READY]: ["starting"],
  [KIND.SERVING]: ["starting"],
  [KIND.FATAL]: ["starting"],
  [KIND.START]: ["serving", "draining"],
  [KIND.CANCEL]: ["serving", "draining"],
  [KIND.KILL]: ["serving", "draining", "settled"],
  [KIND.TAKE]: ["serving", "draining"],
  [KIND.CHECK]: ["serving", "draining"],
  [KIND.RELEASE]: ["serving", "draining", "settled"],
  [KIND.PLACED]: ["starting"],
  [KIND.COUNTS]: ["serving", "draining", "settled"],
  [KIND.SCRAPE]: ["serving", "draining", "settled"],
  [KIND.GOOD]: ["starting", "serving", "draining", "settled"],
  [KIND.LOST]: ["serving", "draining"],
  [KIND.WANT]: ["serving", "draining"],
  [KIND.RETURN]: ["serving", "draining", "settled"],
  [KIND.LEFT]: ["draining"],
  [KIND.SETTLED]: ["draining"],
};

/** Throws `DecodeError` for a request out of its state. */
export function permit(state: WorkerState, { kind }: WorkerMessage): void {
  if (PERMITTED[kind].includes(state)) return;
  throw new DecodeError(`privsep: kind: no request ${kind} while ${state}`);
}

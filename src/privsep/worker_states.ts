/** The states of a worker, as the monitor sees them. messages.ts says which messages a worker may
 *  send in each state, and which message leads to the next. Pure: no I/O. */

export const WORKER_STATES = [
  /** The worker prepares itself with the data of INIT. */
  "starting",
  /** The worker is given the listening socket. */
  "listening",
  "serving",
  /** The worker has been told to stop. Its connections go on. */
  "draining",
  /** The worker has closed its copy of the listening socket. */
  "left",
  /** The worker asks for no more programs. Its connections go on without the monitor. */
  "settled",
  /** The worker has ended or is being ended. Its messages are ignored. */
  "ended",
] as const;

export type WorkerState = typeof WORKER_STATES[number];

/** States in which a worker may ask for programs. */
export const ACTIVE_STATES: readonly WorkerState[] = ["serving", "draining", "left"];
/** States of a worker that has begun to serve and has not ended. */
export const SERVED_STATES: readonly WorkerState[] = [...ACTIVE_STATES, "settled"];
/** States of a worker that has reported that it has closed the port. */
export const LEFT_STATES: readonly WorkerState[] = ["left", "settled"];

/** The state after the server has been told to stop. A worker that does not serve yet is ended. */
export const STATE_AFTER_DRAIN: Readonly<Record<WorkerState, WorkerState>> = {
  starting: "ended",
  listening: "ended",
  serving: "draining",
  draining: "draining",
  left: "left",
  settled: "settled",
  ended: "ended",
};

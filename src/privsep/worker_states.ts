/** The states of a worker, as the monitor sees them. What a worker may say in which of them, and which of its
 *  messages leads to the next, is in messages.ts. Pure: no I/O. */

export const WORKER_STATES = [
  /** It prepares itself with what INIT said. */
  "starting",
  /** It is given the listening socket. */
  "listening",
  "serving",
  /** It has been told to stop: connections go on. */
  "draining",
  /** Its copy of the listening socket is closed. */
  "left",
  /** It asks for no program any more: its connections go on without us. */
  "settled",
  /** It has ended, or is being ended: nothing that it still says counts. */
  "ended",
] as const;

export type WorkerState = typeof WORKER_STATES[number];

/** It may ask for programs. */
export const ACTIVE: readonly WorkerState[] = ["serving", "draining", "left"];
/** It has come to serve, and lives. */
export const SERVED: readonly WorkerState[] = [...ACTIVE, "settled"];
/** It has said that it has closed the port. */
export const LEFT: readonly WorkerState[] = ["left", "settled"];

/** After the server has been told to stop. One that does not serve yet is ended. */
export const DRAINED: Readonly<Record<WorkerState, WorkerState>> = {
  starting: "ended",
  listening: "ended",
  serving: "draining",
  draining: "draining",
  left: "left",
  settled: "settled",
  ended: "ended",
};

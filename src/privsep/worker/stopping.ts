/** How a worker stops: what each event causes in each stage. Pure. */

export const WORKER_STAGES = ["starting", "serving", "draining", "ending"] as const;
export type WorkerStage = typeof WORKER_STAGES[number];

/** DRAIN or END from the monitor, SIGTERM from an operator, the end of the monitor, the end of
 *  --drain-timeout. */
export type StopEvent = "DRAIN" | "END" | "SIGTERM" | "orphaned" | "late";

/** `drain`: connections go on, and those without a program may still get one. `drain at once`:
 *  connections without a program are closed. `give up`: the worker ends before it has served. */
export type Stop = "nothing" | "give up" | "drain" | "drain at once" | "end";

export const STOPS: Readonly<Record<WorkerStage, Readonly<Record<StopEvent, Stop>>>> = {
  starting: {
    DRAIN: "give up",
    END: "give up",
    SIGTERM: "nothing",
    orphaned: "give up",
    late: "nothing",
  },
  // A terminal sends SIGTERM to every process of the server, so only the monitor's message counts.
  serving: {
    DRAIN: "drain",
    END: "end",
    SIGTERM: "nothing",
    orphaned: "drain at once",
    late: "nothing",
  },
  // The monitor exits when it is not needed any more.
  draining: { DRAIN: "nothing", END: "end", SIGTERM: "end", orphaned: "nothing", late: "end" },
  ending: {
    DRAIN: "nothing",
    END: "nothing",
    SIGTERM: "nothing",
    orphaned: "nothing",
    late: "nothing",
  },
};

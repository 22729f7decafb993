/** How a worker comes to its end: what each event does in each stage. Pure. */

export const WORKER_STAGES = ["starting", "serving", "draining", "ending"] as const;
export type WorkerStage = typeof WORKER_STAGES[number];

/** DRAIN and END of the monitor, a signal of an operator, the monitor gone, --drain-timeout over. */
export type StopEvent = "DRAIN" | "END" | "SIGTERM" | "orphaned" | "late";

/** `drain`: connections go on, and those that have no program yet may come to it. `drain at once`: those are
 *  dismissed. `give up`: it ends before it has served. */
export type Stop = "nothing" | "give up" | "drain" | "drain at once" | "end";

export const STOPS: Readonly<Record<WorkerStage, Readonly<Record<StopEvent, Stop>>>> = {
  starting: {
    DRAIN: "give up",
    END: "give up",
    SIGTERM: "nothing",
    orphaned: "give up",
    late: "nothing",
  },
  // SIGTERM comes from a terminal to every process of the server: the monitor's word counts.
  serving: {
    DRAIN: "drain",
    END: "end",
    SIGTERM: "nothing",
    orphaned: "drain at once",
    late: "nothing",
  },
  // The monitor goes when it is not needed any more.
  draining: { DRAIN: "nothing", END: "end", SIGTERM: "end", orphaned: "nothing", late: "end" },
  ending: {
    DRAIN: "nothing",
    END: "nothing",
    SIGTERM: "nothing",
    orphaned: "nothing",
    late: "nothing",
  },
};

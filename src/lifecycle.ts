/** The end of a server. */

/** How long programs may take to obey when everything is ended, in milliseconds. */
export const GRACE = 5000;

export interface Server {
  readonly port: number;
  /** Stops listening; connections go on. Those without a program may take a second to come to it, or
   *  `patience` milliseconds. `queue`: those who stand in the kernel's queue are accepted, because
   *  nobody else will. */
  drain(patience?: number, queue?: boolean): void;
  /** Ends connections and programs too; a program that has not obeyed SIGTERM after `grace`
   *  milliseconds gets SIGKILL. */
  end(grace?: number): void;
  /** Resolves after `drain` when nobody can connect here any more. */
  readonly left: Promise<void>;
  /** Resolves after `drain` when every connection that is left has its program. */
  readonly settled: Promise<void>;
  /** Resolves when the last connection has ended after `drain` or `end`. */
  readonly closed: Promise<void>;
}

/** How long a connection without a program may hold the exit up, in milliseconds. */
export const PATIENCE = 1000;

/** How long those who knock while the server drains may keep it accepting, in milliseconds. */
export const QUEUE_PATIENCE = 500;

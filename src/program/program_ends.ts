/** Owners of a program's descriptors for relay.ts. They pass the relay the events that it needs. */

import type { StreamHandler } from "../runtime/stream.ts";

/** The events of the program's side of a relay. */
export interface ProgramEvents {
  /** Data from the program. */
  output(chunk: Uint8Array): void;
  /** The program's output has ended. */
  outputEnded(): void;
  /** The program reads again. */
  inputDrained(): void;
  /** The program has closed its input. */
  inputClosed(): void;
}

/** Owns the program's descriptor 0. */
export class ProgramInput implements StreamHandler {
  constructor(readonly relay: ProgramEvents) {}

  drain(): void {
    this.relay.inputDrained();
  }

  close(): void {
    this.relay.inputClosed();
  }
}

/** Owns the program's descriptor 1. */
export class ProgramOutput implements StreamHandler {
  constructor(readonly relay: ProgramEvents) {}

  data(chunk: Uint8Array): void {
    this.relay.output(chunk);
  }

  end(): void {
    this.relay.outputEnded();
  }

  /** A close without an error follows `end`, or was made by the relay. Both are already handled. */
  close(error?: Error): void {
    if (error) this.relay.outputEnded();
  }
}

/** The plain phase of UCSPI-TLS (ucspi_tls.ts) as states and a table of events. Pure: no I/O. */

/** The states of the plain phase. */
export type PlainState =
  /** The program may ask for TLS. */
  | "open"
  /** The program has exited. A child that inherited its descriptors may still ask. */
  | "orphaned"
  /** Descriptor 1 has ended, and the program may still ask. The client gets no end of data yet,
   *  because a program may move its TLS descriptors to 0 and 1 before it asks, or after. */
  | "closing"
  /** The program cannot ask any more. The rest is in the clear. */
  | "clear"
  /** The program has asked; its earlier output is on its way to the client. */
  | "asked"
  /** TLS may begin. Nothing from descriptor 1 goes to the client any more. */
  | "tls"
  /** The client got end of data. A request comes too late. */
  | "ended";

/** What changes the state. */
export type PlainEvent =
  /** `y` or `Y` on SSLCTLFD. */
  | "ask"
  /** The program closed the control socket, or the server did after an unknown letter. */
  | "hangUp"
  /** End of the output on descriptor 1. */
  | "end"
  /** The program has been reaped, and the output that the runtime had read by then was
   *  delivered. */
  | "exit"
  /** All output from before the request has been handed to the system, now and one turn earlier. */
  | "settle";

/** `pending`: the control socket is readable; it may have a request. */
type Next = PlainState | ((pending: boolean) => PlainState);

/** The state after both the end of descriptor 1 and the exit of the program. If the control socket
 *  is readable, a request may still be read. If it is open but not readable, a child that goes on
 *  holds it, and the server does not wait for that child. */
const last: Next = (pending) => pending ? "closing" : "ended";

/** The next state for each state and event. An event that does not matter in a state leaves it as
 *  it is. */
export const PLAIN_TRANSITIONS: Readonly<Record<PlainState, Readonly<Record<PlainEvent, Next>>>> = {
  open: { ask: "asked", hangUp: "clear", end: "closing", exit: "orphaned", settle: "open" },
  orphaned: { ask: "asked", hangUp: "clear", end: last, exit: "orphaned", settle: "orphaned" },
  closing: { ask: "asked", hangUp: "ended", end: "closing", exit: last, settle: "closing" },
  clear: { ask: "clear", hangUp: "clear", end: "ended", exit: "clear", settle: "clear" },
  asked: { ask: "asked", hangUp: "asked", end: "asked", exit: "asked", settle: "tls" },
  tls: { ask: "tls", hangUp: "tls", end: "tls", exit: "tls", settle: "tls" },
  ended: { ask: "ended", hangUp: "ended", end: "ended", exit: "ended", settle: "ended" },
};

/** The plain phase of UCSPI-TLS (ucspi_tls.ts) as states and a table of events. Pure: no I/O. */

/** How far the program has come. */
export type PlainState =
  /** It may ask for TLS. */
  | "open"
  /** It has exited, and whoever has its descriptors may ask: a child of it. */
  | "orphaned"
  /** Its fd 1 has ended, and it may still ask. The client is not told of the end: a program may put its TLS
   *  descriptors over 0 and 1 before it asks, or after. */
  | "closing"
  /** It cannot ask any more. The rest is in the clear. */
  | "clear"
  /** It has asked, and what it wrote before is on its way to the client. */
  | "asked"
  /** TLS may begin. Nothing of fd 1 goes to the client any more. */
  | "tls"
  /** The client has been told of the end of fd 1. A request comes too late. */
  | "ended";

/** What changes the state. */
export type PlainEvent =
  /** `y` or `Y` on SSLCTLFD. */
  | "ask"
  /** The control socket is closed, or was closed by us after another letter. */
  | "hangUp"
  /** The end of fd 1. */
  | "end"
  /** The program has been reaped, and what the runtime had read of it by then has been told. */
  | "exit"
  /** All that it wrote before it asked has been handed to the system, now and a turn earlier. */
  | "settle";

/** `pending`: the control socket has something to be read, a request perhaps. */
type Next = PlainState | ((pending: boolean) => PlainState);

/** fd 1 has ended and the program exited. A control socket that is open and silent then is held by a child
 *  that goes on. */
const last: Next = (pending) => pending ? "closing" : "ended";

/** The next state. What is no matter of a state leaves it as it is. */
export const PLAIN_TRANSITIONS: Readonly<Record<PlainState, Readonly<Record<PlainEvent, Next>>>> = {
  open: { ask: "asked", hangUp: "clear", end: "closing", exit: "orphaned", settle: "open" },
  orphaned: { ask: "asked", hangUp: "clear", end: last, exit: "orphaned", settle: "orphaned" },
  closing: { ask: "asked", hangUp: "ended", end: "closing", exit: last, settle: "closing" },
  clear: { ask: "clear", hangUp: "clear", end: "ended", exit: "clear", settle: "clear" },
  asked: { ask: "asked", hangUp: "asked", end: "asked", exit: "asked", settle: "tls" },
  tls: { ask: "tls", hangUp: "tls", end: "tls", exit: "tls", settle: "tls" },
  ended: { ask: "ended", hangUp: "ended", end: "ended", exit: "ended", settle: "ended" },
};

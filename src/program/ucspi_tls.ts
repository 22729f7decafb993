/** UCSPI-TLS (-n): the program starts in the clear and asks for TLS itself, by a `y` or `Y` on
 *  SSLCTLFD (S. Gifford's ucspi-tls; docs/specification.md#ucspi-tls). This is the plain phase, and the
 *  border between both:
 *
 *  - What the program wrote before it asked reaches the client before the handshake begins.
 *  - A ClientHello that came before the server saw the request went to the program as plaintext;
 *    it is remembered and given to the TLS engine.
 *  - Anything else that the client sent ahead is never delivered inside TLS: it could have been
 *    injected by somebody in the middle (CVE-2011-0411). */

import { Tap } from "../codec/ucspi_tls.ts";
import { type Relay, relay, type RelayOptions } from "./relay.ts";
import type { DelayedEnds, Program } from "../runtime/program.ts";
import { HandshakeError } from "../runtime/runtime.ts";
import { NOBODY, Owned, type Sink, type Source, type Stream } from "../runtime/stream.ts";

/** What the program asked for. `Y` wants the TLS environment on SSLCTLFD. */
export interface Request {
  environment: boolean;
  /** Beginning of a ClientHello, or nothing. */
  hello: Uint8Array;
}

/** More than a pipe can hold (Linux: 1 MiB for an ordinary user) and a runtime has read of it: what
 *  comes beyond that after the request was written after the request. */
const MAX_LATE = 2 << 20;

/** Relays in the clear until the program asks for TLS (`request`) or is done (`status`).
 *  When it has asked, the relay is stopped, the plain pipes are closed and `channel` is paused,
 *  with nothing of the program's plain output left behind. Rejects with `HandshakeError` when it
 *  asks and the client has gone. */
export function plainPhase(
  channel: Stream,
  program: Program,
  ends: DelayedEnds,
  options: RelayOptions,
): Promise<{ status: number | undefined } | { request: Request }> {
  const tap = new Tap();
  const { promise, resolve, reject } = Promise.withResolvers<
    { status: number | undefined } | { request: Request }
  >();
  let asked: { environment: boolean } | undefined;
  let controlEnded = false;
  let exited = false;
  /** The client's end of data was seen; and that nothing reaches it any more. */
  let clientEnded = false;
  let clientGone = false;
  let outputEnded = false;
  /** A slow client holds the program's output up. */
  let heldUp = true;
  /** Bytes of output since the request was seen. */
  let late = 0;
  /** Nothing more of fd 1 goes to the client, or its end has been told. */
  let over = false;

  /** Everything that the program wrote before it asked has been handed to the system. */
  function drained(): boolean {
    if (clientGone) return true;
    return !heldUp && (outputEnded || late > MAX_LATE || !ends.outputReadable());
  }

  /** Called whenever that may have become so. */
  function look(): void {
    if (!asked || over || !drained()) return;
    // Once more in the next turn: the runtime may have read what it has not delivered yet.
    setImmediate(() => {
      if (!over && drained()) takeOver();
    });
  }

  function takeOver(): void {
    over = true;
    plain.stop();
    program.input.destroy();
    // What it writes to fd 1 from now on must not reach the client in the clear.
    program.output.take(NOBODY);
    program.output.resume();
    if (clientEnded) reject(new HandshakeError({ kind: "client gone", how: "closed" }));
    else resolve({ request: { environment: asked?.environment === true, hello: tap.hello() } });
  }

  /** The end of fd 1 is the client's only when no request can follow: a program may put its TLS
   *  descriptors over 0 and 1 before or after it asks. */
  function tellEnd(): void {
    if (!outputEnded || asked || over) return;
    // Open and silent after the program's exit: held by a child that goes on.
    if (!controlEnded && (!exited || ends.controlReadable())) return;
    over = true;
    output.ended();
  }

  function controlGone(): void {
    controlEnded = true;
    ends.controlInput.destroy();
    tellEnd();
  }

  function outputOver(): void {
    outputEnded = true;
    tellEnd();
    look();
  }

  const output = new class extends Owned implements Source {
    pause(): void {
      heldUp = true;
      program.output.pause();
    }
    resume(): void {
      heldUp = false;
      program.output.resume();
      look();
    }
    destroy(): void {
      clientGone = true;
      program.output.destroy();
      look();
    }
    received(chunk: Uint8Array): void {
      this.owner.data?.(chunk);
    }
    ended(): void {
      this.owner.end?.();
    }
  }();
  program.output.take({
    data(chunk) {
      tap.fromProgram();
      if (asked) late += chunk.length;
      output.received(chunk);
      look();
    },
    end: outputOver,
    close(error) {
      if (error) outputOver();
    },
  });
  const input: Sink = {
    take: (handler) => program.input.take(handler),
    write(chunk, spent) {
      tap.fromClient(chunk);
      return program.input.write(chunk, spent);
    },
    end() {
      clientEnded = true;
      program.input.end();
    },
    destroy: () => program.input.destroy(),
  };
  const request = (chunk: Uint8Array): void => {
    ends.controlInput.take({ end: controlGone, close: controlGone }); // asking again changes nothing
    const letter = String.fromCharCode(chunk[0] as number);
    if (letter !== "y" && letter !== "Y") {
      ends.controlOutput.destroy(); // with ours of both directions closed it is told by EOF
      return controlGone();
    }
    if (over) return;
    asked = { environment: letter === "Y" };
    look();
  };
  ends.controlInput.take({ data: request, end: controlGone, close: controlGone });

  const plain: Relay = relay(channel, {
    input,
    output,
    exited: program.exited,
    kill: (signal) => program.kill(signal),
  }, options);
  plain.status.then((status) => {
    if (!asked) resolve({ status });
  });
  program.exited.then(() =>
    setImmediate(() => { // what the runtime has read already is told before
      exited = true;
      tellEnd();
    })
  );
  ends.controlInput.resume();
  return promise;
}

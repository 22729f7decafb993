/** UCSPI-TLS (-n): the program starts in the clear and asks for TLS itself, by a `y` or `Y` on
 *  SSLCTLFD (S. Gifford's ucspi-tls; SPEC 5). This is the plain phase, and the border between both:
 *
 *  - What the program wrote before it asked reaches the client before the handshake begins.
 *  - A ClientHello that came before the server saw the request went to the program as plaintext;
 *    it is remembered and given to the TLS engine.
 *  - Anything else that the client sent ahead is never delivered inside TLS: it could have been
 *    injected by somebody in the middle (CVE-2011-0411). */

import { Tap } from "../codec/ucspi_tls.ts";
import { type Relay, relay, type RelayOptions } from "../relay.ts";
import type { DelayedEnds, Program, Sink, Source, Stream } from "../runtime/runtime.ts";

/** What the program asked for. `Y` wants the TLS environment on SSLCTLFD. */
export interface Request {
  environment: boolean;
  /** Beginning of a ClientHello, or nothing. */
  hello: Uint8Array;
}

/** Relays in the clear until the program asks for TLS (`request`) or is done (`status`).
 *  When it has asked, the relay is stopped, the plain pipes are closed and `channel` is paused,
 *  with nothing of the program's plain output left behind. */
export function plainPhase(
  channel: Stream,
  program: Program,
  ends: DelayedEnds,
  options: RelayOptions,
): Promise<{ status: number } | { request: Request }> {
  const tap = new Tap();
  const { promise, resolve } = Promise.withResolvers<{ status: number } | { request: Request }>();
  let controlEnded = false;
  let asked = false;
  /** The end of fd 1 was seen; told once it is sure that no request came before it. */
  let heldEnd: (() => void) | undefined;

  const output: Source = {
    onData: () => {},
    onEnd: () => {},
    onClose: () => {},
    pause: () => program.output.pause(),
    resume: () => program.output.resume(),
    destroy: () => program.output.destroy(),
  };
  program.output.onData = (chunk) => {
    tap.fromProgram();
    output.onData(chunk);
  };
  program.output.onEnd = () => {
    // A program that has asked may put its TLS descriptors over 0 and 1: then this is no end.
    if (!controlEnded && ends.controlReadable()) heldEnd = () => output.onEnd();
    else output.onEnd();
  };
  program.output.onClose = (error) => output.onClose(error);
  const input: Sink = {
    onDrain: () => {},
    onClose: () => {},
    write(chunk) {
      tap.fromClient(chunk);
      return program.input.write(chunk);
    },
    end: () => program.input.end(),
    destroy: () => program.input.destroy(),
  };
  program.input.onDrain = () => input.onDrain();
  program.input.onClose = (error) => input.onClose(error);

  const plain: Relay = relay(channel, {
    input,
    output,
    exited: program.exited,
    kill: (signal) => program.kill(signal),
  }, options);
  plain.status.then((status) => {
    if (!asked) resolve({ status });
  });

  const takeOver = (environment: boolean): void => {
    asked = true;
    ends.controlInput.onData = () => {}; // it has asked; asking again changes nothing
    const wait = (): void => {
      // Held up by a slow client, or on its way: the relay goes on until the pipe is empty.
      if (ends.outputReadable()) {
        setTimeout(wait, 1);
        return;
      }
      plain.stop();
      program.input.destroy();
      // What it writes to fd 1 from now on must not reach the client in the clear.
      program.output.onData = program.output.onEnd = () => {};
      program.output.resume();
      resolve({ request: { environment, hello: tap.hello() } });
    };
    wait();
  };
  ends.controlInput.onData = (chunk) => {
    const letter = String.fromCharCode(chunk[0] as number);
    if (letter === "y" || letter === "Y") takeOver(letter === "Y");
    else controlGone();
  };
  const controlGone = (): void => {
    controlEnded = true;
    ends.controlInput.destroy();
    heldEnd?.();
  };
  ends.controlInput.onEnd = controlGone;
  ends.controlInput.onClose = controlGone;
  ends.controlInput.resume();
  return promise;
}

/** UCSPI-TLS (-n): the program starts in the clear and asks for TLS itself, by a `y` or `Y` on
 *  SSLCTLFD (S. Gifford's ucspi-tls; SPEC 5). This is the plain phase, and the border between both:
 *
 *  - What the program wrote before it asked reaches the client before the handshake begins.
 *  - A ClientHello that came before the server saw the request went to the program as plaintext;
 *    it is remembered and given to the TLS engine.
 *  - Anything else that the client sent ahead is never delivered inside TLS: it could have been
 *    injected by somebody in the middle (CVE-2011-0411). */

import { concat } from "../codec/bytes.ts";
import { type Relay, relay, type RelayOptions } from "../relay.ts";
import type { DelayedEnds, Program, Sink, Source, Stream } from "../runtime/runtime.ts";

/** What the program asked for. `Y` wants the TLS environment on SSLCTLFD. */
export interface Request {
  environment: boolean;
  /** Beginning of a ClientHello, or nothing. */
  hello: Uint8Array;
}

/** A ClientHello that is longer is not remembered whole, and the handshake fails. RFC 8446 allows
 *  2^24; real ones have 200 to 2,000 bytes. */
const MAX_REMEMBERED = 65_536;

/** RFC 8446 5.1: content type handshake, legacy version 3.x. */
const HANDSHAKE = 22;
const MAJOR = 3;

/** Remembers what went to the program, as far as it could be a ClientHello. */
class Tap {
  /** Since the program's last output, and between its last output and the one before. */
  #current: Uint8Array[] = [];
  #previous: Uint8Array[] = [];
  #size = 0;

  fromClient(chunk: Uint8Array): void {
    this.#size += chunk.length;
    if (this.#size <= MAX_REMEMBERED) this.#current.push(chunk);
  }

  fromProgram(): void {
    if (this.#current.length === 0) return;
    this.#previous = this.#current;
    this.#current = [];
    this.#size = 0;
  }

  /** A ClientHello that came after the program's last output; or one that the client had sent in
   *  one go with the command before it, ahead of the answer. */
  hello(): Uint8Array {
    return helloIn(concat(this.#current.length > 0 ? this.#current : this.#previous));
  }
}

/** What begins like a ClientHello, at the beginning or after the end of a line. */
function helloIn(bytes: Uint8Array): Uint8Array {
  for (let at = 0; at < bytes.length; at++) {
    const newLine = at === 0 || bytes[at - 1] === 0x0a;
    const major = bytes[at + 1] ?? MAJOR;
    if (newLine && bytes[at] === HANDSHAKE && major === MAJOR) return bytes.subarray(at);
  }
  return new Uint8Array(0);
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

/** `NAME=value`, NUL, for each variable, and one more NUL (ucspi-tls(2)). */
export function environmentMessage(variables: Iterable<[string, string]>): Uint8Array {
  let text = "";
  for (const [name, value] of variables) text += `${name}=${value.replaceAll("\0", "?")}\0`;
  return new TextEncoder().encode(`${text}\0`);
}

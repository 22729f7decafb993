/** UCSPI-TLS (-n): the program starts in the clear and asks for TLS itself, by a `y` or `Y` on
 *  SSLCTLFD (S. Gifford's ucspi-tls; docs/specification.md#ucspi-tls). This is the plain phase, and the
 *  border between both:
 *
 *  - What the program wrote before it asked reaches the client before the handshake begins.
 *  - A ClientHello that came before the server saw the request went to the program as plaintext;
 *    it is remembered and given to the TLS engine.
 *  - Anything else that the client sent ahead is never delivered inside TLS: it could have been
 *    injected by somebody in the middle (CVE-2011-0411).
 *
 *  What follows what is the table of ucspi_tls_states.ts. */

import { Tap } from "../codec/ucspi_tls.ts";
import { type Relay, relay, type RelayOptions } from "./relay.ts";
import { PLAIN_TRANSITIONS, type PlainEvent, type PlainState } from "./ucspi_tls_states.ts";
import type { DelayedEnds, Program } from "../runtime/program.ts";
import { HandshakeError } from "../runtime/runtime.ts";
import { NO_HANDLER, Owned, type Sink, type Source, type Stream } from "../runtime/stream.ts";

/** What the program asked for. `Y` wants the TLS environment on SSLCTLFD. */
export interface TlsRequest {
  environment: boolean;
  /** Beginning of a ClientHello, or nothing. */
  hello: Uint8Array;
}

/** `Y` and `y`. */
const WITH_ENVIRONMENT = 89;
const WITHOUT = 121;

/** More than a pipe can hold (Linux: 1 MiB for an ordinary user) and a runtime has read of it: what
 *  comes beyond that after the request was written after the request. */
const MAX_LATE = 2 << 20;

/** What the plain phase came to. */
export type PlainPhaseResult = { readonly status: number | undefined } | {
  readonly request: TlsRequest;
};

/** Relays in the clear until the program asks for TLS or is done. */
export class PlainPhase {
  readonly #result = Promise.withResolvers<PlainPhaseResult>();
  readonly #program: Program;
  readonly #ends: DelayedEnds;
  readonly #tap = new Tap();
  readonly #output = new PlainOutput(this);
  readonly #relay: Relay;
  #state: PlainState = "open";
  #environment = false;
  /** Whether the program's output flows; a slow client holds it up. */
  #flow: "held" | "flowing" | "ended" = "held";
  /** Whether the client's data have ended, and whether nothing reaches it any more. */
  #client: "here" | "ended" | "gone" = "here";
  /** Bytes of output since the request was seen. */
  #late = 0;

  constructor(channel: Stream, program: Program, ends: DelayedEnds, options: RelayOptions) {
    this.#program = program;
    this.#ends = ends;
    const end = (): void => this.#outputEnded();
    program.output.take({
      data: (chunk) => this.#received(chunk),
      end,
      close: (error) => error && end(),
    });
    const hangUp = (): void => this.#hangUp();
    ends.controlInput.take({
      data: (chunk) => this.#letter(chunk[0] as number),
      end: hangUp,
      close: hangUp,
    });
    const { exited } = program;
    const kill = (signal: "SIGTERM"): boolean => program.kill(signal);
    const plain = { input: this.#input(), output: this.#output, exited, kill };
    this.#relay = relay(channel, plain, options);
    this.#relay.status.then((status) => this.#done(status));
    exited.then(() => setImmediate(() => this.#on("exit")));
    ends.controlInput.resume();
  }

  get state(): PlainState {
    return this.#state;
  }

  /** Rejects with `HandshakeError` when the program asks and the client has gone. After a request the relay
   *  is stopped, the plain pipes are closed, and `channel` is paused and nobody's, with nothing of the
   *  program's plain output left behind. */
  get outcome(): Promise<PlainPhaseResult> {
    return this.#result.promise;
  }

  #on(event: PlainEvent): void {
    const next = PLAIN_TRANSITIONS[this.#state][event];
    const before = this.#state;
    this.#state = typeof next === "string" ? next : next(this.#ends.controlReadable());
    if (this.#state === "asked") this.#look();
    if (this.#state === before) return;
    if (this.#state === "ended") this.#output.end();
    if (this.#state === "tls") this.#takeOver();
  }

  /** The first letter on SSLCTLFD. */
  #letter(letter: number): void {
    const hangUp = (): void => this.#hangUp();
    this.#ends.controlInput.take({ end: hangUp, close: hangUp }); // to ask again changes nothing
    this.#environment = letter === WITH_ENVIRONMENT;
    if (this.#environment || letter === WITHOUT) return this.#on("ask");
    this.#ends.controlOutput.destroy(); // with both of our directions closed the program gets EOF
    hangUp();
  }

  #hangUp(): void {
    this.#ends.controlInput.destroy();
    this.#on("hangUp");
  }

  #received(chunk: Uint8Array): void {
    this.#tap.fromProgram();
    if (this.#state === "asked") this.#late += chunk.length;
    this.#output.data(chunk);
    this.#look();
  }

  #outputEnded(): void {
    if (this.#flow === "flowing") this.#flow = "ended";
    this.#on("end");
  }

  /** The program's fd 0, as the relay writes to it. */
  #input(): Sink {
    const { input } = this.#program;
    return {
      take: (handler) => input.take(handler),
      write: (chunk, spent) => {
        this.#tap.fromClient(chunk);
        return input.write(chunk, spent);
      },
      end: () => {
        if (this.#client === "here") this.#client = "ended";
        input.end();
      },
      destroy: () => input.destroy(),
    };
  }

  /** Of `PlainOutput`: the client is to take what it has first. */
  hold(): void {
    if (this.#flow === "flowing") this.#flow = "held";
    this.#program.output.pause();
  }

  /** Of `PlainOutput`: the client takes more. */
  resume(): void {
    if (this.#flow === "held") this.#flow = "flowing";
    this.#program.output.resume();
    this.#look();
  }

  /** Of `PlainOutput`: nothing reaches the client any more. */
  lose(): void {
    this.#client = "gone";
    this.#program.output.destroy();
    this.#look();
  }

  /** Everything that the program wrote before it asked has been handed to the system. */
  #drained(): boolean {
    if (this.#client === "gone" || this.#flow === "ended") return true;
    return this.#flow === "flowing" && (this.#late > MAX_LATE || !this.#ends.outputReadable());
  }

  /** Called whenever that may have become so. */
  #look(): void {
    if (this.#state !== "asked" || !this.#drained()) return;
    // Once more in the next turn: the runtime may have read what it has not delivered yet.
    setImmediate(() => {
      if (this.#drained()) this.#on("settle");
    });
  }

  #takeOver(): void {
    const { input, output } = this.#program;
    this.#relay.stop();
    input.destroy();
    // What it writes to fd 1 from now on must not reach the client in the clear.
    output.take(NO_HANDLER);
    output.resume();
    const { resolve, reject } = this.#result;
    if (this.#client === "here") {
      resolve({ request: { environment: this.#environment, hello: this.#tap.hello() } });
    } else reject(new HandshakeError({ kind: "client gone", how: "closed" }));
  }

  /** The relay has ended: the program has been reaped, and its output is over. */
  #done(status: number | undefined): void {
    if (this.#state !== "asked" && this.#state !== "tls") this.#result.resolve({ status });
  }
}

/** The program's fd 1, as the relay reads it: the phase decides about its end. */
class PlainOutput extends Owned implements Source {
  constructor(readonly phase: PlainPhase) {
    super();
  }

  pause(): void {
    this.phase.hold();
  }

  resume(): void {
    this.phase.resume();
  }

  destroy(): void {
    this.phase.lose();
  }

  data(chunk: Uint8Array): void {
    this.owner.data?.(chunk);
  }

  end(): void {
    this.owner.end?.();
  }
}

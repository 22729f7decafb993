/** UCSPI-TLS (-n): the program starts in the clear and asks for TLS by a `y` or `Y` on SSLCTLFD
 *  (S. Gifford's ucspi-tls; docs/specification.md#ucspi-tls). This file is the plain phase, and the
 *  change from plaintext to TLS:
 *
 *  - What the program wrote before it asked reaches the client before the handshake begins.
 *  - A ClientHello that came before the server saw the request went to the program as plaintext;
 *    it is remembered and given to the TLS engine.
 *  - Other data that the client sent in the clear is never delivered inside TLS: a man in the middle
 *    could have injected it (CVE-2011-0411).
 *
 *  The states and their transitions are in ucspi_tls_states.ts. */

import { Tap } from "../codec/ucspi_tls.ts";
import { type Relay, relay, type RelayOptions } from "./relay.ts";
import { PLAIN_TRANSITIONS, type PlainEvent, type PlainState } from "./ucspi_tls_states.ts";
import type { DelayedEnds, Program } from "../runtime/program.ts";
import { HandshakeError } from "../runtime/runtime.ts";
import { NO_HANDLER, Owned, type Sink, type Source, type Stream } from "../runtime/stream.ts";

/** The program's request for TLS. */
export interface TlsRequest {
  /** `Y`: the program expects the TLS variables on SSLCTLFD. */
  environment: boolean;
  /** The beginning of an early ClientHello; may be empty. */
  hello: Uint8Array;
}

/** The letters `Y` and `y`. */
const WITH_ENVIRONMENT = 89;
const WITHOUT_ENVIRONMENT = 121;

/** Bytes: more than a pipe can hold (on Linux 1 MiB for an ordinary user) plus what the runtime has
 *  read ahead. Output beyond that was certainly written after the request. */
const MAX_LATE = 2 << 20;

/** How the plain phase ended: with the program's wait status, or with a request for TLS. */
export type PlainPhaseEnd = { readonly status: number | undefined } | {
  readonly request: TlsRequest;
};

/** Relays in the clear until the program asks for TLS or has ended. */
export class PlainPhase {
  readonly #ended = Promise.withResolvers<PlainPhaseEnd>();
  readonly #program: Program;
  readonly #ends: DelayedEnds;
  readonly #tap = new Tap();
  readonly #output = new PlainOutput(this);
  readonly #relay: Relay;
  #state: PlainState = "open";
  #environment = false;
  /** Whether the program's output flows; it is held while the client does not read. */
  #flow: "held" | "flowing" | "ended" = "held";
  /** `ended`: the client has sent end of data. `gone`: nothing reaches the client any more. */
  #client: "here" | "ended" | "gone" = "here";
  /** Bytes of output since the request was seen. */
  #lateBytes = 0;

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
      data: (chunk) => this.#receivedLetter(chunk[0] as number),
      end: hangUp,
      close: hangUp,
    });
    const { exited } = program;
    const kill = (signal: "SIGTERM"): boolean => program.kill(signal);
    const plain = { input: this.#input(), output: this.#output, exited, kill };
    this.#relay = relay(channel, plain, options);
    this.#relay.status.then((status) => this.#done(status));
    exited.then(() => setImmediate(() => this.#handle("exit")));
    ends.controlInput.resume();
  }

  get state(): PlainState {
    return this.#state;
  }

  /** How the plain phase ends. Rejects with `HandshakeError` if the program asks for TLS and the
   *  client has ended its data or has gone. After a request, the relay is stopped, descriptor 0 of
   *  the program is closed, what it writes to descriptor 1 is dropped, and `channel` is paused, has
   *  no owner, and has been given all output written before the request. */
  get ended(): Promise<PlainPhaseEnd> {
    return this.#ended.promise;
  }

  #handle(event: PlainEvent): void {
    const next = PLAIN_TRANSITIONS[this.#state][event];
    const before = this.#state;
    this.#state = typeof next === "string" ? next : next(this.#ends.controlReadable());
    if (this.#state === "asked") this.#checkDrained();
    if (this.#state === before) return;
    if (this.#state === "ended") this.#output.end();
    if (this.#state === "tls") this.#takeOver();
  }

  /** The first letter on SSLCTLFD. */
  #receivedLetter(letter: number): void {
    const hangUp = (): void => this.#hangUp();
    this.#ends.controlInput.take({ end: hangUp, close: hangUp }); // further letters are ignored
    this.#environment = letter === WITH_ENVIRONMENT;
    if (this.#environment || letter === WITHOUT_ENVIRONMENT) return this.#handle("ask");
    // The program reads end of file once both directions are closed.
    this.#ends.controlOutput.destroy();
    hangUp();
  }

  #hangUp(): void {
    this.#ends.controlInput.destroy();
    this.#handle("hangUp");
  }

  #received(chunk: Uint8Array): void {
    this.#tap.fromProgram();
    if (this.#state === "asked") this.#lateBytes += chunk.length;
    this.#output.data(chunk);
    this.#checkDrained();
  }

  #outputEnded(): void {
    if (this.#flow === "flowing") this.#flow = "ended";
    this.#handle("end");
  }

  /** The program's descriptor 0, as the relay writes to it. */
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

  /** For `PlainOutput`: pauses the output until the client has read some. */
  hold(): void {
    if (this.#flow === "flowing") this.#flow = "held";
    this.#program.output.pause();
  }

  /** For `PlainOutput`: the client's stream accepts data again. */
  resume(): void {
    if (this.#flow === "held") this.#flow = "flowing";
    this.#program.output.resume();
    this.#checkDrained();
  }

  /** For `PlainOutput`: nothing reaches the client any more. */
  clientGone(): void {
    this.#client = "gone";
    this.#program.output.destroy();
    this.#checkDrained();
  }

  /** True if everything that the program wrote before its request has been handed to the system. */
  #drained(): boolean {
    if (this.#client === "gone" || this.#flow === "ended") return true;
    return this.#flow === "flowing" && (this.#lateBytes > MAX_LATE || !this.#ends.outputReadable());
  }

  /** Checks `#drained`. To be called whenever its result may have changed. */
  #checkDrained(): void {
    if (this.#state !== "asked" || !this.#drained()) return;
    // Checks again in the next turn: the runtime may have read data that it has not delivered yet.
    setImmediate(() => {
      if (this.#drained()) this.#handle("settle");
    });
  }

  #takeOver(): void {
    const { input, output } = this.#program;
    this.#relay.stop();
    input.destroy();
    // What the program writes to descriptor 1 from now on must not reach the client in the clear.
    output.take(NO_HANDLER);
    output.resume();
    const { resolve, reject } = this.#ended;
    if (this.#client === "here") {
      resolve({ request: { environment: this.#environment, hello: this.#tap.hello() } });
    } else reject(new HandshakeError({ kind: "client gone", how: "closed" }));
  }

  /** The relay has ended: the program has been reaped, and its output is done. */
  #done(status: number | undefined): void {
    if (this.#state !== "asked" && this.#state !== "tls") this.#ended.resolve({ status });
  }
}

/** The program's descriptor 1, as the relay reads it. `PlainPhase` decides when it ends. */
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
    this.phase.clientGone();
  }

  data(chunk: Uint8Array): void {
    this.owner.data?.(chunk);
  }

  end(): void {
    this.owner.end?.();
  }
}

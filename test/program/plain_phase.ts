/** A plain phase of UCSPI-TLS between streams in memory, for the tests of ucspi_tls.ts. */

import { assert } from "@std/assert";
import { latin1 } from "../../src/codec/bytes.ts";
import { IdleTimer } from "../../src/program/idle.ts";
import { Lingering } from "../../src/program/linger.ts";
import type { RelayOptions } from "../../src/program/relay.ts";
import { PlainPhase, type PlainPhaseEnd } from "../../src/program/ucspi_tls.ts";
import type { DelayedEnds, Program } from "../../src/runtime/program.ts";
import { bytes, FakeSink, FakeSocket, FakeSource } from "../fake_streams.ts";

/** The beginning of a ClientHello, as much as this stage examines. */
export const HELLO = bytes("\x16\x03\x01\x00\x05hello");

/** Starts a plain phase. */
export function begin(options: Partial<RelayOptions> = {}) {
  const client = new FakeSocket();
  const [input, output] = [new FakeSink(), new FakeSource()];
  const [controlInput, controlOutput] = [new FakeSource(), new FakeSink()];
  const { promise: exited, resolve: exit } = Promise.withResolvers<number>();
  const killed: string[] = [];
  const ends: DelayedEnds = {
    controlInput,
    controlOutput,
    tlsInput: new FakeSink(),
    tlsOutput: new FakeSource(),
    controlReadable: () => controlInput.readable,
    outputReadable: () => output.readable,
  };
  const program: Program = {
    pid: 1,
    input,
    output,
    exited,
    kill: (signal) => killed.push(signal) > 0,
  };
  let gone = 0;
  let result: PlainPhaseEnd | Error | undefined;
  const phase = new PlainPhase(client, program, ends, {
    idle: new IdleTimer(60),
    socket: client,
    traffic: { received: 0, sent: 0 },
    lingering: new Lingering(40, 60_000),
    client: { gone: () => gone++, broken: () => {}, cut: () => {} },
    ...options,
  });
  const done = phase.ended.then((value) => result = value, (error: Error) => result = error);
  return {
    client,
    input,
    output,
    control: controlInput,
    answer: controlOutput,
    exit,
    killed,
    done,
    get state() {
      return phase.state;
    },
    /** The result, or undefined while the phase runs. */
    get result() {
      return result;
    },
    get gone() {
      return gone;
    },
    /** Waits for the program's request. Returns its hello. */
    async hello(): Promise<string> {
      const end = await done;
      assert(!(end instanceof Error) && "request" in end, `no request: ${end}`);
      return latin1(end.request.hello);
    },
    /** Ends the program, which closes its descriptors. */
    die(status = 0): void {
      output.put(null);
      controlInput.put(null);
      exit(status);
    },
  };
}

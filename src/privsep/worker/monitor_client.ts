/** The worker's side of the monitor: programs are asked for and counted there. To the stages it looks
 *  like `DirectPrograms` and `Limits`. */

import type { Answer, Ask, Counter, Hold, Refusal } from "../../admit/limits.ts";
import { nodeCrypto } from "../../builtins.ts";
import { DecodeError, type Reader } from "../../codec/bytes.ts";
import { reason } from "../../errors.ts";
import type { ProgramRequest } from "../../program/environment.ts";
import type { Programs, StartedProgram } from "../../program/programs.ts";
import type { HeldPlace } from "../../connection.ts";
import { abandoned, ConnectionError } from "../../reason.ts";
import { Places } from "../../program/slots.ts";
import { closeAll, ENDS } from "../../runtime/program_pipes.ts";
import type {
  DelayedEnds,
  Program,
  ProgramEnds,
  Runtime,
  Sink,
  Source,
} from "../../runtime/runtime.ts";
import type { Channel } from "../channel.ts";
import { KIND, readId, readText } from "../frame.ts";
import { encodeWorker, REFUSALS, type WireAsk } from "../messages.ts";

/** A START that is not answered yet. */
interface Asked {
  readonly delayed: boolean;
  readonly resolve: (program: Program) => void;
  readonly reject: (error: Error) => void;
}

/** The answer where there is nobody to ask. */
const NOBODY: Refusal = { by: "address", count: 0 };

const ORPHANED = "unable to run: the monitor is gone";

const notRun = (text: string): ConnectionError => new ConnectionError({ kind: "not run", text });

/** Characters of a rule's key; of a longer one a digest serves as well. */
const MAX_KEY = 128;

export class MonitorClient implements Programs, Counter {
  onChange: () => void = () => {};
  running: number | undefined = 0;
  /** What the monitor has lent us of its places (grants.ts). */
  readonly #places = new Places(0);
  /** The monitor has none left to lend. */
  #none = true;
  /** Places that it was asked for. */
  #wanted = 0;
  /** Set while other workers wait for places: takes the next one that we do not use. */
  #passing: (() => void) | undefined;
  #lastStart = 0;
  #lastHold = 0;
  readonly #asked = new Map<number, Asked | "withdrawn">();
  readonly #running = new Map<number, RemoteProgram>();
  readonly #verdicts = new Map<number, (refusal: Refusal | undefined) => void>();

  constructor(readonly runtime: Runtime, readonly channel: Channel) {
    this.#places.onChange = () => {
      this.#want();
      this.onChange();
    };
  }

  get waiting(): number {
    return this.#places.waiting - (this.#passing ? 1 : 0);
  }

  get full(): boolean {
    return this.#none && this.#places.full;
  }

  place(signal: AbortSignal): HeldPlace | Promise<HeldPlace> {
    return this.#places.takeNow() ?? this.#places.take(signal);
  }

  /** Asks the monitor for as many places as handshakes wait here. */
  #want(): void {
    for (; this.#wanted < this.waiting && this.channel.open; this.#wanted++) {
      this.channel.send(encodeWorker({ kind: KIND.WANT }));
    }
  }

  start(request: ProgramRequest, place: HeldPlace, signal: AbortSignal): Promise<Program> {
    if (signal.aborted) return Promise.reject(abandoned(signal));
    if (!this.channel.open) return Promise.reject(notRun("unable to run: no monitor"));
    const id = ++this.#lastStart;
    const { delayed, rules, peer: { ip, host = "", info = "" }, variables } = request;
    return new Promise((resolve, reject) => {
      const ruled = rules.size > 0;
      const frame = encodeWorker({
        kind: KIND.START,
        id,
        delayed,
        ruled,
        ip,
        host,
        info,
        variables,
      });
      const withdraw = (): void => {
        reject(abandoned(signal));
        this.#asked.set(id, "withdrawn");
        this.channel.send(encodeWorker({ kind: KIND.CANCEL, id }));
      };
      const settled = (): void => signal.removeEventListener("abort", withdraw);
      signal.addEventListener("abort", withdraw, { once: true });
      this.#asked.set(id, {
        delayed,
        resolve(program) {
          settled();
          resolve(program);
        },
        reject(error) {
          settled();
          reject(error);
        },
      });
      place.hand(); // with the program it is the monitor's
      this.channel.send(frame);
    });
  }

  take(address: string, ask: Ask): Answer<Hold | Refusal> {
    const id = ++this.#lastHold;
    let open = true;
    const hold: Hold = {
      check: (more) => {
        const wire = wireAsk(more);
        if (!asksAnything(wire)) return undefined;
        // Its client has gone, and with it what there was to measure. The monitor would take the id
        // for an invented one.
        if (!open) return NOBODY;
        this.channel.send(encodeWorker({ kind: KIND.CHECK, id, ask: wire }));
        return this.#verdict(id);
      },
      release: () => {
        if (!open) return;
        open = false;
        this.channel.send(encodeWorker({ kind: KIND.RELEASE, id }));
      },
    };
    const wire = wireAsk(ask);
    this.channel.send(encodeWorker({ kind: KIND.TAKE, id, address, ask: wire }));
    if (!asksAnything(wire)) return hold;
    return this.#verdict(id).then((refusal) => refusal ?? hold);
  }

  /** Undefined: it may go on. */
  #verdict(id: number): Promise<Refusal | undefined> {
    if (!this.channel.open) return Promise.resolve(NOBODY);
    return new Promise((resolve) => this.#verdicts.set(id, resolve));
  }

  /** A frame for this side; false: it is somebody else's. */
  receive(kind: number, body: Reader): boolean {
    switch (kind) {
      case KIND.STARTED:
        this.#started(body);
        return true;
      case KIND.REFUSED: {
        const id = readId(body, "id");
        const why = readText(body, "why", 4096);
        const asked = this.#answered(id);
        this.#counted(body);
        if (asked !== "withdrawn") asked.reject(notRun(why));
        return true;
      }
      case KIND.EXITED: {
        const id = readId(body, "id");
        const status = body.u32("status");
        this.#counted(body);
        this.#running.get(id)?.ended(status);
        this.#running.delete(id);
        return true;
      }
      case KIND.PLACES:
        this.#counted(body);
        return true;
      case KIND.VERDICT: {
        const id = readId(body, "id");
        const by = body.u8("refusal");
        const count = body.u32("count");
        const refusal = by === 0 ? undefined : REFUSALS[by - 1];
        this.#verdicts.get(id)?.(refusal && { by: refusal, count });
        this.#verdicts.delete(id);
        return true;
      }
      default:
        return false;
    }
  }

  /** The monitor is gone, or will be: what it would have told will not be known. */
  orphan(): void {
    this.running = undefined;
    for (const asked of this.#asked.values()) {
      if (asked !== "withdrawn") asked.reject(notRun(ORPHANED));
    }
    this.#asked.clear();
    this.#passing?.();
    this.#passing = undefined;
    this.#places.fail(notRun(ORPHANED));
    for (const program of this.#running.values()) program.ended(undefined);
    this.#running.clear();
    for (const tell of this.#verdicts.values()) tell(NOBODY);
    this.#verdicts.clear();
    this.onChange();
  }

  #answered(id: number): Asked | "withdrawn" {
    const asked = this.#asked.get(id);
    if (!asked) throw new DecodeError(`privsep: id: nobody asked for ${id} at byte 0`);
    this.#asked.delete(id);
    return asked;
  }

  #counted(body: Reader): void {
    this.running = body.u32("running");
    this.#none = body.u8("full") === 1;
    const wanted = body.u8("wanted") === 1;
    const granted = body.u32("granted");
    this.#wanted = Math.max(0, this.#wanted - granted);
    this.#places.add(granted);
    if (wanted) this.#pass();
    else if (this.#passing) {
      this.#passing();
      this.#passing = undefined;
    }
  }

  /** Returns the places that nobody uses here, now and, as the last in the queue, as they come free. */
  #pass(): void {
    const count = this.#places.remove(Infinity);
    if (count > 0) this.channel.send(encodeWorker({ kind: KIND.RETURN, count }));
    this.#passing ??= this.#places.wait({
      give: (place) => {
        this.#passing = undefined;
        place.hand();
        this.channel.send(encodeWorker({ kind: KIND.RETURN, count: 1 }));
        this.#pass();
      },
      fail() {},
    });
  }

  #started(body: Reader): void {
    const id = readId(body, "id");
    const pid = body.u32("pid");
    const delayed = body.u8("delayed") === 1;
    const withdrawn = this.#asked.get(id) === "withdrawn";
    const ends = this.#takeEnds(delayed ? ENDS.delayed : ENDS.plain, withdrawn);
    const asked = this.#answered(id);
    this.#counted(body);
    if (asked === "withdrawn" || !ends) return;
    if (ends instanceof Error) {
      asked.reject(notRun(`unable to take the pipes of program ${pid}: ${reason(ends)}`));
      return;
    }
    const program = new RemoteProgram(this.channel, id, pid, ends, this.running ?? 0);
    this.#running.set(id, program);
    asked.resolve(program);
  }

  /** Our ends of a program's pipes; undefined if nobody wants them. If this process has no room for
   *  them that start has failed, and nothing else. In both cases EOF tells the program. */
  #takeEnds(count: number, withdrawn: boolean): ProgramEnds | Error | undefined {
    let fds: readonly number[] = [];
    try {
      fds = this.channel.descriptors(count);
      if (!withdrawn) return this.runtime.adoptEnds(fds);
      closeAll(this.channel.libc, fds);
      return undefined;
    } catch (error) {
      if (error instanceof DecodeError) throw error;
      closeAll(this.channel.libc, fds);
      return error as Error;
    }
  }
}

/** A program that the monitor has started. Small, since thousands may run. */
class RemoteProgram implements StartedProgram {
  readonly exited: Promise<number | undefined>;
  readonly input: Sink;
  readonly output: Source;
  readonly delayed?: DelayedEnds;
  #tell: ((status: number | undefined) => void) | undefined;

  constructor(
    readonly channel: Channel,
    readonly id: number,
    readonly pid: number,
    { input, output, delayed }: ProgramEnds,
    readonly running: number,
  ) {
    this.input = input;
    this.output = output;
    if (delayed) this.delayed = delayed;
    const { promise, resolve } = Promise.withResolvers<number | undefined>();
    this.exited = promise;
    this.#tell = resolve;
  }

  ended(status: number | undefined): void {
    this.#tell?.(status);
    this.#tell = undefined;
  }

  kill(signal: "SIGTERM" | "SIGKILL"): boolean {
    // Without a monitor nobody can: a worker may signal no other process.
    if (!this.channel.open || !this.#tell) return false;
    this.channel.send(encodeWorker({ kind: KIND.KILL, id: this.id, signal }));
    return true;
  }
}

const NO_NETWORK = { key: "", count: 0 };

function shortKey(key: string): string {
  return key.length <= MAX_KEY ? key : nodeCrypto().createHash("sha256").update(key).digest("hex");
}

function wireAsk({ perAddress = 0, rate, network }: Ask): WireAsk {
  return {
    perAddress,
    rate: rate ?? { count: 0, seconds: 0 },
    network: network ? { key: shortKey(network.key), count: network.count } : NO_NETWORK,
  };
}

function asksAnything({ perAddress, rate, network }: WireAsk): boolean {
  return perAddress > 0 || rate.count > 0 || network.count > 0;
}

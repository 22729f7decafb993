/** Evaluates s6's access rules for the workers. Only the monitor reads the rules: a worker may be
 *  in a chroot, and a descriptor of their folder would let it out. A worker sends the address and
 *  name of a client, and gets the verdict and the variables. The rules are evaluated again when a
 *  program starts, so that no worker decides which program runs, or with which variables. */

import type { AccessRules } from "../../admit/access_rules.ts";
import { DecodeError, latin1 } from "../../codec/bytes.ts";
import { parseIp } from "../../codec/ip.ts";
import type { Options } from "../../config/options.ts";
import type { RuleVariables } from "../../config/variables.ts";
import { FatalError } from "../../errors.ts";
import type { MessageOf } from "../messages.ts";
import type { NamedPeer } from "./rules_history.ts";
import type { Worker } from "./worker_handle.ts";

/** What the rules set for a program. */
export interface RuledProgram {
  readonly variables: RuleVariables;
  /** What runs in place of the program; undefined: the program itself. */
  readonly command?: readonly string[] | undefined;
}

/** Maximum number of questions answered in one turn of the event loop. Each can take a millisecond,
 *  and a compromised worker can send thousands at once. */
const PER_TURN = 16;
/** Added to -c and --pending for the maximum number of waiting questions of one worker. Each of its
 *  connections asks one question at a time. */
const MORE_WAITING = 1024;

export class AccessRequests {
  /** Questions left in this turn. */
  #left = PER_TURN;
  /** The questions that wait for a later turn, by worker. The worker whose turn it is comes first. */
  readonly #waiting = new Map<Worker, MessageOf<"RULES">[]>();
  readonly #maxWaiting: number;

  /** `rules`: undefined without --access-dir and --access-cdb. */
  constructor(
    readonly rules: AccessRules | undefined,
    { concurrency, pending }: Pick<Options, "concurrency" | "pending">,
  ) {
    this.#maxWaiting = concurrency + pending + MORE_WAITING;
  }

  /** Answers RULES, now or in a later turn. Throws `DecodeError` for an invalid request. */
  request(worker: Worker, question: MessageOf<"RULES">): void {
    if (!this.rules) throw new DecodeError("privsep: rules: there are none at byte 0");
    parseIp(question.ip);
    const waiting = this.#waiting.get(worker);
    if (!waiting && this.#left > 0) return this.#answer(this.rules, worker, question);
    if (!waiting) return void this.#waiting.set(worker, [question]);
    if (waiting.length >= this.#maxWaiting) {
      throw new DecodeError("privsep: rules: too many questions at byte 0");
    }
    waiting.push(question);
  }

  /** Answers one question of each worker in turn, up to `PER_TURN` questions. */
  readonly #nextTurn = (): void => {
    this.#left = PER_TURN;
    for (const [worker, waiting] of this.#waiting) {
      if (this.#left === 0) return;
      this.#waiting.delete(worker);
      const question = waiting.shift();
      if (worker.state === "ended" || !question || !this.rules) continue;
      this.#answer(this.rules, worker, question);
      if (waiting.length > 0) this.#waiting.set(worker, waiting); // behind the others
    }
  };

  #answer(rules: AccessRules, worker: Worker, { id, by, ip, host }: MessageOf<"RULES">): void {
    if (this.#left === PER_TURN) setImmediate(this.#nextTurn);
    this.#left--;
    const { allow, env, rule, kind, error } = by === "address"
      ? rules.byAddress(ip)
      : rules.byHost(host.toLowerCase());
    const verdict = {
      allow,
      env: [...env].map(([name, value]) => [name, value ?? null] as const),
      ...(rule ? { rule: latin1(rule) } : {}),
      ...(kind ? { kind } : {}),
      ...(error === undefined ? {} : { error }),
    };
    worker.channel.send({ kind: "RULED", id, verdict });
  }

  /** Returns what the rules set for the program of a peer; undefined without such rules. Throws
   *  `FatalError` if they deny the peer: they have changed meanwhile, or the worker lies. */
  program({ ip, host }: NamedPeer): RuledProgram | undefined {
    const { rules } = this;
    if (!rules) return undefined;
    parseIp(ip);
    const { allow, env, command, error } = rules.evaluate({
      ip,
      ...(host ? { host: host.toLowerCase() } : {}),
    });
    if (!allow) throw new FatalError(error ?? "the rules deny this connection");
    return { variables: env, command };
  }
}

/** The worker's side of s6's access rules, which the monitor evaluates. The stages use it like the
 *  rules of one process. */

import type { AccessLooks } from "../../admit/access_rules.ts";
import { denial, type RuleResult, type Rules } from "../../admit/rulebook.ts";
import { fromLatin1 } from "../../codec/bytes.ts";
import type { RulePeer } from "../../codec/rules.ts";
import type { ToMonitor } from "../channel.ts";
import type { MessageOf } from "../messages.ts";

/** The answer if there is no monitor. */
const ORPHANED = denial("unable to use access rules: the monitor is gone");

export class RemoteAccess {
  #last = 0;
  readonly #open = new Map<number, (result: RuleResult) => void>();

  constructor(readonly channel: ToMonitor) {}

  get looks(): AccessLooks {
    return { early: this.#by("address"), late: this.#by("host") };
  }

  /** RULED. */
  ruled({ id, verdict }: MessageOf<"RULED">): void {
    const { env, rule, ...rest } = verdict;
    this.#open.get(id)?.({
      ...rest,
      env: new Map(env.map(([name, value]) => [name, value ?? undefined])),
      ...(rule === undefined ? {} : { rule: fromLatin1(rule) }),
    });
    this.#open.delete(id);
  }

  /** To be called when the monitor has exited: denies all open questions. */
  orphan(): void {
    for (const tell of this.#open.values()) tell(ORPHANED);
    this.#open.clear();
  }

  #by(by: MessageOf<"RULES">["by"]): Rules {
    return { evaluate: (peer) => this.#ask(by, peer), expire() {} };
  }

  #ask(by: MessageOf<"RULES">["by"], { ip, host = "" }: RulePeer): Promise<RuleResult> {
    if (!this.channel.open) return Promise.resolve(ORPHANED);
    const id = ++this.#last;
    this.channel.send({ kind: "RULES", id, by, ip, host });
    return new Promise((resolve) => this.#open.set(id, resolve));
  }
}

/** The monitor's own copy of the rules: those that its workers have been handed, and for a while those
 *  from before. Whoever was let in under the old rules and asks for a program under the new ones gets
 *  it, with the variables of the old. */

import { RuleBook } from "../../admit/rulebook.ts";
import { parseIp } from "../../codec/ip.ts";
import type { Options } from "../../config/options.ts";
import { FatalError } from "../../errors.ts";
import type { Libc } from "../../runtime/libc/libc.ts";
import { closeAll } from "../../runtime/program_pipes.ts";
import { isShortage } from "../../files/files.ts";
import { HandedFiles } from "../handed_files.ts";
import type { FileWatcher } from "./file_watcher.ts";

/** States kept; one is made each second at most, since files are looked at so often. */
const MAX_STATES = 64;

/** The rules as they were at one time. */
interface State {
  /** Of which files, and in which state they were. */
  readonly stamp: string;
  readonly files: HandedFiles;
  readonly early: RuleBook | undefined;
  readonly late: RuleBook | undefined;
  /** When the next ones took over. */
  retired: number;
}

export interface RulesHistoryOptions {
  libc: Libc;
  files: FileWatcher;
  options: Options;
  /** Milliseconds of a clock that never goes back. */
  now: () => number;
}

export class RulesHistory {
  /** The newest first. */
  readonly #states: State[] = [];
  /** Longest time from the evaluation of rules to the start of a program, in milliseconds. */
  readonly #memory: number;

  constructor(readonly o: RulesHistoryOptions) {
    const { identTimeout, handshakeTimeout } = o.options;
    this.#memory = (identTimeout + handshakeTimeout + 60) * 1000;
    this.renew();
  }

  /** Takes the rules as they are now, if they are not those that it has. Throws for a shortage. */
  renew(): void {
    const { libc, files, options, now } = this.o;
    const opened = [...files.rules()];
    const stamp = JSON.stringify(opened.map(({ file }) => file));
    const lacking = opened.find(({ file: { error } }) => error && isShortage(error));
    if (lacking || stamp === this.#states[0]?.stamp) {
      closeAll(libc, opened.flatMap(({ fd }) => fd === undefined ? [] : [fd]));
      if (!lacking) return;
      throw new Error(`${lacking.file.path}: ${lacking.file.error?.message}`);
    }
    const own = new HandedFiles(libc);
    for (const { file, fd } of opened) own.take(file, fd);
    const book = (path: string | undefined): RuleBook | undefined =>
      path === undefined
        ? undefined
        : new RuleBook(own.rules(path), { allowMissing: options.allowMissingRules, now });
    const [last] = this.#states;
    if (last) last.retired = now();
    const state = {
      stamp,
      files: own,
      early: book(options.earlyRules),
      late: book(options.rules),
      retired: Infinity,
    };
    this.#states.unshift(state);
    while (this.#states.length > MAX_STATES) this.#forget();
  }

  /** The variables for a peer. Throws `FatalError` when no rules that were in force lately let it in:
   *  the worker lies. */
  variables(peer: NamedPeer): Map<string, string> {
    const oldest = this.o.now() - this.#memory;
    while ((this.#states.at(-1)?.retired ?? Infinity) < oldest) this.#forget();
    let refusal: unknown;
    for (const state of this.#states) {
      try {
        return programRules(state, peer);
      } catch (error) {
        refusal ??= error;
      }
    }
    throw refusal;
  }

  #forget(): void {
    const state = this.#states.pop();
    state?.early?.close();
    state?.late?.close();
    state?.files.close();
  }
}

/** The worker's word on the peer: an address, and perhaps a name and an ident answer. */
export interface NamedPeer {
  ip: string;
  host: string;
  info: string;
}

/** As `admit` does it: early rules that say something decide alone. Throws `FatalError` when the rules
 *  deny the peer: they have changed meanwhile, or the worker lies. */
export function programRules(
  { early, late }: { early: RuleBook | undefined; late: RuleBook | undefined },
  { ip, host, info }: NamedPeer,
): Map<string, string> {
  parseIp(ip);
  const variables = new Map<string, string>();
  const peer = {
    ip,
    ...(host ? { host: host.toLowerCase() } : {}),
    ...(info ? { info } : {}),
  };
  for (const [book, who] of [[early, { ip }], [late, peer]] as const) {
    if (!book) continue;
    const result = book.evaluate(who);
    if (!result.allow) throw new FatalError(result.error ?? "the rules deny this connection");
    for (const [name, value] of result.env) variables.set(name, value);
    if (book === early && result.rule) break;
  }
  return variables;
}

/** The monitor's own copy of the rules: the ones that its workers have, and for a while older ones.
 *  A client that was admitted under old rules, and needs a program when new rules are in force,
 *  gets the program with the variables of the old rules. */

import { RuleBook } from "../../admit/rulebook.ts";
import { parseIp } from "../../codec/ip.ts";
import type { Options } from "../../config/options.ts";
import { FatalError } from "../../errors.ts";
import type { Libc } from "../../runtime/libc/libc.ts";
import { closeAll } from "../../runtime/program_pipes.ts";
import { isShortage } from "../../files/files.ts";
import { HandedFiles } from "../handed_files.ts";
import type { FileWatcher } from "./file_watcher.ts";

/** Maximum number of kept versions. At most one is made each second, when files are checked. */
const MAX_STATES = 64;

/** The rules as they were at one time. */
interface State {
  /** The files of this version, and their stamps. */
  readonly stamp: string;
  readonly files: HandedFiles;
  readonly early: RuleBook | undefined;
  readonly late: RuleBook | undefined;
  /** When the next version replaced it. */
  retired: number;
}

export interface RulesHistoryOptions {
  libc: Libc;
  files: FileWatcher;
  options: Options;
  /** Milliseconds of a clock that never goes back. */
  now: () => number;
}

/** Assumed time of a step without a limit, in seconds. A connection that takes longer is denied if
 *  the rules have changed meanwhile. */
const LONG = 3600;

export class RulesHistory {
  /** The newest first. */
  readonly #states: State[] = [];
  /** Longest time from the evaluation of rules to the start of a program, in milliseconds. */
  readonly #memory: number;

  constructor(readonly o: RulesHistoryOptions) {
    const { identTimeout, handshakeTimeout } = o.options;
    this.#memory = ((identTimeout || LONG) + (handshakeTimeout || LONG) + 60) * 1000;
    this.renew();
  }

  /** Reads the rules if they have changed. Throws if there is a shortage of descriptors or
   *  memory. */
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

  /** Returns the variables for a peer. Throws `FatalError` if no recent version of the rules admits
   *  the peer: the worker lies. */
  variables(peer: NamedPeer): Map<string, string | undefined> {
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

/** The peer, as the worker describes it: an address, perhaps a name and an ident answer. */
export interface NamedPeer {
  ip: string;
  host: string;
  info: string;
}

/** Returns the variables that the rules set, as `admit` does: if an early rule applies, later rules
 *  are skipped. Throws `FatalError` if the rules deny the peer: they have changed meanwhile, or the
 *  worker lies. */
export function programRules(
  { early, late }: { early: RuleBook | undefined; late: RuleBook | undefined },
  { ip, host, info }: NamedPeer,
): Map<string, string | undefined> {
  parseIp(ip);
  const variables = new Map<string, string | undefined>();
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

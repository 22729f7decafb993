/** Stage 2: may this connection in? Limits, early rules, names, ident, rules, in this order: what
 *  costs nothing comes first, and a flood is turned away before it makes the server ask anybody. */

import { latin1 } from "../codec/bytes.ts";
import { addressKey, parseIp } from "../codec/ip.ts";
import { ruleKind } from "../codec/rules.ts";
import type { Connection } from "../connection.ts";
import type { QuestionSockets } from "../dns/question_sockets.ts";
import type { Resolver } from "../dns/resolver.ts";
import { reason } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Denial } from "../reason.ts";
import { askIdent } from "./ident.ts";
import { type Ask, type Counter, type Hold, parseLimit, parseRate } from "./limits.ts";
import { localHost, remoteHost } from "./names.ts";
import type { RuleBook, Verdict as RuleVerdict } from "./rulebook.ts";

export interface AdmitOptions {
  remoteName: boolean;
  paranoid: boolean;
  ident: boolean;
  identTimeout: number;
}

export interface AdmitDeps {
  options: AdmitOptions;
  log: Log;
  limits: Counter;
  /** MAXCONIP and MAXCONRATE of the server's environment. */
  ask: Ask;
  /** MAXCONNET of the server's environment: for every rule of a network that sets none itself. */
  perNetwork: number | undefined;
  resolver: Resolver;
  /** The descriptors for ident's sockets, which DNS uses too. */
  sockets: QuestionSockets;
  /** $DNSCACHEIP is set: ask it about the loopback addresses too. */
  asksAboutLoopback: boolean;
  /** False: this end's name is not looked up. */
  findsOwnName: boolean;
  rules: RuleBook | undefined;
  earlyRules: RuleBook | undefined;
}

const UNREADABLE: Denial = { kind: "rules unreadable" };

/** Fills in names, ident and variables. Resolves with what denies the connection; undefined: it may in.
 *  Never rejects. */
export async function admit(conn: Connection, deps: AdmitDeps): Promise<Denial | undefined> {
  const { limits, options, log } = deps;
  const taken = await limits.take(addressKey(parseIp(conn.remote.ip)), deps.ask);
  if (!("release" in taken)) {
    log.connectionLimit(taken.by === "rate" ? "rate" : "connection", taken.count, conn.remote.ip);
    return { kind: "limit", ...taken };
  }
  conn.hold = taken;
  let decided = false;
  if (deps.earlyRules) {
    const early = await follow(conn, deps, deps.earlyRules.evaluate({ ip: conn.remote.ip }), taken);
    if (early.denial) return early.denial;
    decided = early.explicit;
  }
  await findNames(conn, deps);
  if (options.ident) {
    conn.remote.info = await askIdent(
      {
        remoteIp: conn.remote.ip,
        remotePort: conn.remote.port,
        localIp: conn.local.ip,
        localPort: conn.local.port,
        timeout: options.identTimeout,
        signal: conn.signal,
      },
      undefined,
      undefined,
      deps.sockets,
    );
  }
  if (!deps.rules || decided) return undefined;
  const { ip, host, info } = conn.remote;
  const verdict = deps.rules.evaluate({
    ip,
    ...(host ? { host: host.toLowerCase() } : {}),
    ...(info ? { info } : {}),
  });
  return (await follow(conn, deps, verdict, taken)).denial;
}

async function findNames(conn: Connection, deps: AdmitDeps): Promise<void> {
  const { options, resolver } = deps;
  const known = (ip: string): string | undefined =>
    !deps.asksAboutLoopback && (ip === "127.0.0.1" || ip === "::1") ? "localhost" : undefined;
  const [local, remote] = await Promise.all([
    conn.local.host ?? known(conn.local.ip) ??
      (deps.findsOwnName ? localHost(conn.local.ip, { signal: conn.signal }, resolver) : undefined),
    options.remoteName
      ? known(conn.remote.ip) ??
        remoteHost(conn.remote.ip, { paranoid: options.paranoid, signal: conn.signal }, resolver)
      : undefined,
  ]);
  conn.local.host = local;
  conn.remote.host = remote;
}

/** Applies what the rules say: verdict, variables, and the limits these set. `explicit`: there is a rule. */
async function follow(
  conn: Connection,
  deps: AdmitDeps,
  verdict: RuleVerdict,
  hold: Hold,
): Promise<{ denial?: Denial; explicit: boolean }> {
  const { env, rule } = verdict;
  const explicit = rule !== undefined;
  if (!verdict.allow) {
    if (rule) return { denial: { kind: "rule", rule: ruleKind(rule) }, explicit };
    if (verdict.error) deps.log.error(verdict.error);
    return { denial: UNREADABLE, explicit };
  }
  if (env.size > 0) conn.variables = new Map([...conn.variables, ...env]);
  try {
    // The server's own MAXCONNET: a rule for everybody must not make all the world share one count.
    const perNetwork = parseLimit("MAXCONNET", env.get("MAXCONNET")) ??
      (rule && deps.perNetwork && ruleKind(rule) === "network" ? deps.perNetwork : undefined);
    const refusal = await hold.check({
      perAddress: parseLimit("MAXCONIP", env.get("MAXCONIP")),
      rate: parseRate(env.get("MAXCONRATE")),
      network: perNetwork && rule ? { key: latin1(rule), count: perNetwork } : undefined,
    });
    if (refusal) return { denial: { kind: "limit", ...refusal }, explicit };
  } catch (error) {
    deps.log.error(`${reason(error)} in the rules`);
    return { denial: UNREADABLE, explicit };
  }
  return { explicit };
}

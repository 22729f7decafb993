/** Stage 2: may this connection in? Limits, early rules, names, ident, rules, in this order: what
 *  costs nothing comes first, and a flood is turned away before it makes the server ask anybody. */

import { fromLatin1 } from "../codec/bytes.ts";
import { addressKey, networkOfKey, parseIp } from "../codec/ip.ts";
import type { Connection } from "../connection.ts";
import type { QuestionSockets } from "../dns/question_sockets.ts";
import type { Resolver } from "../dns/resolver.ts";
import { reason } from "../errors.ts";
import type { Log } from "../log.ts";
import { askIdent } from "./ident.ts";
import {
  type Ask,
  type Counter,
  type Hold,
  parseLimit,
  parseRate,
  type Refusal,
} from "./limits.ts";
import { localHost, remoteHost } from "./names.ts";
import type { RuleBook, Verdict as RuleVerdict } from "./rulebook.ts";

export interface Verdict {
  allow: boolean;
  /** For the deny line. */
  why?: string;
  /** What denied: a refusal's `by`, or the `rule` of the rules' verdict. */
  by?: string;
}

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

const ALLOW: Verdict = { allow: true };

/** Fills in names, ident and variables. Never rejects. */
export async function admit(conn: Connection, deps: AdmitDeps): Promise<Verdict> {
  const { limits, options, log } = deps;
  const taken = await limits.take(addressKey(parseIp(conn.remote.ip)), deps.ask);
  if (!("release" in taken)) {
    log.connectionLimit(taken.by === "rate" ? "rate" : "connection", taken.count, conn.remote.ip);
    return deny(taken.by, words(taken));
  }
  conn.hold = taken;
  let decided = false;
  if (deps.earlyRules) {
    const early = await follow(conn, deps, deps.earlyRules.evaluate({ ip: conn.remote.ip }), taken);
    if (!early.allow) return early;
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
  if (!deps.rules || decided) return ALLOW;
  const { ip, host, info } = conn.remote;
  return await follow(
    conn,
    deps,
    deps.rules.evaluate({
      ip,
      ...(host ? { host: host.toLowerCase() } : {}),
      ...(info ? { info } : {}),
    }),
    taken,
  );
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

/** Applies what the rules say: verdict, variables, and the limits these set. */
async function follow(
  conn: Connection,
  deps: AdmitDeps,
  verdict: RuleVerdict,
  hold: Hold,
): Promise<Verdict & { explicit: boolean }> {
  const explicit = verdict.rule !== "default";
  if (verdict.error) {
    deps.log.error(verdict.error);
    return { ...deny(verdict.rule, "rules cannot be read"), explicit };
  }
  if (!verdict.allow) return { ...deny(verdict.rule), explicit };
  if (verdict.env.size > 0) conn.variables = new Map([...conn.variables, ...verdict.env]);
  try {
    const { env, network } = verdict;
    const perNetwork = parseLimit("MAXCONNET", env.get("MAXCONNET")) ??
      (network && deps.perNetwork && isNetwork(network.key) ? deps.perNetwork : undefined);
    const refusal = await hold.check({
      perAddress: parseLimit("MAXCONIP", env.get("MAXCONIP")),
      rate: parseRate(env.get("MAXCONRATE")),
      network: perNetwork && network ? { key: network.key, count: perNetwork } : undefined,
    });
    if (refusal) return { ...deny(refusal.by, words(refusal)), explicit };
  } catch (error) {
    deps.log.error(`${reason(error)} in the rules`);
    return { ...deny("error", "rules cannot be read"), explicit };
  }
  return { allow: true, explicit };
}

/** True for the key of a CIDR rule or a dotted prefix: the server's own MAXCONNET must not make all
 *  the world share one count because there is a rule for everybody. */
function isNetwork(key: string): boolean {
  return /^[0-9.]+(?:\.|\/[0-9]+)$/.test(key) || networkOfKey(fromLatin1(key)) !== undefined;
}

function deny(by: string, why?: string): Verdict {
  return { allow: false, by, ...(why === undefined ? {} : { why }) };
}

function words({ by, count }: Refusal): string {
  const what = { address: "ip connection", rate: "ip rate", network: "network connection" }[by];
  return `${what} limit:${count} exceeded`;
}

/** Stage 2: decides whether to admit a connection. The order is limits, early rules, names, ident,
 *  rules: cheap checks come first, so a flood is denied before it causes DNS or ident queries. */

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
import {
  type ConnectionLimiter,
  type ConnectionLimits,
  parseLimit,
  parseRate,
  type Reservation,
} from "./limits.ts";
import { localHost, remoteHost } from "./names.ts";
import type { RuleBook, RuleResult } from "./rulebook.ts";

export interface AdmitOptions {
  remoteName: boolean;
  paranoid: boolean;
  ident: boolean;
  identTimeout: number;
}

export interface AdmitServices {
  options: AdmitOptions;
  log: Log;
  limiter: ConnectionLimiter;
  /** MAXCONIP and MAXCONRATE of the server's environment. */
  limits: ConnectionLimits;
  /** MAXCONNET of the server's environment, for every network rule that does not set it. */
  perNetwork: number | undefined;
  resolver: Resolver;
  /** The descriptors for sockets of ident and DNS. */
  sockets: QuestionSockets;
  /** $DNSCACHEIP is set: ask it about the loopback addresses too. */
  asksAboutLoopback: boolean;
  /** False: the name of the local address is not looked up. */
  findsOwnName: boolean;
  rules: RuleBook | undefined;
  earlyRules: RuleBook | undefined;
}

const UNREADABLE: Denial = { kind: "rules unreadable" };

/** Fills in names, ident and variables. Resolves with the denial, or undefined if the connection is
 *  admitted. Never rejects. */
export async function admit(
  conn: Connection,
  services: AdmitServices,
): Promise<Denial | undefined> {
  const { limiter, options, log } = services;
  const reserved = await limiter.take(addressKey(parseIp(conn.remote.ip)), services.limits);
  if (!("release" in reserved)) {
    log.connectionLimit(
      reserved.by === "rate" ? "rate" : "connection",
      reserved.count,
      conn.remote.ip,
    );
    return { kind: "limit", ...reserved };
  }
  conn.reservation = reserved;
  let decided = false;
  if (services.earlyRules) {
    const early = await applyResult(
      conn,
      services,
      services.earlyRules.evaluate({ ip: conn.remote.ip }),
      reserved,
    );
    if (early.denial) return early.denial;
    decided = early.explicit;
  }
  await findNames(conn, services);
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
      services.sockets,
    );
  }
  if (!services.rules || decided) return undefined;
  const { ip, host, info } = conn.remote;
  const result = services.rules.evaluate({
    ip,
    ...(host ? { host: host.toLowerCase() } : {}),
    ...(info ? { info } : {}),
  });
  return (await applyResult(conn, services, result, reserved)).denial;
}

async function findNames(conn: Connection, services: AdmitServices): Promise<void> {
  const { options, resolver } = services;
  const known = (ip: string): string | undefined =>
    !services.asksAboutLoopback && (ip === "127.0.0.1" || ip === "::1") ? "localhost" : undefined;
  const [local, remote] = await Promise.all([
    conn.local.host ?? known(conn.local.ip) ??
      (services.findsOwnName
        ? localHost(conn.local.ip, { signal: conn.signal }, resolver)
        : undefined),
    options.remoteName
      ? known(conn.remote.ip) ??
        remoteHost(conn.remote.ip, { paranoid: options.paranoid, signal: conn.signal }, resolver)
      : undefined,
  ]);
  conn.local.host = local;
  conn.remote.host = remote;
}

/** Applies the result of the rules: the decision, the variables, and the limits that they set.
 *  `explicit`: a rule applied. */
async function applyResult(
  conn: Connection,
  services: AdmitServices,
  result: RuleResult,
  reservation: Reservation,
): Promise<{ denial?: Denial; explicit: boolean }> {
  const { env, rule } = result;
  const explicit = rule !== undefined;
  if (!result.allow) {
    if (rule) return { denial: { kind: "rule", rule: ruleKind(rule) }, explicit };
    if (result.error) services.log.error(result.error);
    return { denial: UNREADABLE, explicit };
  }
  if (env.size > 0) conn.variables = new Map([...conn.variables, ...env]);
  try {
    // The server's own MAXCONNET applies only to network rules: under a rule for any client, all
    // clients would share one count.
    const perNetwork = parseLimit("MAXCONNET", env.get("MAXCONNET")) ??
      (rule && services.perNetwork && ruleKind(rule) === "network"
        ? services.perNetwork
        : undefined);
    const refusal = await reservation.check({
      perAddress: parseLimit("MAXCONIP", env.get("MAXCONIP")),
      rate: parseRate(env.get("MAXCONRATE")),
      network: perNetwork && rule ? { key: latin1(rule), count: perNetwork } : undefined,
    });
    if (refusal) return { denial: { kind: "limit", ...refusal }, explicit };
  } catch (error) {
    services.log.error(`${reason(error)} in the rules`);
    return { denial: UNREADABLE, explicit };
  }
  return { explicit };
}

/** Stage 2: decides whether to admit a connection. The order is limits, early rules, names, ident,
 *  rules: cheap checks come first, so a flood is denied before it causes DNS or ident queries. */

import { dismiss } from "../accept/dismiss.ts";
import { latin1 } from "../codec/bytes.ts";
import { addressKey, parseIp } from "../codec/ip.ts";
import type { Connection } from "../connection.ts";
import { reason } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Denial } from "../reason.ts";
import {
  type ConnectionLimiter,
  type ConnectionLimits,
  parseLimit,
  parseRate,
  type Reservation,
  UNCOUNTED,
} from "./limits.ts";
import { type LookupServices, resolveEnds } from "./lookups.ts";
import type { RuleResult, Rules } from "./rulebook.ts";

export interface AdmitServices extends LookupServices {
  log: Log;
  /** Undefined if no limit can be set. */
  limiter: ConnectionLimiter | undefined;
  /** MAXCONIP and MAXCONRATE of the server's environment. */
  limits: ConnectionLimits;
  /** MAXCONNET of the server's environment, for every network rule that does not set it. */
  perNetwork: number | undefined;
  /** --early-banner, encoded. */
  earlyBanner: Uint8Array | undefined;
  /** Applied after names and ident, unless an early rule has decided. */
  rules: Rules | undefined;
  earlyRules: Rules | undefined;
}

const UNREADABLE: Denial = { kind: "rules unreadable" };

/** Fills in names, ident and variables. Resolves with the denial, or undefined if the connection is
 *  admitted. Never rejects. */
export async function admit(
  conn: Connection,
  services: AdmitServices,
): Promise<Denial | undefined> {
  const { limiter, log } = services;
  const reserved = limiter
    ? await limiter.take(addressKey(parseIp(conn.remote.ip)), services.limits)
    : UNCOUNTED;
  if (!("release" in reserved)) {
    log.connectionLimit(
      reserved.by === "rate" ? "rate" : "connection",
      reserved.count,
      conn.remote.ip,
    );
    return { kind: "limit", ...reserved };
  }
  conn.reservation = reserved;
  if (!services.earlyBanner) return await decide(conn, services, reserved);
  conn.socket.write(services.earlyBanner);
  const denial = await decide(conn, services, reserved);
  if (denial && conn.givenUp === undefined) await dismiss(conn.socket);
  return denial;
}

async function decide(
  conn: Connection,
  services: AdmitServices,
  reserved: Reservation,
): Promise<Denial | undefined> {
  let decided = false;
  if (services.earlyRules) {
    const early = await applyResult(
      conn,
      services,
      await services.earlyRules.evaluate({ ip: conn.remote.ip }),
      reserved,
    );
    if (early.denial) return early.denial;
    decided = early.explicit;
  }
  const looked = resolveEnds(conn, services);
  const failed = looked instanceof Promise ? await looked : looked;
  if (failed) return failed;
  if (!services.rules || decided) return undefined;
  const { ip, host, info } = conn.remote;
  const result = await services.rules.evaluate({
    ip,
    ...(host ? { host: host.toLowerCase() } : {}),
    ...(info ? { info } : {}),
  });
  return (await applyResult(conn, services, result, reserved)).denial;
}

/** Applies the result of the rules: the decision, the variables, and the limits that they set.
 *  `explicit`: a rule applied. */
async function applyResult(
  conn: Connection,
  services: AdmitServices,
  result: RuleResult,
  reservation: Reservation,
): Promise<{ denial?: Denial; explicit: boolean }> {
  const { env, rule, kind = "any", error } = result;
  const explicit = rule !== undefined;
  if (!result.allow) {
    if (error === undefined) return { denial: { kind: "rule", rule: kind }, explicit };
    services.log.error(error);
    return { denial: UNREADABLE, explicit };
  }
  conn.command = result.command;
  if (env.size > 0) conn.variables = new Map([...conn.variables, ...env]);
  try {
    // The server's own MAXCONNET applies only to network rules: under a rule for any client, all
    // clients would share one count.
    const perNetwork = parseLimit("MAXCONNET", env.get("MAXCONNET")) ??
      (kind === "network" ? services.perNetwork : undefined);
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

/** `--check`: what the system must provide: free ports, enough descriptors, resolvers that
 *  answer. */

import type { Env } from "../config/variables.ts";
import type { ListenAddress } from "../accept/address.ts";
import { needsOf, wantedLimit } from "../accept/descriptors.ts";
import { listen } from "../accept/listen.ts";
import type { Options } from "../config/options.ts";
import { DnsConfig } from "../dns/config.ts";
import { Resolver } from "../dns/resolver.ts";
import { transportOf } from "../dns/transport.ts";
import { FatalError } from "../errors.ts";
import { listenMetrics } from "../metrics/endpoint.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Findings } from "./finding.ts";

/** Milliseconds after which a resolver counts as silent: the first tries of its schedule. */
const RESOLVER_WAIT = 4000;

/** Binds the port and the address of --metrics at the same time, as the start would, and releases
 *  them. A client that connects meanwhile is disconnected. Does nothing without an address; the
 *  start has then reported why there is none. */
export async function checkPorts(
  runtime: Runtime,
  address: ListenAddress | undefined,
  options: Options,
  findings: Findings,
): Promise<void> {
  let listener: { close(): void } | undefined;
  try {
    if (address) {
      listener = listen(
        runtime,
        address,
        (text) => findings.warning(text, "give 0 for host"),
        (socket) => socket.destroy(),
      );
      findings.ok(`port ${address.port} of ${address.ip}: free`);
    }
  } catch (error) {
    const hint = error instanceof FatalError ? error.hint : undefined;
    findings.error((error as Error).message, hint ?? "check host, port and -I");
  }
  try {
    if (!options.metrics) return;
    const endpoint = await listenMetrics(options.metrics, { text: () => "", onError: () => {} });
    findings.ok(`metrics at ${endpoint.where}: free`);
    endpoint.close();
  } catch (error) {
    const hint = error instanceof FatalError ? error.hint : undefined;
    findings.error(
      (error as Error).message,
      hint ?? "give --metrics a free address, or a path in a folder that exists",
    );
  } finally {
    listener?.close();
  }
}

/** Compares the descriptors that -c and --pending need with the limit of open files. */
export function checkDescriptors(
  { libc }: Runtime,
  options: Options,
  findings: Findings,
): void {
  const needs = needsOf(options, libc);
  const wanted = wantedLimit(needs);
  if (wanted > needs.limit) {
    findings.warning(
      `open files: -c ${options.concurrency} and --pending ${options.pending} may need ${wanted}, ` +
        `but the limit is ${needs.limit}`,
      "raise it (ulimit -Hn, LimitNOFILE=), or lower -c",
    );
  }
}

/** Checks that each resolver answers, even if the answer is that there is no such name. A silent
 *  one costs every connection a second or more. */
export async function checkResolvers(
  env: Env,
  runtime: Runtime,
  findings: Findings,
): Promise<void> {
  let servers: DnsConfig["servers"];
  try {
    servers = new DnsConfig({ env }).servers;
  } catch (error) {
    findings.failure(error);
    return;
  }
  await Promise.all(servers.map(async ({ address, port }) => {
    const bracketed = address.includes(":") ? `[${address}]` : address;
    const alone = { ...env, DNSCACHEIP: `${bracketed}:${port}` };
    const resolver = new Resolver({
      config: new DnsConfig({ env: alone }),
      transport: transportOf(runtime),
    });
    const signal = AbortSignal.timeout(RESOLVER_WAIT);
    const { status } = await resolver.lookup("localhost.", "A", signal);
    resolver.close();
    if (status === "found" || status === "nxdomain" || status === "nodata") {
      findings.ok(`resolver ${address}: answers`);
      return;
    }
    findings.warning(
      `resolver ${address}: ${status === "servfail" ? "refuses" : "does not answer"}, ` +
        "and each connection waits for it",
      env.DNSCACHEIP
        ? "check DNSCACHEIP, or disable name look-ups: -H -l NAME"
        : "check /etc/resolv.conf, set DNSCACHEIP, or disable name look-ups: -H -l NAME",
    );
  }));
}

/** Resolvers for tests: servers named in the environment, no files, and a clock that runs faster. */

import type { Clock } from "../../src/admit/clock.ts";
import { DnsConfig, type DnsConfigOptions } from "../../src/admit/dns_config.ts";
import { Resolver, type ResolverOptions } from "../../src/admit/resolver.ts";

/** No file exists. */
export const noFiles = { stamp: () => undefined, read: () => undefined };

/** A clock on which everything takes a tenth of its time, and which can be put forward. */
export class FastClock implements Clock {
  #ahead = 0;
  /** Timers that are running. */
  timers = 0;

  now(): number {
    return performance.now() * 10 + this.#ahead;
  }

  after(ms: number, due: () => void): () => void {
    this.timers++;
    let over = false;
    const end = () => {
      if (!over) this.timers--;
      over = true;
    };
    const timer = setTimeout(() => {
      end();
      due();
    }, ms / 10);
    return () => {
      end();
      clearTimeout(timer);
    };
  }

  forward(seconds: number): void {
    this.#ahead += seconds * 1000;
  }
}

/** A resolver that asks `servers` (as in $DNSCACHEIP). */
export function resolverFor(
  servers: string,
  options: Partial<ResolverOptions> = {},
  config: Partial<DnsConfigOptions> = {},
): Resolver {
  const clock = options.clock ?? new FastClock();
  return new Resolver({
    config: new DnsConfig({
      env: { DNSCACHEIP: servers, ...config.env },
      files: config.files ?? noFiles,
      clock,
      hostName: config.hostName ?? "me",
    }),
    clock,
    ...options,
  });
}

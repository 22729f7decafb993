/** Resolvers for tests, with servers from the environment, no files, and a fast clock. */

import type { Clock } from "../../src/dns/clock.ts";
import { DnsConfig, type DnsConfigOptions } from "../../src/dns/config.ts";
import { transportOf } from "../../src/dns/transport.ts";
import { currentRuntime } from "../../src/runtime/current.ts";
import { Resolver, type ResolverOptions } from "../../src/dns/resolver.ts";

/** No file exists. */
export const noFiles = {
  stamp: () => undefined,
  read(): never {
    throw Object.assign(new Error("absent"), { code: "ENOENT" });
  },
};

/** A clock that runs `scale` times as fast and can be moved forward. With the default, a test server has
 *  200 ms of real time in place of the 1 s of the first round. Use a larger scale for silent servers. */
export class FastClock implements Clock {
  #ahead = 0;
  /** The number of running timers. */
  timers = 0;

  constructor(readonly scale = 5) {}

  now(): number {
    return performance.now() * this.scale + this.#ahead;
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
    }, ms / this.scale);
    return () => {
      end();
      clearTimeout(timer);
    };
  }

  forward(seconds: number): void {
    this.#ahead += seconds * 1000;
  }
}

const runtime = await currentRuntime();

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
    transport: transportOf(runtime),
    ...options,
  });
}

/** The adapter of the runtime the tests run on, and its ways to listen. */

import type { Runtime } from "../../src/runtime/runtime.ts";
import type { Kit } from "./tools.ts";

let made: Promise<Runtime> | undefined;

async function make(): Promise<Runtime> {
  if ("Bun" in globalThis) return (await import("../../src/runtime/bun/adapter.ts")).bunRuntime();
  return (await import("../../src/runtime/deno/adapter.ts")).denoRuntime();
}

/** One per process: an adapter is made once. */
export function thisRuntime(): Promise<Runtime> {
  return made ??= make();
}

/** The ways to listen by name; a kit is undefined where the runtime has no libc. */
export function kits(runtime: () => Runtime | Promise<Runtime> = thisRuntime) {
  const own = async (): Promise<Kit> => {
    const made = await runtime();
    return {
      runtime: made,
      listen: ({ ip, backlog }, onSocket) => made.listen({ ip, port: 0, backlog }, onSocket),
    };
  };
  const descriptor = async (): Promise<Kit | undefined> => {
    const made = await runtime();
    const { libc } = made;
    if (libc === undefined) return undefined;
    return {
      runtime: made,
      listen({ ip, backlog }, onSocket) {
        const family = ip.includes(":") ? 6 : 4;
        const { fd } = libc.listenSocket({ ip, port: 0, family, backlog, v6only: false });
        return made.listenDescriptor(fd, backlog, onSocket);
      },
    };
  };
  const ways: Record<string, () => Promise<Kit | undefined>> = {
    "own-listener": own,
    descriptor,
  };
  return ways;
}

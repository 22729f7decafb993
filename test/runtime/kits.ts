/** The adapter of the runtime that runs the tests, and its ways to listen. */

import type { Runtime } from "../../src/runtime/runtime.ts";
import type { Kit } from "./tools.ts";

let made: Promise<Runtime> | undefined;

async function make(): Promise<Runtime> {
  if ("Bun" in globalThis) return (await import("../../src/runtime/bun/adapter.ts")).bunRuntime();
  return (await import("../../src/runtime/deno/adapter.ts")).denoRuntime();
}

/** The adapter. Made once per process. */
export function thisRuntime(): Promise<Runtime> {
  return made ??= make();
}

/** The ways to listen. Without libc, a runtime cannot listen on a descriptor. */
export function kits(runtime: Runtime): Kit[] {
  const { libc } = runtime;
  return [
    {
      way: "own-listener",
      runtime,
      skip: false,
      knowsDescriptor: runtime.name === "Bun",
      listen: ({ ip, backlog }, onSocket) => runtime.listen({ ip, port: 0, backlog }, onSocket),
    },
    {
      way: "descriptor",
      runtime,
      skip: libc === undefined && "the runtime has no FFI",
      knowsDescriptor: true,
      listen({ ip, backlog }, onSocket) {
        if (libc === undefined) throw new Error("the runtime has no FFI");
        const { fd } = libc.listenSocket({ ip, port: 0, backlog, v6only: false });
        return runtime.listenDescriptor(fd, backlog, onSocket);
      },
    },
  ];
}

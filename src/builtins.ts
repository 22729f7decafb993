/** Node modules that take milliseconds to load. They are loaded on first use, because the monitor
 *  needs none of them. */

import process from "node:process";

/** Returns a function that loads the module on its first call. */
function lazy<Module>(name: string): () => Module {
  let module: Module | undefined;
  return () => module ??= process.getBuiltinModule(name) as Module;
}

export const nodeChildProcess: () => typeof import("node:child_process") = lazy(
  "node:child_process",
);
export const nodeCrypto: () => typeof import("node:crypto") = lazy("node:crypto");
export const nodeDgram: () => typeof import("node:dgram") = lazy("node:dgram");
export const nodeNet: () => typeof import("node:net") = lazy("node:net");
export const nodeTls: () => typeof import("node:tls") = lazy("node:tls");

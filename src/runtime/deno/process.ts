/** Programs under Deno: started with libc if there is one, which costs a fifth of `Deno.Command`;
 *  otherwise with `Deno.Command`. */

import { needsFfi } from "../needs_ffi.ts";
import { signalChild, waitStatus } from "../child.ts";
import type { Launcher } from "../launcher.ts";
import { lookUp } from "../look_up.ts";
import { spawnByLibc } from "../program_pipes.ts";
import type { Program, SpawnOptions } from "../runtime.ts";
import { adoptEnds } from "./launch.ts";
import { type Wire, WireStream } from "./stream.ts";

const nothing = () => {};

/** See `Runtime.spawn`. @throws with `code` (ENOENT, EACCES, …) when it cannot be executed. */
export function spawnProgram(launcher: Launcher | undefined, options: SpawnOptions): Program {
  if (launcher) return spawnByLibc(launcher, options, adoptEnds);
  if (options.delayed) {
    throw needsFfi("pass more descriptors to a program (-n)", "Deno");
  }
  const { command: [name = "", ...args], env } = options;
  const path = lookUp(name);
  const child = new Deno.Command(path, {
    args,
    clearEnv: true,
    env: { ...env },
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  return {
    pid: child.pid,
    input: new WireStream(inputWire(child.stdin), { input: false, output: true }),
    output: new WireStream(outputWire(child.stdout), { input: true, output: false }),
    exited: child.status.then(({ code, signal }) => waitStatus(code, signal)),
    kill: (signal) => signalChild(signal, (name) => child.kill(name)),
  };
}

/** Both ends must always be closed or cancelled: Deno does not do it when the program ends. */
function inputWire(stream: WritableStream<Uint8Array>): Wire {
  const writer = stream.getWriter();
  writer.closed.catch(nothing); // write() and close() report the error, too
  return {
    read: () => Promise.resolve(null),
    async write(chunk) {
      await writer.write(chunk);
      return chunk.length;
    },
    closeWrite: () => writer.close(),
    close: () => void writer.abort().catch(nothing),
  };
}

function outputWire(stream: ReadableStream<Uint8Array>): Wire {
  const reader = stream.getReader({ mode: "byob" });
  reader.closed.catch(nothing);
  return {
    async read(size) {
      const { value, done } = await reader.read(new Uint8Array(size));
      return done ? null : value;
    },
    write: () => Promise.reject(new Error("not writable")),
    closeWrite: () => Promise.resolve(),
    close: () => void reader.cancel().catch(nothing),
  };
}

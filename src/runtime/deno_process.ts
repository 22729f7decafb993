/** Programs under Deno: `Deno.Command` with real pipes on fd 0 and 1; for UCSPI-TLS see
 *  deno_delayed.ts. */

import { accessSync, constants, statSync } from "node:fs";
import { constants as osConstants } from "node:os";
import process from "node:process";
import { Unsupported } from "../errors.ts";
import { spawnDelayed } from "./deno_delayed.ts";
import type { Libc } from "./libc.ts";
import type { Program, SpawnOptions } from "./runtime.ts";
import { type Wire, WireStream } from "./deno_stream.ts";

const nothing = () => {};

/** See `Runtime.spawn`. @throws with `code` (ENOENT, EACCES, …) when it cannot be executed. */
export function spawnProgram(libc: Libc | undefined, options: SpawnOptions): Program {
  const { command, env, delayed } = options;
  const [name, ...args] = command;
  if (name === undefined || name === "") throw withCode("ENOENT", "unable to run: no program");
  const path = name.includes("/") ? name : lookUp(name);
  if (delayed) {
    if (libc) return spawnDelayed(libc, path, options);
    const what = "give a program more descriptors (-n)";
    throw new Unsupported(what, "Deno without FFI", "add --allow-ffi");
  }
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
    exited: child.status.then(waitStatus),
    kill(signal) {
      try {
        child.kill(signal);
        return true;
      } catch {
        return false; // reaped already
      }
    },
  };
}

/** The path of `name` in the server's $PATH. Deno would search the program's, which rules may set:
 *  whoever writes rules would choose the program. */
function lookUp(name: string): string {
  let denied = false;
  for (const folder of (process.env["PATH"] ?? "/usr/bin:/bin").split(":")) {
    const path = `${folder || "."}/${name}`;
    try {
      if (!statSync(path).isFile()) continue;
      accessSync(path, constants.X_OK);
      return path;
    } catch (error) {
      denied ||= (error as { code?: string }).code === "EACCES";
    }
  }
  if (denied) throw withCode("EACCES", `unable to run ${name}: permission denied`);
  throw withCode("ENOENT", `unable to run ${name}: not found in PATH`);
}

function withCode(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

/** Exit code × 256, or the signal's number. */
function waitStatus({ code, signal }: Deno.CommandStatus): number {
  return signal === null ? code * 256 : osConstants.signals[signal as NodeJS.Signals];
}

/** Both ends must be closed or cancelled, whatever happens: Deno does not do it when the program
 *  ends. */
function inputWire(stream: WritableStream<Uint8Array>): Wire {
  const writer = stream.getWriter();
  writer.closed.catch(nothing); // told by write() and close(), too
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

/** The Deno adapter: `Deno.listen`, `Deno.Command`, and `node:tls` over a gated stream.
 *
 *  - deno_stream.ts   streams over what Deno reads and writes with promises
 *  - deno_socket.ts   accepted connections
 *  - deno_listen.ts   listeners
 *  - deno_context.ts  TLS settings to a context, and the facts of a session
 *  - deno_tls.ts      the handshake and the TLS stream
 *  - deno_process.ts  programs
 *  - deno_delayed.ts  programs of UCSPI-TLS
 *
 *  Without `--allow-ffi` everything works that does not ask for libc. It never prompts. */

import { readdirSync } from "node:fs";
import type { Libc } from "./libc.ts";
import type { Runtime } from "./runtime.ts";
import { loadLibc } from "./libc_deno.ts";
import { makeContext } from "./deno_context.ts";
import { listenDescriptor, listenHere } from "./deno_listen.ts";
import { spawnProgram } from "./deno_process.ts";
import { Unsupported } from "../errors.ts";

/** The adapter. Call it once, at start. */
export function denoRuntime(): Runtime {
  const libc = loadLibc();
  if (libc !== undefined) keepDescriptors(libc);
  return {
    name: "Deno",
    version: Deno.version.deno,
    tlsLibrary: "rustls",
    cipherLists: false,
    libc,
    listenDescriptor(fd, backlog, onSocket) {
      if (libc === undefined) {
        throw new Unsupported("listen on a descriptor", "Deno without FFI", "add --allow-ffi");
      }
      return listenDescriptor(libc, fd, backlog, onSocket);
    },
    listen: listenHere,
    tlsContext: makeContext,
    spawn: (options) => spawnProgram(libc, options),
    onSignal(name, handler) {
      Deno.addSignalListener(name, handler);
    },
  };
}

/** Descriptors that were inherited are handed on to every program by Deno (Bun closes them): a
 *  program must not get at a listening socket or a log. They stay open here. */
function keepDescriptors(libc: Libc): void {
  let names: string[];
  try {
    names = readdirSync("/dev/fd"); // /proc/self/fd on Linux; needs leave to read
  } catch {
    names = Array.from({ length: 1024 }, (_, fd) => String(fd));
  }
  for (const fd of names.map(Number)) {
    if (!(fd > 2)) continue;
    try {
      libc.setCloseOnExec(fd, true);
    } catch {
      // not open: that of the listing itself, for one
    }
  }
}

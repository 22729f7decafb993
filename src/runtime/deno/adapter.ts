/** The Deno adapter: `Deno.listen`, `Deno.Command`, and `node:tls` over a gated stream.
 *
 *  - stream.ts     streams over what Deno reads and writes with promises
 *  - handle.ts     native handles of sockets and pipes
 *  - adopted.ts    streams over descriptors, on these handles
 *  - socket.ts     connections
 *  - listen.ts     listeners
 *  - connect.ts    connections that this process makes
 *  - context.ts    TLS settings to a context, and the facts of a session
 *  - tls.ts        the handshake and the TLS stream
 *  - direct_tls.ts both for a server, on the handle of native_tls.ts
 *  - words.ts      rustls's errors in our words
 *  - process.ts    programs
 *  - launch.ts     programs started by libc, with descriptors made before, and where a program is
 *  - datagrams.ts  UDP
 *  - ready.ts      what is ready to be read, by epoll
 *  - gc.ts         memory after a burst
 *  - stderr.ts     the log, without libc
 *  - load_libc.ts  libc by FFI
 *
 *  Without `--allow-ffi`, everything works that does not need libc. Never prompts for a
 *  permission. */

import { Unsupported } from "../../errors.ts";
import { constants } from "node:os";
import { isAbsolute } from "node:path";
import { IGNORED, ignoreSignals } from "../libc/ignored_signals.ts";
import { started } from "../started.ts";
import { keepDescriptors } from "../libc/inherited.ts";
import type { Runtime, SelfCommand } from "../runtime.ts";
import { loadLibc, loadTrim } from "./load_libc.ts";
import { libcStderr } from "../libc_stderr.ts";
import { DenoStderr } from "./stderr.ts";
import { connectTcp } from "./connect.ts";
import { makeClientContext, makeContext } from "./context.ts";
import { listenDescriptor, listenHere } from "./listen.ts";
import { AdoptedStream } from "./adopted.ts";
import { handles } from "./handle.ts";
import { adoptEnds, denoLauncher } from "./launch.ts";
import { spawnProgram } from "./process.ts";
import { BurstCollector, collector } from "./gc.ts";
import { needsFfi } from "../needs_ffi.ts";
import { CONFINE_COMMAND } from "../confine.ts";
import { Datagrams } from "./datagrams.ts";
import { besideThis, ownExecutable } from "../own_executable.ts";

/** The socket between monitor and worker. */
const MONITOR = { kind: "unix", readable: true, writable: true } as const;

/** Makes the adapter. Call it once, at start. */
export function denoRuntime(): Runtime {
  const libc = loadLibc();
  if (libc !== undefined) {
    keepDescriptors(libc);
    handles(); // if this version of Deno lacks them, the start fails, and not the first connection
  }
  const launcher = libc && denoLauncher(libc);
  const datagrams = libc && new Datagrams(libc);
  const burstCollector = new BurstCollector(collector(libc && loadTrim()));
  const needed = (what: string): never => {
    throw needsFfi(what, "Deno");
  };
  return {
    name: "Deno",
    version: Deno.version.deno,
    tlsLibrary: "rustls",
    cipherLists: false,
    libc,
    listenDescriptor(fd, backlog, onSocket) { // no onLost: accept(2) always returns the peer address
      const where = { fd, backlog, burstCollector };
      return listenDescriptor(libc ?? needed("listen on a descriptor"), where, onSocket);
    },
    listen: (where, ...callbacks) => listenHere(where, burstCollector, ...callbacks),
    datagram: datagrams && ((...asked) => datagrams.exchange(...asked)),
    tlsContext: makeContext,
    connect: (target, signal) => connectTcp(libc, target, signal),
    clientContext: makeClientContext,
    logSecrets() {
      throw new Unsupported(
        "log the secrets of connections (--keylog)",
        "Deno's TLS library (rustls)",
        "run under Bun",
      );
    },
    started(count) {
      const all = Deno.permissions.querySync({ name: "env" }).state === "granted";
      return all && libc ? started(libc, count, ["SIGPIPE"]) : undefined;
    },
    spawn: (options) => spawnProgram(launcher, options),
    launch: (options) => (launcher ?? needed("start a program by libc")).launch(options),
    switchesUser: false,
    reapAll: () => (launcher ?? needed("reap orphans")).reapAll(),
    keepIgnored: (signals) => launcher?.keepIgnored(signals) ?? signals,
    adoptEnds: (fds) => adoptEnds(libc ?? needed("use a pipe by its descriptor"), fds),
    adoptSocket: async (fd) => new AdoptedStream(fd, MONITOR),
    selfCommand,
    stderr: () => libc ? libcStderr(libc) : new DenoStderr(),
    onSignal(name, handler) {
      Deno.addSignalListener(name, handler);
    },
    ignoreSignals() {
      // Deno's own handler of SIGUSR1 opens V8's inspector. Deno sets it once: half a second after
      // the start, or with the first listener. So add a listener first, and then ignore the signal:
      // the last setting counts.
      Deno.addSignalListener("SIGUSR1", () => {});
      if (libc) return ignoreSignals(libc);
      for (const name of IGNORED) Deno.addSignalListener(name, () => {});
    },
    debuggerShut() {
      if (!libc) return false;
      if (libc.ignoreSignal(constants.signals.SIGUSR1)) return true;
      throw new Error("unable to disable V8's inspector: SIGUSR1 is not ignored");
    },
    hasDebugger: true,
  };
}

/** See `Runtime.selfCommand`. The new process has the permissions of a worker, and those for
 *  `socket` if this process has them. */
function selfCommand(main: string, socket?: string): SelfCommand | undefined {
  if (!isAbsolute(main)) return undefined; // from a registry: Deno would have to fetch it again
  const granted = (descriptor: Deno.PermissionDescriptor): boolean =>
    Deno.permissions.querySync(descriptor).state === "granted";
  try {
    const deno = Deno.execPath();
    if (!granted({ name: "ffi" }) || !granted({ name: "run", command: deno })) return undefined;
    const self = ownExecutable(deno);
    const env = NO_CACHE;
    if (Deno.build.standalone) {
      return { command: [self], confine: [self, "--as", CONFINE_COMMAND], env };
    }
    // Deno cannot express a path with a comma.
    const binds = socket !== undefined && !socket.includes(",") && granted({ name: "sys" }) &&
      granted({ name: "write", path: socket });
    const permissions = binds ? permissionsToBind(socket) : WORKER_PERMISSIONS;
    const command = [self, "run", ...ISOLATED, ...permissions, main];
    const confine = [self, "run", ...ISOLATED, "--allow-ffi", besideThis("confine")];
    return { command, confine, env };
  } catch {
    return undefined; // no permission to query
  }
}

/** Runs Deno without a cache, by naming a folder that cannot be made. The start takes 0.2 s longer.
 *  With a cache, a worker could write to it, also to code that the next start would run. Without
 *  one, Deno translates the code at start, and so need not do it later for the line numbers of an
 *  error: that would read /proc/self/maps, and Deno panics if the chroot or the sandbox prevents
 *  it. */
const NO_CACHE = { DENO_DIR: "/dev/null/none" };

const ISOLATED = ["--no-prompt", "--no-config", "--no-lock"];

const WORKER_PERMISSIONS = [
  // A small young generation is collected quickly by one thread; waking others costs more.
  "--v8-flags=--max-semi-space-size=1,--single-threaded-gc",
  "--allow-net",
  "--allow-read",
  "--allow-env",
  "--allow-ffi",
  "--allow-sys=hostname,networkInterfaces,uid",
];

/** The permissions of a worker that binds the socket file of --metrics. Deno has no separate
 *  permission to set the umask, so the worker needs all of --allow-sys. */
function permissionsToBind(socket: string): string[] {
  const others = WORKER_PERMISSIONS.filter((one) => !one.startsWith("--allow-sys="));
  return [...others, "--allow-sys", `--allow-write=${socket}`];
}

/** The Bun adapter: native sockets, BoringSSL, and libc by FFI for what Bun lacks. */

import process from "node:process";
import { nodeTls } from "../../builtins.ts";
import { Unsupported } from "../../errors.ts";
import { adoptEnds, bunLauncher, launch, spawn } from "./process.ts";
import { adoptSocket, listenHandler } from "./socket.ts";
import type { BunTlsOptions } from "./tls.ts";
import { bun } from "./types.ts";
import { ignoreSignals } from "../libc/ignored_signals.ts";
import { started } from "../started.ts";
import { type Libc, POLL } from "../libc/libc.ts";
import { loadLibc } from "./load_libc.ts";
import { CONFINE_COMMAND } from "../confine.ts";
import { libcStderr } from "../libc_stderr.ts";
import { besideThis, ownExecutable } from "../own_executable.ts";
import {
  ContextError,
  type Listener,
  type Runtime,
  type SelfCommand,
  type Socket,
  type TlsContext,
  type TlsSettings,
} from "../runtime.ts";
import { contextWords } from "./words.ts";

/** Makes the adapter. Throws `Unsupported` on a system whose libc is not known. */
export function bunRuntime(): Runtime {
  const libc = loadLibc();
  if (!libc) throw new Unsupported("call libc", "Bun on this system", "use Linux or macOS");
  const launcher = bunLauncher(libc);
  return {
    name: "Bun",
    version: bun.version,
    tlsLibrary: `BoringSSL ${process.versions["boringssl"] ?? ""}`.trim(),
    cipherLists: true,
    libc,
    listenDescriptor: (fd, backlog, onSocket, onLost) =>
      listenDescriptor(libc, { fd, backlog, onSocket, onLost }),
    listen({ ip, port, backlog }, onSocket, onLost) {
      const { fd } = libc.listenSocket({ ip, port, backlog });
      return listenDescriptor(libc, { fd, backlog, onSocket, onLost });
    },
    tlsContext,
    started: (count) => started(libc, count, ["SIGPIPE", "SIGXFSZ"]),
    spawn: (options) => spawn(launcher, options),
    launch: (options) => launch(launcher, options),
    switchesUser: true,
    reapAll: () => launcher.reapAll(),
    adoptEnds: (fds) => adoptEnds(libc, fds),
    adoptSocket,
    selfCommand,
    stderr: () => libcStderr(libc),
    onSignal(name, handler) {
      process.on(name, handler);
    },
    ignoreSignals: () => ignoreSignals(libc, ["SIGPWR"]), // JavaScriptCore stops its threads by it
    debuggerShut: () => true, // BUN_INSPECT and its kind open it at start, no signal does
    hasDebugger: false,
  };
}

/** Without these, Bun runs the `preload` of a bunfig.toml and reads the .env files of the working
 *  directory, and fetches missing packages. The first process has them from the first line of bin/. */
const NO_SURPRISES = ["--no-install", "--no-env-file", "--config=/dev/null"];

/** Connections taken in one turn of the event loop. Bun takes all that come, and with some thousands a
 *  second that has no end: nothing else would be read or written. */
const BATCH = 64;

/** When a listener cannot be made anew, in milliseconds. */
const RETRY = 20;

function selfCommand(main: string): SelfCommand {
  const self = ownExecutable(process.execPath);
  if (bun.main.startsWith("/$bunfs/")) {
    return { command: [self], confine: [self, "--as", CONFINE_COMMAND], env: {} };
  }
  const command = (file: string): string[] => [self, ...NO_SURPRISES, file];
  return { command: command(main), confine: command(besideThis("confine.ts")), env: {} };
}

/** Bun gives up the descriptor it listens on when it stops, so it gets a duplicate each time. */
function listenDescriptor(
  libc: Libc,
  { fd, backlog, onSocket, onLost = () => {} }: {
    fd: number;
    backlog: number;
    onSocket: (socket: Socket) => void;
    onLost: (() => void) | undefined;
  },
): Listener {
  /** In this turn. */
  let accepted = 0;
  const nextTurn = () => {
    if (accepted >= BATCH) again();
    accepted = 0;
  };
  const count = () => {
    if (++accepted === 1) setImmediate(nextTurn);
    if (accepted === BATCH) stop();
  };
  const accept = (socket: Socket) => {
    count();
    onSocket(socket);
  };
  const lost = () => {
    count();
    onLost();
  };
  const start = () => {
    const copy = libc.dup(fd);
    try {
      const socket = listenHandler(libc, accept, lost);
      const listener = bun.listen({
        fd: copy,
        hostname: "localhost",
        allowHalfOpen: true,
        socket,
      });
      libc.listen(fd, backlog); // Bun has just set it to 512
      return listener;
    } catch (error) {
      libc.close(copy);
      throw error;
    }
  };
  let listener: ReturnType<typeof start> | undefined = start();
  let open = true;
  let wanted = true;
  const stop = () => {
    listener?.stop(false);
    listener = undefined;
  };
  const pause = () => {
    wanted = false;
    stop();
  };
  const again = () => {
    if (!open || !wanted) return;
    try {
      listener ??= start();
    } catch {
      setTimeout(again, RETRY); // for want of a descriptor: some will be closed
    }
  };
  return {
    port: libc.getsockname(fd).port,
    pause,
    resume() {
      wanted = true;
      // Bun lets go of a stopped listener at the end of its turn, by number: a new one that got the
      // same number in the same turn would go deaf.
      setImmediate(again);
    },
    get crowded() {
      return open && wanted && libc.poll(fd, POLL.in, 0) > 0;
    },
    close() {
      if (!open) return;
      open = false;
      pause();
      libc.close(fd);
    },
  };
}

/** Made once per content: a context parses certificates and keys. Session tickets are good for
 *  connections of the same context. */
function tlsContext(settings: TlsSettings): TlsContext {
  const ask = settings.requestCertificate;
  const { ciphers } = settings;
  const options = {
    cert: settings.keyPairs.map((pair) => pair.chain),
    key: settings.keyPairs.map((pair) => pair.key),
    minVersion: settings.minVersion,
    maxVersion: settings.maxVersion,
    honorCipherOrder: true, // of TLS 1.2, the server's; without it the client's counts
    // An empty list, too: without one the system's would be trusted and named. Where nobody is asked it
    // is only where the library looks, at every handshake, for who has issued our certificate; with our
    // own it does not go on to /etc/ssl/certs.
    ca: ask?.ca ?? settings.keyPairs.map((pair) => pair.chain),
  };
  const make = (more: { ciphers?: string }) =>
    nodeTls().createSecureContext({ ...options, ...more }).context;
  let context: ReturnType<typeof make>;
  try {
    context = make(ciphers === undefined ? {} : { ciphers });
  } catch (error) {
    try {
      make({});
    } catch (other) {
      throw new ContextError("certificate", contextWords(other));
    }
    throw new ContextError("ciphers", contextWords(error));
  }
  const opaque: BunTlsOptions = {
    secureContext: context,
    requestCert: ask !== undefined,
    rejectUnauthorized: ask?.required ?? false,
    ...(settings.alpn ? { ALPNProtocols: alpnWire(settings.alpn) } : {}),
  };
  return { opaque };
}

/** Protocol names as ALPN sends them: each with a length byte before it (RFC 7301 3.1). */
function alpnWire(names: readonly string[]): Uint8Array {
  return new TextEncoder().encode(
    names.map((name) => String.fromCharCode(name.length) + name).join(""),
  );
}

/** The Bun adapter: native sockets, BoringSSL, and libc by FFI for what Bun lacks. */

import fs from "node:fs";
import process from "node:process";
import type { SecureContextOptions } from "node:tls";
import { nodeTls } from "../../builtins.ts";
import { Unsupported } from "../../errors.ts";
import { connectTcp } from "./connect.ts";
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
  type ClientTlsSettings,
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
  let secrets: ((line: Uint8Array) => void) | undefined;
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
    tlsContext: (settings) => tlsContext(settings, secrets),
    logSecrets(file) {
      secrets = appendTo(file);
    },
    connect: (target, signal) => connectTcp(libc, target, signal),
    clientContext,
    started: (count) => started(libc, count, ["SIGPIPE", "SIGXFSZ"]),
    spawn: (options) => spawn(launcher, options),
    launch: (options) => launch(launcher, options),
    switchesUser: true,
    reapAll: () => launcher.reapAll(),
    keepIgnored: (signals) => launcher.keepIgnored(signals),
    adoptEnds: (fds) => adoptEnds(libc, fds),
    adoptSocket,
    selfCommand,
    stderr: () => libcStderr(libc),
    onSignal(name, handler) {
      process.on(name, handler);
    },
    ignoreSignals: () => ignoreSignals(libc, ["SIGPWR"]), // JavaScriptCore stops its threads with it
    debuggerShut: () => true, // only variables such as BUN_INSPECT open it, at start; no signal does
    hasDebugger: false,
  };
}

/** Without these options, Bun runs the `preload` of a bunfig.toml, reads the .env files of the
 *  working directory, and fetches missing packages. The first process gets them from the first line
 *  of bin/. */
const ISOLATED = ["--no-install", "--no-env-file", "--config=/dev/null"];

/** Maximum connections accepted in one turn of the event loop. Bun would accept all that come; with
 *  some thousands a second it would never stop, and nothing else would be read or written. */
const BATCH = 64;

/** Milliseconds until the next attempt if a listener cannot be made again. */
const RETRY = 20;

function selfCommand(main: string): SelfCommand {
  const self = ownExecutable(process.execPath);
  if (bun.main.startsWith("/$bunfs/")) {
    return { command: [self], confine: [self, "--as", CONFINE_COMMAND], env: {} };
  }
  const command = (file: string): string[] => [self, ...ISOLATED, file];
  return { command: command(main), confine: command(besideThis("confine")), env: {} };
}

/** Bun closes the descriptor of a listener that stops, so each listener gets a duplicate. */
function listenDescriptor(
  libc: Libc,
  { fd, backlog, onSocket, onLost = () => {} }: {
    fd: number;
    backlog: number;
    onSocket: (socket: Socket) => void;
    onLost: (() => void) | undefined;
  },
): Listener {
  /** Connections accepted in this turn. */
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
      setTimeout(again, RETRY); // no free descriptor: some will be closed
    }
  };
  return {
    port: libc.getsockname(fd).port,
    pause,
    resume() {
      wanted = true;
      // Bun unregisters a stopped listener by its number at the end of the turn. A new listener
      // with the same number in the same turn would get no events.
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

/** See `Runtime.tlsContext`. Callers make one context for the same settings: making it parses
 *  certificates and keys, and session tickets are valid only within one context. */
function tlsContext(
  settings: TlsSettings,
  keylog: ((line: Uint8Array) => void) | undefined,
): TlsContext {
  const ask = settings.requestCertificate;
  const { ciphers } = settings;
  const options = {
    cert: settings.keyPairs.map((pair) => pair.chain),
    key: settings.keyPairs.map((pair) => pair.key),
    minVersion: settings.minVersion,
    maxVersion: settings.maxVersion,
    // The server's order of groups and TLS 1.2 suites decides.
    honorCipherOrder: settings.cipherOrder !== "client",
    ...(settings.tickets === false ? { secureOptions: SSL_OP_NO_TICKET } : {}),
    ...(settings.groups ? { ecdhCurve: settings.groups.join(":") } : {}),
    // Always pass `ca`, even empty: BoringSSL otherwise trusts and names the system's authorities.
    // If no client certificate is requested, the library uses it only to look for the issuer of our
    // certificate at each handshake; with our own chain here it does not read /etc/ssl/certs for
    // that.
    ca: ask?.ca ?? settings.keyPairs.map((pair) => pair.chain),
  };
  const opaque: BunTlsOptions = {
    secureContext: secureContext(options, ciphers),
    requestCert: ask !== undefined,
    rejectUnauthorized: ask?.required ?? false,
    ...(keylog ? { keylog } : {}),
    ...(settings.alpn ? { ALPNProtocols: alpnWire(settings.alpn) } : {}),
  };
  return { opaque };
}

/** Of BoringSSL's ssl.h. */
const SSL_OP_NO_TICKET = 0x4000;

/** Appends lines to a file, each at once: the process may be killed. Only the owner can read it. */
function appendTo(file: string): (line: Uint8Array) => void {
  const fd = fs.openSync(file, "a", 0o600);
  return (line) => void fs.writeSync(fd, line);
}

/** See `Runtime.clientContext`. */
function clientContext({ keyPair, ciphers, minVersion, maxVersion, alpn }: ClientTlsSettings) {
  const options = {
    ...(keyPair ? { cert: keyPair.chain, key: keyPair.key } : {}),
    minVersion,
    maxVersion,
    ca: [], // our own verifier decides; without `ca`, Bun loads the system's
  };
  const opaque: BunTlsOptions = {
    secureContext: secureContext(options, ciphers),
    requestCert: true,
    rejectUnauthorized: false,
    ...(alpn ? { ALPNProtocols: alpnWire(alpn) } : {}),
  };
  return { opaque };
}

/** Makes the library's context. Throws `ContextError`, which says whether the ciphers are the
 *  cause. */
function secureContext(options: SecureContextOptions, ciphers: string | undefined): unknown {
  const make = (more: { ciphers?: string }) =>
    nodeTls().createSecureContext({ ...options, ...more }).context;
  try {
    return make(ciphers === undefined ? {} : { ciphers });
  } catch (error) {
    try {
      make({});
    } catch (other) {
      throw new ContextError("certificate", contextWords(other));
    }
    throw new ContextError("ciphers", contextWords(error));
  }
}

/** Protocol names as ALPN sends them: each with a length byte before it (RFC 7301 3.1). */
function alpnWire(names: readonly string[]): Uint8Array {
  return new TextEncoder().encode(
    names.map((name) => String.fromCharCode(name.length) + name).join(""),
  );
}

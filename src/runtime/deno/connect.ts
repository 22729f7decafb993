/** Connections that this process makes, under Deno: by libc, or without FFI by `Deno.connect`,
 *  which cannot choose the local end or the interface. */

import type { Libc } from "../libc/libc.ts";
import { needsFfi } from "../needs_ffi.ts";
import { connectByLibc } from "../outgoing.ts";
import type { ClientSocket, ConnectTarget } from "../runtime.ts";
import { watchReady } from "./ready.ts";
import { ConnSocket, NodeSocket } from "./socket.ts";

const uncounted = (): void => {};

/** See `Runtime.connect`. */
export async function connectTcp(
  libc: Libc | undefined,
  target: ConnectTarget,
  signal: AbortSignal,
): Promise<ClientSocket> {
  if (!libc) return await connectHere(target, signal);
  const fd = await connectByLibc(libc, target, signal, (fd) => writable(libc, fd, signal));
  const { ip, port, scopeId } = target;
  const scope = scopeId === undefined ? {} : { scopeId };
  const peer = { ip, port, family: ip.includes(":") ? 6 : 4, ...scope } as const;
  return new NodeSocket(libc, { fd, peer }, uncounted);
}

async function writable(libc: Libc, fd: number, signal: AbortSignal): Promise<void> {
  const readiness = watchReady(libc, fd, "out");
  const close = (): void => readiness.close();
  signal.addEventListener("abort", close);
  await readiness.wait();
  signal.removeEventListener("abort", close);
  readiness.close();
}

async function connectHere(
  { ip, port, scopeId, localIp, localPort }: ConnectTarget,
  signal: AbortSignal,
): Promise<ClientSocket> {
  if (scopeId !== undefined) throw needsFfi("connect by an interface (-I)", "Deno");
  if (localIp !== undefined || localPort !== undefined) {
    throw needsFfi("choose the local address or port (-i, -p)", "Deno");
  }
  signal.throwIfAborted();
  const conn = await Deno.connect({ hostname: ip, port, signal }).catch((error) => {
    signal.throwIfAborted();
    throw error;
  });
  return new ConnSocket(conn, uncounted);
}

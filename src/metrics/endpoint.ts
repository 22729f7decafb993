/** The endpoint for metrics: a listener on an address or a unix socket that answers `GET /metrics`
 *  and then closes the connection. Clients are not trusted: the size of a request and the duration
 *  of a connection are limited. With too many connections at once the oldest is closed, so that
 *  silent clients cannot lock out a scraper. */

import fs from "node:fs";
import type * as net from "node:net";
import process from "node:process";
import { nodeNet } from "../builtins.ts";
import { MAX_HEAD } from "../codec/http_request.ts";
import { FatalError, reason } from "../errors.ts";
import type { Libc } from "../runtime/libc/libc.ts";
import type { MetricsAddress } from "../config/metrics_address.ts";
import { type HttpStatus, requestStatus, respond } from "./http.ts";
import { SocketFile } from "./socket_file.ts";

/** Maximum connections at once; a scraper needs one. */
export const MAX_CONNECTIONS = 8;
/** Maximum connections that wait to be accepted. */
const BACKLOG = 64;
/** Maximum duration of a connection, in milliseconds, whatever the client does. */
const MAX_TIME = 5000;

export interface MetricsEndpoint {
  /** Where it listens: `http://127.0.0.1:9100/metrics`, or the path. */
  readonly where: string;
  /** Closes the listener and all connections at once. Frees the address and removes the path.
   *  Idempotent. */
  close(): void;
}

export interface EndpointOptions {
  /** The metrics as they are now. */
  text: () => string | Promise<string>;
  /** Descriptor of a socket that already listens on the address, to be used in place of a new
   *  one. */
  socket?: number | undefined;
  /** Called when `text` throws, or when an accept fails. */
  onError: (error: unknown) => void;
  maxConnections?: number;
  maxTime?: number;
}

/** Listens. Never keeps the process alive. Rejects with `FatalError` if it cannot listen. */
export async function listenMetrics(
  address: MetricsAddress,
  options: EndpointOptions,
): Promise<MetricsEndpoint> {
  const clients = new Set<net.Socket>();
  const { maxConnections = MAX_CONNECTIONS, socket: fd } = options;
  let open = true;
  /** Ignores errors of connections that `close` has cut off. */
  const onError = (error: unknown): void => {
    if (open) options.onError(error);
  };
  const server = nodeNet().createServer({ allowHalfOpen: true }, (socket) => {
    if (!open) return void socket.destroy();
    clients.add(socket);
    socket.on("close", () => clients.delete(socket));
    if (clients.size > maxConnections) clients.values().next().value?.destroy();
    handleClient(socket, { ...options, onError });
  });
  let file: SocketFile | undefined;
  try {
    if (fd !== undefined) await bound(server, () => server.listen({ fd }));
    else if ("path" in address) file = await bindPath(server, address.path);
    else await bound(server, () => server.listen({ host: address.host, port: address.port }));
  } catch (error) {
    throw listenError(address, error);
  }
  server.unref();
  server.on("error", onError); // a failed accept must not end the server
  return {
    where: location(address, server),
    close() {
      if (!open) return;
      open = false;
      // Closing the server makes Bun and Deno remove whatever file has the path now. If another
      // file has replaced ours, no client can find our socket any more, so it may stay open.
      if (!file?.replaced) server.close();
      for (const client of clients) client.destroy();
      if (file) remove(file);
    },
  };
}

/** Handles one client: reads the request, answers it, and closes. */
function handleClient(
  socket: net.Socket,
  { text, onError, maxTime = MAX_TIME }: EndpointOptions,
): void {
  const head = new Uint8Array(MAX_HEAD);
  let length = 0;
  let requested = false;
  const timer = setTimeout(() => socket.destroy(), maxTime);
  timer.unref();
  socket.on("close", () => clearTimeout(timer));
  socket.on("error", () => socket.destroy());
  const onData = (chunk: Uint8Array): void => {
    const known = length;
    const taken = chunk.subarray(0, MAX_HEAD - known);
    head.set(taken, known);
    length += taken.length;
    const answer = requestStatus(head.subarray(0, length), known);
    if (answer === undefined) return;
    // Further input is read and discarded: closing with unread bytes would send a reset, which can
    // overtake the answer (RFC 9112 9.6).
    requested = true;
    socket.off("data", onData);
    socket.resume();
    void response(answer, text, onError).then((bytes) => {
      if (!socket.destroyed) socket.end(bytes);
    });
  };
  socket.on("data", onData);
  // After the request, end of file means that the client closes. Before it, no request will come.
  socket.on("end", () => requested || socket.destroy());
}

/** Never rejects. */
async function response(
  answer: HttpStatus,
  text: () => string | Promise<string>,
  onError: (error: unknown) => void,
): Promise<Uint8Array> {
  if (answer !== 200) return respond(answer);
  try {
    return respond(200, await text());
  } catch (error) {
    onError(error);
    return respond(503);
  }
}

/** Resolves when `server` listens. */
function bound(server: net.Server, listen: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      resolve();
    });
    listen();
  });
}

/** Binds a socket that only its owner may connect to. A socket that was left behind by a server
 *  that has gone is removed. Any other file at the path stays, and is an error. */
async function bindPath(server: net.Server, path: string): Promise<SocketFile | undefined> {
  await clear(path);
  await bound(server, () => {
    // The mode must be right from the beginning. Both runtimes bind before `listen` returns.
    const before = setUmask(0o177);
    try {
      server.listen({ path });
    } finally {
      process.umask(before);
    }
  });
  return SocketFile.at(path);
}

function setUmask(mask: number): number {
  try {
    return process.umask(mask);
  } catch (error) {
    throw new FatalError(
      `unable to protect the socket of --metrics: ${reason(error)}`,
      undefined,
      "deno run needs --allow-sys, without names, and --allow-write for the path",
    );
  }
}

/** Removes a socket on which no server listens. Throws for any other file. */
async function clear(path: string): Promise<void> {
  const found = fs.lstatSync(path, { throwIfNoEntry: false });
  if (!found) return;
  if (!found.isSocket()) throw new Error("the file exists and is not a socket");
  if (await hasListener(path)) throw new Error("another server listens there");
  fs.unlinkSync(path);
}

function hasListener(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = nodeNet().connect({ path });
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", (error: Error & { code?: string }) => {
      if (error.code === "ECONNREFUSED" || error.code === "ENOENT") resolve(false);
      else reject(error);
    });
  });
}

function remove(file: SocketFile): void {
  try {
    file.remove();
  } catch {
    // root made it, and this process has switched user: the next start removes it
  }
}

function location(address: MetricsAddress, server: net.Server): string {
  if ("path" in address) return address.path;
  const { port } = server.address() as net.AddressInfo;
  return `http://${addressText({ ...address, port })}/metrics`;
}

function addressText(address: MetricsAddress): string {
  if ("path" in address) return address.path;
  const { host, port } = address;
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function listenError(address: MetricsAddress, error: unknown): FatalError {
  if (error instanceof FatalError) return error;
  return new FatalError(
    `unable to listen for --metrics on ${addressText(address)}: ${reason(error)}`,
    undefined,
    "give --metrics a free address of this machine, or a path in a folder that exists",
  );
}

/** Returns a listening socket for the process that will answer. Undefined for a path, which needs
 *  more than libc offers. Throws `FatalError`. */
export function metricsSocket(libc: Libc, address: MetricsAddress): number | undefined {
  if ("path" in address) return undefined;
  const { host: ip, port } = address;
  try {
    return libc.listenSocket({ ip, port, backlog: BACKLOG, v6only: false }).fd;
  } catch (error) {
    throw listenError(address, error);
  }
}

/** The log methods that `openEndpoint` uses. */
export interface EndpointLog {
  error(text: string): void;
  notice(text: string, fields: Record<string, string>): void;
}

/** Listens, and logs the address unless `quiet`. Throws `FatalError`. */
export async function openEndpoint(
  address: MetricsAddress,
  log: EndpointLog,
  { quiet = false, ...options }: Pick<EndpointOptions, "text" | "socket"> & { quiet?: boolean },
): Promise<MetricsEndpoint> {
  const endpoint = await listenMetrics(address, {
    ...options,
    onError: (error) => log.error(`unable to answer with metrics: ${reason(error)}`),
  });
  if (!quiet) log.notice(`metrics at ${endpoint.where}`, { metrics: endpoint.where });
  return endpoint;
}

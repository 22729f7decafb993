/** Where metrics are fetched: a listener on an address or a unix socket that answers `GET /metrics`
 *  and then closes. Whoever reaches it is not trusted: heads are capped, everybody has a few seconds,
 *  and of too many at once the oldest gives way, so that silent ones cannot keep a scraper out. */

import fs from "node:fs";
import net from "node:net";
import process from "node:process";
import type { Deps } from "../deps.ts";
import { FatalError, reason } from "../errors.ts";
import type { MetricsAddress } from "./address.ts";
import { expose } from "./exposition.ts";
import { type Answer, judge, MAX_HEAD, respond } from "./http.ts";
import { describeServer } from "./server.ts";

/** Connections at once; a scraper needs one. */
const MAX_CONNECTIONS = 8;
/** Milliseconds from accepting a connection to its end, whatever it does. */
const MAX_TIME = 5000;

export interface Endpoint {
  /** Where it listens: `http://127.0.0.1:9100/metrics`, or the path. */
  readonly where: string;
  /** Ends it at once, with whoever is connected; the address is free and the path gone.
   *  Idempotent. */
  close(): void;
}

export interface EndpointOptions {
  /** The metrics as they are now. */
  text: () => string;
  /** Told when `text` throws. */
  onError: (error: unknown) => void;
  maxConnections?: number;
  maxTime?: number;
}

/** Listens. It never keeps the process alive. Rejects with `FatalError` when it cannot. */
export async function listenMetrics(
  address: MetricsAddress,
  options: EndpointOptions,
): Promise<Endpoint> {
  const clients = new Set<net.Socket>();
  const { maxConnections = MAX_CONNECTIONS } = options;
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    clients.add(socket);
    socket.on("close", () => clients.delete(socket));
    if (clients.size > maxConnections) clients.values().next().value?.destroy();
    attend(socket, options);
  });
  try {
    if ("path" in address) await bindPath(server, address.path);
    else await bound(server, () => server.listen({ host: address.host, port: address.port }));
  } catch (error) {
    if (error instanceof FatalError) throw error;
    throw new FatalError(`unable to listen for --metrics on ${words(address)}: ${reason(error)}`);
  }
  server.unref();
  server.on("error", options.onError); // a failed accept must not end the server
  let open = true;
  return {
    where: place(address, server),
    close() {
      if (!open) return; // by now the path may be a successor's
      open = false;
      server.close();
      for (const client of clients) client.destroy();
      // Bun and Deno remove the socket file themselves, if their user may.
      if ("path" in address) remove(address.path);
    },
  };
}

/** One client: its request, our answer, the end. */
function attend(socket: net.Socket, { text, onError, maxTime = MAX_TIME }: EndpointOptions): void {
  const head = new Uint8Array(MAX_HEAD);
  let length = 0;
  const timer = setTimeout(() => socket.destroy(), maxTime);
  timer.unref();
  socket.on("close", () => clearTimeout(timer));
  socket.on("error", () => socket.destroy());
  const onData = (chunk: Uint8Array): void => {
    const known = length;
    const taken = chunk.subarray(0, MAX_HEAD - known);
    head.set(taken, known);
    length += taken.length;
    const answer = judge(head.subarray(0, length), known);
    if (answer === undefined) return;
    // What else it sends is read and dropped: closing with bytes unread would send a reset, which
    // can overtake the answer (RFC 9112 9.6).
    socket.off("data", onData);
    socket.resume();
    socket.end(response(answer, text, onError));
  };
  socket.on("data", onData);
  // After the answer this is its close; before, there will be no request.
  socket.on("end", () => socket.writableEnded || socket.destroy());
}

function response(
  answer: Answer,
  text: () => string,
  onError: (error: unknown) => void,
): Uint8Array {
  if (answer !== 200) return respond(answer);
  try {
    return respond(200, text());
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

/** A socket that only its owner may connect to. One left behind by a server that is gone makes
 *  room; anything else in this place stays and is an error. */
async function bindPath(server: net.Server, path: string): Promise<void> {
  await clear(path);
  await bound(server, () => {
    // The mode must be right from the beginning; both runtimes bind before `listen` returns.
    const before = setUmask(0o177);
    try {
      server.listen({ path });
    } finally {
      process.umask(before);
    }
  });
}

function setUmask(mask: number): number {
  try {
    return process.umask(mask);
  } catch (error) {
    throw new FatalError(
      `unable to protect the socket of --metrics: ${reason(error)}`,
      undefined,
      "deno run needs --allow-sys=umask and --allow-write for the path",
    );
  }
}

/** Removes a socket that nobody listens on. */
async function clear(path: string): Promise<void> {
  const found = fs.lstatSync(path, { throwIfNoEntry: false });
  if (!found) return;
  if (!found.isSocket()) throw new Error("the file exists and is no socket");
  if (await answers(path)) throw new Error("another server listens there");
  fs.unlinkSync(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = net.connect({ path });
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

function remove(path: string): void {
  try {
    fs.unlinkSync(path);
  } catch {
    // gone already, or made by root for a server that has become somebody else: the next removes it
  }
}

function place(address: MetricsAddress, server: net.Server): string {
  if ("path" in address) return address.path;
  const { port } = server.address() as net.AddressInfo;
  return `http://${words({ ...address, port })}/metrics`;
}

function words(address: MetricsAddress): string {
  if ("path" in address) return address.path;
  const { host, port } = address;
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Where the metrics are fetched, when somebody wants them; said in the log unless `quiet`. Throws `FatalError`. */
export async function metricsEndpoint(
  deps: Deps,
  quiet = false,
): Promise<Endpoint | undefined> {
  const { options, metrics: { registry }, log } = deps;
  if (!options.metrics || !registry) return undefined;
  describeServer(registry, deps);
  const endpoint = await listenMetrics(options.metrics, {
    text: () => expose(registry.families()),
    onError: (error) => log.error(`unable to answer with metrics: ${reason(error)}`),
  });
  if (!quiet) log.notice(`metrics at ${endpoint.where}`, { metrics: endpoint.where });
  return endpoint;
}

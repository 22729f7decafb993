/** Helpers of the contract tests: certificates, clients, and promises for stream events. */

import { execFileSync, spawn, type SpawnOptions } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket as Client } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { tmpdir } from "node:os";
import process from "node:process";
import type { Listener, Runtime, Socket, TlsSettings } from "../../src/runtime/runtime.ts";
import type { Closable, Source, StreamHandler } from "../../src/runtime/stream.ts";
import { concat, latin1 } from "../../src/codec/bytes.ts";

/** A runtime and one of its ways to listen. */
export interface Kit {
  way: string;
  runtime: Runtime;
  /** Why this way cannot be tested here, or false. */
  skip: string | false;
  /** True if the adapter knows a connection's descriptor, so that it can ask the kernel about it. */
  knowsDescriptor: boolean;
  listen(where: { ip: string; backlog: number }, onSocket: (socket: Socket) => void): Listener;
}

/** Rejects if the event of `promise` does not come within `ms`. */
export function within<T>(promise: Promise<T>, what: string, ms = 20_000): Promise<T> {
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** A listener with `next()`, which returns its connections one by one. */
export function accepting(kit: Kit, ip = "127.0.0.1", backlog = 128) {
  const waiting: Socket[] = [];
  const asked: ((socket: Socket) => void)[] = [];
  const listener = kit.listen({ ip, backlog }, (socket) => {
    const give = asked.shift();
    if (give) give(socket);
    else waiting.push(socket);
  });
  return {
    listener,
    port: listener.port,
    waiting,
    next(): Promise<Socket> {
      const socket = waiting.shift();
      if (socket) return Promise.resolve(socket);
      return within(new Promise((give) => asked.push(give)), "connection");
    },
    close(): void {
      listener.close();
      for (const socket of waiting) socket.destroy();
    },
  };
}

/** A connected TCP client that can be half-closed. */
export function dial(port: number, host = "127.0.0.1"): Promise<Client> {
  return within(
    new Promise((resolve, reject) => {
      const client = connect({ port, host, allowHalfOpen: true });
      client.once("connect", () => resolve(client));
      client.on("error", reject);
    }),
    "connect",
  );
}

/** A TLS client that can be half-closed. */
export function tlsClient(port: number): TLSSocket {
  const options = { servername: "localhost", rejectUnauthorized: false, allowHalfOpen: true };
  const client = connectTls({ port, host: "127.0.0.1", ...options });
  client.on("error", () => {});
  return client;
}

/** A TLS client behind a forwarder. `toServer` is the forwarder's connection to the server, to which the
 *  test can write. With `hold` the first bytes are not forwarded; `hello` resolves with them. */
export async function tlsThrough(
  port: number,
  hold = false,
): Promise<{ client: TLSSocket; toServer: Client; hello: Promise<Uint8Array> }> {
  const between = createServer({ allowHalfOpen: true });
  await new Promise<void>((done) => between.listen(0, "127.0.0.1", done));
  const inside = within(
    new Promise<Client>((done) => between.once("connection", done)),
    "connection of the client",
  );
  const client = tlsClient((between.address() as { port: number }).port);
  const [fromClient, toServer] = await Promise.all([inside, dial(port)]);
  between.close();
  toServer.removeAllListeners("error");
  for (const one of [fromClient, toServer]) one.on("error", () => {});
  let give: (hello: Uint8Array) => void;
  const hello = new Promise<Uint8Array>((done) => give = done);
  let held = hold;
  fromClient.on("data", (chunk) => {
    if (held) give(chunk);
    else toServer.write(chunk);
    held = false;
  });
  fromClient.on("end", () => toServer.end());
  toServer.on("data", (chunk) => fromClient.write(chunk));
  toServer.on("end", () => fromClient.end());
  toServer.on("close", () => fromClient.destroy());
  fromClient.on("close", () => toServer.destroy());
  return { client, toServer, hello };
}

/** Everything that a client receives until the server ends. */
export function received(client: Client): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  client.on("data", (chunk: Uint8Array) => chunks.push(chunk));
  return within(
    new Promise((resolve) => {
      client.once("end", () => resolve(concat(chunks)));
      client.once("close", () => resolve(concat(chunks)));
    }),
    "end of data",
  );
}

/** Resumes a stream and reads it to its end. */
export function readAll(source: Source): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  return within(
    new Promise((resolve, reject) => {
      source.take({
        data: (chunk) => chunks.push(chunk.slice()), // a chunk of a pipe is valid only during the call
        end: () => resolve(concat(chunks)),
        close: (error) => reject(error ?? new Error("closed before its end")),
      });
      source.resume();
    }),
    "end of stream",
  );
}

/** Reads at least `count` bytes of a stream, then stops it: with pause(), or a socket by `way`. */
export function readSome(source: Source, count: number, way?: "pause"): Promise<Uint8Array>;
export function readSome(source: Socket, count: number, way: "pause" | "hold"): Promise<Uint8Array>;
export function readSome(
  source: Source | Socket,
  count: number,
  way = "pause",
): Promise<Uint8Array> {
  let all: Uint8Array = new Uint8Array(0);
  return within(
    new Promise((resolve, reject) => {
      const close = (error?: Error): void => reject(error ?? new Error("closed"));
      const tooMuch = (): void => {
        throw new Error(`data after ${way}()`);
      };
      source.take({
        data(chunk) {
          all = concat([all, chunk]);
          if (all.length < count) return;
          if (way === "hold") (source as Socket).hold();
          else source.pause();
          source.take({ data: tooMuch, close });
          resolve(all);
        },
        close,
      });
      source.resume();
    }),
    "data",
  );
}

/** Waits a few turns of the event loop, after which a stream that is not paused has read what arrived. */
export async function turns(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise<void>((done) => setImmediate(done));
}

/** Takes a stream. Resolves when its owner gets the event `name`. `others` handles the other events. */
export function event(
  stream: Closable,
  name: "end",
  others?: StreamHandler,
): Promise<boolean | undefined>;
export function event(
  stream: Closable,
  name: "close" | "drain",
  others?: StreamHandler,
): Promise<Error | undefined>;
export function event(
  stream: Closable,
  name: string,
  others: StreamHandler = {},
): Promise<unknown> {
  return within(new Promise((resolve) => stream.take({ ...others, [name]: resolve })), name);
}

/** The command with which this runtime runs a TypeScript file. */
export const runtimeCommand: string[] = "Bun" in globalThis
  ? [process.execPath, "--no-install"]
  : [process.execPath, "run", "-A", "--no-check"];

export const text = latin1;
export const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);

/** Runs a program of Debian to its end. */
export function run(
  command: string,
  args: string[],
  input = "",
  options: SpawnOptions = {},
): Promise<{ stdout: string; stderr: string }> {
  return within(
    new Promise((resolve, reject) => {
      const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"], ...options });
      let stdout = "", stderr = "";
      child.stdout!.on("data", (chunk) => stdout += chunk);
      child.stderr!.on("data", (chunk) => stderr += chunk);
      child.on(
        "error",
        () => reject(new Error(`${command} cannot be run: install Debian's openssl`)),
      );
      child.on("close", () => resolve({ stdout, stderr }));
      child.stdin!.on("error", () => {});
      child.stdin!.end(input);
    }),
    `end of ${command}`,
    60_000,
  );
}

/** Why this process cannot read /proc/self, or false. Deno permits that only with all permissions. */
export const noProc: string | false = (() => {
  try {
    readFileSync("/proc/self/status");
    return false;
  } catch {
    return "/proc/self cannot be read";
  }
})();

/** Resident memory of this process, in MB. */
export const residentMb = (): number => process.memoryUsage().rss / 1e6;

/** Waits until `holds` returns true. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`not reached: ${what}`);
    await new Promise((done) => setTimeout(done, 5));
  }
}

let folder: string | undefined;

/** The path of a folder with a CA, an intermediate, a server's and a client's certificate. Made once. */
export function pki(): string {
  if (folder !== undefined) return folder;
  const made = mkdtempSync(`${tmpdir()}/contract-`);
  folder = made;
  process.on("exit", () => rmSync(made, { recursive: true, force: true }));
  const openssl = (...args: string[]) => {
    try {
      execFileSync("openssl", args, { cwd: made, stdio: "ignore" });
    } catch (error) {
      throw new Error(`openssl ${args[0]} failed: install Debian's openssl`, { cause: error });
    }
  };
  writeFileSync(`${made}/ca.ext`, "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n");
  writeFileSync(
    `${made}/leaf.ext`,
    "basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost,DNS:client.example\n",
  );
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const issue = (name: string, issuer: string | undefined, kind: string) => {
    openssl("req", ...key, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
    const by = issuer === undefined
      ? ["-signkey", `${name}.key`]
      : ["-CA", `${issuer}.pem`, "-CAkey", `${issuer}.key`, "-CAcreateserial"];
    openssl(
      "x509",
      "-req",
      "-in",
      `${name}.csr`,
      ...by,
      "-days",
      "30",
      "-extfile",
      `${kind}.ext`,
      "-out",
      `${name}.pem`,
    );
  };
  issue("ca", undefined, "ca");
  issue("unrelated", undefined, "ca");
  issue("middle", "ca", "ca");
  issue("server", "ca", "leaf");
  issue("other", "ca", "leaf");
  issue("client", "middle", "leaf");
  writeFileSync(
    `${made}/client.chain`,
    readFileSync(`${made}/client.pem`, "utf8") + readFileSync(`${made}/middle.pem`, "utf8"),
  );
  return made;
}

export const file = (name: string): string => readFileSync(`${pki()}/${name}`, "utf8");

/** Settings that every TLS library accepts. */
export function settings(more: Partial<TlsSettings> = {}): TlsSettings {
  return {
    keyPairs: [{ chain: file("server.pem"), key: file("server.key") }],
    minVersion: "TLSv1.2",
    maxVersion: "TLSv1.3",
    ...more,
  };
}

/** The DER of the first certificate in a PEM text. */
export function der(pem: string): Uint8Array {
  const base64 = /-----BEGIN CERTIFICATE-----([^-]+)/.exec(pem)?.[1] ?? "";
  return Uint8Array.from(atob(base64.replaceAll(/\s/g, "")), (c) => c.charCodeAt(0));
}

/** Clients: our own compiled client, for claims that need exact or fast behaviour; openssl; raw TCP. */

import { assert, assertStrictEquals } from "@std/assert";
import { createConnection, type Socket } from "node:net";
import { helper, LIMIT, type Outcome, type Server, type Trial, within } from "./harness.ts";

/** The result of one conversation. */
export interface Talk {
  text: string;
  bytes: Uint8Array;
  /** `close_notify`, `eof` (FIN alone), `reset`, `timeout`, or `no handshake: reason`. */
  end: string;
  facts: Record<string, string>;
}

/** Runs the compiled client: sends `input`, ends as option `-e` says, and reads to the end. */
export async function talk(
  t: Trial,
  server: Server | number,
  input: string | Uint8Array = "",
  options: readonly string[] = [],
  limit = LIMIT * 2,
): Promise<Talk> {
  const port = typeof server === "number" ? server : server.port;
  const client = await helper("client");
  const outcome = await t.run(client, ["talk", String(port), ...options], { input, limit });
  const facts: Record<string, string> = {};
  for (const line of outcome.stderr.split("\n")) {
    const [name, ...rest] = line.split("=");
    if (name && rest.length > 0) facts[name] = rest.join("=");
  }
  assert(facts["end"] !== undefined, `the client: ${outcome.stderr}`);
  return {
    text: new TextDecoder().decode(outcome.stdout),
    bytes: outcome.stdout,
    end: facts["end"],
    facts,
  };
}

/** Runs `openssl s_client` with `input` on its stdin. It stays until the server ends (-quiet). */
export function sClient(
  t: Trial,
  server: Server,
  input: string,
  options: readonly string[] = [],
): Promise<Outcome> {
  const where = ["-connect", `127.0.0.1:${server.port}`];
  return t.run("openssl", ["s_client", "-quiet", ...where, ...options], { input });
}

export const stdout = (outcome: Outcome): string => new TextDecoder().decode(outcome.stdout);

/** A TCP connection that speaks no TLS. */
export class Raw {
  readonly bytes: Uint8Array[] = [];
  readonly closed: Promise<void>;

  private constructor(readonly socket: Socket) {
    this.closed = new Promise((resolve) => socket.on("close", () => resolve()));
    socket.on("data", (chunk: Uint8Array) => this.bytes.push(chunk));
    socket.on("error", () => {}); // a reset is a possible result
  }

  static connect(port: number, host = "127.0.0.1"): Promise<Raw> {
    return new Promise((resolve, reject) => {
      const socket = createConnection({ port, host, allowHalfOpen: false });
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        resolve(new Raw(socket));
      });
    });
  }

  send(bytes: Uint8Array | string): this {
    this.socket.write(bytes);
    return this;
  }

  get received(): number {
    return this.bytes.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  /** Waits until the server has closed the connection. */
  async closedWithin(limit = LIMIT): Promise<void> {
    await within(this.closed, limit, "the server did not close the connection");
  }

  destroy(): void {
    this.socket.destroy();
  }
}

/** Sends bytes that are not a valid handshake, and waits for the server to close. */
export async function refused(port: number, bytes: Uint8Array | string): Promise<void> {
  const raw = await Raw.connect(port);
  raw.send(bytes);
  try {
    await raw.closedWithin();
  } finally {
    raw.destroy();
  }
}

/** Many connections held open without a handshake. */
export interface Silent {
  /** The number of connections that the server has not closed. */
  open(): Promise<number>;
}

/** Opens `count` connections, sends the first `bytes` bytes of a hello on each, and holds them. */
export async function silent(t: Trial, server: Server, count: number, bytes = 0): Promise<Silent> {
  const args = ["silent", String(server.port), String(count), String(bytes)];
  const child = t.spawn(await helper("client"), args);
  let text = "";
  let wake = (): void => {};
  child.stdout?.on("data", (chunk: Uint8Array) => {
    text += new TextDecoder().decode(chunk);
    wake();
  });
  const line = async (): Promise<string> => {
    while (!text.includes("\n")) await new Promise<void>((resolve) => wake = resolve);
    const at = text.indexOf("\n");
    const first = text.slice(0, at);
    text = text.slice(at + 1);
    return first;
  };
  assertStrictEquals(await within(line(), LIMIT, "the connections did not come about"), "ready");
  return {
    async open() {
      child.stdin?.write("count\n");
      const answer = await within(line(), LIMIT, "no count");
      return Number(answer.replace("open ", ""));
    },
  };
}

/** True if no process accepts connections there. */
export async function portIsFree(port: number, host = "127.0.0.1"): Promise<boolean> {
  try {
    (await Raw.connect(port, host)).destroy();
    return false;
  } catch {
    return true;
  }
}

/** Helpers of the admission claims: clients from different loopback addresses, rules files made by
 *  three programs, Debian's tcpserver to compare with, and two DNS servers (unbound, and one that only
 *  counts questions). */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import * as fs from "node:fs";
import * as net from "node:net";
import process from "node:process";
import * as tls from "node:tls";
import { reverseName } from "../../src/codec/dns/reverse.ts";
import { freePort } from "../free_port.ts";
import { environmentOf, type Pair, selfSigned } from "./certificates.ts";
import { formCommand, LIMIT, ROOT, type Server, type Trial, within } from "./harness.ts";

/** The result of a visit: one connection that reads to the end. */
export interface Visit {
  /** The output of the program. */
  text: string;
  /** Bytes of TCP that came from the server. */
  received: number;
  /** The subject of the server's certificate; undefined: no handshake. */
  certificate: string | undefined;
}

/** The server's address for a client that connects from `from`. */
const hostFor = (from: string): string => from.includes(":") ? "::1" : "127.0.0.1";

/** A TLS connection from `from`. `text` collects the output of the program. */
export class Guest {
  text = "";
  certificate: string | undefined;
  /** Resolves when both sides are closed. */
  readonly closed: Promise<void>;
  readonly #plain: net.Socket;
  #secure: tls.TLSSocket | undefined;
  #wake = (): void => {};

  constructor(port: number, from = "127.0.0.1") {
    const plain = net.connect({ port, host: hostFor(from), localAddress: from });
    this.#plain = plain;
    this.closed = new Promise((resolve) => {
      let secure: tls.TLSSocket | undefined;
      const over = (): void => {
        secure?.destroy();
        plain.destroy();
        resolve();
        this.#wake();
      };
      plain.on("error", () => {}); // a denied connection may be reset
      plain.on("close", () => secure ? secure.destroyed && over() : over());
      plain.once("connect", () => {
        this.#secure = secure = tls.connect({ socket: plain, rejectUnauthorized: false });
        secure.on("secureConnect", () => {
          this.certificate = String(secure?.getPeerCertificate().subject.CN);
        });
        secure.on("data", (bytes: Uint8Array) => {
          this.text += new TextDecoder().decode(bytes);
          this.#wake();
        });
        secure.on("error", () => {});
        secure.on("close", over);
      });
    });
  }

  get received(): number {
    return this.#plain.bytesRead;
  }

  /** Resolves when the program has sent something. Rejects when the server closes first. */
  async heard(limit = LIMIT): Promise<void> {
    await this.hears(/./, limit);
  }

  /** Sends a line. Resolves when the program has sent it back; rejects when the server closes first. */
  async echoes(line: string): Promise<void> {
    this.#secure?.write(`${line}\n`);
    await this.hears(new RegExp(line), LIMIT);
  }

  async hears(pattern: RegExp, limit: number): Promise<void> {
    let over = false;
    this.closed.then(() => over = true);
    const words = async (): Promise<void> => {
      while (!pattern.test(this.text) && !over) {
        await new Promise<void>((resolve) => this.#wake = resolve);
      }
    };
    await within(words(), limit, "the program said nothing");
    assertMatch(this.text, pattern, "the server closed the connection");
  }

  leave(): void {
    this.#plain.destroy();
  }

  /** Closes the connection with a reset, like a client whose machine has crashed. */
  reset(): void {
    this.#plain.resetAndDestroy();
  }
}

/** Connects from `from` and reads to the end. */
export async function visit(
  server: Server | number,
  from = "127.0.0.1",
  limit = LIMIT,
): Promise<Visit> {
  const guest = new Guest(typeof server === "number" ? server : server.port, from);
  try {
    await within(guest.closed, limit, `the visit from ${from} did not end`);
  } finally {
    guest.leave();
  }
  const { text, received, certificate } = guest;
  return { text, received, certificate };
}

/** Connects from `from` without sending anything, and counts the bytes received before end of file.
 *  Rejects on a reset, which looks like a network failure to a client. */
export async function silentVisit(port: number, from = "127.0.0.1"): Promise<number> {
  const plain = net.connect({ port, host: hostFor(from), localAddress: from });
  let failure: string | undefined;
  plain.on("error", ({ message }) => failure = message);
  plain.resume();
  const closed = new Promise<void>((resolve) => plain.on("close", () => resolve()));
  await within(closed, LIMIT, "the server did not close");
  assertStrictEquals(failure, undefined);
  return plain.bytesRead;
}

/** Asserts that a client at `from` is closed without receiving a byte. */
export async function assertDenied(server: Server, from = "127.0.0.1"): Promise<void> {
  const { text, received } = await visit(server, from);
  assertEquals({ text, received }, { text: "", received: 0 }, `${from} was let in`);
}

/** The command that runs our `name` in the form of this trial. The caller appends the arguments. */
export function ourCommand(t: Trial, name: "tcprules" | "tcprulescheck"): string[] {
  const command = formCommand(t.form, "");
  if (t.onDeno) {
    const script = command.pop() ?? "";
    const kept = command.filter((part) => !part.startsWith("--allow-"));
    command.splice(0, command.length, ...kept, "--allow-read", "--allow-write", "--allow-env");
    command.push(script);
  }
  return [...command, "--as", name];
}

export type Maker = "tcprules" | "cdb" | "ours";
export const MAKERS: readonly Maker[] = ["tcprules", "cdb", "ours"];

/** Compiles `source` into the rules file `name` of the trial's folder; returns its path. */
export async function makeRules(
  t: Trial,
  source: string,
  maker: Maker = "tcprules",
  name = "rules.cdb",
): Promise<string> {
  const [path, scratch] = [join(t.dir, name), join(t.dir, `${name}.tmp`)];
  if (maker === "ours") {
    const [program = "", ...args] = ourCommand(t, "tcprules");
    const env = { DENO_DIR: denoDir() };
    const made = await t.run(program, [...args, path, scratch], { input: source, env });
    assertStrictEquals(made.status, 0, made.stderr);
    return path;
  }
  const made = await t.run("tcprules", [path, scratch], { input: source });
  assertStrictEquals(made.status, 0, made.stderr);
  if (maker === "cdb") {
    const { stdout } = await t.run("cdb", ["-d", path]);
    const again = await t.run("cdb", ["-c", "-t", scratch, path], { input: stdout });
    assertStrictEquals(again.status, 0, again.stderr);
  }
  return path;
}

/** Makes a server read its files again, and waits until it has. `again` changes the certificate, sends
 *  SIGHUP and waits for the log line about the new certificate. Start the server with `environment`. */
export class Rereading {
  readonly environment: Record<string, string>;
  #times = 0;

  private constructor(readonly pair: Pair) {
    this.environment = environmentOf(pair);
  }

  static async prepare(t: Trial): Promise<Rereading> {
    return new Rereading(await selfSigned(t, "localhost"));
  }

  async again(server: Server): Promise<void> {
    const { certificate } = this.pair;
    const pem = fs.readFileSync(certificate, "utf8");
    fs.writeFileSync(`${certificate}.new`, `${pem}# ${this.#times}\n`);
    fs.renameSync(`${certificate}.new`, certificate);
    server.signal("SIGHUP");
    await server.waitFor(/^sslserver: info: certificate renewed/, ++this.#times);
  }
}

/** $DENO_DIR for our `deno run`: its cache of compiled sources. */
export const denoDir = (): string => process.env["DENO_DIR"] ?? join(ROOT, "dist/.deno");

/** Starts Debian's tcpserver; resolves with its port. */
export async function tcpserver(
  t: Trial,
  options: readonly string[],
  program: readonly string[],
): Promise<number> {
  const child = t.spawn("tcpserver", ["-1", "-R", "-l0", ...options, "127.0.0.1", "0", ...program]);
  const { stdout } = child;
  assert(stdout);
  const [line] = await within(once(stdout, "data"), LIMIT, "tcpserver printed no port");
  return Number(String(line));
}

/** Everything that a server without TLS sends to a client at `from`. */
export function plainVisit(port: number, from: string): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const plain = net.connect({ port, host: "127.0.0.1", localAddress: from });
    plain.on("data", (bytes: Uint8Array) => text += new TextDecoder().decode(bytes));
    plain.on("error", () => {});
    plain.on("close", () => resolve(text));
  });
}

/** A PTR record in the form of unbound's `local-data`. */
export const ptr = (ip: string, name: string): string => `${reverseName(ip)}. 300 IN PTR ${name}.`;

/** A port that is free for UDP and TCP. */
/** Starts Debian's unbound with these records and without other name servers. It is authoritative for
 *  `test.` and for the reverse names of the loopback addresses. Resolves with its address in the form
 *  of $DNSCACHEIP. */
export async function unbound(t: Trial, records: readonly string[]): Promise<string> {
  const port = await freePort();
  const path = join(t.dir, "unbound.conf");
  const zones = ["test.", "127.in-addr.arpa.", `${reverseName("::1")}.`];
  fs.writeFileSync(
    path,
    `server:
  interface: 127.0.0.1@${port}
  do-daemonize: no
  use-syslog: no
  logfile: ""
  verbosity: 1
  username: ""
  chroot: ""
  directory: "${t.dir}"
  pidfile: ""
  num-threads: 1
  module-config: "iterator"
  root-hints: ""
${zones.map((zone) => `  local-zone: "${zone}" static\n`).join("")}
${records.map((line) => `  local-data: "${line}"\n`).join("")}
remote-control:
  control-enable: no
`,
  );
  const child = t.spawn("unbound", ["-d", "-c", path]);
  let words = "";
  const started = new Promise<void>((resolve, reject) => {
    child.stderr?.on("data", (bytes: Uint8Array) => {
      words += new TextDecoder().decode(bytes);
      if (words.includes("start of service")) resolve();
    });
    child.on("exit", () => reject(new Error(`unbound did not start: ${words}`)));
  });
  await within(started, LIMIT, "unbound did not start");
  return `127.0.0.1:${port}`;
}

/** A DNS server that records the names it is asked for. It sends what `answer` returns, or nothing. */
export class CountingDns {
  /** Names asked for, in order, with repetitions. */
  readonly asked: string[] = [];
  readonly #socket: UdpSocket;
  #wake = (): void => {};

  private constructor(
    socket: UdpSocket,
    answer: (query: Uint8Array, name: string) => Uint8Array | undefined,
  ) {
    this.#socket = socket;
    socket.on("message", (bytes: Uint8Array, from) => {
      const query = new Uint8Array(bytes);
      const name = questionName(query);
      this.asked.push(name);
      this.#wake();
      const reply = answer(query, name);
      if (reply) socket.send(reply, from.port, from.address);
    });
  }

  static async start(
    answer: (query: Uint8Array, name: string) => Uint8Array | undefined = () => undefined,
  ): Promise<CountingDns> {
    const socket = createSocket("udp4").bind(0, "127.0.0.1");
    await once(socket, "listening");
    return new CountingDns(socket, answer);
  }

  /** The server's address in the form of $DNSCACHEIP. */
  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  /** Waits until `count` different names have been asked for. */
  async names(count: number, limit = LIMIT): Promise<void> {
    const enough = async (): Promise<void> => {
      while (new Set(this.asked).size < count) {
        await new Promise<void>((resolve) => this.#wake = resolve);
      }
    };
    await within(
      enough(),
      limit,
      `only ${new Set(this.asked).size} of ${count} names were asked for`,
    );
  }

  close(): void {
    this.#socket.close();
  }
}

/** The name in a query: labels after a header of 12 bytes (RFC 1035 4.1). */
function questionName(query: Uint8Array): string {
  const labels: string[] = [];
  for (let at = 12; query[at]; at += 1 + (query[at] ?? 0)) {
    labels.push(new TextDecoder().decode(query.subarray(at + 1, at + 1 + (query[at] ?? 0))));
  }
  return labels.join(".");
}

/** An answer to a PTR query: `target`, with a TTL of five minutes. */
export function ptrAnswer(query: Uint8Array, target: string): Uint8Array {
  let end = 12;
  while (query[end]) end += 1 + (query[end] ?? 0);
  const question = query.subarray(12, end + 5);
  const name = target.split(".").flatMap((label) => [
    label.length,
    ...new TextEncoder().encode(label),
  ]);
  // Header: id, response with recursion, one question, one answer. Answer: pointer to the question.
  return Uint8Array.from([
    ...[query[0] ?? 0, query[1] ?? 0, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0],
    ...question,
    ...[0xc0, 12, 0, 12, 0, 1, 0, 0, 1, 44, 0, name.length + 1],
    ...name,
    0,
  ]);
}

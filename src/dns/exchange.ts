/** Asks the servers one question until one of them answers: by UDP, or by TCP after a truncated
 *  answer; each server in turn, in rounds with longer waits. A packet that does not answer the
 *  question is dropped without ending the wait, so a forger gains nothing by sending early (RFC
 *  5452 9.1). The cache and CNAMEs are in resolver.ts. */

import { DecodeError } from "../codec/bytes.ts";
import {
  decodeDnsAnswer,
  type DnsMessage,
  type DnsQuery,
  type DnsQueryType,
  encodeDnsQuery,
  isFailure,
  MAX_DNS_MESSAGE,
  RCODE,
  UnusableAnswer,
} from "../codec/dns/message.ts";
import type { NameServer } from "../codec/dns/resolv_conf.ts";
import { sameAddress } from "../codec/dns/reverse.ts";
import type { Clock } from "./clock.ts";
import type { QuestionSockets } from "./question_sockets.ts";
import type { Transport } from "./transport.ts";

/** What an exchange needs. */
export interface ExchangeServices {
  transport: Transport;
  clock: Clock;
  /** The descriptors for sockets. */
  sockets: QuestionSockets;
  /** An unpredictable number from 0 to 65535: the id of a query. */
  random(): number;
}

export interface Question {
  name: string;
  type: DnsQueryType;
}

/** The answer (NOERROR or NXDOMAIN), or why there is none. `failed`: every server refused,
 *  failed or was unreachable. `timeout`: at least one was silent when last asked. `aborted`:
 *  `signal` fired. */
export type ExchangeResult = DnsMessage | "failed" | "timeout" | "aborted";

/** The result of one packet to one server. `unusable`: the answer is malformed or beyond our
 *  limits; the server would send it again. */
type Reply = DnsMessage | "unusable" | "timeout" | "unreachable" | "aborted";

/** Milliseconds for a complete answer by TCP, which a server may send byte by byte. */
const TCP_MS = 10_000;
/** Asks `question` of `servers`; `rounds` holds the seconds to wait for a server in each round. */
export async function exchange(
  question: Question,
  servers: readonly NameServer[],
  rounds: readonly number[],
  services: ExchangeServices,
  signal: AbortSignal,
): Promise<ExchangeResult> {
  const refusals = new Set<NameServer>();
  const silent = new Set<NameServer>();
  for (const [round, seconds] of rounds.entries()) {
    for (const server of servers) {
      if (refusals.has(server)) continue;
      // Some servers and firewalls drop a query with EDNS0 (RFC 6891 6.2.2), so only the first
      // query to a server has it, and only if another round follows. Later rounds have none: with
      // many servers, the time of the look-up ends before the last round. An answer that is too
      // long without EDNS0 comes by TCP.
      const edns = round === 0 && rounds.length > 1;
      let reply = await ask({ ...question, edns }, server, seconds * 1000, services, signal);
      if (edns && wantsNoEdns(reply)) {
        reply = await ask({ ...question, edns: false }, server, seconds * 1000, services, signal);
      }
      if (reply === "aborted") return reply;
      if (reply === "timeout") silent.add(server);
      else silent.delete(server);
      if (reply === "unusable") refusals.add(server);
      if (typeof reply === "string") continue;
      if (!isFailure(reply.rcode)) return reply;
      // This server would give the same answer again.
      refusals.add(server);
    }
  }
  return silent.size > 0 ? "timeout" : "failed";
}

/** True if a server that does not know EDNS0 may answer this (RFC 6891 7; SERVFAIL: RFC 2671
 *  5.3). */
function wantsNoEdns(reply: Reply): boolean {
  const codes: number[] = [RCODE.formErr, RCODE.notImp, RCODE.servFail];
  return typeof reply !== "string" && codes.includes(reply.rcode);
}

/** One try with one server: by UDP, then by TCP if the answer is truncated. */
async function ask(
  question: Omit<DnsQuery, "id">,
  server: NameServer,
  ms: number,
  services: ExchangeServices,
  signal: AbortSignal,
): Promise<Reply> {
  const reply = await askUdp({ ...question, id: services.random() }, server, ms, services, signal);
  if (typeof reply === "string" || !reply.truncated) return reply;
  return await askTcp({ ...question, id: services.random() }, server, services, signal);
}

/** Runs `start` when there is a descriptor for its socket. Frees the socket when `start` calls
 *  `done`, `ms` have passed, another question needs the descriptor, or `signal` fires. */
function attempt(
  ms: number,
  { clock, sockets }: ExchangeServices,
  signal: AbortSignal,
  start: (done: (reply: Reply) => void) => () => void,
): Promise<Reply> {
  if (signal.aborted) return Promise.resolve("aborted");
  return new Promise((resolve) => {
    let close = (): void => {};
    let callOff = (): void => {};
    const done = (reply: Reply) => {
      callOff();
      signal.removeEventListener("abort", abort);
      close();
      release();
      resolve(reply);
    };
    const abort = () => done("aborted");
    const late = () => done("timeout");
    signal.addEventListener("abort", abort);
    const release = sockets.take(() => {
      close = start(done);
      callOff = clock.after(ms, late);
    }, late);
  });
}

function askUdp(
  query: DnsQuery,
  server: NameServer,
  ms: number,
  services: ExchangeServices,
  signal: AbortSignal,
): Promise<Reply> {
  return attempt(
    ms,
    services,
    signal,
    (done) =>
      services.transport.udp(server, encodeDnsQuery(query), {
        packet(bytes, from) {
          if (from.port !== server.port || !sameAddress(from.address, server.address)) return;
          const reply = readAnswer(query, bytes);
          if (reply !== undefined) done(reply);
        },
        failed: () => done("unreachable"),
      }),
  );
}

/** The answer in `bytes` to `query`, or undefined if there is none. */
function readAnswer(query: DnsQuery, bytes: Uint8Array): DnsMessage | "unusable" | undefined {
  // The id is checked first, so that a flood of guesses costs very little.
  if (bytes[0] !== query.id >> 8 || bytes[1] !== (query.id & 0xff)) return undefined;
  try {
    const answer = decodeDnsAnswer(query, bytes);
    return typeof answer === "string" ? undefined : answer;
  } catch (error) {
    if (error instanceof UnusableAnswer) return "unusable";
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

/** RFC 1035 4.2.2: each message has two bytes of length before it. */
function askTcp(
  query: DnsQuery,
  server: NameServer,
  services: ExchangeServices,
  signal: AbortSignal,
): Promise<Reply> {
  const packet = encodeDnsQuery(query);
  const framed = new Uint8Array(2 + packet.length);
  framed.set([packet.length >> 8, packet.length & 0xff]);
  framed.set(packet, 2);
  return attempt(TCP_MS, services, signal, (done) => {
    const length = new Uint8Array(2);
    let message: Uint8Array | undefined;
    let have = 0;
    return services.transport.tcp(server, framed, {
      data(bytes) {
        for (let at = 0; at < bytes.length;) {
          const into = message ?? length;
          const some = bytes.subarray(at, at + into.length - have);
          into.set(some, have);
          have += some.length;
          at += some.length;
          if (have < into.length) continue;
          if (message !== undefined) return done(readWhole(query, message));
          const size = (length[0] ?? 0) << 8 | (length[1] ?? 0);
          if (size === 0 || size > MAX_DNS_MESSAGE) return done("unusable");
          message = new Uint8Array(size);
          have = 0;
        }
      },
      ended: () => done("unreachable"),
    });
  });
}

/** Reads an answer by TCP. It is unusable if it does not answer `query` (no other answer will
 *  come) or is marked as truncated. */
function readWhole(query: DnsQuery, bytes: Uint8Array): Reply {
  const reply = readAnswer(query, bytes);
  return reply === undefined || typeof reply !== "string" && reply.truncated ? "unusable" : reply;
}

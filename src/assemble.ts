/** From options and environment to everything a server needs, for the command and the library.
 *  Everything that can be found wrong is found here, before the first connection. */

import os from "node:os";
import { DnsConfig, type DnsConfigOptions } from "./dns/config.ts";
import { type Counter, Limits, parseLimit, parseRate, UNCOUNTED } from "./admit/limits.ts";
import { hostOperand, isDnsName } from "./admit/names.ts";
import { Resolver } from "./dns/resolver.ts";
import { RuleBook } from "./admit/rulebook.ts";
import { transportOf } from "./dns/transport.ts";
import type { Deps } from "./services.ts";
import { divide, needsOf, QuestionSockets } from "./accept/descriptors.ts";
import { EXIT, FatalError, reason, Unsupported, UsageError } from "./errors.ts";
import { type Files, localFiles } from "./files/files.ts";
import { Gate } from "./accept/gate.ts";
import type { Handler } from "./program/handler.ts";
import { heard } from "./accept/hello.ts";
import { IdleWatch } from "./program/idle.ts";
import { Lingering } from "./program/linger.ts";
import { checkNamed, type ListenAddress, literalHost, portNumber } from "./accept/listen.ts";
import type { Announcer, Log } from "./log.ts";
import { NO_METRICS } from "./metrics/observer.ts";
import { ServerMetrics } from "./metrics/server.ts";
import type { Options } from "./config/options.ts";
import { Places } from "./program/slots.ts";
import { DirectPrograms, type Programs } from "./program/programs.ts";
import type { KeyPair, Runtime } from "./runtime/runtime.ts";
import { baseEnvironment } from "./program/start.ts";
import { HandshakeQueue } from "./tls/handshake.ts";
import { ClientAuths } from "./tls/client_auth.ts";
import { Contexts } from "./tls/context.ts";
import { makeSelfSigned } from "./tls/self_signed.ts";
import { ServerNames } from "./tls/server_names.ts";
import { PRODUCT } from "./version.ts";

export type Env = Readonly<Record<string, string | undefined>>;

/** Certificates can live for a day. */
const HOUR = 3_600_000;

/** What is not made from options and environment. */
export interface Given {
  keyPair?: KeyPair | undefined;
  handler?: Handler | undefined;
  /** False: the server's own name is not looked up in DNS, -l or not. */
  findsOwnName?: boolean;
  /** Of encrypted keys (-3), which can be read only once. */
  password?: string | undefined;
  /** Where files come from, who starts programs and who counts, in a worker. */
  files?: Files;
  programs?: Programs;
  counter?: Counter;
  /** Its part of --pending. */
  pending?: number;
  /** For what is said once for all workers: at start, and when a file has changed. */
  announce?: Announcer;
}

/** A server that only needs to be started. */
export interface Assembled {
  deps: Deps;
  /** Reads certificates, authorities and rules again (SIGHUP). */
  reload(): void;
  /** Looks at all files, and reads those that have changed. */
  look(): void;
  /** Warns of certificates that have expired or will soon: at start. It goes on daily. */
  warnOfExpiry(): void;
  /** A start with the files as they are would succeed: none is broken that was good before. */
  sound(): boolean;
  /** Ends what runs beside the connections. */
  close(): void;
}

/** Reads everything that options and environment name, and finds what is wrong with it. Throws
 *  `FatalError` or `UsageError`. */
export async function assemble(
  options: Options,
  env: Env,
  runtime: Runtime,
  log: Log,
  given: Given = {},
): Promise<Assembled> {
  refuseTicketKeys(env);
  const { files: from = localFiles, announce = log } = given;
  if (given.handler && options.delayed) {
    throw new UsageError("a handler cannot begin in the clear: -n is for programs");
  }
  const { libc } = runtime;
  if (options.delayed && !libc) {
    throw new Unsupported(
      "give a program more descriptors (-n)",
      `${runtime.name} without FFI`,
      "allow FFI: deno run --allow-ffi",
    );
  }
  const needs = needsOf(options, libc, {
    handler: given.handler !== undefined,
    ...(given.pending === undefined ? {} : { pending: given.pending }),
  });
  const budget = divide(needs);
  const sockets = new QuestionSockets(budget.questions);
  const asked = env["DNSCACHEIP"] !== undefined && env["DNSCACHEIP"] !== "";
  const metrics = options.metrics ? new ServerMetrics() : NO_METRICS;
  const resolver = new Resolver({
    config: new DnsConfig({
      env,
      ...(asksDns(options, given) ? { files: from } : NO_DNS),
      interfaceIndex: libc && ((name) => libc.interfaceIndex(name)),
      onFailure: (text) => announce.error(text),
    }),
    onAnswer: (status) => metrics.asked(status),
    sockets,
    transport: transportOf(runtime),
    limits: { inFlight: needs.questions },
  });
  const clientAuths = new ClientAuths({
    option: options.clientCertificate,
    env: (name) => env[name],
    log: announce,
    files: from,
  });
  const { contexts, names } = makeContexts(env, runtime, announce, log, clientAuths, given);
  contexts.warnOfDhFile();
  const limited = options.rules !== undefined || options.earlyRules !== undefined ||
    ["MAXCONIP", "MAXCONRATE", "MAXCONNET"].some((name) => env[name]);
  const limits = limited
    ? new Limits({ programs: options.concurrency, now: () => performance.now() })
    : UNCOUNTED;
  const book = (file: string | undefined): RuleBook | undefined =>
    file === undefined ? undefined : new RuleBook(from.rules(file), {
      allowMissing: options.allowMissingRules,
      now: () => performance.now(),
    });
  const rules = book(options.rules);
  const earlyRules = book(options.earlyRules);
  const direct = new DirectPrograms(
    runtime,
    new Places(options.concurrency),
    options.command,
    baseEnvironment(env),
    { options, log },
  );
  const programs = given.programs ?? direct;
  const deps: Deps = {
    runtime,
    options,
    log,
    metrics,
    contexts,
    names,
    clientAuths,
    handshakes: new HandshakeQueue(),
    idle: new IdleWatch(options.idleTimeout),
    lingering: new Lingering(
      options.concurrency,
      options.idleTimeout * 1000,
      undefined,
      budget.lingering,
    ),
    gate: new Gate({
      programs,
      pending: needs.pending,
      pendingRoom: budget.pending,
      descriptors: budget.connections,
      each: needs.each,
      concurrency: options.concurrency,
      heard: options.delayed ? () => false : heard,
      blind: !libc && !options.delayed,
    }),
    admission: {
      options,
      log,
      limits: given.counter ?? limits,
      ask: {
        perAddress: Math.min(parseLimit("MAXCONIP", env["MAXCONIP"]) ?? 0, options.concurrency),
        rate: parseRate(env["MAXCONRATE"]),
      },
      perNetwork: parseLimit("MAXCONNET", env["MAXCONNET"]),
      resolver,
      sockets,
      asksAboutLoopback: asked,
      findsOwnName: given.findsOwnName ?? true,
      rules,
      earlyRules,
    },
    programs,
    handler: given.handler && { serve: given.handler, programs: direct },
  };
  const hourly = setInterval(() => contexts.warnOfExpiry(), HOUR);
  return {
    deps,
    warnOfExpiry: () => contexts.warnOfExpiry(),
    look() {
      contexts.look();
      clientAuths.look();
      rules?.expire();
      earlyRules?.expire();
    },
    reload() {
      contexts.reload();
      clientAuths.reload();
      rules?.expire();
      earlyRules?.expire();
    },
    sound: () => contexts.sound && clientAuths.sound,
    close() {
      clearInterval(hourly);
      resolver.close();
    },
  };
}

/** DNS settings of a server that asks nothing: no file is read, nor the host's name. */
const NO_DNS: Pick<DnsConfigOptions, "files" | "hostName"> = {
  files: { stamp: () => undefined, read: () => new Uint8Array(0) },
  hostName: "",
};

function asksDns(
  { host, localName, remoteName }: Options,
  { findsOwnName = true }: Given,
): boolean {
  return remoteName || (findsOwnName && localName === undefined) ||
    (literalHost(host) === undefined && isDnsName(host));
}

function makeContexts(
  env: Env,
  runtime: Runtime,
  log: Announcer,
  rulesLog: Announcer,
  clientAuths: ClientAuths,
  { password, keyPair, files }: Given,
): { contexts: Contexts; names: ServerNames } {
  const contexts = new Contexts({
    runtime,
    log,
    rulesLog,
    env: (name) => env[name],
    password,
    keyPair,
    ...(files ? { files } : {}),
  });
  const names = new ServerNames(contexts, Object.entries(env));
  names.prepare(clientAuths.get());
  return { contexts, names };
}

/** The throw-away certificate of --self-signed, if it is wanted. */
export function selfSigned(options: Options, log: Log): KeyPair | undefined {
  if (!options.selfSigned) return undefined;
  const { certPem, keyPem, fingerprintSha256 } = makeSelfSigned(ownNames(options.host));
  log.notice(`self-signed certificate, SHA-256 fingerprint ${fingerprintSha256}`, {
    fingerprint: fingerprintSha256,
  });
  return { chain: certPem, key: keyPem };
}

/** Names and addresses of this host, for the self-signed certificate. */
function ownNames(host: string): string[] {
  const addresses = Object.values(os.networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .map(({ address }) => address);
  return [os.hostname(), ...(literalHost(host) ? [] : [host]), ...addresses];
}

/** Where to listen; a name is looked up. Throws `FatalError`. */
export async function listenAddress(options: Options, resolver: Resolver): Promise<ListenAddress> {
  const { host, backlog } = options;
  const port = portNumber(options.port);
  const where = literalHost(host) ??
    { ip: await namedAddress(options, resolver), dualStack: false };
  return { ...where, port, backlog, interface: options.interface };
}

/** The address of a host given by name. Throws `FatalError`. */
export async function namedAddress(
  { host, family }: Pick<Options, "host" | "family">,
  resolver: Resolver,
): Promise<string> {
  const [ip] = await hostOperand(host, family ?? 0, resolver) as [string];
  checkNamed(host, ip);
  return ip;
}

/** Longest password looked at, in bytes: what comes on descriptor 3 may have no end. */
const MAX_PASSWORD = 4096;

/** One NUL-terminated password (-3), if there is one to be read. The descriptor is closed: no program gets it. */
export function readPassword(options: Options, { libc, name }: Runtime): string | undefined {
  if (!options.keyPassword) return undefined;
  if (!libc) {
    throw new Unsupported(
      "read the key's password (-3)",
      `${name} without FFI`,
      "allow FFI: deno run --allow-ffi",
    );
  }
  try {
    const text = new TextDecoder().decode(libc.readAll(3, MAX_PASSWORD));
    libc.close(3);
    const end = text.indexOf("\0");
    return end < 0 ? text : text.slice(0, end);
  } catch (error) {
    throw new FatalError(
      `unable to read the key's password from descriptor 3: ${reason(error)}`,
      EXIT.system,
      "-3 wants a password and a NUL there: 3<file",
    );
  }
}

/** Settings that no runtime can honour are refused, not swallowed: neither lets ticket keys be set. */
function refuseTicketKeys(env: Env): void {
  if (!env["TICKETKEYFILE"]) return;
  throw new UsageError(`$TICKETKEYFILE is not supported by ${PRODUCT}`, "unset TICKETKEYFILE");
}

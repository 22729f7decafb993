/** Makes everything that a server needs from options and environment, for the command and the
 *  library. Mistakes in them are reported here, before the first connection. */

import type { Env } from "./config/variables.ts";
import { literalHost } from "./accept/address.ts";
import { divide, needsOf } from "./accept/descriptors.ts";
import { Gate } from "./accept/gate.ts";
import { isHelloComplete } from "./accept/hello.ts";
import { isDnsName } from "./accept/host.ts";
import {
  canLimit,
  type ConnectionLimiter,
  LocalLimiter,
  parseLimit,
  parseRate,
} from "./admit/limits.ts";
import type { AccessLooks } from "./admit/access_rules.ts";
import { RuleBook, type Rules } from "./admit/rulebook.ts";
import type { ConnectionObserver } from "./connection.ts";
import { type Options, refuseSeveralRules, servesHttp1 } from "./config/options.ts";
import { DnsConfig, type DnsConfigOptions } from "./dns/config.ts";
import { Hosts } from "./dns/hosts.ts";
import { QuestionSockets } from "./dns/question_sockets.ts";
import { Resolver } from "./dns/resolver.ts";
import { transportOf } from "./dns/transport.ts";
import { type Files, localFiles } from "./files/files.ts";
import type { Announcer, Log } from "./log.ts";
import { NO_METRICS } from "./metrics/observer.ts";
import { ServerMetrics } from "./metrics/server.ts";
import { baseEnvironment } from "./program/environment.ts";
import type { ConnectionHandler } from "./program/handler.ts";
import { IdleTimer } from "./program/idle.ts";
import { Lingering } from "./program/linger.ts";
import { DirectPrograms, type Programs } from "./program/programs.ts";
import { Slots } from "./program/slots.ts";
import { requireLibc } from "./runtime/needs_ffi.ts";
import type { KeyPair, Runtime } from "./runtime/runtime.ts";
import type { Services } from "./services.ts";
import { ClientAuths } from "./tls/client_auth.ts";
import { Contexts } from "./tls/context.ts";
import { HandshakeQueue } from "./tls/handshake.ts";
import { ServerNames } from "./tls/server_names.ts";
import type { Trace } from "./tls/trace.ts";
import { refuseUnsupported } from "./tls/unsupported.ts";

/** How often certificates are checked for expiry, in milliseconds. Some are valid for only one
 *  day. */
const HOUR = 3_600_000;

/** Parts that a caller supplies in place of those made from options and environment. */
export interface Overrides {
  keyPair?: KeyPair | undefined;
  handler?: ConnectionHandler | undefined;
  /** Whether the server's own name is looked up in DNS if -l does not give it; true by default. */
  findsOwnName?: boolean;
  /** Password of encrypted keys. Read by the caller, because -3 can be read only once. */
  password?: string | undefined;
  /** The variables that every program gets; by default those of the environment. */
  base?: Readonly<Record<string, string>>;
  /** More observers of every connection. */
  observers?: readonly ConnectionObserver[];
  /** Observes the TLS records of each connection, in place of --trace. */
  trace?: Trace;
  /** Set in a worker: the monitor opens its files, starts its programs and counts its
   *  connections. */
  files?: Files;
  programs?: Programs;
  limiter?: ConnectionLimiter;
  /** The rules of --access-dir or --access-cdb. */
  access?: AccessLooks;
  /** A worker's share of --pending. */
  pending?: number;
  /** Pipes are made before their programs are asked for. */
  ahead?: boolean;
  /** Log for messages that must appear once, not once per worker: at start, and after a file has
   *  changed. */
  announce?: Announcer;
}

/** The parts of a server that is ready to accept connections. */
export interface Assembled {
  services: Services;
  /** Reads certificates, authorities and rules again (SIGHUP). */
  reload(): void;
  /** Checks all files, and reads those that have changed. */
  refresh(): void;
  /** Logs a warning for certificates that have expired or expire soon. To be called at start;
   *  repeated daily without further calls. */
  warnOfExpiry(): void;
  /** True if no file is broken: a start with the files as they are now would succeed. */
  upToDate(): boolean;
  /** Stops the timer for expiry and the resolver. */
  close(): void;
}

/** Reads the files that options and environment name, and checks them. Rejects with `FatalError` or
 *  `UsageError`. */
export async function assemble(
  options: Options,
  env: Env,
  runtime: Runtime,
  log: Log,
  overrides: Overrides = {},
): Promise<Assembled> {
  refuseUnsupported((name) => env[name]);
  refuseSeveralRules(options);
  const { files: from = localFiles, announce = log } = overrides;
  const { libc } = runtime;
  if (options.delayed) requireLibc(runtime, "pass more descriptors to a program (-n)");
  const needs = needsOf(options, libc, {
    inProcess: overrides.handler !== undefined || options.handler !== undefined,
    ...(overrides.pending === undefined ? {} : { pending: overrides.pending }),
    ahead: overrides.ahead === true,
  });
  const budget = divide(needs);
  const sockets = new QuestionSockets(budget.questions);
  const asked = env.DNSCACHEIP !== undefined && env.DNSCACHEIP !== "";
  const metrics = options.metrics ? new ServerMetrics() : NO_METRICS;
  const resolver = new Resolver({
    config: new DnsConfig({
      env,
      ...(asksDns(options, overrides) ? { files: from } : NO_DNS),
      interfaceIndex: libc && ((name) => libc.interfaceIndex(name)),
      log: announce,
    }),
    onAnswer: (status) => metrics.asked(status),
    sockets,
    transport: transportOf(runtime),
    limits: { inFlight: needs.questions },
  });
  const clientAuths = new ClientAuths({
    option: options.clientCertificate,
    revocation: options.revocation,
    env: (name) => env[name],
    log: announce,
    files: from,
  });
  const { contexts, names } = makeContexts(
    env,
    runtime,
    announce,
    log,
    clientAuths,
    overrides,
    options,
  );
  contexts.warnOfDhFile();
  const limiter = canLimit(options, env)
    ? new LocalLimiter({ programs: options.concurrency, now: () => performance.now() })
    : undefined;
  const { rules, earlyRules } = await makeRules(options, from, runtime, overrides);
  const direct = new DirectPrograms(
    runtime,
    new Slots(options.concurrency),
    options.command,
    overrides.base ?? baseEnvironment(env),
    { options, log },
  );
  const programs = overrides.programs ?? direct;
  const services: Services = {
    runtime,
    options,
    log,
    metrics,
    contexts,
    names,
    clientAuths,
    handshakes: new HandshakeQueue(),
    handshakeTimer: new IdleTimer(options.handshakeTimeout),
    trace: overrides.trace ?? await traceOf(options, log),
    idle: new IdleTimer(options.idleTimeout),
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
      isHelloComplete: options.delayed ? () => false : isHelloComplete,
      cannotPeek: !libc && !options.delayed,
    }),
    admission: {
      options,
      log,
      limiter: overrides.limiter ?? limiter,
      limits: {
        perAddress: Math.min(
          options.perAddress ?? parseLimit("MAXCONIP", env.MAXCONIP) ?? 0,
          options.concurrency,
        ),
        rate: parseRate(env.MAXCONRATE),
      },
      perNetwork: parseLimit("MAXCONNET", env.MAXCONNET),
      earlyBanner: options.earlyBanner === undefined
        ? undefined
        : new TextEncoder().encode(options.earlyBanner),
      resolver,
      hosts: options.hosts ? new Hosts({ files: from, log: announce }) : undefined,
      sockets,
      asksAboutLoopback: asked,
      findsOwnName: overrides.findsOwnName ?? true,
      rules,
      earlyRules,
    },
    programs,
    handler: overrides.handler,
    observers: overrides.observers ?? [],
  };
  const hourly = setInterval(() => contexts.warnOfExpiry(), HOUR);
  return {
    services,
    warnOfExpiry: () => contexts.warnOfExpiry(),
    refresh() {
      contexts.refresh();
      clientAuths.refresh();
      rules?.expire();
      earlyRules?.expire();
    },
    reload() {
      contexts.reload();
      clientAuths.reload();
      rules?.expire();
      earlyRules?.expire();
    },
    upToDate: () => contexts.upToDate && clientAuths.upToDate,
    close() {
      clearInterval(hourly);
      resolver.close();
    },
  };
}

async function makeRules(
  options: Options,
  files: Files,
  { libc }: Pick<Runtime, "libc">,
  { access, handler }: Overrides,
): Promise<{ rules: Rules | undefined; earlyRules: Rules | undefined }> {
  const now = (): number => performance.now();
  if (options.accessDir !== undefined || options.accessCdb !== undefined) {
    const { makeAccessRules, refusedCommand } = await import("./admit/access_rules.ts"); // few servers need it
    const looks = access ?? makeAccessRules(options, libc, now, handler && refusedCommand).looks;
    return { rules: looks.late, earlyRules: looks.early };
  }
  const { allowMissingRules: allowMissing } = options;
  const book = (file: string | undefined): RuleBook | undefined =>
    file === undefined ? undefined : new RuleBook(files.rules(file), { allowMissing, now });
  return { rules: book(options.rules), earlyRules: book(options.earlyRules) };
}

/** Loads the tables of names only if they are needed. */
async function traceOf({ trace }: Options, log: Log): Promise<Trace | undefined> {
  if (trace === "nothing") return undefined;
  return (await import("./tls/trace.ts")).traceTo(log, trace === "bytes");
}

/** DNS settings of a server that does no look-up: reads no file, and not the name of this
 *  machine. */
const NO_DNS: Pick<DnsConfigOptions, "files" | "hostName"> = {
  files: { stamp: () => undefined, read: () => new Uint8Array(0) },
  hostName: "",
};

function asksDns(
  { host, localName, remoteName, ownName }: Options,
  { findsOwnName = true }: Overrides,
): boolean {
  return remoteName || (findsOwnName && ownName && localName === undefined) ||
    (literalHost(host) === undefined && isDnsName(host));
}

function makeContexts(
  env: Env,
  runtime: Runtime,
  log: Announcer,
  rulesLog: Announcer,
  clientAuths: ClientAuths,
  { password, keyPair, files }: Overrides,
  options: Options,
): { contexts: Contexts; names: ServerNames } {
  const { serverNames, tickets, cipherOrder } = options;
  const contexts = new Contexts({
    runtime,
    log,
    rulesLog,
    http1: servesHttp1(options),
    env: (name) => env[name],
    password,
    keyPair,
    ...(files ? { files } : {}),
    more: {
      ...(tickets ? {} : { tickets }),
      ...(cipherOrder === "library" ? {} : { cipherOrder }),
    },
  });
  const names = new ServerNames(contexts, Object.entries(env), serverNames);
  names.prepare(clientAuths.get());
  return { contexts, names };
}

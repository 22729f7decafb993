/** The command `sslserver`: from arguments and environment to a running server and an exit code.
 *  Everything that can be found wrong is found before the first connection. */

import fs from "node:fs";
import os from "node:os";
import { DnsConfig } from "../admit/dns_config.ts";
import { Limits, parseLimit, parseRate } from "../admit/limits.ts";
import { hostOperand } from "../admit/names.ts";
import { Resolver } from "../admit/resolver.ts";
import { RuleBook } from "../admit/rulebook.ts";
import { PathRules } from "../admit/rules_file.ts";
import { EXIT, FatalError, reason, Unsupported, UsageError } from "../errors.ts";
import { Gate } from "../gate.ts";
import { type ListenAddress, literalHost, portNumber } from "../listen.ts";
import { Log } from "../log.ts";
import { helpText, type Options, parseOptions, USAGE } from "../options.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Deps } from "../deps.ts";
import { serve, type Server } from "../serve.ts";
import { baseEnvironment } from "../start.ts";
import { HandshakeQueue } from "../tls.ts";
import { ClientAuths } from "../tls/client_auth.ts";
import { Contexts } from "../tls/context.ts";
import { makeSelfSigned } from "../tls/self_signed.ts";
import { PRODUCT, VERSION } from "../version.ts";

export type Env = Readonly<Record<string, string | undefined>>;

const DAY = 86_400_000;
/** How long programs may take to obey the second SIGTERM, in milliseconds. */
const GRACE = 5000;

/** Runs the server to its end. Never rejects. `loadRuntime` is called once there is work for it. */
export async function sslserver(
  argv: readonly string[],
  env: Env,
  loadRuntime: () => Promise<Runtime>,
): Promise<number> {
  let log = new Log({ verbosity: 1, form: "text", name: "sslserver" });
  try {
    const request = parseOptions(argv, env);
    if ("print" in request) {
      fs.writeSync(1, request.print === "help" ? helpText() : `sslserver ${VERSION}\n`);
      return EXIT.ok;
    }
    const options = request.serve;
    log = new Log({ verbosity: options.verbosity, form: options.log, name: "sslserver" });
    refuseUnfinished(env);
    await run(options, env, await loadRuntime(), log);
    log.flush();
    return EXIT.ok;
  } catch (error) {
    if (error instanceof UsageError) {
      log.fatal(error.message);
      fs.writeSync(2, `sslserver: usage: ${USAGE}\n`);
      return error.code;
    }
    if (error instanceof FatalError) {
      log.fatal(error.message, error.hint);
      return error.code;
    }
    log.fatal(`unable to go on: ${reason(error)}`);
    return EXIT.system;
  }
}

async function run(options: Options, env: Env, runtime: Runtime, log: Log): Promise<void> {
  const { libc } = runtime;
  const files = libc?.raiseFileLimit().soft ?? Infinity;
  const asked = env["DNSCACHEIP"] !== undefined && env["DNSCACHEIP"] !== "";
  const resolver = new Resolver({ config: new DnsConfig({ env }) });
  const address = await listenAddress(options, resolver);
  const clientAuths = new ClientAuths({
    option: options.clientCertificate,
    env: (name) => env[name],
    log,
  });
  const contexts = makeContexts(options, env, runtime, log, clientAuths);
  if (env["DHFILE"]) {
    log.warning("DHFILE is ignored: the TLS library has no finite-field Diffie-Hellman");
  }
  const limits = new Limits({ programs: options.concurrency, now: () => performance.now() });
  const book = (file: string | undefined): RuleBook | undefined =>
    file === undefined ? undefined : new RuleBook(new PathRules(file), {
      allowMissing: options.allowMissingRules,
      now: () => performance.now(),
    });
  const rules = book(options.rules);
  const earlyRules = book(options.earlyRules);
  const deps: Deps = {
    runtime,
    options,
    log,
    contexts,
    clientAuths,
    handshakes: new HandshakeQueue(),
    gate: new Gate({
      limits,
      concurrency: options.concurrency,
      pending: options.pending,
      descriptors: files,
      delayed: options.delayed,
    }),
    admission: {
      options,
      log,
      limits,
      ask: {
        perAddress: parseLimit("MAXCONIP", env["MAXCONIP"]),
        rate: parseRate(env["MAXCONRATE"]),
      },
      perNetwork: parseLimit("MAXCONNET", env["MAXCONNET"]),
      resolver,
      asksAboutLoopback: asked,
      rules,
      earlyRules,
    },
    baseEnvironment: baseEnvironment(env),
  };
  const server = serve(address, deps);
  try {
    dropPrivileges(options, runtime, log);
    if (options.printPort) fs.writeSync(1, `${server.port}\n`);
  } catch (error) {
    server.end();
    throw error;
  }
  const daily = setInterval(() => contexts.warnOfExpiry(), DAY);
  onSignals(runtime, server, () => {
    contexts.reload();
    clientAuths.reload();
    rules?.expire();
    earlyRules?.expire();
  });
  await server.closed;
  clearInterval(daily);
  resolver.close();
}

/** TERM drains, and ends at the second time; HUP reads again. */
function onSignals(runtime: Runtime, server: Server, reload: () => void): void {
  let stopping = false;
  const stop = (): void => {
    if (!stopping) server.drain();
    else server.end(GRACE);
    stopping = true;
  };
  runtime.onSignal("SIGTERM", stop);
  runtime.onSignal("SIGINT", stop);
  runtime.onSignal("SIGHUP", reload);
  runtime.onSignal("SIGPIPE", () => {});
}

function makeContexts(
  options: Options,
  env: Env,
  runtime: Runtime,
  log: Log,
  clientAuths: ClientAuths,
): Contexts {
  const made = options.selfSigned ? makeSelfSigned(ownNames(options.host)) : undefined;
  const contexts = new Contexts({
    runtime,
    log,
    env: (name) => env[name],
    password: options.keyPassword ? readPassword(runtime) : undefined,
    ...(made ? { keyPair: { chain: made.certPem, key: made.keyPem } } : {}),
  });
  contexts.get(undefined, clientAuths.get());
  contexts.warnOfExpiry();
  if (made) {
    log.notice(`self-signed certificate, SHA-256 fingerprint ${made.fingerprintSha256}`, {
      fingerprint: made.fingerprintSha256,
    });
  }
  return contexts;
}

/** Names and addresses of this host, for the self-signed certificate. */
function ownNames(host: string): string[] {
  const addresses = Object.values(os.networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .map(({ address }) => address);
  return [os.hostname(), ...(literalHost(host) ? [] : [host]), ...addresses];
}

async function listenAddress(options: Options, resolver: Resolver): Promise<ListenAddress> {
  const { host, family, backlog } = options;
  const port = portNumber(options.port);
  const literal = literalHost(host);
  const where = literal ??
    { ip: (await hostOperand(host, family ?? 0, resolver))[0] as string, dualStack: false };
  return { ...where, port, backlog, interface: options.interface };
}

/** One NUL-terminated password (-3). The descriptor is closed: no program gets it. */
function readPassword(runtime: Runtime): string {
  try {
    const text = fs.readFileSync("/dev/fd/3", "utf8");
    runtime.libc?.close(3);
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

/** The whole process becomes what -u, -g and -U name, once the port is bound: the network is
 *  spoken to without privileges, and programs inherit them. */
function dropPrivileges(options: Options, runtime: Runtime, log: Log): void {
  const { uid, gid, groups } = options;
  const root = process.getuid?.() === 0;
  if (uid === undefined && gid === undefined) {
    if (root) log.warning("running as root, and so will the programs: use -u and -g");
    return;
  }
  const { libc } = runtime;
  if (!libc) {
    throw new Unsupported(
      "switch user or group (-u, -g, -U)",
      `${runtime.name} without FFI`,
      "allow FFI: deno run --allow-ffi",
    );
  }
  if (root) libc.setGroups(groups ?? []);
  if (gid !== undefined) libc.setGid(gid);
  if (uid !== undefined) libc.setUid(uid);
  const now = libc.getIds();
  const wrong = (uid !== undefined && [now.ruid, now.euid, now.suid].some((id) => id !== uid)) ||
    (gid !== undefined && [now.rgid, now.egid, now.sgid].some((id) => id !== gid));
  if (wrong) throw new FatalError("unable to switch user or group: the system did not obey");
  if (uid !== undefined && regainsRoot(libc)) {
    throw new FatalError("unable to switch user: root could be had back");
  }
}

function regainsRoot(libc: NonNullable<Runtime["libc"]>): boolean {
  try {
    libc.setUid(0);
    return true;
  } catch {
    return false;
  }
}

/** Options and settings that this version knows and cannot honour are refused, not swallowed. */
function refuseUnfinished(env: Env): void {
  const refuse = (what: string): never => {
    throw new UsageError(`${what} is not supported by ${PRODUCT}`);
  };
  for (const name of ["SSL_CHROOT", "SSL_UID", "SSL_GID", "SSL_USER", "SSL_GROUP"]) {
    if (env[name]) refuse(`$${name}`);
  }
  if (env["TICKETKEYFILE"]) refuse("$TICKETKEYFILE");
  for (const name of Object.keys(env)) {
    if (/^(CERTFILE|KEYFILE):/.test(name)) refuse(`$${name}`);
  }
}

/** Reads the resolver's settings: the servers from $DNSCACHEIP or /etc/resolv.conf,
 *  qualification from $DNSREWRITEFILE, $LOCALDOMAIN or /etc/resolv.conf. Files are read again
 *  when they change; changes are checked at most once a second. Files are read through `Files`,
 *  so that a worker in a jail can get descriptors instead of paths. */

import { latin1 } from "../codec/bytes.ts";
import type { Env } from "../config/variables.ts";
import { hostname } from "node:os";
import { FatalError, reason } from "../errors.ts";
import { type Files, localFiles, signature } from "../files/files.ts";
import { systemReason } from "../runtime/system_reason.ts";
import { type NameServer, parseResolvConf, parseServerList } from "../codec/dns/resolv_conf.ts";
import type { ResolvConf } from "../codec/dns/resolv_conf.ts";
import {
  parseRewriteRules,
  qualify,
  searchEndings,
  searchListRules,
} from "../codec/dns/rewrite.ts";
import { Reloading } from "../files/reloading.ts";
import type { Announcer } from "../log.ts";
import { type Clock, systemClock } from "./clock.ts";

/** Bytes of the largest file. Real files are far smaller. */
const MAX_FILE = 65_536;

const RESOLV_CONF = "/etc/resolv.conf";
/** The path of djbdns, and the one in the man page of ucspi-ssl. */
const REWRITE_FILES = ["/etc/dnsrewrite", "/etc/dnswritefile"];

/** Seconds to wait for each server, by round, as in djbdns. Its fourth round of 45 seconds is
 *  left out: no client waits a minute for its greeting. */
const ROUNDS = [1, 3, 11];

export interface DnsConfigOptions {
  env: Env;
  files?: Pick<Files, "stamp" | "read">;
  clock?: Clock;
  /** This machine's name. Its domain is searched if nothing else is configured. */
  hostName?: string;
  /** Returns the number of a network interface, or throws if there is no such interface. Without
   *  this function, zones of servers stay names. */
  interfaceIndex?: ((name: string) => number) | undefined;
  /** Reports when resolv.conf cannot be read any more, and when it can be read again. */
  log?: Pick<Announcer, "error" | "notice">;
}

/** The current settings. Throws `FatalError` if the environment or a file cannot be used. */
export class DnsConfig {
  readonly #env: DnsConfigOptions["env"];
  readonly #files: Pick<Files, "stamp" | "read">;
  readonly #clock: Clock;
  readonly #hostName: string;
  readonly #fixed: NameServer[];
  readonly #conf: Reloading<ResolvConf>;
  readonly #interfaceIndex: DnsConfigOptions["interfaceIndex"];
  /** Numbers of interfaces that have been looked up. A worker in its sandbox cannot look up
   *  others: a zone that first appears in a changed resolv.conf stays a name, and its server is
   *  unreachable. */
  readonly #interfaces = new Map<string, number>();

  constructor({ env, files, clock, hostName, interfaceIndex, log }: DnsConfigOptions) {
    this.#interfaceIndex = interfaceIndex;
    this.#env = env;
    this.#files = files ?? localFiles;
    this.#clock = clock ?? systemClock;
    this.#hostName = hostName ?? hostname();
    try {
      this.#fixed = this.#numberZones(parseServerList(env.DNSCACHEIP ?? ""));
    } catch (error) {
      throw new FatalError(
        `unable to use $DNSCACHEIP: ${reason(error)}`,
        undefined,
        "set it like DNSCACHEIP=192.0.2.53, or to several addresses with commas",
      );
    }
    this.#conf = new Reloading<ResolvConf>({
      stamp: () => signature(this.#files, [RESOLV_CONF]),
      load: () => ({ value: this.#readConf() }),
      kept: "its old settings stay in use",
      report: (problems) => problems.forEach((text) => log?.error(text)),
      onReload: (_now, _before, again) =>
        again && log?.notice(`resolver settings good again: ${RESOLV_CONF}`),
    }, () => this.#clock.now());
  }

  /** The servers to ask, in order. If none is configured, 127.0.0.1, as in other resolvers. */
  get servers(): readonly NameServer[] {
    if (this.#fixed.length > 0) return this.#fixed;
    const { servers } = this.#conf.value;
    return servers.length > 0 ? servers : [{ address: "127.0.0.1", port: 53 }];
  }

  /** Seconds to wait for a server, one number per round. In resolv.conf, `options timeout` is the
   *  longest wait of one try, and `options attempts` the number of rounds. */
  get rounds(): number[] {
    const { timeout, attempts } = this.#conf.value;
    const last = ROUNDS[ROUNDS.length - 1] ?? 1;
    return Array.from(
      { length: attempts ?? ROUNDS.length },
      (_, i) => Math.min(ROUNDS[i] ?? last, timeout ?? last),
    );
  }

  /** The full names to try for a host name from the command line. Qualified by a rewriting file,
   *  else by $LOCALDOMAIN, else by resolv.conf, else by the domain of this machine's name. */
  qualify(host: string): string[] {
    const rewriting = this.#rewriting();
    if (rewriting !== undefined) return qualify(host, parseRewriteRules(rewriting));
    const local = this.#env.LOCALDOMAIN;
    if (local !== undefined) return qualify(host, searchListRules(local.split(/\s+/)));
    const { search, ndots } = this.#conf.value;
    if (search.length === 0) {
      const [, ...domain] = this.#hostName.split(".");
      return qualify(host, searchListRules([domain.join(".")]));
    }
    const dots = host.split(".").length - 1;
    if (dots > 0 && dots < ndots && !host.endsWith(".")) {
      return [...new Set([...searchEndings(search), ""])].map((ending) => host + ending);
    }
    return qualify(host, searchListRules(search));
  }

  #rewriting(): string | undefined {
    const named = this.#env.DNSREWRITEFILE;
    for (const path of named === undefined ? REWRITE_FILES : [named]) {
      const text = this.#read(path);
      if (text !== undefined) return text;
    }
    return undefined;
  }

  /** Undefined if there is no such file. Throws `FatalError`. */
  #read(path: string): string | undefined {
    try {
      return latin1(this.#files.read(path, MAX_FILE));
    } catch (error) {
      if ((error as { code?: unknown }).code === "ENOENT") return undefined;
      const text = `unable to read ${path}: ${systemReason(error)}`;
      const other = path === RESOLV_CONF ? "set DNSCACHEIP" : "unset or correct DNSREWRITEFILE";
      throw new FatalError(text, undefined, `let the server read it, or ${other}`, error);
    }
  }

  #readConf(): ResolvConf {
    const conf = parseResolvConf(this.#read(RESOLV_CONF) ?? "");
    return { ...conf, servers: this.#numberZones(conf.servers) };
  }

  /** Replaces the zone in `fe80::1%eth0` by the interface's number, which needs no look-up
   *  later. */
  #numberZones(servers: readonly NameServer[]): NameServer[] {
    return servers.map(({ address, port }) => {
      const [ip, zone] = address.split("%");
      const index = zone === undefined ? undefined : this.#indexOf(zone);
      return { address: index === undefined ? address : `${ip}%${index}`, port };
    });
  }

  #indexOf(zone: string): number | undefined {
    const known = this.#interfaces.get(zone);
    if (known !== undefined || this.#interfaceIndex === undefined) return known;
    if (/^[0-9]+$/.test(zone)) return Number(zone);
    try {
      const index = this.#interfaceIndex(zone);
      this.#interfaces.set(zone, index);
      return index;
    } catch {
      return undefined; // the interface does not exist yet
    }
  }
}

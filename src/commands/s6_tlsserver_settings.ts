/** What the options of `s6-tlsserver` have said, its defaults, and how both become the options of the server. Reads
 *  the identity for -U from the environment. s6_tlsserver_options.ts has the table. */

import fs from "node:fs";
import { defaults, type Options } from "../config/options.ts";
import type { Env } from "../config/variables.ts";
import { UsageError } from "../errors.ts";

/** The largest user or group id. */
export const MAX_ID = 4_294_967_294;
/** s6 has no idle limit. This is the longest limit that the server accepts (23 days). */
const NO_IDLE_LIMIT = 2_000_000;

/** The values collected from the options. Some depend on each other, so they are combined at the
 *  end. */
export interface S6Options {
  readonly options: Options;
  /** -Z: programs get the variables that are read for TLS. */
  keep: boolean;
  /** -H. */
  noDns: boolean;
  /** -U. */
  identityFromEnvironment: boolean;
}

/** The system's limit of the backlog. */
function systemBacklog(): number {
  try {
    return Number(fs.readFileSync("/proc/sys/net/core/somaxconn", "latin1"));
  } catch {
    return 128; // not Linux
  }
}

export function s6Defaults(): S6Options {
  return {
    options: {
      ...defaults(),
      name: "s6-tlsserver",
      verbosity: 2,
      log: "s6",
      variables: "s6",
      signals: "s6",
      closeStdout: true,
      perAddress: 40,
      backlog: systemBacklog(),
      noDelay: false,
      identTimeout: 0,
      handshakeTimeout: 0,
      idleTimeout: NO_IDLE_LIMIT,
      closeNotify: false,
      serverNames: "ignored",
    },
    keep: false,
    noDns: false,
    identityFromEnvironment: false,
  };
}

/** -u, -g: 0 leaves the id as it is, as in s6-tlsserver. */
export const orNone = (id: number): number | undefined => id === 0 ? undefined : id;

/** Returns the options of the server. Throws `UsageError` for a combination that cannot be
 *  honoured. */
export function serverOptions(s6: S6Options, env: Env): Options {
  const { options } = s6;
  if (options.accessDir !== undefined && options.accessCdb !== undefined) {
    throw new UsageError("options -i and -x exclude each other", "leave one of them out");
  }
  // With -p, -H has no effect, because -p needs the client's name. -H turns off /etc/hosts too.
  const noDns = s6.noDns && !options.paranoid;
  const perAddress = Math.min(options.perAddress ?? options.concurrency, options.concurrency);
  const dns = noDns ? { remoteName: false, ownName: false, hosts: false } : {};
  const identity = s6.identityFromEnvironment ? identityOf(env) : {};
  return { ...options, perAddress, ...dns, ...identity };
}

/** -U. Throws `UsageError`. */
function identityOf({ UID, GID, GIDLIST }: Env): Pick<Options, "uid" | "gid" | "groups"> {
  return {
    uid: orNone(anId("$UID for -U", UID ?? "")),
    gid: orNone(anId("$GID for -U", GID ?? "")),
    groups: GIDLIST ? GIDLIST.split(",").map((gid) => anId("$GIDLIST for -U", gid)) : undefined,
  };
}

/** Reads the number of a user or group. `what`: the option or variable, for the error. Throws `UsageError`. */
export function anId(what: string, text: string): number {
  const id = /^[0-9]{1,10}$/.test(text) ? Number(text) : NaN;
  if (id <= MAX_ID) return id;
  throw new UsageError(`${what} needs a number from 0 to ${MAX_ID}, not '${text}'`);
}

/** The names in /etc/hosts (--hosts). The file is read again when it changes. */

import { latin1 } from "../codec/bytes.ts";
import { parseHosts } from "../codec/hosts.ts";
import { formatIp, parseIp, unmapIp } from "../codec/ip.ts";
import { FatalError } from "../errors.ts";
import { type Files, signature } from "../files/files.ts";
import { systemReason } from "../runtime/system_reason.ts";
import { Reloading } from "../files/reloading.ts";
import type { Announcer } from "../log.ts";
import { type Clock, systemClock } from "./clock.ts";

const HOSTS_FILE = "/etc/hosts";

/** Maximum size of the file, in bytes. Block lists in this format have a few MB. */
const MAX_FILE = 16 << 20;

export interface HostsOptions {
  readonly files: Pick<Files, "stamp" | "read">;
  readonly log: Pick<Announcer, "error" | "notice">;
  readonly clock?: Clock;
}

export class Hosts {
  readonly #names: Reloading<ReadonlyMap<string, string>>;

  /** Throws `FatalError` if the file cannot be read. Without a file there are no names. */
  constructor({ files, log, clock = systemClock }: HostsOptions) {
    this.#names = new Reloading<ReadonlyMap<string, string>>({
      stamp: () => signature(files, [HOSTS_FILE]),
      load: () => ({ value: read(files) }),
      kept: "its old names stay in use",
      report: (problems) => problems.forEach((text) => log.error(text)),
      onReload: (_now, _before, again) => again && log.notice(`names good again: ${HOSTS_FILE}`),
    }, () => clock.now());
  }

  /** The name of an address; undefined if the file has none. */
  nameOf(ip: string): string | undefined {
    return this.#names.value.get(formatIp(unmapIp(parseIp(ip))));
  }
}

function read(files: HostsOptions["files"]): Map<string, string> {
  try {
    return parseHosts(latin1(files.read(HOSTS_FILE, MAX_FILE)));
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return new Map();
    const text = `unable to read ${HOSTS_FILE}: ${systemReason(error)}`;
    throw new FatalError(text, undefined, "let the server read it, or leave out --hosts", error);
  }
}

/** `--check`: what the system must offer: a port, a program that the user of -u may run, enough
 *  descriptors, a resolver that answers, rules that can be read. */

import fs from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import type { Resolver } from "../admit/resolver.ts";
import { IN_MEMORY, openRules } from "../admit/rulebook.ts";
import { PathRules } from "../admit/rules_file.ts";
import { decodeRule } from "../codec/rules.ts";
import { reason } from "../errors.ts";
import type { ListenAddress } from "../listen.ts";
import type { Options } from "../options.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Findings } from "./finding.ts";

const DESCRIPTORS_EACH = 4;
/** Milliseconds until a resolver counts as silent: the first tries of its schedule. */
const RESOLVER_WAIT = 4000;

/** Binds as the start would, and lets go. */
export function checkPort(runtime: Runtime, address: ListenAddress, findings: Findings): void {
  const { ip, port, dualStack } = address;
  const { libc } = runtime;
  if (!libc) return;
  try {
    const family = ip.includes(":") ? 6 : 4;
    const scope = address.interface ? { scopeId: libc.interfaceIndex(address.interface) } : {};
    const { fd } = libc.listenSocket({
      ip,
      port,
      family,
      v6only: !dualStack,
      backlog: 1,
      ...scope,
    });
    libc.close(fd);
    findings.ok(`port ${port} of ${ip}: free`);
  } catch (error) {
    const code = (error as { code?: string }).code;
    const remedies: Record<string, string> = {
      EADDRINUSE: "another server has it, perhaps this one: ss -ltnp shows which",
      EACCES: "ports below 1024 want root, or the capability CAP_NET_BIND_SERVICE",
      EADDRNOTAVAIL: "host must be an address of this machine; 0 means all of them",
    };
    findings.error(
      `port ${port} of ${ip}: ${reason(error)}`,
      remedies[code ?? ""] ?? "look at host and port",
    );
  }
}

/** The program exists and the user of -u may run it; a script's interpreter too. */
export function checkProgram(options: Options, path: string, findings: Findings): void {
  const [name = ""] = options.command;
  const file = name.includes("/")
    ? name
    : path.split(delimiter).map((folder) => join(folder, name)).find(isFile);
  if (file === undefined) {
    findings.error(`program ${name}: not found in PATH`, "give its full path");
    return;
  }
  const problem = executable(file, options);
  if (problem) {
    findings.error(`program ${file}: ${problem}`, "make it executable for the user of -u");
    return;
  }
  const interpreter = /^#! *(\S+)/.exec(firstLine(file))?.[1];
  const trouble = interpreter ? executable(interpreter, options) : undefined;
  if (interpreter && trouble) {
    findings.error(`program ${file}: its interpreter ${interpreter}: ${trouble}`, "install it");
    return;
  }
  findings.ok(`program ${file}: executable`);
}

function isFile(file: string): boolean {
  try {
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

function executable(file: string, { uid, gid, groups }: Options): string | undefined {
  try {
    const stat = fs.statSync(file);
    if (!stat.isFile()) return "no regular file";
    const user = uid ?? process.getuid?.() ?? 0;
    const member = stat.gid === (gid ?? process.getgid?.()) || groups?.includes(stat.gid);
    const bit = user === 0 ? 0o111 : stat.uid === user ? 0o100 : member ? 0o010 : 0o001;
    return stat.mode & bit ? undefined : `user ${user} may not execute it`;
  } catch (error) {
    return reason(error);
  }
}

function firstLine(file: string): string {
  try {
    const fd = fs.openSync(file, "r");
    try {
      const bytes = new Uint8Array(256);
      const n = fs.readSync(fd, bytes, 0, bytes.length, 0);
      return new TextDecoder().decode(bytes.subarray(0, n)).split("\n")[0] ?? "";
    } finally {
      fs.closeSync(fd);
    }
  } catch {
    return "";
  }
}

/** -c and --pending against the limit of open files. */
export function checkDescriptors(limit: number, options: Options, findings: Findings): void {
  const wanted = options.concurrency * DESCRIPTORS_EACH + options.pending + 64;
  if (wanted > limit) {
    findings.warning(
      `open files: -c ${options.concurrency} and --pending ${options.pending} may want ${wanted}, ` +
        `the limit is ${limit}`,
      "raise it (ulimit -Hn, LimitNOFILE=), or lower -c",
    );
  }
}

/** The file is a sound database; its records are counted. */
export function checkRules(file: string, options: Options, findings: Findings): void {
  try {
    const opened = new PathRules(file).open();
    if (!opened) {
      if (options.allowMissingRules) {
        findings.ok(`rules ${file}: not there, and allowed to be (-X)`);
      } else findings.error(`rules ${file}: no such file: every connection is denied`, "tcprules");
      return;
    }
    const size = opened.size;
    const { reader, file: large } = openRules(opened);
    try {
      if (size > IN_MEMORY) reader.verify();
      let denies = 0;
      let all = 0;
      for (const { value } of reader.records()) {
        all++;
        if (decodeRule(value).deny) denies++;
      }
      findings.ok(`rules ${file}: ${all} rules, ${denies} of them deny`);
    } finally {
      large?.close();
    }
  } catch (error) {
    findings.error(
      `rules ${file}: ${reason(error)}: every connection is denied`,
      "compile it from its source: tcprules FILE.cdb FILE.tmp <FILE",
    );
  }
}

/** Somebody answers: anything but silence will do. */
export async function checkResolver(resolver: Resolver, findings: Findings): Promise<void> {
  const servers = resolver.config.servers.map(({ address }) => address).join(", ");
  const { status } = await resolver.lookup(
    "localhost.",
    "A",
    AbortSignal.timeout(RESOLVER_WAIT),
  );
  if (status === "found" || status === "nxdomain" || status === "nodata") {
    findings.ok(`resolver ${servers}: answers`);
    return;
  }
  findings.warning(
    `resolver ${servers}: ${status === "servfail" ? "refuses" : "does not answer"}, ` +
      "and each connection waits for it",
    "set DNSCACHEIP, or do without names: -H -l NAME",
  );
}

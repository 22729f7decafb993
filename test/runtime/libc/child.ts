/** Run as root by contract.ts: gives up root, tries to get it back, and prints the results as one line
 *  of JSON. A separate process, because giving up root is final. */

import { join } from "@std/path";
import { mkdtempSync, readdirSync, readFileSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { libcHere } from "./here.ts";

const libc = await libcHere();

function codeOf(call: () => unknown): string {
  try {
    call();
    return "none";
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

/** One field of every thread's status. */
function threads(field: string): string[] {
  return readdirSync("/proc/self/task").map((tid) => {
    const status = readFileSync(`/proc/self/task/${tid}/status`, "latin1");
    return (new RegExp(`^${field}:(.*)$`, "m").exec(status)?.[1] ?? "").trim()
      .replaceAll("\t", " ");
  });
}

function drop(): unknown {
  libc.setGroups([4242, 4243]);
  const groups = libc.getGroups();
  libc.setGroups([]);
  libc.setGid(65534);
  libc.setUid(65533);
  libc.prctlNoNewPrivs();
  libc.prctlDumpable(true);
  const dumpable = statSync("/proc/self/environ").uid;
  libc.prctlDumpable(false);
  return {
    groups,
    ids: libc.getIds(),
    dumpable,
    notDumpable: statSync("/proc/self/environ").uid,
    back: {
      setUid: codeOf(() => libc.setUid(0)),
      setGid: codeOf(() => libc.setGid(0)),
      setGroups: codeOf(() => libc.setGroups([0])),
      chroot: codeOf(() => libc.chroot("/")),
    },
    uid: threads("Uid"),
    gid: threads("Gid"),
    groupsOfThreads: threads("Groups"),
    noNewPrivs: threads("NoNewPrivs"),
  };
}

function jail(): unknown {
  const folder = mkdtempSync(join(tmpdir(), "libc-jail-"));
  libc.chroot(folder);
  const outside = codeOf(() => libc.open("/etc/passwd"));
  // If the working directory stayed outside the jail, a path with ".." would leave it.
  const above = codeOf(() => libc.open("../../../../etc/passwd"));
  return { folder, outside, above };
}

function limits(): unknown {
  libc.setLimit("files", 256);
  libc.setLimit("core", 0);
  const text = readFileSync("/proc/self/limits", "latin1");
  const row = (name: string) =>
    (new RegExp(`^${name} +(\\S+) +(\\S+)`, "m").exec(text) ?? []).slice(1);
  return {
    files: row("Max open files"),
    core: row("Max core file size"),
    raised: libc.raiseFileLimit(),
  };
}

const mode = process.argv[2];
const result = mode === "drop" ? drop() : mode === "jail" ? jail() : limits();
libc.write(1, new TextEncoder().encode(JSON.stringify(result) + "\n"));
process.exit(0);

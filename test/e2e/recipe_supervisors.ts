/** What starts the server of a recipe in place of a shell: s6, runit, and a container without its daemon. */

import { assertEquals, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import type { ChildProcess } from "node:child_process";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import process from "node:process";
import { part } from "../part.ts";
import { listening, outcomeOf } from "./docs.ts";
import { executable, found, LIMIT, type Trial, within } from "./harness.ts";

/** A running supervisor. */
interface Supervisor {
  /** Ends it and everything that it has started. */
  end(): Promise<void>;
}

const supervisors = new WeakMap<Trial, Supervisor>();

/** The supervisor of a trial. */
export const processesOf = (t: Trial): Supervisor | undefined => supervisors.get(t);

function keep(t: Trial, child: ChildProcess, signal: "SIGTERM" | "SIGHUP", status?: number): void {
  const ended = outcomeOf(child);
  child.stdin?.end();
  supervisors.set(t, {
    async end() {
      const [first] = childrenOf(child.pid ?? 0);
      const target = status === undefined ? child.pid : first;
      if (target !== undefined) process.kill(target, signal);
      const outcome = await within(ended, LIMIT, "the supervisor did not end");
      if (status !== undefined) assertEquals(outcome.status, status, outcome.stderr);
    },
  });
}

function environment(t: Trial): Record<string, string> {
  return { PATH: `${join(t.dir, "bin")}:/usr/bin:/bin`, HOME: t.dir };
}

/** Starts s6-svscan on the folder `service` of the trial. */
export function superviseS6(t: Trial): void {
  fs.mkdirSync(join(t.dir, "service"));
  // -t: it looks for new services only when it is told to.
  keep(t, t.spawn("s6-svscan", ["-t", "0", join(t.dir, "service")], environment(t)), "SIGTERM");
}

/** Starts runsvdir on the folder `service` of the trial. */
export function superviseRunit(t: Trial): void {
  fs.mkdirSync(join(t.dir, "service"));
  keep(t, t.spawn("runsvdir", [join(t.dir, "service")], environment(t)), "SIGHUP");
}

/** Runs what the Containerfile of the trial runs, as process 1 with a read-only root, without capabilities. */
export async function contained(t: Trial, port: number): Promise<void> {
  const text = fs.readFileSync(join(t.dir, "Containerfile"), "utf8");
  const line = (word: string): string =>
    part(text, new RegExp(`^${word} (.*)$`, "m"), "Containerfile");
  const [, ...options] = JSON.parse(line("ENTRYPOINT")) as string[];
  // The user of the container need not be able to enter the folder of the project.
  const file = join(t.dir, "sslserver");
  fs.copyFileSync(executable("binary"), file);
  const command = [file, ...options, ...JSON.parse(line("CMD")) as string[]];
  const [uid, gid] = line("USER").split(":");
  const files = line("ENV").replace("/run/tls/tls.crt", join(t.dir, "cert.pem"))
    .replace("/run/tls/tls.key", join(t.dir, "key.pem")).split(" ");
  assertStrictEquals(line("EXPOSE"), String(port));
  fs.chmodSync(join(t.dir, "key.pem"), 0o644);
  const drop = ["--reuid", uid ?? "", "--regid", gid ?? "", "--clear-groups", "--no-new-privs"];
  // The root folder of this process need not be a mount point, so a copy of it becomes the root. See
  // mounts.ts for the propagation.
  const root = join(t.dir, "root");
  fs.mkdirSync(root);
  const child = t.spawn("unshare", [
    ...["--mount", "--propagation", "unchanged", "--pid", "--fork", "--mount-proc", "sh", "-c"],
    `mount --make-rprivate / 2>/dev/null; mount --rbind / ${root} &&
    mount -o remount,ro,bind ${root} && exec ${found("chroot")} ${root} "$@"`,
    ...["sh", "setpriv", ...drop, "--bounding-set=-all", "--inh-caps=-all"],
    ...["env", "-i", "PATH=/usr/bin:/bin", ...files, ...command],
  ], environment(t));
  keep(t, child, "SIGTERM", 0);
  await listening(port, child);
}

function childrenOf(pid: number): number[] {
  const { stdout } = spawnSync("ps", ["-o", "pid=", "--ppid", String(pid)], { encoding: "utf8" });
  return stdout.split(/\s+/).filter((word) => word !== "").map(Number);
}

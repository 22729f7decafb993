/** `deno task soak`: many verified connections while workers are killed, SIGHUP is sent repeatedly, and the
 *  server temporarily cannot start processes. Connections may be lost, but bytes must not change and the
 *  monitor must survive. Prints the results. The exit code is 1 if a byte was wrong or the monitor ended.
 *  Needs root and a writable pids cgroup (without one, that part is skipped and reported). Not part of CI.
 *  --help lists the options. */

import { join } from "@std/path";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import process from "node:process";
import { commandLine } from "../../tools/command_line.ts";
import { type Form, formCommand, helper, settled } from "../e2e/harness.ts";
import { prepare } from "./prepare.ts";
import { serverEnvironment, stopAll } from "./process.ts";

const {
  connections: CONNECTIONS,
  kills: KILLS,
  signals: SIGNALS,
  limits: LIMITS,
  bin,
  form,
} = commandLine("deno task soak [OPTION…]", {
  connections: { value: "N", help: "connections at least", fallback: 10_000 },
  kills: { value: "N", help: "workers to kill", fallback: 15 },
  signals: { value: "N", help: "SIGHUPs to send", fallback: 1000 },
  limits: { value: "N", help: "times in which no process can be started", fallback: 2 },
  form: { value: "FORM", help: "binary or deno", fallback: "binary", choices: ["binary", "deno"] },
  bin: { value: "FILE", help: "the compiled file; without it one is built" },
});
/** AT_ONCE: connections at once. LIMITED: milliseconds for which no process can be started. */
const AT_ONCE = 50;
const LIMITED = 2000;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A cgroup of version 1 or 2 with a limit of processes; undefined if none is writable. */
function pidsCgroup(): string | undefined {
  for (const parent of ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"]) {
    const folder = join(parent, `sslserver-soak-${process.pid}`);
    try {
      fs.mkdirSync(folder);
      if (fs.existsSync(join(folder, "pids.max"))) return folder;
      fs.rmdirSync(folder);
    } catch {
      // try the next
    }
  }
  return undefined;
}

function workersOf(monitor: number): number[] {
  const path = `/proc/${monitor}/task/${monitor}/children`;
  return fs.readFileSync(path, "utf8").trim().split(" ").filter(Boolean).map(Number)
    .filter((pid) => {
      try {
        return fs.readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("sslserver-worker");
      } catch {
        return false; // ended since readdir
      }
    });
}

function memoryOf(pid: number): string {
  const status = fs.readFileSync(`/proc/${pid}/status`, "utf8");
  return `${Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024)} MB`;
}

const alive = (child: ChildProcess): boolean =>
  child.exitCode === null && child.signalCode === null;

async function main(): Promise<boolean> {
  const tools = prepare(bin);
  const [client, program] = [await helper("client"), await helper("program")];
  const cgroup = pidsCgroup();
  const log = join(tools.scratch, "log");
  const server = spawn("/bin/sh", [
    "-c",
    '[ -z "$1" ] || echo $$ >"$1/cgroup.procs"; shift; exec 2>>"$1"; shift; ulimit -n 20000; exec "$@"',
    "sh",
    cgroup ?? "",
    log,
    ...formCommand(form as Form, program, form === "binary" ? tools.binary : undefined),
    ...["-1", "-v", "-H", "-R", "-l0", "-c", "200", "--workers", "2", "-u", "65534", "-g", "65534"],
    ...["127.0.0.1", "0", program, "talk"],
  ], {
    env: {
      ...serverEnvironment(),
      CERTFILE: tools.certificate,
      KEYFILE: tools.key,
      SSL_UID: "65533",
      SSL_GID: "65533",
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const pid = server.pid as number;
  const counts = { ok: 0, failed: 0, wrong: 0, kills: 0, signals: 0, limits: 0 };
  let ended = false;
  const loads = async (): Promise<void> => {
    const [port] = await once(server.stdout as NonNullable<typeof server.stdout>, "data");
    for (let seed = 1; !ended || counts.ok + counts.failed < CONNECTIONS; seed++) {
      const some = Math.min(1000, CONNECTIONS);
      const load = spawn(client, [
        "many",
        String(port).trim(),
        String(some),
        String(AT_ONCE),
        String(seed),
      ]);
      let text = "";
      load.stderr.on("data", (bytes: Uint8Array) => text += new TextDecoder().decode(bytes));
      await once(load, "close");
      for (const name of ["ok", "failed", "wrong"] as const) {
        counts[name] += Number(new RegExp(`^${name}=(\\d+)`, "m").exec(text)?.[1] ?? 0);
      }
      process.stderr.write(`${JSON.stringify(counts)}\n`);
      if (!alive(server)) return;
    }
  };
  const events = async (): Promise<void> => {
    await once(server.stdout as NonNullable<typeof server.stdout>, "data");
    const kills = async (): Promise<void> => {
      while (counts.kills < KILLS && alive(server)) {
        await pause(1500);
        const [worker] = workersOf(pid);
        if (worker === undefined) continue; // the replacement has not started
        process.kill(worker, "SIGKILL");
        counts.kills++;
      }
    };
    const signals = async (): Promise<void> => {
      while (counts.signals < SIGNALS && alive(server)) {
        await pause(20);
        process.kill(pid, "SIGHUP");
        counts.signals++;
      }
    };
    const limits = async (): Promise<void> => {
      while (cgroup !== undefined && counts.limits < LIMITS && alive(server)) {
        await pause(5000);
        fs.writeFileSync(join(cgroup, "pids.max"), fs.readFileSync(join(cgroup, "pids.current")));
        await pause(LIMITED);
        fs.writeFileSync(join(cgroup, "pids.max"), "max");
        counts.limits++;
      }
    };
    await Promise.all([kills(), signals(), limits()]);
    ended = true;
  };
  const before = settled(() => workersOf(pid), ({ length }) => length === 2).then(() =>
    memoryOf(pid)
  );
  await Promise.all([loads(), events()]);
  const stayed = alive(server);
  const text = fs.readFileSync(log, "utf8");
  const inside = text.match(/^program \d+: .*$/gm) ?? [];
  const after = stayed ? memoryOf(pid) : "–";
  let end = "gone before";
  if (stayed) {
    process.kill(pid, "SIGTERM"); // after ChildProcess.kill Deno reports the signal, not the status
    const begun = performance.now();
    const [status, signal] = await once(server, "exit");
    end = `${signal ?? status} after ${Math.round(performance.now() - begun)} ms`;
  }
  await settled(
    () => cgroup === undefined || fs.readFileSync(join(cgroup, "cgroup.procs"), "utf8") === "",
    Boolean,
  );
  if (cgroup !== undefined) fs.rmdirSync(cgroup);
  const errors = new Map<string, number>();
  for (const [, line = ""] of text.matchAll(/^sslserver: (?:error|fatal): (.*)$/gm)) {
    const kind = line.replaceAll(/[0-9]+/g, "n");
    errors.set(kind, (errors.get(kind) ?? 0) + 1);
  }
  console.log({
    form,
    ...counts,
    limits: cgroup === undefined ? "no pids cgroup to write" : counts.limits,
    programsThatSawWrongBytes: inside.length,
    monitorStayed: stayed,
    monitorMemory: `${await before} before, ${after} after`,
    sigterm: end,
  });
  for (const [kind, count] of errors) console.log(`${count} × ${kind}`);
  fs.rmSync(tools.scratch, { recursive: true, force: true });
  return stayed && counts.wrong === 0 && inside.length === 0;
}

const good = await main();
await stopAll();
process.exit(good ? 0 : 1);

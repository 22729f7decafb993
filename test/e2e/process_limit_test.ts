/** A server at its limit of processes and threads (RLIMIT_NPROC): programs cannot be started, the monitor
 *  continues, and everything works again as soon as there is room. The limit counts per user, so the
 *  processes get a user that no other process has. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import * as fs from "node:fs";
import process from "node:process";
import { talk } from "./clients.ts";
import { found, settled } from "./harness.ts";
import { reachable } from "./mounts.ts";
import { alive, asRoot } from "./privsep.ts";

/** A user for this run only, because the processes of an earlier run may not be reaped yet. */
const USER = 70_000 + process.pid % 10_000;

/** The names of a process's threads. */
function threads(pid: number): string[] {
  return fs.readdirSync(`/proc/${pid}/task`).map((task) =>
    fs.readFileSync(`/proc/${pid}/task/${task}/comm`, "utf8").trim()
  );
}

/** Starts processes up to the user's limit, and keeps them until its standard input ends. */
const FILL = `
import os, sys
end, other = os.pipe()
try:
    while True:
        if os.fork() == 0:
            os.close(other)
            os.read(end, 1)
            os._exit(0)
except BlockingIOError: pass
print("full", flush=True)
sys.stdin.read()
os.close(other)
try:
    while True: os.wait() # what is not reaped counts
except ChildProcessError: pass
`;

const AS_USER = [
  "prlimit",
  "--nproc=200",
  "setpriv",
  `--reuid=${USER}`,
  `--regid=${USER}`,
  "--clear-groups",
  "--",
];

asRoot("at a limit of processes programs are refused, and the monitor goes on", async (t) => {
  const server = await t.start({
    prelude: `set -- ${AS_USER.join(" ")} "$@"\n${reachable(t)}`,
    options: ["-vHRl0", "--workers", "1"],
  });
  const visit = async (): Promise<string> => {
    const visitor = talk(t, server, "hello\n").catch(() => ({ text: "" }));
    return (await visitor).text;
  };
  assertStrictEquals(await visit(), "hello\n");
  const filler = t.spawn("prlimit", [...AS_USER.slice(1), found("python3"), "-c", FILL]);
  await new Promise<void>((resolve) => filler.stdout?.once("data", () => resolve()));
  for (let i = 0; i < 3; i++) await visit();
  await server.waitFor(/unable to run cat: .*EAGAIN/);
  // Many connections and a reload, because engines start threads when there is work.
  server.signal("SIGHUP");
  for (let i = 0; i < 40; i++) await visit();
  const [worker] = server.workers();
  if (worker !== undefined) process.kill(worker, "SIGKILL");
  await server.waitFor(/worker [0-9]+ ended by signal|unable to start a worker/);
  assert(alive(server.pid), server.log());
  filler.stdin?.end();
  assertStrictEquals(await settled(visit, (it) => it !== ""), "hello\n");
});

asRoot("the engine of a compiled monitor has no threads to start", async (t) => {
  const server = await t.start({ options: ["-vHRl0", "--workers", "1"], program: ["true"] });
  for (let i = 0; i < 200; i++) await talk(t, server);
  // The allocator's thread is excepted: the allocator works without it at the limit.
  const others = threads(server.pid).filter((name) => name !== "mi-scavenger");
  assertEquals(others, ["sslserver"]);
}, { forms: ["binary"], skip: process.arch !== "x64" && "it is about x64" });

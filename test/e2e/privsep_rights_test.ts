/** Capabilities that a server was started with, or that root has: which of them workers and programs
 *  keep, and that no other process can use a worker before it gives them up. */

import { assertEquals, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { makeRules } from "./admission.ts";
import { talk } from "./clients.ts";
import { executable, found, settled, type Trial } from "./harness.ts";
import { reachable } from "./mounts.ts";
import { asRoot, PROGRAM, statusOf, workerOf } from "./privsep.ts";

const NONE = "0".repeat(16);
/** CAP_NET_BIND_SERVICE as a capability set of /proc/PID/status. */
const ONE = "400".padStart(16, "0");

asRoot("ambient capabilities stay with the monitor", async (t) => {
  const become = [
    `setpriv --reuid=${PROGRAM.uid} --regid=${PROGRAM.gid} --clear-groups`,
    "--inh-caps=+net_bind_service --ambient-caps=+net_bind_service",
  ];
  const server = await t.start({
    prelude: `chown ${PROGRAM.uid} "${t.dir}"; set -- ${become.join(" ")} -- "$@"\n${reachable(t)}`,
    options: ["-HRl0", "--workers", "1"],
    program: ["/bin/sh", "-c", "grep ^Cap /proc/self/status"],
  });
  assertStrictEquals(statusOf(server.pid).get("CapEff"), ONE, "the monitor cannot listen");
  const worker = statusOf(await workerOf(server));
  for (const set of ["CapInh", "CapPrm", "CapEff", "CapAmb"]) {
    assertStrictEquals(worker.get(set), NONE, set);
  }
  const { text } = await talk(t, server);
  const program = new Map(
    text.trim().split("\n").map((line): [string, string] => {
      const [set = "", value = ""] = line.split(/:\s*/);
      return [set, value];
    }),
  );
  for (const set of ["CapPrm", "CapEff", "CapAmb"]) assertStrictEquals(program.get(set), NONE, set);
});

/** A library that records the users of the processes that load it. */
async function witness(t: Trial): Promise<{ library: string; seen: string }> {
  const [source, library, seen] = ["witness.c", "witness.so", "seen"].map((n) =>
    join(t.dir, n)
  ) as [
    string,
    string,
    string,
  ];
  fs.writeFileSync(
    source,
    `#include <stdio.h>
    #include <unistd.h>
    __attribute__((constructor)) static void start(void) {
      FILE *f = fopen("${seen}", "a");
      if (f) { fprintf(f, "%d %d\\n", geteuid(), getegid()); fclose(f); }
    }`,
  );
  fs.writeFileSync(seen, "", { mode: 0o666 });
  fs.chmodSync(seen, 0o666);
  const { status, stderr } = await t.run("gcc", ["-shared", "-fPIC", "-o", library, source]);
  assertStrictEquals(status, 0, stderr);
  return { library, seen };
}

for (const groups of ["", "64013,64014"]) {
  asRoot(
    `variables of a rule act as the program's user (groups: ${groups || "none"})`,
    async (t) => {
      const { library, seen } = await witness(t);
      const rules = await makeRules(
        t,
        `:allow,LD_PRELOAD="${library}",TEXT="a b=c",PATH="/nowhere"\n`,
      );
      const env = { UID: String(PROGRAM.uid), GID: String(PROGRAM.gid), GIDLIST: groups };
      const server = await t.start({
        options: ["-HRl0", "--workers", "1", "-U", "-x", rules],
        env: { ...env, SSL_UID: "64001", SSL_GID: "64002" },
        program: ["sh", "-c", 'echo "$TEXT|$PATH|$SSLREMOTEIP"; exec /usr/bin/id -G'],
      });
      const { text } = await talk(t, server);
      const all = groups === "" ? PROGRAM.gid : `${PROGRAM.gid} ${groups.replace(",", " ")}`;
      assertStrictEquals(text, `a b=c|/nowhere|127.0.0.1\n${all}\n`, server.log());
      const users = new Set(fs.readFileSync(seen, "utf8").trim().split("\n"));
      assertEquals([...users], [`${PROGRAM.uid} ${PROGRAM.gid}`]);
    },
  );
}

/** Kills the worker, and tries to open the memory of its successor as soon as that starts. */
const RACE = `
import glob, os, signal, time
monitor = os.getppid()
def workers():
    found = []
    for pid in open(f"/proc/{monitor}/task/{monitor}/children").read().split():
        try:
            if b"sslserver-worker" in open(f"/proc/{pid}/cmdline", "rb").read(): found.append(int(pid))
        except OSError: pass
    return found
old = workers()
os.kill(old[0], signal.SIGKILL)
said, end = set(), time.time() + 20
while time.time() < end:
    for pid in set(workers()) - set(old):
        try:
            os.open(f"/proc/{pid}/mem", os.O_RDONLY)
            said.add("opened")
        except PermissionError: said.add("refused")
        except OSError: pass
        if said: end = min(end, time.time() + 1)
open("result", "w").write(" ".join(sorted(said)))
`;

asRoot(
  "an executable that its user cannot read has no worker whose memory can be opened",
  async (t) => {
    const folder = join(t.dir, "for-the-user");
    fs.mkdirSync(folder);
    fs.chownSync(folder, PROGRAM.uid, PROGRAM.gid);
    const file = join(t.dir, "server");
    fs.copyFileSync(executable(t.form), file);
    fs.chmodSync(file, 0o711);
    const server = await t.start({
      prelude: `cd ${folder}; set -- setpriv --reuid=${PROGRAM.uid} --clear-groups -- "$@"`,
      command: [file],
      options: ["-HRl0", "--workers", "1"],
      program: [found("python3"), "-c", RACE],
    });
    const cut = talk(t, server).catch(() => {}); // the program kills the worker that serves this client
    const result = join(folder, "result");
    await settled(() => fs.existsSync(result) && fs.statSync(result).size > 0, (it) => it);
    assertStrictEquals(fs.readFileSync(result, "utf8"), "refused");
    await cut;
  },
  { forms: ["binary"] },
);

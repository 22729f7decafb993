/** The processes as /proc shows them: a privileged monitor, a worker without privileges in its jail, and a
 *  program of another user that holds only its pipes. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotStrictEquals,
  assertStrictEquals,
} from "@std/assert";
import * as fs from "node:fs";
import { environmentOf, selfSigned } from "./certificates.ts";
import { Raw } from "./clients.ts";
import { settled, type Trial } from "./harness.ts";
import {
  AS_PROGRAM,
  asRoot,
  coreLimitOf,
  descriptorsOf,
  guest,
  jailed,
  locked,
  PROGRAM,
  programOf,
  statusOf,
  words,
  WORKER,
  workerOf,
} from "./privsep.ts";

const STAY = ["sh", "-c", "echo in; exec cat"];
/** A value that neither the worker nor the log may show. */
const SECRET = "a-secret-of-programs";

const four = (id: number): string => Array(4).fill(id).join("\t");

/** Starts a server and one client. Returns the three processes. */
async function scene(t: Trial, options: readonly string[] = [], env: Record<string, string> = {}) {
  const pair = locked(await selfSigned(t, "first"));
  const server = await t.start({
    options: ["-vHRl0", "--workers", "1", ...AS_PROGRAM, ...options],
    env: { ...environmentOf(pair), ...jailed(t), DATABASE_PASSWORD: SECRET, ...env },
    program: STAY,
  });
  const client = await guest(server);
  const [monitor, worker, program] = [server.pid, await workerOf(server), await programOf(server)];
  return { server, client, monitor, worker, program, pair };
}

asRoot("users, groups, capabilities and root folders are those that were asked for", async (t) => {
  const { monitor, worker, program, client } = await scene(t);
  const own = statusOf("self");
  for (
    const [pid, { uid, gid }, root] of [
      [monitor, { uid: 0, gid: 0 }, "/"],
      [worker, WORKER, `${t.dir}/jail`],
      [program, PROGRAM, "/"],
    ] as const
  ) {
    for (const task of fs.readdirSync(`/proc/${pid}/task`)) {
      const status = statusOf(`${pid}/task/${task}`);
      assertStrictEquals(status.get("Uid"), four(uid));
      assertStrictEquals(status.get("Gid"), four(gid));
      assertStrictEquals(status.get("Groups"), pid === monitor ? own.get("Groups") : "");
      const none = "0".repeat(16);
      for (const set of ["CapEff", "CapPrm", "CapInh", "CapAmb"]) {
        assertStrictEquals(
          status.get(set),
          pid === monitor ? own.get(set) : none,
          `${set} of ${pid}`,
        );
      }
    }
    assertStrictEquals(fs.readlinkSync(`/proc/${pid}/root`), root);
  }
  assertStrictEquals(statusOf(worker).get("PPid"), String(monitor));
  assertStrictEquals(statusOf(program).get("PPid"), String(monitor));
  client.leave();
});

asRoot("no exec gives a worker rights, its calls are filtered, it leaves no core", async (t) => {
  const { worker, program, client } = await scene(t);
  for (const task of fs.readdirSync(`/proc/${worker}/task`)) {
    const status = statusOf(`${worker}/task/${task}`);
    assertStrictEquals(status.get("NoNewPrivs"), "1");
    assertStrictEquals(status.get("Seccomp"), "2");
  }
  assertStrictEquals(coreLimitOf(worker), "0 0");
  // A program is not restricted, because sendmail and others are set-user-id.
  assertStrictEquals(statusOf(program).get("NoNewPrivs"), statusOf("self").get("NoNewPrivs"));
  assertStrictEquals(statusOf(program).get("Seccomp"), statusOf("self").get("Seccomp"));
  client.leave();
});

asRoot("even its own user can look into neither monitor nor worker", async (t) => {
  const { monitor, worker, client } = await scene(t);
  for (const [pid, { uid, gid }] of [[worker, WORKER], [monitor, PROGRAM]] as const) {
    // The monitor's user is root; test it without capabilities.
    const who = pid === monitor
      ? ["--bounding-set=-all", "--inh-caps=-all"]
      : [`--reuid=${uid}`, `--regid=${gid}`, "--clear-groups"];
    for (const file of ["mem", "maps", "environ", "fd/2", "root/etc/passwd"]) {
      const path = `/proc/${pid}/${file}`;
      const outcome = await t.run("setpriv", [...who, "head", "-c1", path]);
      assertNotStrictEquals(outcome.status, 0, `${path} can be read`);
      assertMatch(outcome.stderr, /Permission denied/, path);
    }
  }
  client.leave();
});

asRoot("a worker holds sockets, pipes and the log, and no other file", async (t) => {
  const { worker, client } = await scene(t);
  const found = descriptorsOf(worker);
  assertStrictEquals(found.get(0), "/dev/null");
  assertStrictEquals(found.get(1), "/dev/null");
  assertMatch(found.get(2) ?? "", /^socket:/); // the monitor copies what the worker writes there
  for (const [fd, target] of found) {
    if (fd <= 1) continue;
    assertMatch(
      target,
      /^(socket:\[\d+\]|pipe:\[\d+\]|anon_inode:\[(eventpoll|eventfd|timerfd)\]|\/dev\/null)$/,
      [...found].map((one) => one.join(" ")).join("\n"),
    );
  }
  client.leave();
});

asRoot("a worker with rules holds those, and no other file", async (t) => {
  const rules = `${t.dir}/rules.cdb`;
  const made = await t.run("tcprules", [rules, `${rules}.tmp`], { input: ":allow\n" });
  assertStrictEquals(made.status, 0, made.stderr);
  const { worker, client } = await scene(t, ["-x", rules]);
  const files = [...descriptorsOf(worker).values()].filter((target) => target.startsWith("/"));
  const known = new Set(["/dev/null", rules]);
  assertEquals(files.filter((path) => !known.has(path)), []);
  assertStrictEquals(files.filter((path) => path === rules).length, 1);
  client.leave();
});

/** Waits until a program has `count` descriptors (it opens its libraries while it starts), and returns
 *  them. */
function heldBy(pid: number, count: number): Promise<Map<number, string>> {
  return settled(() => descriptorsOf(pid), ({ size }) => size === count);
}

asRoot("a program holds 0, 1 and 2, and with -n the three of UCSPI-TLS", async (t) => {
  const { server, program, client } = await scene(t);
  const found = await heldBy(program, 3);
  assertEquals([...found.keys()], [0, 1, 2]);
  assertMatch(found.get(0) ?? "", /^pipe:/);
  assertMatch(found.get(1) ?? "", /^pipe:/);
  assertStrictEquals(found.get(2), server.logFile);
  client.leave();
  const delayed = await t.start({
    options: ["-nHRl0", "--workers", "1", ...AS_PROGRAM],
    program: STAY,
  });
  const raw = await Raw.connect(delayed.port);
  const pid = await programOf(delayed);
  await settled(() => raw.received, (bytes) => bytes > 0);
  const six = await heldBy(pid, 6);
  assertEquals([...six.keys()], [0, 1, 2, 3, 4, 5]);
  for (const fd of [0, 1, 4, 5]) assertMatch(six.get(fd) ?? "", /^pipe:/);
  assertMatch(six.get(3) ?? "", /^(socket|pipe):/);
  raw.destroy();
});

asRoot("a worker's environment and command line hold no secrets", async (t) => {
  const { monitor, worker, program, pair, client } = await scene(t);
  const environ = words(worker, "environ");
  for (const word of environ) {
    assertMatch(word, /^(DENO_DIR=\/dev\/null\/none|HOME=.*|XDG_CACHE_HOME=.*)$/);
  }
  const command = words(worker, "cmdline");
  assertStrictEquals(command[0], "sslserver");
  assertEquals(command.slice(-2), ["--as", "sslserver-worker"]);
  const text = [...environ, ...command].join("\n");
  for (const secret of [SECRET, pair.key, t.dir]) assert(!text.includes(secret), text);
  // The program gets the variables for programs, but not the path of the key.
  const given = words(program, "environ");
  assert(given.includes(`DATABASE_PASSWORD=${SECRET}`));
  assert(given.includes("PROTO=TLS"));
  assertEquals(
    given.filter((word) => /^(KEYFILE|SSL_CHROOT|LISTEN_|DENO_AUTH)/.test(word)),
    [],
  );
  // The monitor keeps its environment, which only root can read.
  assert(words(monitor, "environ").includes(`KEYFILE=${pair.key}`));
  client.leave();
});

asRoot("-U gives the program $UID, $GID and exactly the groups of $GIDLIST", async (t) => {
  const { worker, program, client } = await scene(t, ["-U"], {
    UID: "64011",
    GID: "64012",
    GIDLIST: "64013,64014",
  });
  const status = statusOf(program);
  assertStrictEquals(status.get("Uid"), four(64_011));
  assertStrictEquals(status.get("Gid"), four(64_012));
  assertStrictEquals(status.get("Groups"), "64013 64014");
  assertStrictEquals(statusOf(worker).get("Uid"), four(WORKER.uid));
  assertStrictEquals(statusOf(worker).get("Groups"), "");
  client.leave();
});

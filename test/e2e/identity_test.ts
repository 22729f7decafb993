/** -u, -g and -U as root: programs run with exactly these ids, and no other supplementary group. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import * as net from "node:net";
import { environmentOf, selfSigned } from "./certificates.ts";
import { talk } from "./clients.ts";
import { ALONE, claim, needsRoot, settled, WITH_FFI } from "./harness.ts";

const AS_NOBODY = ["-u", "65534", "-g", "65534"];

async function freePortBelow(limit: number): Promise<number> {
  for (let port = limit - 1; port > 0; port--) {
    const probe = net.createServer();
    const free = await new Promise<boolean>((resolve) => {
      probe.once("error", () => resolve(false));
      probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
    });
    if (free) return port;
  }
  throw new Error("no port is free");
}

claim("-u 65534 -g 65534: id shows exactly those and no supplementary group", async (t) => {
  const server = await t.start({ options: ["-u", "65534", "-g", "65534"], program: ["id"] });
  const { text } = await talk(t, server);
  assertMatch(text, /^uid=65534\(nobody\) gid=65534\(nogroup\) groups=65534\(nogroup\)\n$/);
}, { forms: WITH_FFI, skip: needsRoot });

claim(
  "-u and -g: real, effective and saved ids of server and program, no group list",
  async (t) => {
    const server = await t.start({
      options: ["-u", "65534", "-g", "65533"],
      program: ["sh", "-c", "grep -E '^(Uid|Gid|Groups|Cap(Eff|Prm)):' /proc/self/status"],
    });
    const { text } = await talk(t, server);
    assertMatch(text, /^Uid:\t65534\t65534\t65534\t65534$/m);
    assertMatch(text, /^Gid:\t65533\t65533\t65533\t65533$/m);
    assertMatch(text, /^Groups:[\t ]*$/m);
    assertMatch(text, /^CapEff:\t0+$/m);
    assertMatch(text, /^CapPrm:\t0+$/m);
  },
  { forms: WITH_FFI, skip: needsRoot },
);

claim("every thread of the server has dropped its privileges", async (t) => {
  const server = await t.start({ options: ["-u", "65534", "-g", "65534"] });
  await talk(t, server, "x");
  const tasks = await settled(
    () => fs.readdirSync(`/proc/${server.speaker}/task`),
    (found) => found.length > 0,
  );
  for (const task of tasks) {
    const status = fs.readFileSync(`/proc/${server.speaker}/task/${task}/status`, "utf8");
    assertMatch(status, /^Uid:\t65534\t65534\t65534\t65534$/m, `thread ${task}`);
    assertMatch(status, /^Gid:\t65534\t65534\t65534\t65534$/m, `thread ${task}`);
    assertMatch(status, /^Groups:[\t ]*$/m, `thread ${task}`);
  }
}, { forms: ["binary", "bun"], skip: needsRoot });

claim("-U takes uid, gid and groups from the environment", async (t) => {
  const env = { UID: "65534", GID: "65534", GIDLIST: "65534,12345" };
  const server = await t.start({ options: ["-U"], env, program: ["id", "-G"] });
  const { text } = await talk(t, server);
  assertEquals(text.trim().split(" ").sort(), ["12345", "65534"]);
}, { forms: WITH_FFI, skip: needsRoot });

claim("a port below 1024 works with -u, because it is bound before the switch", async (t) => {
  const port = await freePortBelow(1024);
  const server = await t.start({ port, options: AS_NOBODY, program: ["id", "-u"] });
  assertStrictEquals(server.port, port);
  assertStrictEquals((await talk(t, server)).text, "65534\n");
}, { forms: WITH_FFI, skip: needsRoot });

claim(
  "a key readable by root only is read before the switch, and the old one stays after SIGHUP",
  async (t) => {
    const pair = await selfSigned(t, "good");
    fs.chmodSync(pair.key, 0o600);
    const server = await t.start({ options: [...ALONE, ...AS_NOBODY], env: environmentOf(pair) });
    assertStrictEquals((await talk(t, server, "x\n")).text, "x\n");
    server.signal("SIGHUP");
    await server.waitFor(
      /: unable to read key .*good\.key: permission denied.*; the old certificate stays in use$/i,
    );
    assertStrictEquals((await talk(t, server, "y\n")).text, "y\n");
  },
  { forms: WITH_FFI, skip: needsRoot },
);

claim("as root without -u there is a warning", async (t) => {
  const server = await t.start();
  await server.waitFor(
    /^sslserver: warning: (?:workers and )?programs run as root -- use -u UID and -g GID/,
  );
}, { skip: needsRoot });

claim("as root, -u without -g and -g without -u each cause a warning", async (t) => {
  for (
    const [option, warning] of [
      [
        "-u",
        /^sslserver: warning: programs run as user 65534 in root's group -- use -g as well as -u$/,
      ],
      [
        "-g",
        /^sslserver: warning: .*programs run as root in group 65534 -- use -u UID as well as -g/,
      ],
    ] as const
  ) {
    const server = await t.start({ options: [option, "65534"] });
    // Under Deno there is a second warning, because workers and programs are the same user.
    const said = server.lines(/programs run as (?!the same user)/);
    assertStrictEquals(said.length, 1, server.log());
    assertMatch(said[0] ?? "", warning);
    await server.stop();
  }
}, { forms: WITH_FFI, skip: needsRoot });

claim("-u without FFI: 111, naming Deno and the remedy, before any client", async (t) => {
  const outcome = await t.fails({ options: ["-u", "65534"] });
  assertStrictEquals(outcome.status, 111);
  assertMatch(outcome.stderr, /Deno without FFI/);
  assertMatch(outcome.stderr, /--allow-ffi/);
  assertStrictEquals(outcome.stdout.length, 0);
  assert(!fs.existsSync(join(t.dir, "core")));
}, { forms: ["deno-noffi"], skip: needsRoot });

/** SSL_USER, SSL_GROUP, SSL_UID, SSL_GID and SSL_CHROOT: the user, group and root folder of a worker. If
 *  they cannot be set, the start fails: 100 for an invalid number, 111 for an unknown user or
 *  group. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotStrictEquals,
  assertStrictEquals,
} from "@std/assert";
import * as fs from "node:fs";
import { talk } from "./clients.ts";
import { claim } from "./harness.ts";
import { reachable } from "./mounts.ts";
import { asRoot, emptyFolder, jailed, split, statusOf, workerOf } from "./privsep.ts";

/** The numbers in a line of /etc/passwd or /etc/group. */
function numbers(path: string, name: string): string[] {
  const line = fs.readFileSync(path, "utf8").split("\n").find((one) => one.startsWith(`${name}:`));
  assert(line, `${name} is not in ${path}`);
  return line.split(":").slice(2, 4);
}

const first = (text: string | undefined): string | undefined => text?.split("\t")[0];

asRoot("SSL_USER and SSL_GROUP are names; a user alone brings its own group", async (t) => {
  const [uid, own] = numbers("/etc/passwd", "games");
  const [other] = numbers("/etc/group", "nogroup");
  for (
    const [env, gid] of [
      [{ SSL_USER: "games", SSL_GROUP: "nogroup" }, other],
      [{ SSL_USER: "games" }, own],
      [{ SSL_USER: "games", SSL_GID: "64002" }, "64002"],
    ] as const
  ) {
    const server = await t.start({ options: ["-HRl0", "--workers", "1"], env });
    const status = statusOf(await workerOf(server));
    assertStrictEquals(first(status.get("Uid")), uid);
    assertStrictEquals(first(status.get("Gid")), gid);
    assertStrictEquals((await talk(t, server, "hello\n")).text, "hello\n");
    await server.stop();
  }
});

asRoot("SSL_UID wins over SSL_USER; without both the worker is -u and -g", async (t) => {
  const [nobody] = numbers("/etc/passwd", "nobody");
  assertNotStrictEquals(nobody, "64001");
  for (
    const [env, uid, gid] of [
      [{ SSL_UID: "64001", SSL_USER: "nobody", SSL_GID: "64002" }, "64001", "64002"],
      [{}, "64003", "64004"],
      [{ SSL_UID: "", SSL_CHROOT: "" }, "64003", "64004"],
    ] as const
  ) {
    const options = ["-HRl0", "--workers", "1", "-u", "64003", "-g", "64004"];
    const server = await t.start({ options, env });
    const status = statusOf(await workerOf(server));
    assertEquals([first(status.get("Uid")), first(status.get("Gid"))], [uid, gid]);
    assertStrictEquals(status.get("Groups"), "");
    await server.stop();
  }
});

/** Environment, exit code, the fatal line, and the remedy if there is one. */
const WRONG: [Record<string, string>, number, RegExp, RegExp?][] = [
  [
    { SSL_USER: "no-such-user" },
    111,
    /unable to find SSL_USER no-such-user: not in \/etc\/passwd$/,
    /set SSL_UID and SSL_GID to numbers/,
  ],
  [
    { SSL_GROUP: "no-such-group" },
    111,
    /unable to find SSL_GROUP no-such-group: not in \/etc\/group$/,
    /set SSL_GID to a number/,
  ],
  [{ SSL_UID: "nobody" }, 100, /\$SSL_UID needs a number from 1 to 4294967294, not 'nobody'$/],
  [{ SSL_UID: "0" }, 100, /\$SSL_UID needs a number from 1 to 4294967294, not '0'$/],
  [{ SSL_UID: "-1" }, 100, /\$SSL_UID needs a number from 1 to 4294967294, not '-1'$/],
  [{ SSL_GID: "4294967295" }, 100, /\$SSL_GID needs a number .* not '4294967295'$/],
];

split("an unknown user or group: 111; an invalid number: 100", async (t) => {
  for (const [env, code, message, remedy] of WRONG) {
    const { status, stdout, stderr } = await t.fails({ options: ["--workers", "1"], env });
    assertStrictEquals(status, code, stderr);
    assertStrictEquals(stdout.length, 0, "it listened");
    const fatal = stderr.split("\n").filter((line) => line.startsWith("sslserver: fatal: "));
    assertStrictEquals(fatal.length, 1, stderr);
    assertMatch(fatal[0] ?? "", message);
    if (remedy) assertMatch(stderr, remedy);
    assertStrictEquals(/^sslserver: usage: /m.test(stderr), code === 100, stderr);
  }
});

asRoot("an SSL_CHROOT that is not a folder: 111, which, and why", async (t) => {
  fs.writeFileSync(`${t.dir}/file`, "");
  for (
    const [path, why] of [["nowhere", /no such file or directory|ENOENT/i], [
      "file",
      /not a folder/,
    ]] as const
  ) {
    const env = { ...jailedAt(`${t.dir}/${path}`) };
    const { status, stdout, stderr } = await t.fails({ options: ["--workers", "1"], env });
    assertStrictEquals(status, 111, stderr);
    assertStrictEquals(stdout.length, 0, "it listened");
    const fatal = stderr.split("\n").filter((line) => line.startsWith("sslserver: fatal: "));
    assertStrictEquals(fatal.length, 1, stderr);
    const [line = ""] = fatal;
    assert(line.includes(`SSL_CHROOT ${t.dir}/${path}: `), line);
    assertMatch(line, why);
  }
});

const jailedAt = (SSL_CHROOT: string): Record<string, string> => ({
  SSL_UID: "64001",
  SSL_GID: "64002",
  SSL_CHROOT,
});

asRoot("SSL_CHROOT or SSL_UID without root: 111, not a server without a jail", async (t) => {
  const become = 'set -- setpriv --reuid=64003 --regid=64004 --clear-groups -- "$@"';
  const prelude = `${become}\n${reachable(t)}`;
  const jail = emptyFolder(t);
  for (
    const [env, message] of [
      [
        { SSL_CHROOT: jail },
        /SSL_CHROOT makes \S+ the root folder: only root can do that/,
      ],
      [{ SSL_UID: "64001" }, /SSL_UID switches to user 64001: only root can do that/],
    ] as const
  ) {
    const { status, stdout, stderr } = await t.fails({ options: ["--workers", "1"], env, prelude });
    assertStrictEquals(status, 111, stderr);
    assertStrictEquals(stdout.length, 0, "it listened");
    assertMatch(stderr, message);
  }
});

claim("with --workers 0 settings for a separate worker are refused: 100", async (t) => {
  for (const name of ["SSL_UID", "SSL_GID", "SSL_USER", "SSL_GROUP", "SSL_CHROOT"]) {
    const env = { [name]: name === "SSL_CHROOT" ? "/" : "1" };
    const { status, stdout, stderr } = await t.fails({ options: ["--workers", "0"], env });
    assertStrictEquals(status, 100, stderr);
    assertStrictEquals(stdout.length, 0, "it listened");
    assert(stderr.includes(`$${name} needs a worker process`), stderr);
  }
});

asRoot("a worker in an empty jail serves TLS 1.2 and 1.3", async (t) => {
  const server = await t.start({ options: ["-HRl0", "--workers", "2"], env: jailed(t) });
  for (const version of ["-2", "-3"]) {
    const { text, end } = await talk(t, server, "hello\n", [version]);
    assertEquals({ text, end }, { text: "hello\n", end: "close_notify" });
  }
  assertEquals(fs.readdirSync(`${t.dir}/jail`), []);
});

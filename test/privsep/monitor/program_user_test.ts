import { assertEquals, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import fs from "node:fs";
import { test } from "node:test";
import { programUser } from "../../../src/privsep/monitor/program_user.ts";
import type { Runtime } from "../../../src/runtime/runtime.ts";

const switches = { name: "Bun", switchesUser: true } as Runtime;
const cannot = { name: "Deno", switchesUser: false } as Runtime;
const command = ["prog", "-u", "0"];
const path = (name: string): string =>
  fs.existsSync(`/usr/bin/${name}`) ? `/usr/bin/${name}` : `/bin/${name}`;

type Who = { uid: number | undefined; gid: number | undefined; groups: number[] | undefined };
const who = (uid?: number, gid?: number, groups?: number[]): Who => ({ uid, gid, groups });
/** Variables of a connection and of a rule together. */
const env = { TCPREMOTEIP: "192.0.2.1", SSL_PROTOCOL: "TLSv1.3", LD_PRELOAD: "evil.so", X: "a b" };
const ofConnection = { TCPREMOTEIP: "192.0.2.1", SSL_PROTOCOL: "TLSv1.3" };
const ofRule = ["LD_PRELOAD=evil.so", "X=a b"];

test("without -u and -g a program is started as it is", () => {
  for (const runtime of [switches, cannot]) {
    for (const ids of [who(), who(undefined, undefined, [5])]) {
      assertEquals(programUser({ command, ...ids }, runtime)(env), { command, env });
    }
  }
});

test("a runtime that can switches user and group by itself", () => {
  for (const [uid, gid] of [[7, 8], [7, undefined], [undefined, 8]] as const) {
    const wanted = { command, user: { uid, gid }, env };
    assertEquals(programUser({ command, ...who(uid, gid) }, switches)(env), wanted);
  }
});

test("otherwise setpriv switches, and always sets the groups", () => {
  const clear = "--clear-groups";
  for (
    const [runtime, ids, words] of [
      [cannot, who(7, 8), ["--reuid", "7", "--regid", "8", clear]],
      [cannot, who(7), ["--reuid", "7", clear]],
      [cannot, who(undefined, 8), ["--regid", "8", clear]],
      [cannot, who(7, 8, [3, 4]), ["--reuid", "7", "--regid", "8", "--groups", "3,4"]],
      [switches, who(7, 8, [3]), ["--reuid", "7", "--regid", "8", "--groups", "3"]],
    ] as const
  ) {
    const launch = programUser({ command, ...ids }, runtime);
    const before = [path("setpriv"), ...words, "--"];
    assertEquals(launch(ofConnection), {
      command: [...before, ...command],
      argv0: "setpriv",
      env: ofConnection,
    });
    // A rule's variables take effect only after the change of user, so env sets them.
    assertEquals(launch(env), {
      command: [...before, path("env"), "--", ...ofRule, ...command],
      argv0: "setpriv",
      env: ofConnection,
    });
  }
});

test("a program whose name looks like an option of setpriv stays a program", () => {
  const { command: words } = programUser({ command: ["--help"], ...who(7, 8) }, cannot)({});
  assertEquals(words.slice(-2), ["--", "--help"]);
});

test("a rule does not choose the program by PATH", () => {
  const { command: words } = programUser({ command: ["sh", "-c"], ...who(7, 8) }, cannot)({
    PATH: "/tmp",
  });
  assertMatch(words.slice(-3).join(" "), /^PATH=\/tmp \/\S+\/sh -c$/);
});

test("a name with '=' does not become a variable", () => {
  const launch = programUser({ command: ["./a=b"], ...who(7, 8) }, cannot);
  assertThrows(
    () => launch({ X: "1" }),
    Error,
    /^unable to set the variables of a rule for \.\/a=b/,
  );
  assertStrictEquals(launch({}).command.at(-1), "./a=b");
});

test("arguments that are not UTF-8 always use setpriv", () => {
  const byte = "J\udcf6rg";
  for (
    const [words, base, rule] of [
      [["prog", byte], {}, {}],
      [["prog"], { LATIN: byte }, {}],
      [["prog"], {}, { LATIN: byte }],
    ] as const
  ) {
    const launch = programUser({ command: [...words], ...who(7, 8) }, switches, base);
    const { command, user } = launch({ ...ofConnection, ...rule });
    assertStrictEquals(user, undefined);
    assertStrictEquals(command[0], path("setpriv"));
  }
});

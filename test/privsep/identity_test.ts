import {
  assert,
  assertEquals,
  assertMatch,
  assertObjectMatch,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { test } from "node:test";
import { parseOptions } from "../../src/config/parse.ts";
import { FatalError, UsageError } from "../../src/errors.ts";
import type { Files } from "../../src/files/files.ts";
import { type Identity, refuseIdentity, workerIdentity } from "../../src/privsep/identity.ts";

const PASSWD = `root:x:0:0:root:/root:/bin/sh
web:x:1001:2001:the web:/:/bin/false
empty:x::2001::/:
half:x:1002:::/:
word:x:zero:0::/:
hex:x:0x10:16::/:
minus:x:-1:-1::/:
large:x:4294967295:4294967295::/:
short:x
+nis:x:1003:2003::/:
`;
const GROUP = `root:x:0:
tls:x:3001:web,mail
none:x::web
`;

function files(texts: Readonly<Record<string, string>>): Files {
  return {
    read(path: string): Uint8Array {
      const text = texts[path];
      if (text === undefined) throw Object.assign(new Error("no such file"), { code: "ENOENT" });
      return new TextEncoder().encode(text);
    },
  } as unknown as Files;
}

const BOTH = files({ "/etc/passwd": PASSWD, "/etc/group": GROUP });

function identity(
  env: Record<string, string>,
  { argv = [], from = BOTH, root = false }: { argv?: string[]; from?: Files; root?: boolean } = {},
): Identity {
  const request = parseOptions([...argv, "0", "0", "true"], env);
  assert("serve" in request);
  return workerIdentity(request.serve, env, from, root);
}

for (
  const [name, env, argv, wanted] of [
    ["nothing asks for nothing", {}, [], {}],
    ["numbers are taken as they are", { SSL_UID: "7", SSL_GID: "8" }, [], { uid: 7, gid: 8 }],
    ["a user brings its group", { SSL_USER: "web" }, [], { uid: 1001, gid: 2001 }],
    ["a group by name", { SSL_USER: "web", SSL_GROUP: "tls" }, [], { uid: 1001, gid: 3001 }],
    ["numbers go before names", { SSL_USER: "web", SSL_UID: "5" }, [], { uid: 5, gid: 2001 }],
    ["-u and -g come last", { SSL_UID: "5" }, ["-u", "9", "-g", "10"], { uid: 5, gid: 10 }],
    ["-u and -g alone", {}, ["-u", "9", "-g", "10"], { uid: 9, gid: 10 }],
    ["a jail alone", { SSL_CHROOT: "/jail" }, [], { chroot: "/jail" }],
    ["empty variables are none", { SSL_UID: "", SSL_USER: "", SSL_CHROOT: "" }, [], {}],
    ["the largest number", { SSL_UID: "4294967294" }, [], { uid: 4294967294 }],
  ] as const
) {
  test(`${name}: ${JSON.stringify(env)} ${argv.join(" ")}`, () => {
    assertEquals(identity(env, { argv: [...argv] }), wanted);
  });
}

test("invalid numbers, and the id of root, are wrong usage", () => {
  for (
    const text of ["0", "00", "-1", "+1", "1.5", "1e3", "0x10", "4294967295", "9".repeat(11), "web"]
  ) {
    for (const name of ["SSL_UID", "SSL_GID"]) {
      assertThrows(
        () => identity({ [name]: text }),
        UsageError,
        new RegExp(`^\\$${name} needs a number from 1 to 4294967294`),
        text,
      );
    }
  }
});

test("an /etc/passwd line with invalid numbers never gives root", () => {
  for (const name of ["empty", "half", "word", "hex", "minus", "large", "short"]) {
    const wrong = /^unable to find SSL_USER \w+: its line in \/etc\/passwd/;
    assertThrows(() => identity({ SSL_USER: name }), FatalError, wrong, name);
  }
  const wrong = /^unable to find SSL_GROUP none: its line/;
  assertThrows(() => identity({ SSL_UID: "1", SSL_GROUP: "none" }), FatalError, wrong);
});

test("an unknown name is fatal, and the hint names an alternative", () => {
  for (const name of ["nobody-here", "we", "webb", "web:x", "nis"]) {
    const error = assertThrows(() => identity({ SSL_USER: name }));
    assert(error instanceof FatalError && !(error instanceof UsageError));
    assertMatch(error.message, /not in \/etc\/passwd$/);
    assertStrictEquals(error.hint, "set SSL_UID and SSL_GID to numbers");
  }
  assertObjectMatch(assertThrows(() => identity({ SSL_GROUP: "nobody-here" }), Error), {
    hint: "set SSL_GID to a number",
  });
});

test("without /etc/passwd and /etc/group only numbers work", () => {
  const from = files({});
  assertEquals(identity({ SSL_UID: "7", SSL_GID: "8" }, { from, root: true }), {
    uid: 7,
    gid: 8,
  });
  assertThrows(() => identity({ SSL_USER: "web" }, { from }), Error, /unable to find SSL_USER web/);
});

test("a worker with a user never keeps root's group", () => {
  assertEquals(identity({ SSL_UID: "1001" }, { root: true }), { uid: 1001, gid: 2001 });
  assertEquals(identity({ SSL_UID: "1001" }), { uid: 1001 });
  for (const from of [BOTH, files({})]) {
    const { gid } = identity({ SSL_UID: "77" }, { root: true, from });
    assert(gid !== undefined && gid > 0);
  }
  const odd = files({ "/etc/passwd": "a:x:77:0::/:\nb:x:77:::/:\nc:x:77:88::/:\n" });
  assertStrictEquals(identity({ SSL_UID: "77" }, { root: true, from: odd }).gid, 88);
});

test("a server in one process refuses an identity for workers, and says why", () => {
  const refused = (handler: Parameters<typeof refuseIdentity>[1]["handler"]): string =>
    assertThrows(() => refuseIdentity({ SSL_UID: "9" }, { handler }), UsageError).message;
  assertMatch(refused(undefined), /^\$SSL_UID needs a worker process, but there is none/);
  assertMatch(refused({ kind: "handler", file: "x" }), /but a module serves in one process$/);
  refuseIdentity({}, { handler: undefined });
});

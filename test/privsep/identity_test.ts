import assert from "node:assert/strict";
import { test } from "node:test";
import { fromLatin1 } from "../../src/codec/bytes.ts";
import { type Files, localFiles } from "../../src/files.ts";
import { defaults } from "../../src/options.ts";
import { workerIdentity } from "../../src/privsep/identity.ts";

const PASSWD = "root:x:0:0::/:\ntls:x:71:72::/:\nbad:x::72::/:\nroots:x:80:0::/:\n";
const GROUP = "root:x:0:\ncerts:x:73:tls\n";

const files: Files = {
  ...localFiles,
  read: (path) => fromLatin1(path === "/etc/passwd" ? PASSWD : GROUP),
};

function identity(env: Record<string, string>, options: { uid?: number; gid?: number } = {}) {
  const all = { ...defaults(), host: "0", port: "0", command: ["cat"], ...options };
  return workerIdentity(all, env, files, true);
}

test("numbers win over names, and these over -u and -g", () => {
  const both = { uid: 1, gid: 2 };
  assert.deepEqual(identity({}), {});
  assert.deepEqual(identity({}, both), both);
  assert.deepEqual(identity({ SSL_USER: "tls" }, both), { uid: 71, gid: 72 });
  assert.deepEqual(identity({ SSL_USER: "tls", SSL_GROUP: "certs" }), { uid: 71, gid: 73 });
  assert.deepEqual(identity({ SSL_USER: "tls", SSL_UID: "5", SSL_GID: "6" }), { uid: 5, gid: 6 });
  assert.deepEqual(identity({ SSL_CHROOT: "/jail" }), { chroot: "/jail" });
});

test("a user without a group gets that of /etc/passwd, else nobody's, and never root's", () => {
  assert.deepEqual(identity({ SSL_UID: "71" }), { uid: 71, gid: 72 });
  assert.deepEqual(identity({ SSL_UID: "80" }), { uid: 80, gid: 65_534 });
  assert.deepEqual(identity({}, { uid: 9 }), { uid: 9, gid: 65_534 });
});

test("what is no number, root, or unknown is refused", () => {
  for (const text of ["x", "0", "-1", "1x", "4294967295", "99999999999"]) {
    assert.throws(() => identity({ SSL_UID: text }), /\$SSL_UID wants a number from 1/);
    assert.throws(() => identity({ SSL_GID: text }), /\$SSL_GID wants a number from 1/);
  }
  assert.throws(() => identity({ SSL_USER: "none" }), /unable to find SSL_USER none: not in/);
  assert.throws(() => identity({ SSL_USER: "bad" }), /has no numbers/);
  assert.throws(() => identity({ SSL_GROUP: "none" }), /unable to find SSL_GROUP none: not in/);
});

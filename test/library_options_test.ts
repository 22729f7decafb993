/** Errors about options of `serve` use the names that the script used. */

import { assert, assertMatch, assertNotMatch, assertRejects, assertThrows } from "@std/assert";
import { test } from "node:test";
import { serve, type ServeOptions, UsageError } from "../mod.ts";
import { checkForCertificate, checkOptions } from "../src/library_options.ts";
import { makeSelfSigned } from "../src/tls/self_signed.ts";

const handler = (): void => {};

/** Values of each option that are accepted, with the limits of numbers, and some that are refused. */
const VALUES: {
  [Name in keyof ServeOptions]-?: { good: unknown[]; bad: unknown[]; wants: RegExp };
} = {
  hostname: { good: ["0", "::1", "localhost"], bad: ["", 0, null, "a\0b", []], wants: /a text/ },
  port: { good: [0, 65535], bad: [-1, 65536, 1.5, NaN, "443", null], wants: /from 0 to 65535/ },
  cert: { good: ["x"], bad: ["", 1, new Uint8Array(3), null, {}], wants: /a text/ },
  key: { good: ["x"], bad: ["", 1, new Uint8Array(3), null], wants: /a text/ },
  passphrase: { good: ["x"], bad: ["", 1, null], wants: /a text/ },
  selfSigned: { good: [true, false], bad: ["true", 1, null], wants: /true or false/ },
  rules: { good: ["rules.cdb"], bad: ["", true, null], wants: /a text/ },
  earlyRules: { good: ["rules.cdb"], bad: ["", true, null], wants: /a text/ },
  accessDir: { good: ["rules"], bad: ["", true, null], wants: /a text/ },
  accessCdb: { good: ["rules.cdb"], bad: ["", true, null], wants: /a text/ },
  concurrency: {
    good: [1, 1_000_000],
    bad: [0, -1, 1_000_001, 2.5, NaN, Infinity, "40", null],
    wants: /a whole number from 1 to 1000000/,
  },
  pending: {
    good: [1, 1_000_000],
    bad: [0, 1_000_001, NaN, "40", null],
    wants: /from 1 to 1000000/,
  },
  backlog: { good: [1, 65535], bad: [0, 65536, NaN, "9", null], wants: /from 1 to 65535/ },
  handshakeTimeout: {
    good: [1, 2_000_000],
    bad: [0, 0.5, 2_000_001, NaN, Infinity, "26", null],
    wants: /from 1 to 2000000/,
  },
  idleTimeout: {
    good: [1, 2_000_000],
    bad: [0, 0.5, 2_000_001, NaN, Infinity, "26", null],
    wants: /from 1 to 2000000/,
  },
  remoteName: { good: [true, false], bad: ["no", 0, null], wants: /true or false/ },
  proxyFrom: {
    good: [[], ["10.0.0.1", "10.0.0.0/8", "2001:db8::/32"]],
    bad: ["10.0.0.0/8", [""], ["10.0.0.0/33"], ["proxy.example"], [10], {}, null],
    wants: /networks|an array of texts/,
  },
  clientCertificate: {
    good: ["none", "valid", "match"],
    bad: ["required", "", true, null],
    wants: /none, valid or match/,
  },
  env: {
    good: [{}, { A: "b", C: undefined }, { "CERTFILE:a.example": "x" }],
    bad: ["A=b", [], null, { A: 1 }, { A: null }, { "A=B": "c" }, { "": "c" }, { A: "b\0c" }],
    wants: /an object of variables|texts? |names /,
  },
  log: { good: [() => {}], bad: ["stderr", {}, true, null], wants: /a function/ },
  trace: {
    good: ["nothing", "messages", "bytes"],
    bad: [true, "", "all", null],
    wants: /nothing, messages or bytes/,
  },
  verbosity: { good: [0, 3], bad: [-1, 4, 1.5, "v", true, null], wants: /from 0 to 3/ },
  signal: {
    good: [new AbortController().signal],
    bad: [new AbortController(), {}, "SIGTERM", null],
    wants: /an AbortSignal/,
  },
};

for (const [name, { good, bad, wants }] of Object.entries(VALUES)) {
  test(`option ${name}: its limits are taken, what is beyond them or of another type is not`, () => {
    const more = name === "key" ? { cert: "x" } : {};
    for (const value of [undefined, ...good]) checkOptions({ ...more, [name]: value }, handler);
    for (const value of bad) {
      const look = (error: unknown): boolean => {
        assert(error instanceof UsageError, String(value));
        assert(error.message.startsWith(`option ${name} needs `), error.message);
        assertMatch(error.message, wants);
        return true;
      };
      assert(look(assertThrows(() => checkOptions({ ...more, [name]: value }, handler))));
    }
  });
}

const WRONG: readonly [what: string, options: unknown, handler: unknown, message: RegExp][] = [
  ["no options", undefined, handler, /^serve needs options, not undefined$/],
  ["a port alone", 443, handler, /^serve needs options, not 443$/],
  ["an unknown option", { prot: 1 }, handler, /^unknown option prot$/],
  ["an option of the command", { delayed: true }, handler, /^unknown option delayed$/],
  ["a name of every object", { toString: 1 }, handler, /^unknown option toString$/],
  [
    "no handler",
    {},
    undefined,
    /^serve needs a handler or \{ command: \[\.\.\.\] \}, not undefined$/,
  ],
  ["a handler that is a text", {}, "cat", /not 'cat'$/],
  ["an object without a command", {}, {}, /not an object$/],
  [
    "a command that is a text",
    {},
    { command: "cat" },
    /^option command needs an array of words, not 'cat'$/,
  ],
  ["an empty command", {}, { command: [] }, /^the command is empty$/],
  ["a command without a name", {}, { command: [""] }, /^the command is empty$/],
  [
    "a number in a command",
    {},
    { command: ["a", 1] },
    /^option command needs words .*, not 1 at index 1$/,
  ],
  ["a NUL in a command", {}, { command: ["a\0"] }, /^option command needs words without NUL/],
  ["a key alone", { key: "x" }, handler, /^option key needs cert, too$/],
  [
    "rules of two kinds",
    { rules: "x", accessDir: "y" },
    handler,
    /^options accessDir and rules ex/,
  ],
  [
    "two sets of access rules",
    { accessCdb: "x", accessDir: "y" },
    handler,
    /accessDir and accessC/,
  ],
  ["two certificates", { cert: "x", selfSigned: true }, handler, /cert and selfSigned exclude/],
];

test("the error names what serve needs", async () => {
  for (const [what, options, handler, message] of WRONG) {
    const promise = serve(options as ServeOptions, handler as () => void);
    await assertRejects(() => promise, UsageError, message, what);
  }
});

test("a missing or unusable certificate: the error names the library's options", async () => {
  const { certPem: cert } = makeSelfSigned(["a.example"]);
  const other = makeSelfSigned(["b.example"]).keyPem;
  const rows: readonly [ServeOptions, RegExp][] = [
    [{}, /^unable to find a certificate: none of cert, selfSigned and CERTFILE in env is set$/],
    [{ cert: "/etc/ssl/cert.pem" }, /^unable to use certificate \(option cert\): /],
    [{ cert, key: "/etc/ssl/key.pem" }, /^unable to use key \(option key\): /],
    [{ cert }, /^unable to use key \(option key\): it is a certificate$/],
    [
      { cert, key: other },
      /^unable to use key \(option key\): it belongs to no certificate in \(option cert\)$/,
    ],
  ];
  for (const [options, message] of rows) {
    const error = await assertRejects(
      () => serve({ env: {}, ...options }, handler),
      UsageError,
      message,
    );
    assertMatch(error.hint ?? "", /cert and key/);
    assertNotMatch(`${error.message} ${error.hint}`, /--|-3/);
  }
  checkForCertificate({}, { CERTFILE: "cert.pem" });
  checkForCertificate({}, { "CERTFILE:a.example": "cert.pem" });
});

test("no message shows a key", () => {
  for (const name of ["cert", "key", "passphrase"]) {
    const { message } = assertThrows(() => checkOptions({ [name]: "secret\0" }, handler), Error);
    assert(!message.includes("secret"));
  }
});

import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { DecodeError } from "../../src/codec/bytes.ts";
import { defaults, type Options } from "../../src/config/options.ts";
import { OPTIONS } from "../../src/config/option_table.ts";
import { parseOptions } from "../../src/config/parse.ts";
import { type Init, packInit, unpackInit, versionOf } from "../../src/privsep/init.ts";
import { wantedFiles } from "../../src/privsep/monitor/file_watcher.ts";

test("files are those that options and environment name", () => {
  const options = { ...defaults(), rules: "/r.cdb", command: [], host: "0", port: "1" };
  const wanted = wantedFiles(options, {
    CERTFILE: "/a:/b",
    "KEYFILE:x.example": "/k",
    CADIR: "/ca",
    CCAFILE: "-",
    PATH: "/bin",
  });
  assertEquals(
    wanted.filter(({ path }) => !path.startsWith("/etc/")).map(({ kind, path }) =>
      `${kind} ${path}`
    ),
    ["files /a:/b", "file /k", "folder /ca", "rules /r.cdb"],
  );
});

const HANDLERS = ["--echo", "--www", "--files"];

/** Parses a command line. With one of `HANDLERS` there is no program. */
function parsed(...argv: string[]): Options {
  const program = argv.some((word) => HANDLERS.includes(word)) ? [] : ["cat", "\udc80"];
  const request = parseOptions([...argv, "localhost", "0", ...program], {
    UID: "1000",
    GID: "1001",
    GIDLIST: "7,8",
  });
  assert("serve" in request);
  return request.serve;
}

function initOf(options: Options): Init {
  return {
    version: "1.2.3",
    options,
    env: { CERTFILE: "/c", "KEYFILE:x.example": "" },
    identity: { uid: 5, chroot: "/jail" },
    workers: 2,
    index: 1,
    logsForAll: false,
    again: true,
    resolve: false,
    inherited: true,
    password: "\u20ac",
    keyPair: { chain: "a", key: "b" },
  };
}

/** The value as it is sent, through JSON. */
const sent = (init: Init): unknown => JSON.parse(JSON.stringify(packInit(init)));

test("a worker gets exactly the options that the command line gave, one by one and all together", () => {
  const values: Readonly<Record<string, string>> = {
    "--log": "json",
    "--metrics": "[::1]:9100",
    "--proxy-from": "192.0.2.0/24,2001:db8::/32,::ffff:10.0.0.0/104",
    "--variables": "s6",
    "--workers": "3",
    "-u": "mail",
    "-g": "12",
  };
  const words: string[][] = [];
  for (const { name, value } of OPTIONS.flatMap(({ options }) => options)) {
    // These serve in one process, or do not serve.
    if (
      ["--help", "--man", "--completion", "--version", "--example", "--handler", "--keylog"]
        .includes(name)
    ) {
      continue;
    }
    words.push(value === undefined ? [name] : [name, values[name] ?? "7"]);
  }
  // Options that exclude others.
  const alone = (name: string): boolean => HANDLERS.includes(name) || name.startsWith("--access-");
  const together = words.filter(([name = ""]) => !alone(name)).flat();
  for (const argv of [[], ...words, together, ["--metrics", "/run/m.sock"]]) {
    const init = initOf(parsed(...argv));
    assertEquals(unpackInit(sent(init)), init, argv.join(" "));
  }
});

test("optional fields of INIT may be absent", () => {
  const { password: _, keyPair: __, ...init } = initOf(parsed());
  assertEquals(unpackInit(sent({ ...init, identity: {} })), { ...init, identity: {} });
});

test("anything else than an Init is refused", () => {
  const packed = sent(initOf(parsed("--metrics", ":1"))) as Record<string, unknown>;
  const options = packed["options"] as Record<string, unknown>;
  const wrong = [
    undefined,
    null,
    [],
    "x",
    {},
    { ...packed, more: 1 },
    { ...packed, env: { CERTFILE: 1 } },
    { ...packed, index: -1 },
    { ...packed, index: 0.5 },
    { ...packed, speaks: 1 },
    { ...packed, identity: { uid: "0" } },
    { ...packed, keyPair: { chain: "" } },
    { ...packed, options: { ...options, more: 1 } },
    { ...packed, options: { ...options, verbosity: 4 } },
    { ...packed, options: { ...options, verbosity: "1" } },
    { ...packed, options: { ...options, command: ["a", 1] } },
    { ...packed, options: { ...options, command: "a" } },
    { ...packed, options: { ...options, metrics: { host: "::1" } } },
    { ...packed, options: { ...options, proxyFrom: ["::1/129"] } },
    ...Object.keys(packed).filter((name) => !["password", "keyPair"].includes(name))
      .map((name) => ({ ...packed, [name]: undefined })),
  ];
  for (const one of wrong) {
    assertThrows(() => unpackInit(one), DecodeError, undefined, JSON.stringify(one));
  }
});

test("the version of another program version is recognised", () => {
  assertStrictEquals(versionOf({ version: "0.0.1", argv: [] }), "0.0.1");
  for (const other of [{}, { version: 1 }, null, undefined, "x", []]) {
    assertStrictEquals(versionOf(other), undefined);
  }
});

/** Each row of the tables of environment variables: which processes get the variable, what may set it, what
 *  --check says about misspellings, and that the named file reads it. docs_test.ts compares the rows with
 *  the manual. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotStrictEquals,
  assertStrictEquals,
} from "@std/assert";
import { fromFileUrl } from "@std/path";
import * as fs from "node:fs";
import { test } from "node:test";
import { spelling } from "../../src/check/spelling.ts";
import { defaults } from "../../src/config/options.ts";
import {
  CLIENT_AUTH_VARIABLES,
  DEFAULTS,
  isForRules,
  isFromWorker,
  LIMIT_VARIABLES,
  TLS_VARIABLES,
  UNSUPPORTED_VARIABLES,
  type VariableName,
  workerEnvironment,
} from "../../src/config/variables.ts";
import {
  CONNECTION_VARIABLES,
  type ConnectionRow,
} from "../../src/config/variables_of_connection.ts";
import { SERVER_VARIABLES, type ServerRow } from "../../src/config/variables_of_server.ts";
import { wantedFiles } from "../../src/privsep/monitor/file_watcher.ts";
import { baseEnvironment, programEnvironment } from "../../src/program/environment.ts";

const SRC = fromFileUrl(new URL("../../src/", import.meta.url));

const ROWS: [VariableName, ServerRow][] = SERVER_VARIABLES.flatMap((row) =>
  row.names.map((name): [VariableName, ServerRow] => [name, row])
);

const CONNECTION: readonly ConnectionRow[] = CONNECTION_VARIABLES;

/** The name alone, and the form for one server name. */
const forms = (name: string): [plain: string, named: string] => [name, `${name}:www.example`];

/** The variables that a program gets: inherited ones, and those of a rule. */
function programs(names: readonly string[]): [inherited: string[], ruled: string[]] {
  const env = names.map((name): [string, string] => [name, "x"]);
  const request = { variables: new Map<string, string>(), delayed: false };
  return [
    Object.keys(baseEnvironment(Object.fromEntries(env))),
    Object.keys(programEnvironment({}, request, env, undefined)),
  ];
}

test("no name is in the tables twice", () => {
  const names: string[] = [...SERVER_VARIABLES, ...CONNECTION_VARIABLES].flatMap((row) =>
    row.names
  );
  assertStrictEquals(new Set(names).size, names.length);
  assert(names.length > 100);
});

test("the secret variables, and those not passed on, are these", () => {
  const named = (is: (row: ServerRow) => unknown): string =>
    ROWS.filter(([, row]) => is(row)).map(([name]) => name).join(" ");
  assertStrictEquals(named((row) => row.secret), "KEYFILE TICKETKEYFILE SSL_CHROOT");
  assertStrictEquals(
    named((row) => row.supervisor),
    "LISTEN_FDS LISTEN_PID LISTEN_FDNAMES NOTIFY_SOCKET LISTEN_PIDFDID WATCHDOG_USEC WATCHDOG_PID",
  );
  assertStrictEquals(
    named((row) => !row.worker && !row.supervisor),
    "UID GID GIDLIST PATH NO_COLOR TERM SSL_CERT_FILE SSL_CERT_DIR SSL_UID SSL_GID SSL_USER SSL_GROUP SSL_CHROOT",
  );
  assertStrictEquals(
    named((row) => row.worker && !row.rule),
    "DNSCACHEIP LOCALDOMAIN DNSREWRITEFILE",
  );
});

test("workers, programs and rules get the variables that the rows name", () => {
  for (const [name, row] of ROWS) {
    const [plain, named] = forms(name);
    const env = Object.fromEntries(forms(name).map((name) => [name, "x"]));
    const ownForms = row.perName ? [plain, named] : [plain];
    assertEquals(Object.keys(workerEnvironment(env)), row.worker ? ownForms : []);
    const kept = (gone: boolean): string[] =>
      forms(name).filter((n) => !gone || !ownForms.includes(n));
    const [inherited, ruled] = programs(forms(name));
    assertEquals(inherited, kept(!!row.secret || !!row.supervisor));
    assertEquals(ruled, kept(!!row.secret));
    assertEquals(forms(name).filter(isForRules), row.rule ? ownForms : []);
    if (row.rule) assert(row.worker, "rules are followed by workers");
    if (row.perName) assert(row.rule && row.holds, "a certificate");
    assertStrictEquals(isFromWorker(name), false, "a worker would set it for a program");
  }
});

test("--check knows misspellings of every variable that is set for this server alone", () => {
  for (const [name, row] of ROWS) {
    assertStrictEquals(spelling(name), undefined);
    const slips = [
      name.toLowerCase(),
      `${name}X`,
      `${name.slice(0, -1)}Q`,
      name.slice(0, 2) + name.slice(3),
    ];
    const [, named] = forms(name);
    if (row.unsupported || row.supervisor || row.shared) {
      for (const slip of slips) assertNotStrictEquals(spelling(slip), name, slip);
      continue;
    }
    // A short name with one wrong letter may be another word.
    const found = name.length > 5 ? slips : name.length > 3 ? slips.slice(0, 1) : [];
    for (const slip of found) {
      const meant = spelling(slip) as string;
      // A slip may be closer to another variable: CAFILEX and CCAFILEX are one letter from two of ours.
      assert(ROWS.some(([other]) => other === meant), `${slip}: ${meant}`);
      const full = spelling(forms(slip)[1]);
      const perName = ROWS.find(([other]) => other === meant)?.[1].perName;
      assertStrictEquals(full, perName ? forms(meant)[1] : meant);
    }
    assertStrictEquals(spelling(named), row.perName || name.length < 4 ? undefined : name);
  }
});

test("the file that a row names reads the variable", () => {
  for (const [name, { reader, unsupported }] of ROWS) {
    if (reader === undefined) continue;
    const text = fs.readFileSync(SRC + reader, "utf8");
    assertMatch(
      text,
      unsupported ? /\bUNSUPPORTED_VARIABLES\b/ : new RegExp(`\\b${name}\\b`),
      name,
    );
  }
});

test("a worker, or a rule, sets every variable of a connection but the descriptors", () => {
  for (const { names, monitor } of CONNECTION) {
    for (const name of names) assertStrictEquals(isFromWorker(name), !monitor, name);
    assertEquals(programs(names), [[], names]);
  }
});

test("variables of a connection that mod_ssl sets elsewhere are not inherited", () => {
  const names = ["SSL_CLIENT_V_REMAIN", "SSL_SERVER_S_DN_OU", "SSL_CIPHER_X", "SSL_VERSION_X"];
  assertEquals(programs(names), [[], names]);
});

test("names that only resemble those of the tables are passed to programs", () => {
  const names = [
    ..."DB_PASSWORD TCPREMOTEIPX XTCPREMOTEIP SSL_SESSION_IDX PROXY_URL SSL_CERT_FILE".split(" "),
    ..."SSL_PROTOCOLS TCPCONNNUMS __proto__ constructor CERTFILEX:a.example".split(" "),
  ];
  assertEquals(workerEnvironment(Object.fromEntries(names.map((name) => [name, "x"]))), {});
  assertEquals(programs(names), [names, names]);
  for (const name of names) assert(!isFromWorker(name) && !isForRules(name), name);
});

test("the keys of contexts and of authorities have the variables of their readers", () => {
  const read = (reader: string): string[] =>
    ROWS.filter(([, row]) => row.reader === reader).map(([name]) => name);
  assertEquals<readonly string[]>(TLS_VARIABLES, read("tls/settings.ts"));
  assertEquals<readonly string[]>(CLIENT_AUTH_VARIABLES, read("tls/client_auth.ts"));
  assertEquals(LIMIT_VARIABLES, ["MAXCONIP", "MAXCONRATE", "MAXCONNET"]);
  assertEquals(UNSUPPORTED_VARIABLES, ["TICKETKEYFILE"]);
});

test("the monitor opens what variables for workers name, as their rows say", () => {
  const options = { ...defaults(), command: [], host: "0", port: "1" };
  for (const [name, { holds, perName }] of ROWS) {
    for (const form of perName ? forms(name) : [name]) {
      const wanted = wantedFiles(options, { [form]: "/a:/b" }).filter(({ path }) =>
        path === "/a:/b"
      );
      assertEquals(wanted.map(({ kind }) => kind), holds ? [holds] : [], form);
    }
  }
  const off = wantedFiles(options, { CCAFILE: "-" });
  assert(off.every(({ path }) => path.startsWith("/etc/")));
});

test("each default is the value of a variable", () => {
  for (const name of Object.keys(DEFAULTS)) assert(ROWS.some(([other]) => other === name), name);
});

/** Starts that fail: for each message a command line and an environment that cause it, with exit code,
 *  message and remedy. Every message in the source has a row, or a reason for having none. */

import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { VERSION } from "../../src/version.ts";
import { openssl } from "./certificates.ts";
import { claim, formCommand, ROOT, type Trial } from "./harness.ts";

interface Row {
  /** `@` stands for the folder of the test. */
  args: string;
  env?: Record<string, string>;
  code?: number;
  fatal: string;
  /** True: tested under Deno, too, because the system, a library or Deno's adapter causes it. */
  deno?: true;
  /** The remedy. Absent: the message has it, and the usage line follows. */
  info?: string;
}

const GOOD = { CERTFILE: "@/cert.pem", KEYFILE: "@/key.pem" };
const LAST = "127.0.0.1 0 cat";
const HOST = "give host as an address of this machine; 0 means all of them";
const PEM = "CERTFILE and CERTCHAINFILE must name certificates in PEM form";
const RATE = "n is at most 10000, s from 1 to 86400";

const ROWS: readonly Row[] = [
  { args: "", code: 100, fatal: "host, port and prog are missing" },
  { args: "0", code: 100, fatal: "port and prog are missing" },
  { args: "0 0", code: 100, fatal: "prog is missing" },
  {
    args: "127.0.0.1:0 cat x",
    code: 100,
    fatal: "host and port are one word: '127.0.0.1:0'",
    info: "write 127.0.0.1 0",
  },
  {
    args: `--sel-signed ${LAST}`,
    code: 100,
    fatal: "unknown option --sel-signed",
    info: "did you mean --self-signed?",
  },
  { args: "-c", code: 100, fatal: "option -c needs a value" },
  { args: `-c0 ${LAST}`, code: 100, fatal: "option -c needs a number from 1 to 1000000, not '0'" },
  { args: `--self-signed=1 ${LAST}`, code: 100, fatal: "option --self-signed takes no value" },
  {
    args: `-u root ${LAST}`,
    code: 100,
    fatal: "option -u needs another user than root's, not 'root'",
    info: "leave out -u to keep root's",
  },
  {
    args: `-g nobody-here ${LAST}`,
    fatal: "unable to find -g nobody-here: not in /etc/group",
    info: "give -g a number, or add the group to the system",
  },
  {
    args: `--self-signed 127.0.0.1 65536 cat`,
    fatal: "unable to use port 65536: above 65535",
    info: "port is a number up to 65535, 0 for any free one, or a service's name",
  },
  {
    args: `--self-signed 127.0.0.1 no-such-service cat`,
    fatal: "unable to find port no-such-service: no such tcp service in /etc/services",
    info: "give the port as a number",
  },
  {
    args: "--self-signed 192.0.2.1 0 cat",
    deno: true,
    fatal: "unable to listen on 192.0.2.1 port 0: bind: address not available (EADDRNOTAVAIL)",
    info: "host must be an address of this machine; 0 means all of them",
  },
  {
    args: "--self-signed name.invalid 0 cat",
    env: { DNSREWRITEFILE: "@/rewrite" },
    fatal: 'unable to find address of "name.invalid": no dns server gave a usable answer',
    info: HOST,
  },
  {
    args: "--self-signed every.invalid 0 cat",
    env: { DNSREWRITEFILE: "@/rewrite" },
    fatal:
      'unable to listen on "every.invalid": the name leads to 0.0.0.0, which means every address',
    info: "give host as an address of this machine; 0 or :: mean all of them",
  },
  {
    args: `--self-signed ${LAST}`,
    env: { DNSCACHEIP: "x" },
    deno: true,
    fatal: "unable to use $DNSCACHEIP: server list: address: not an IP address at byte 0",
    info: "set it like DNSCACHEIP=192.0.2.53, or to several addresses with commas",
  },
  {
    args: `--self-signed ${LAST}`,
    env: { MAXCONIP: "x" },
    fatal: "unable to parse MAXCONIP: not a number from 0 to 999999999",
    info: "set it like MAXCONIP=5, or unset it",
  },
  {
    args: `--self-signed ${LAST}`,
    env: { MAXCONRATE: "5" },
    fatal: "unable to parse MAXCONRATE: not of the form n/s, for n connections in s seconds",
    info: RATE,
  },
  {
    args: `--self-signed ${LAST}`,
    env: { LISTEN_FDS: "x" },
    deno: true,
    fatal: "unable to use $LISTEN_FDS: 'x' is not a number",
    info:
      "a supervisor sets it to the number of sockets; unset LISTEN_FDS and LISTEN_PID if none did",
  },
  {
    args: `--self-signed ${LAST}`,
    env: { LISTEN_FDS: "2", LISTEN_FDNAMES: "a:b" },
    fatal: "unable to use $LISTEN_FDS: 2 descriptors (a:b), but only one is supported",
    info: "use one ListenStream= in a .socket unit, and another pair of units for another address",
  },
  {
    args: `-3 ${LAST}`,
    env: { ...GOOD, LISTEN_FDS: "1" },
    fatal:
      "unable to read the key's password from descriptor 3: the socket of $LISTEN_FDS is there",
    info: "store the key without a password, readable by root alone, and leave out -3",
  },
  {
    args: `--self-signed ${LAST}`,
    env: { NOTIFY_SOCKET: "relative" },
    deno: true,
    fatal: "unable to use $NOTIFY_SOCKET: 'relative' is not an absolute path or an @name",
    info: "a supervisor sets it to the path of its socket; unset NOTIFY_SOCKET if none did",
  },
  {
    args: `--self-signed ${LAST}`,
    env: { SSL_CHROOT: "jail" },
    code: 100,
    fatal: "$SSL_CHROOT needs a path from the root folder, not 'jail'",
    info: "set SSL_CHROOT=/jail",
  },
  {
    args: `--self-signed ${LAST}`,
    env: { SSL_UID: "0" },
    code: 100,
    fatal: "$SSL_UID needs a number from 1 to 4294967294, not '0'",
    info: "set SSL_USER to use a name",
  },
  {
    args: `--self-signed ${LAST}`,
    env: { SSL_USER: "nobody-here" },
    fatal: "unable to find SSL_USER nobody-here: not in /etc/passwd",
    info: "set SSL_UID and SSL_GID to numbers",
  },
  {
    args: `--self-signed --workers 0 ${LAST}`,
    env: { SSL_UID: "7" },
    code: 100,
    deno: true,
    fatal: "$SSL_UID needs a worker process, but there is none (--workers 0)",
    info: "use --workers 1, for which deno run needs --allow-ffi and --allow-run, or use -u and -g",
  },
  {
    args: "--www 127.0.0.1 0",
    env: { ...GOOD, ALPN: "h2,http/1.1" },
    fatal: "ALPN=h2,http/1.1: --www and --files do not speak HTTP/2",
    info: "set ALPN=http/1.1, or unset it",
  },
  {
    args: LAST,
    fatal: "unable to find a certificate: neither CERTFILE nor CERTCHAINFILE is set",
    info: "set CERTFILE and KEYFILE to PEM files, or try --self-signed",
  },
  {
    args: LAST,
    env: { ...GOOD, CERTFILE: "@/none" },
    deno: true,
    fatal: "unable to read certificate @/none: no such file or directory",
    info: "CERTFILE or CERTCHAINFILE must name a PEM file this user can read",
  },
  {
    args: LAST,
    env: { ...GOOD, CERTFILE: "@/text" },
    deno: true,
    fatal: "unable to use certificate @/text: no certificate in it",
    info: PEM,
  },
  {
    args: LAST,
    env: { ...GOOD, KEYFILE: "@/text" },
    fatal: "unable to use key @/text: no key in it",
    info: "KEYFILE must name a key in PEM form: PKCS #8, PKCS #1 or SEC 1",
  },
  {
    args: LAST,
    env: { ...GOOD, KEYFILE: "@/other.key" },
    deno: true,
    fatal: "unable to use key @/other.key: it belongs to no certificate in @/cert.pem",
    info: "set KEYFILE to the key for which the certificate was made",
  },
  {
    args: LAST,
    env: { CERTFILE: "@/cert.pem" },
    fatal: "unable to use certificate @/cert.pem: its private key is not in it",
    info: "set KEYFILE to the file with the private key",
  },
  {
    args: LAST,
    env: { CERTFILE: "@/key.pem", KEYFILE: "@/cert.pem" },
    fatal:
      "unable to use certificate @/key.pem: it is a private key, and @/cert.pem is a certificate: these are swapped",
    info: "CERTFILE is for the certificate, KEYFILE for the private key",
  },
  {
    args: LAST,
    env: { CERTFILE: "@/odd.pem", KEYFILE: "@/odd.key" },
    fatal:
      "unable to use certificate @/odd.pem: its key is of the kind secp256k1, which the TLS library does not support",
    info: "use RSA with 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519",
  },
  {
    args: LAST,
    env: { ...GOOD, CIPHERS: "TLS_AES_128_GCM_SHA256" },
    fatal: "unable to use CIPHERS TLS_AES_128_GCM_SHA256: the suites of TLS 1.3 cannot be chosen",
    info: "list only ciphers of TLS 1.2, or set TLS_MAX_VERSION=TLSv1.2",
  },
  {
    args: LAST,
    env: { ...GOOD, TLS_MIN_VERSION: "TLSv1.3", TLS_MAX_VERSION: "TLSv1.2" },
    fatal: "unable to use TLS_MIN_VERSION: TLSv1.3 is above TLS_MAX_VERSION TLSv1.2",
    info: "lower TLS_MIN_VERSION, or raise TLS_MAX_VERSION; unset, they are TLSv1.2 and TLSv1.3",
  },
  {
    args: LAST,
    env: { ...GOOD, TICKETKEYFILE: "/tickets" },
    code: 100,
    fatal: `$TICKETKEYFILE is not supported by sslserver/${VERSION}`,
    info: "unset TICKETKEYFILE",
  },
  {
    args: LAST,
    env: { ...GOOD, CURVES: "X25519:X448" },
    fatal: "unable to use CURVES: no runtime supports the group X448",
    info: "name some of X25519MLKEM768, MLKEM1024, X25519, P-256, P-384, P-521, best first: " +
      "CURVES=X25519MLKEM768:X25519:P-256:P-384",
  },
  {
    args: LAST,
    env: { ...GOOD, CURVES: "X25519:P-256:prime256v1" },
    fatal: "unable to use CURVES: P-256 is there twice",
    info: "name each group once: CURVES=X25519MLKEM768:X25519:P-256:P-384",
  },
  {
    args: LAST,
    env: { ...GOOD, TLS_MIN_VERSION: "SSLv3" },
    fatal: "unable to use TLS_MIN_VERSION: 'SSLv3' is not one of TLSv1, TLSv1.1, TLSv1.2, TLSv1.3",
    info: "set TLS_MIN_VERSION to one of them, or unset it",
  },
  {
    args: LAST,
    env: { ...GOOD, ALPN: ",," },
    fatal: "unable to use ALPN: '' is not a protocol name",
    info: "set it like ALPN=h2,http/1.1, or unset it",
  },
  {
    args: LAST,
    env: { ...GOOD, "CERTFILE:a_b!": "@/cert.pem" },
    fatal: "unable to use CERTFILE:a_b!: 'a_b!' is not a host name",
    info:
      "write a name like www.example or *.example after the colon, with xn-- for other alphabets",
  },
  {
    args: LAST,
    env: { ...GOOD, "CERTFILE:A.example": "@/cert.pem", "CERTFILE:a.example": "@/cert.pem" },
    fatal: "unable to use CERTFILE:a.example: the name is set twice, in two spellings",
    info: "unset one of them; case does not matter in names",
  },
  {
    args: LAST,
    env: { ...GOOD, "KEYFILE:a.example": "@/key.pem" },
    deno: true,
    fatal: "unable to use KEYFILE:a.example: there is no CERTFILE:a.example",
    info: "set both, or put the key into the certificate file",
  },
  {
    args: `--metrics 192.0.2.1:0 ${LAST}`,
    env: GOOD,
    fatal:
      "unable to listen for --metrics on 192.0.2.1:0: bind: address not available (EADDRNOTAVAIL)",
    info: "give --metrics a free address of this machine, or a path in a folder that exists",
  },
  {
    args: `--workers 0 --keylog /none/keys ${LAST}`,
    env: GOOD,
    fatal: "unable to append to /none/keys: no such file or directory",
    info: "--keylog must name a file that this user can write",
  },
];

/** Messages without a row: how they begin, and where they are tested or why they cannot be. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  // Messages of the library; see test/library_options_test.ts.
  "${caller} needs options": "library",
  "options ${one} and ${other}": "library",
  "a handler cannot start": "library",
  "serve needs ": "library",
  "option command needs ": "library",
  "the command is empty": "library",
  "options cert and selfSigned": "library",
  "option key needs cert": "library",
  "unable to find a certificate: none of cert": "library",
  // A rule sets the variable. The server's own is refused by another message, which is in the table.
  "unable to use ALPN ${quoted(list": "test/e2e/handlers_http_test.ts",
  // What serves in place of a program, access rules in a folder, and certificates by name alone.
  "--${kind} serves in place": "test/config/options_test.ts",
  "-n is for programs, not for": "test/config/options_test.ts",
  "unable to serve --files": "test/handlers/",
  "unable to load ": "test/e2e/handlers_module_test.ts",
  "a module serves in one process": "test/config/options_test.ts",
  "host, port and module are missing": "test/config/options_test.ts",
  "port and module are missing": "test/config/options_test.ts",
  "module is missing": "test/config/options_test.ts",
  "$${name} needs a worker process, but a module": "test/privsep/identity_test.ts",
  "unable to find a certificate: no CERTFILE:name": "test/e2e/s6_tlsserver_test.ts",
  // Messages of other commands; see test/commands/.
  "tcprules": "tcprules",
  "${USAGE}: two different files": "tcprules",
  "unable to read input": "tcprules",
  "unable to parse line": "tcprules",
  "unable to parse ${where()}": "tcprules",
  "unable to ${what}: ${reason(thrown)}": "tcprules",
  "unable to parse TCPREMOTEIP": "tcprulescheck",
  "unable to read ${cdb}": "tcprulescheck",
  // Messages of options that exclude each other, and of s6-tlsserver.
  "${access} and ${other}": "test/e2e/access_rules_test.ts",
  "options -i and -x": "test/commands/s6_tlsserver_test.ts",
  "option ${name} needs a number": "test/commands/s6_tlsserver_test.ts",
  "${what} needs a number": "test/commands/s6_tlsserver_test.ts",
  "$${name} is not set": "test/commands/s6_tlsserver_test.ts",
  "neither $CADIR nor $CAFILE": "test/commands/s6_tlsserver_test.ts",
  // Messages of --keylog, and of settings that s_server alone makes.
  "--keylog needs one process": "test/e2e/s_server_test.ts",
  "unable to log the secrets": "test/e2e/s_server_test.ts",
  "unable to issue no tickets": "test/runtime/contract_tls.ts",
  "unable to choose by the server's order": "test/runtime/contract_tls.ts",
  // Messages of a running server.
  "unable to listen again": "test/privsep/monitor/",
  "unable to start a worker": "test/privsep/monitor/",
  "unable to run ${options.command[0]}": "test/privsep/monitor/",
  "unable to run ${command[0]}": "test/privsep/monitor/",
  "unable to choose cipher suites": "of Deno's TLS alone; test/e2e/sslclient_test.ts",
  "unable to serve: sslserver ${VERSION}": "test/e2e/privsep_upgrade_test.ts",
  // Messages on systems that lack something or behave wrongly.
  "unable to switch user": "a system that does not switch the user",
  "unable to give up privileges": "test/privsep/drop_test.ts",
  "unable to ${what}: ${reason(error)}": "test/privsep/drop_test.ts",
  "unable to open ${PATH}": "test/privsep/null_device_test.ts",
  "unable to serve: ${limit} open files": "test/e2e/descriptors_test.ts",
  "unable to protect the socket": "test/e2e/metrics_test.ts",
  "unable to start ${workers} workers": "test/e2e/library_permissions_test.ts",
  "unable to run on Node": "Node",
  "unable to call ": "another system",
  "unable to use sockets and pipes": "another version of Deno",
  "${what}: ": "test/e2e/surroundings_test.ts",
  // Messages about supervisors and client certificates, which have separate tests.
  "unable to use the socket of $LISTEN_FDS": "test/supervisor/listen_fds_test.ts",
  "unable to listen on ${wanted}": "test/supervisor/listen_fds_test.ts",
  "unable to use descriptor ": "test/supervisor/notify_test.ts",
  "unable to require client certificates": "test/tls/client_auth_test.ts",
  "unable to ask for client certificates": "test/tls/client_auth_test.ts",
  "unable to use VERIFYDEPTH": "test/tls/client_auth_test.ts",
  "unable to use CA folder": "test/tls/trust_sources_test.ts",
  "unable to verify servers": "test/client/verify_test.ts",
  "unable to set the variables of a rule for": "test/privsep/monitor/program_user_test.ts",
  "unable to speak ${version}": "of Deno's TLS alone; test/tls/context_test.ts",
  "unable to use several certificates": "of Deno's TLS alone; test/tls/context_test.ts",
  "unable to read CCAFILE": "test/tls/client_auth_test.ts",
};

async function files(t: Trial): Promise<void> {
  const at = (name: string): string => join(t.dir, name);
  for (const [curve, key] of [["P-256", "other"], ["P-256", "key"], ["secp256k1", "odd"]]) {
    const options = ["-algorithm", "EC", "-pkeyopt", `ec_paramgen_curve:${curve}`];
    await openssl(t, "genpkey", ...options, "-out", at(key === "key" ? "key.pem" : `${key}.key`));
  }
  for (const [key, certificate] of [["key.pem", "cert.pem"], ["odd.key", "odd.pem"]] as const) {
    const request = ["-x509", "-subj", "/CN=localhost", "-days", "9"];
    await openssl(t, "req", ...request, "-key", at(key), "-out", at(certificate));
  }
  fs.writeFileSync(at("text"), "text\n");
  fs.writeFileSync(at("rewrite"), "=every.invalid:0.0.0.0\n");
}

/** Runs the start of a row. Returns undefined if the result matches the row, else a description. */
async function tried(t: Trial, row: Row): Promise<string | undefined> {
  const { code = 111, fatal, info } = row;
  const here = (text: string): string => text.replaceAll("@/", `${t.dir}/`);
  const env = Object.fromEntries(
    Object.entries({ DNSCACHEIP: "127.0.0.1:9", ...row.env })
      .map(([name, value]) => [name, name === "NOTIFY_SOCKET" ? value : here(value)]),
  );
  const command = [...formCommand(t.form, "cat"), ...here(row.args).split(" ").filter(Boolean)];
  // The shell sets LISTEN_PID to its own pid and then executes the server. Other rows run without a
  // shell, because dash drops variables like CERTFILE:name.
  const listening = "LISTEN_FDS" in env ? "export LISTEN_PID=$$; exec 3</dev/null; " : "";
  const [path = "", ...args] = listening || "SSL_CHROOT" in env
    ? ["/bin/sh", "-c", `cd /; ${listening}exec "$@"`, "sh", ...command]
    : command;
  const { status, stderr } = await t.run(path, args, { env })
    .catch((error) => ({ status: -1, stderr: String(error) })); // the start succeeded: no end in time
  const lines = stderr.replaceAll(`${t.dir}/`, "@/").split("\n");
  const at = lines.findIndex((line) => line.startsWith("sslserver: fatal: "));
  const next = lines[at + 1] ?? "";
  const said = {
    code: status,
    fatal: lines[at]?.slice("sslserver: fatal: ".length),
    info: next.startsWith("sslserver: info: ") ? next.slice("sslserver: info: ".length) : undefined,
  };
  try {
    assertEquals(said, { code, fatal, info });
    return undefined;
  } catch {
    return `${row.args} ${JSON.stringify(row.env ?? {})}: ${JSON.stringify(said)}\n${stderr}`;
  }
}

claim("a start that fails says why and what to do, for every message", async (t) => {
  await files(t);
  const left = ROWS.filter(({ deno }) => deno || t.form === "binary");
  const wrong: string[] = [];
  const worker = async (): Promise<void> => {
    for (let row = left.shift(); row; row = left.shift()) {
      const found = await tried(t, row);
      if (found !== undefined) wrong.push(found);
    }
  };
  await Promise.all([worker(), worker(), worker()]);
  assertEquals(wrong, []);
}, { forms: ["binary", "deno"], timeout: 120_000 });

/** Files of the clients, which start no server, and of other names of the server, which have their own
 *  tests. docs_test.ts compares the messages of clients with the manual. */
const OF_CLIENTS =
  /^(?:client\/|commands\/(?:client|small_client|https_at)\.ts|config\/(?:client_table|variables_of_s6|variables_of_s_server)\.ts|commands\/(?:s6_|s_server))/;

/** The text of every error in the source that ends a start, and its file. */
function messages(): Map<string, string> {
  const found = new Map<string, string>();
  const folder = join(ROOT, "src");
  for (const name of fs.readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".ts") || name.startsWith("codec/") || OF_CLIENTS.test(name)) continue;
    const text = fs.readFileSync(join(folder, name), "utf8");
    const site =
      /new (FatalError|UsageError|Unsupported)\(\s*(?:"((?:[^"\\]|\\.)*)"|`((?:[^`\\]|\\.)*)`)/g;
    for (const [, kind, plain, template] of text.matchAll(site)) {
      const words = plain ?? template ?? "";
      found.set(kind === "Unsupported" ? `unable to ${words}` : words, name);
    }
  }
  return found;
}

claim("every message that can end a start is in the table, or has a reason", async () => {
  const missing = [...messages()].filter(([words]) => {
    const [start = "", ...more] = words.split(/\$\{[^}]*\}?\}/);
    const escaped = [start, ...more].map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    const like = new RegExp(`^${escaped.join(".*")}`);
    return !ROWS.some(({ fatal }) => like.test(fatal)) &&
      !Object.keys(ELSEWHERE).some((begin) => words.startsWith(begin));
  });
  assertEquals(missing, []);
}, { forms: ["binary"] });

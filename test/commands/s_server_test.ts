/** The options of s_server: every option of `openssl s_server` has a row, and each row does what the
 *  manual says. */

import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import * as fs from "node:fs";
import { test } from "node:test";
import { readSServerOptions, sServerOptions } from "../../src/commands/s_server_options.ts";
import { refuseLacking } from "../../src/commands/s_server.ts";
import { passwordFrom } from "../../src/commands/s_server_password.ts";
import { defaultSettings, type ServerSettings } from "../../src/commands/s_server_settings.ts";
import { advertisedLine, offerLines } from "../../src/commands/s_server_offer.ts";
import { S_SERVER_OPTIONS } from "../../src/commands/s_server_table.ts";
import { headingLines, stateLines } from "../../src/commands/s_server_trace.ts";
import {
  translatedEnvironment,
  translatedOptions,
  versionRange,
} from "../../src/commands/s_server_translation.ts";
import { verdictOf, verificationOf } from "../../src/commands/s_server_verdict.ts";
import { TlsConversation, type TlsEvent } from "../../src/codec/tls/conversation.ts";
import type { Options } from "../../src/config/options.ts";
import { UsageError } from "../../src/errors.ts";
import { clientHello } from "../codec/tls/samples.ts";

/** Every option of OpenSSL 3.0's `s_server -help`, and those of earlier versions that its manual
 *  has. */
const OPENSSL =
  `help ssl_config trace engine port accept unix unlink 4 6 context CAfile CApath CAstore
no-CAfile no-CApath no-CAstore nocert verify Verify nameopt cert cert2 certform cert_chain build_chain
serverinfo key key2 keyform pass dcert dcertform dcert_chain dkey dkeyform dpass dhparam servername
servername_fatal nbio_test crlf quiet no_resume_ephemeral www WWW ignore_unexpected_eof tlsextdebug HTTP
id_prefix keymatexport keymatexportlen CRL CRLform crl_download chainCAfile chainCApath chainCAstore
verifyCAfile verifyCApath verifyCAstore no_cache ext_cache verify_return_error verify_quiet ign_eof
no_ign_eof status status_verbose status_timeout status_url proxy no_proxy status_file security_debug
security_debug_verbose brief rev debug msg msgfile state async max_pipelines naccept keylogfile nbio
timeout mtu read_buf split_send_frag max_send_frag psk_identity psk_hint psk psk_session srpvfile
srpuserseed max_early_data recv_max_early_data early_data num_tickets anti_replay no_anti_replay
http_server_binmode no_ca_names stateless tls1 tls1_1 tls1_2 tls1_3 dtls listen dtls1 dtls1_2 use_srtp
no_dhe nextprotoneg alpn sendfile rand writerand no_ssl3 no_tls1 no_tls1_1 no_tls1_2 no_tls1_3 bugs
no_comp comp no_ticket serverpref legacy_renegotiation client_renegotiation no_renegotiation
legacy_server_connect no_resumption_on_reneg no_legacy_server_connect allow_no_dhe_kex prioritize_chacha
strict sigalgs client_sigalgs groups curves named_curve cipher ciphersuites min_protocol max_protocol
record_padding debug_broken_protocol no_middlebox no_etm policy purpose verify_name verify_depth
auth_level attime verify_hostname verify_email verify_ip ignore_critical issuer_checks crl_check
crl_check_all policy_check explicit_policy inhibit_any inhibit_map x509_strict extended_crl use_deltas
policy_print check_ss_sig trusted_first suiteB_128_only suiteB_128 suiteB_192 partial_chain no_alt_chains
no_check_time allow_proxy_certs xkey xcert xchain xchain_build xcertform xkeyform provider-path provider
propquery ssl2 ssl3 no_ssl2 hack no_tmp_rsa`.split(/\s+/);

const OWN = sServerOptions();
const FILES = { stamp: (path: string) => path === "server.pem" ? "is there" : undefined };
const NONE = { stamp: () => undefined };

function settingsOf(...argv: string[]): ServerSettings {
  const settings = defaultSettings();
  assertEquals(readSServerOptions(settings, argv, {}), undefined);
  return settings;
}

const optionsOf = (...argv: string[]): Options => translatedOptions(settingsOf(...argv), FILES);

test("every option of openssl s_server has one row", () => {
  const rows = S_SERVER_OPTIONS.flatMap(({ options }) => options);
  assertEquals(rows.length, OWN.size, "a name is there twice");
  assertEquals(OPENSSL.filter((name) => name !== "help" && !OWN.has(name)), []);
  assertEquals([...OWN.keys()].filter((name) => !OPENSSL.includes(name)), []);
});

/** A value for each option whose value is checked. */
const VALUES: Readonly<Record<string, string>> = {
  "-verify": "3",
  "-Verify": "3",
  "-verify_depth": "3",
  "-naccept": "3",
  "-min_protocol": "TLSv1.2",
  "-max_protocol": "TLSv1.3",
  "-certform": "DER",
  "-keyform": "PEM",
  "-dcertform": "DER",
  "-dkeyform": "PEM",
  "-CRLform": "PEM",
};

/** Options that set nothing by design: the form of a file is recognized. */
const RECOGNIZED = ["-certform", "-keyform", "-dcertform", "-dkeyform", "-CRLform"];

test("each option is translated, accepted or refused, with one dash or two", () => {
  for (const option of OWN.values()) {
    const { name, value } = option;
    const words = value === undefined ? [] : [VALUES[name] ?? "text"];
    for (const dashes of ["", "-"]) {
      const argv = [`${dashes}${name}`, ...words];
      const settings = defaultSettings();
      const read = () => readSServerOptions(settings, argv, {});
      if ("refused" in option) {
        const error = assertThrows(read, UsageError);
        assertEquals(error.message, `unable to honour ${name}: ${option.refused}`);
        assertEquals(error.code, 100);
        continue;
      }
      read();
      const changed = JSON.stringify(parts(settings)) !== JSON.stringify(parts(defaultSettings()));
      const same = "already" in option || RECOGNIZED.includes(name);
      assertEquals(changed, !same, argv.join(" "));
    }
  }
});

const parts = (settings: ServerSettings): unknown => ({
  ...settings,
  versions: [...settings.versions],
  none: Object.entries(settings).map(([name, value]) => [name, value ?? null]),
});

const BAD: readonly (readonly [argv: readonly string[], message: RegExp])[] = [
  [["extra"], /no operands/],
  [["-nonsense"], /unknown option -nonsense/],
  [["-prot", "1"], /unknown option -prot/],
  [["-port"], /-port needs a value/],
  [["-www=1"], /takes no value/],
  [["-naccept", "0"], /from 1 on/],
  [["-verify", "x"], /from 0 on/],
  [["-accept", "host:"], /needs \[host:\]port/],
  [["-certform", "P12"], /PEM or DER/],
  [["-min_protocol", "SSLv3"], /TLSv1\.2/],
  [["-pass"], /needs a value/],
  [["--echo"], /unknown option/],
];

test("mistakes end with the usage", () => {
  for (const [argv, message] of BAD) {
    const error = assertThrows(() => readSServerOptions(defaultSettings(), argv, {}), UsageError);
    assertMatch(error.message, message, argv.join(" "));
  }
});

const TRANSLATED: readonly (readonly [argv: string, options: Partial<Options>])[] = [
  ["", { host: ":0", port: "4433", handler: { kind: "terminal" }, concurrency: 1, workers: 0 }],
  ["-port 1", { host: ":0", port: "1" }],
  ["-accept 2", { host: ":0", port: "2" }],
  ["-accept *:3", { host: ":0", port: "3" }],
  ["-accept 127.0.0.1:4", { host: "127.0.0.1", port: "4" }],
  ["-accept [::1]:5", { host: "[::1]", port: "5" }],
  ["-4", { host: "0", family: 4 }],
  ["-6", { host: "::", family: 6 }],
  ["-port=6", { port: "6" }],
  ["-www", { handler: { kind: "www" }, concurrency: 40 }],
  ["-WWW", { handler: { kind: "files", folder: "." } }],
  ["-HTTP", { handler: { kind: "answers", folder: "." } }],
  ["-rev", { handler: { kind: "reverse" } }],
  ["-verify 1", { clientCertificate: "asked" }],
  ["-Verify 1", { clientCertificate: "sent" }],
  ["-verify 1 -verify_return_error", { clientCertificate: "optional" }],
  ["-verify_return_error -Verify 1", { clientCertificate: "valid" }],
  ["-crl_check", { revocation: "leaf" }],
  ["-crl_check_all -crl_check", { revocation: "all" }],
  ["-serverpref", { cipherOrder: "server" }],
  ["-www -no_ticket", { tickets: false, cipherOrder: "client" }],
  ["-keylogfile k", { keylog: "k" }],
  ["-msg", { trace: "messages" }],
  ["-debug -msg", { trace: "bytes" }],
  ["-tlsextdebug", { trace: "nothing" }],
  ["--check", { check: true }],
];

test("options become those of sslserver", () => {
  for (const [argv, wanted] of TRANSLATED) {
    const options = optionsOf(...argv.split(" ").filter((word) => word !== ""));
    for (const [name, value] of Object.entries(wanted)) {
      assertEquals(options[name as keyof Options], value, `${argv}: ${name}`);
    }
  }
});

test("without a certificate a temporary one is made", () => {
  assertEquals(optionsOf().selfSigned, false, "there is server.pem");
  assertEquals(translatedOptions(settingsOf(), NONE).selfSigned, true);
  assertEquals(translatedOptions(settingsOf("-cert", "x"), NONE).selfSigned, false);
  assertThrows(() => translatedOptions(settingsOf("-key", "x"), NONE), UsageError, "-key x");
});

const VARIABLES: readonly (readonly [argv: string, env: Readonly<Record<string, string>>])[] = [
  ["", { CERTFILE: "server.pem", KEYFILE: "server.pem", TLS_MIN_VERSION: "TLSv1.2" }],
  ["-cert c -key k -cert_chain i", { CERTFILE: "c:i", KEYFILE: "k" }],
  ["-cert c -key k -dcert d -dkey e", { CERTFILE: "c:d", KEYFILE: "k:e" }],
  ["-cert c -dcert d", { CERTFILE: "c:d", KEYFILE: "c:d" }],
  ["-cert c -CAfile a", { CERTFILE: "c:a", KEYFILE: "c" }],
  ["-cert c -CAfile a -chainCAfile b", { CERTFILE: "c:b" }],
  ["-servername n.test", { "CERTFILE:n.test": "server2.pem", "KEYFILE:n.test": "server2.pem" }],
  ["-servername n -cert2 c -key2 k", { "CERTFILE:n": "c", "KEYFILE:n": "k" }],
  ["-tls1_2", { TLS_MIN_VERSION: "TLSv1.2", TLS_MAX_VERSION: "TLSv1.2" }],
  ["-cipher X -alpn h2,x -curves P-256", { CIPHERS: "X", ALPN: "h2,x", CURVES: "P-256" }],
  ["-verify 3 -CAfile a", { CAFILE: "a", CADIR: "", CCAFILE: "", VERIFYDEPTH: "3" }],
  ["-verify 3 -CApath d", { CAFILE: "", CADIR: "d", CCAFILE: "/dev/null" }],
  ["-verify 3 -CAfile a -no_ca_names", { CAFILE: "a", CCAFILE: "/dev/null" }],
  ["-verify 3 -CAfile a -verifyCAfile b", { CAFILE: "b", CCAFILE: "a" }],
  ["-verify 3 -CAfile a -CRL l -crl_check", { CRLFILE: "l" }],
  ["-verify 3", { CAFILE: "", CCAFILE: "/dev/null" }],
];

test("options become variables of sslserver", () => {
  for (const [argv, wanted] of VARIABLES) {
    const settings = settingsOf(...argv.split(" ").filter((word) => word !== ""));
    const env = translatedEnvironment(settings, {}, FILES);
    for (const [name, value] of Object.entries(wanted)) {
      assertEquals(env[name], value, `${argv}: ${name}`);
    }
  }
});

test("certificates of the environment and unchecked lists are ignored", () => {
  const env = { CERTFILE: "a", KEYFILE: "b", "CERTFILE:x": "c", CRLFILE: "d", MAXCONIP: "3" };
  const made = translatedEnvironment(settingsOf("-CRL", "l", "-verify", "1"), env, FILES);
  assertEquals([made["CERTFILE"], made["CERTFILE:x"], made["CRLFILE"], made["MAXCONIP"]], [
    "server.pem",
    undefined,
    undefined,
    "3",
  ]);
});

test("meaningless combinations are refused", () => {
  const refused: readonly (readonly [string, RegExp])[] = [
    ["-cert2 c", /use -servername|server name/],
    ["-cert a:b -cert_chain c", /colon/],
    ["-groups nonsense", /-groups/],
    ["-no_tls1_2 -tls1_2", /no version/],
  ];
  for (const [argv, message] of refused) {
    const settings = settingsOf(...argv.split(" "));
    const error = assertThrows(() => translatedEnvironment(settings, {}, FILES), UsageError);
    assertMatch(`${error.message} ${error.hint}`, message, argv);
  }
});

test("options that rustls lacks are refused under Deno, but not under Bun", () => {
  const lacks = [
    "-cipher x",
    "-groups x",
    "-dcert x",
    "-serverpref",
    "-no_ticket",
    "-keylogfile x",
  ];
  for (const line of lacks) {
    const settings = settingsOf(...line.split(" "));
    refuseLacking(settings, settings.options, { cipherLists: true, name: "Bun" });
    const refuse = () =>
      refuseLacking(settings, settings.options, { cipherLists: false, name: "Deno" });
    assertThrows(refuse, UsageError, `unable to honour ${line.split(" ")[0]}: Deno's`);
  }
  const none = settingsOf("-www", "-alpn", "h2", "-tls1_3");
  refuseLacking(none, none.options, { cipherLists: false, name: "Deno" });
});

test("the remaining versions must be one range", () => {
  const range = (...argv: string[]) => Object.values(versionRange(settingsOf(...argv))).join(" ");
  assertEquals(range(), "TLSv1.2 TLSv1.3");
  assertEquals(range("-tls1_3"), "TLSv1.3 TLSv1.3");
  assertEquals(range("-no_tls1_3"), "TLSv1.2 TLSv1.2");
  assertEquals(range("-no_tls1_2"), "TLSv1.3 TLSv1.3");
  assertEquals(range("-no_tls1", "-no_tls1_1"), "TLSv1.2 TLSv1.3");
  assertEquals(range("-min_protocol", "TLSv1"), "TLSv1 TLSv1.3");
  assertThrows(() => range("-min_protocol", "TLSv1", "-no_tls1_1"), UsageError, "between");
});

test("a password comes from each of OpenSSL's sources", () => {
  const file = fs.mkdtempSync("/tmp/s_server-") + "/password";
  fs.writeFileSync(file, "from the file\nmore\n");
  const fd = fs.openSync(file, "r");
  try {
    assertEquals(passwordFrom("-pass", "pass:a b", {}), "a b");
    assertEquals(passwordFrom("-pass", "pass:", {}), "");
    assertEquals(passwordFrom("-pass", "env:PATH", { PATH: "p" }), "p");
    assertEquals(passwordFrom("-pass", `file:${file}`, {}), "from the file");
    assertEquals(passwordFrom("-pass", `fd:${fd}`, {}), "from the file");
    assertEquals(fs.readSync(fd, new Uint8Array(9)), 5, "what follows is left");
  } finally {
    fs.closeSync(fd);
    fs.rmSync(file.replace(/\/[^/]*$/, ""), { recursive: true });
  }
  for (const source of ["secret", "env:NOT_SET", "fd:x", "file:/nonexistent", "pass"]) {
    const error = assertThrows(() => passwordFrom("-pass", source, {})) as Error;
    assert(!error.message.includes("secret"), error.message);
  }
});

test("-msg and -state name messages as OpenSSL does", () => {
  const events: TlsEvent[] = [];
  const conversation = new TlsConversation((event) => events.push(event));
  conversation.feed("server", Uint8Array.of(22, 3, 3, 0, 4, 14, 0, 0, 0));
  conversation.feed("client", Uint8Array.of(20, 3, 3, 0, 1, 1));
  conversation.feed("client", Uint8Array.of(21, 3, 3, 0, 2, 1, 0));
  assertEquals(events.flatMap(headingLines), [
    ">>> TLS 1.2, Handshake [length 0004], ServerHelloDone",
    "<<< TLS 1.2, ChangeCipherSpec [length 0001]",
    "<<< TLS 1.2, Alert [length 0002], warning (1), close_notify (0)",
  ]);
  assertEquals(events.flatMap(stateLines), [
    "SSL_accept:SSLv3/TLS write server hello done",
    "SSL_accept:SSLv3/TLS read change cipher spec",
    "SSL3 alert read:warning (1), close_notify (0)",
  ]);
});

test("what a client offers has OpenSSL's names", () => {
  const extensions = [
    { type: 10, body: Uint8Array.of(0, 6, 0x0a, 0x0a, 0, 29, 0, 23) },
    { type: 11, body: Uint8Array.of(2, 0, 1) },
    { type: 13, body: Uint8Array.of(0, 12, 4, 3, 8, 4, 8, 9, 4, 1, 8, 7, 3, 2) },
    { type: 16, body: Uint8Array.of(0, 7, 2, 0x68, 0x32, 3, 0x61, 10, 0x62) },
  ];
  const hello = clientHello({ extensions });
  assertEquals(advertisedLine(hello), ["ALPN protocols advertised by the client: h2, a?b"]);
  assertEquals(offerLines(hello), [
    "Signature Algorithms: ECDSA+SHA256:RSA-PSS+SHA256:rsa_pss_pss_sha256:RSA+SHA256:ed25519:DSA+SHA224",
    "Supported Elliptic Curve Point Formats: uncompressed:ansiX962_compressed_prime",
    "Supported groups: 0x0A0A:x25519:secp256r1",
  ]);
  assertEquals(offerLines(clientHello({})), []);
  const odd = clientHello({ extensions: [{ type: 10, body: Uint8Array.of(0, 1, 0) }] });
  assertEquals(offerLines(odd), [], "a malformed extension has no line");
});

test("a verdict has OpenSSL's number", () => {
  const unreadable = "unreadable certificate: der: too long";
  const rows: [string, string[], string][] = [
    ["SUCCESS", ["verify return:1"], "OK"],
    ["GENEROUS", ["verify error:no authority is trusted"], "no authority is trusted"],
    ["FAILED:certificate has expired", [
      "verify error:num=10:certificate has expired",
      "verify return:1",
    ], "certificate has expired"],
    [`FAILED:${unreadable}`, [`verify error:${unreadable}`, "verify return:1"], unreadable],
  ];
  for (const [verdict, lines, summary] of rows) {
    assertEquals(verdictOf(verdict), lines);
    const word = summary === "OK" ? "Verification" : "Verification error";
    assertEquals(verificationOf(verdict), `${word}: ${summary}`);
  }
});

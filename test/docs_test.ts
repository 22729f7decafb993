/** The documents agree with the code: options, variables, versions, generated files.
 *  test/e2e/docs_*_test.ts runs the commands in them. */

import { assert, assertEquals, assertMatch, assertNotMatch, assertStrictEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { test } from "node:test";
import { spelling } from "../src/check/spelling.ts";
import { decodePem } from "../src/codec/x509/pem.ts";
import { s6Help } from "../src/commands/s6_tlsserver_help.ts";
import { sServerHelp } from "../src/commands/s_server_help.ts";
import { sslclientHelp } from "../src/commands/sslclient_help.ts";
import { sslhandleHelp, sslserverHelp } from "../src/commands/sslserver_help.ts";
import { MANUAL } from "../src/commands/manual.ts";
import { S_SERVER_OPTIONS } from "../src/commands/s_server_table.ts";
import { OPTIONS } from "../src/config/option_table.ts";
import { CLIENT_OPTIONS } from "../src/config/client_table.ts";
import { PAGES } from "../src/config/options.ts";
import { DEFAULTS } from "../src/config/variables.ts";
import { CONNECTION_VARIABLES, type ConnectionRow } from "../src/config/variables_of_connection.ts";
import { SERVER_VARIABLES, type ServerRow } from "../src/config/variables_of_server.ts";
import { connectionVariables } from "../src/program/environment.ts";
import { readCertificate } from "../src/codec/x509/certificate.ts";
import { sentChain } from "../src/tls/sent_chain.ts";
import { makeSelfSigned } from "../src/tls/self_signed.ts";
import { serverVariables, tlsVariables } from "../src/tls/variables.ts";
import { s6TlsVariables } from "../src/tls/variables_s6.ts";
import { VERSION } from "../src/version.ts";
import { docs, pages } from "../tools/make_docs.ts";
import { part } from "./part.ts";

const ROOT = fromFileUrl(new URL("..", import.meta.url));
const read = (path: string): string => fs.readFileSync(join(ROOT, path), "utf8");
const unique = (names: Iterable<string>): string[] => [...new Set(names)].sort();
const all = (text: string, pattern: RegExp): string[] =>
  [...text.matchAll(pattern)].map((match) => match[1] ?? "");

const TABLE = OPTIONS.flatMap(({ options }) => options);
const NAMES = unique(TABLE.map(({ name }) => name));

/** The Markdown files for users, by their paths from the root. */
function markdown(): string[] {
  const docs = fs.readdirSync(join(ROOT, "docs"), { recursive: true, encoding: "utf8" });
  return [...fs.readdirSync(ROOT), ...docs.map((name) => `docs/${name}`)]
    .filter((name) => name.endsWith(".md"));
}

function need(program: string, debian = program): void {
  for (const folder of ["/usr/bin", "/bin", "/usr/sbin"]) {
    if (fs.existsSync(join(folder, program))) return;
  }
  throw new Error(`${program} is missing: install Debian's ${debian}`);
}

test("no option is in the table twice", () => {
  assertStrictEquals(TABLE.length, NAMES.length);
});

test("the specification's table has every option and no other", () => {
  const page = "docs/specification.md";
  const table = part(read(page), /^\| option \| meaning \|\n([\s\S]*?)\n\n/m, page);
  const firsts = table.split("\n").map((row) => row.split(/(?<!\\)\|/)[1] ?? "").join("\n");
  assertEquals(unique(all(firsts, /`(--?[\w-]+)/g)), NAMES);
});

/** `.Fl 1`, `.Fl Fl log`, and clusters of flags. */
function flags(lines: string): string[] {
  return all(lines, /\bFl ((?:Fl )?[\w-]+)/g).flatMap((name) =>
    name.startsWith("Fl ") ? [`--${name.slice(3)}`] : [...name].map((letter) => `-${letter}`)
  );
}

test("sslserver(1) describes every option and no other", () => {
  const page = "man/sslserver.1";
  const items = all(part(read(page), /^\.Sh OPTIONS\n([\s\S]*?)^\.Sh /m, page), /^(\.It Fl .*)$/gm);
  assertStrictEquals(items.length, NAMES.length);
  assertEquals(unique(flags(items.join("\n"))), NAMES);
});

test("sslserver(1) has every option and no other in its synopsis", () => {
  const page = "man/sslserver.1";
  const section = part(read(page), /^\.Sh SYNOPSIS\n([\s\S]*?)^\.Sh /m, page);
  assertEquals(unique(flags(section)), NAMES);
});

test("--help has every option and no other", () => {
  assertEquals(unique(all(sslserverHelp(), /^ {2}(--?[\w-]+)/gm)), NAMES);
});

test("--help of each name is within 80 columns and has options under every heading", () => {
  for (const help of [sslserverHelp(), sslhandleHelp(), s6Help(), sServerHelp(), sslclientHelp()]) {
    assertEquals(help.split("\n").filter((line) => line.length > 80), []);
    assertEquals(all(help, /^([A-Z][^\n]*:)\n\n?\n/gm), []);
  }
});

test("s6-tlsserver --help shows how its long options take values, and its own defaults", () => {
  const help = s6Help();
  assertMatch(help, /^ {2}--handshake-timeout=ms$/m);
  assertMatch(help, /--log text\|json\|s6\n.*\(s6\)$/m);
  assertMatch(help, /--variables ucspi\|s6\n.*\(s6\)$/m);
});

test("generated files are up to date", () => {
  need("mandoc");
  for (const [path, text] of docs()) {
    assertStrictEquals(read(path), text, `${path}: run deno -A tools/make_docs.ts`);
  }
});

test("the program has every page of man/, source and text", async () => {
  assertEquals(PAGES.map((page) => MANUAL[page].file).sort(), pages());
  for (const page of PAGES) {
    const { file, source, text } = MANUAL[page];
    assertStrictEquals((await source()).default, read(`man/${file}`));
    assertStrictEquals((await text()).default, read(`man/text/${file}.txt`));
  }
});

test("mandoc -Tlint has no complaint", () => {
  need("mandoc");
  const files = pages().map((page) => join(ROOT, "man", page));
  const { stdout } = spawnSync("mandoc", ["-Tlint", ...files], { encoding: "utf8" });
  // Our own pages are not installed, but mandoc looks for pages in /usr/share/man.
  const own = new RegExp(
    `referenced manual not found: Xr (?:${pages().join("|").replaceAll(".", " ")})(?: |$)`,
  );
  assertEquals(stdout.split("\n").filter((line) => line !== "" && !own.test(line)), []);
});

/** The text of a page on one line. */
const words = (page: string): string => read(`man/text/${page}.txt`).replaceAll(/\s+/g, " ");

/** The names after `.It Ev` in a page, including `_n` and `:name`. */
function described(page: string): string[] {
  const items = all(read(`man/${page}`), /^\.It Ev (.*)$/gm);
  return unique(items.flatMap((item) => item.split(/[ ,]+/).filter((name) => name !== "")));
}

const sources = (): string[] =>
  fs.readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"));

const ROWS: readonly (ServerRow | ConnectionRow)[] = [...SERVER_VARIABLES, ...CONNECTION_VARIABLES];
const VARIABLES = ROWS.flatMap((row) => [
  ...row.names,
  ..."perName" in row ? row.names.map((name) => `${name}:name`) : [],
]);

test("sslserver-environment(7) has an item for each row of the tables and no other", () => {
  assertEquals(described("sslserver-environment.7"), unique(VARIABLES));
  const page = words("sslserver-environment.7").replaceAll("`", "'"); // mandoc prints an opening quote as `
  for (const { names, about } of ROWS) {
    const item = ` ${names.join(", ")} ${about}`;
    assert(page.includes(item), `not in sslserver-environment(7):${item}`);
  }
});

test("sslserver-environment(7) lists program variables under their option", () => {
  const page = "man/sslserver-environment.7";
  const programs = part(read(page), /^\.Sh ENVIRONMENT\n([\s\S]*)/m, page);
  for (const { names, when } of CONNECTION_VARIABLES) {
    const section = part(programs, new RegExp(`^\\.Ss ${when}\n([\\s\\S]*?)^\\.S`, "m"), page);
    for (const name of names) assertMatch(section, new RegExp(`^\\.It Ev .*\\b${name}\\b`, "m"));
  }
});

test("sslserver-environment(7) says which variables rules can set, and which no program gets", () => {
  const page = "man/sslserver-environment.7";
  const ruled = part(read(page), /^([\s\S]*?)^\.Ss DNS$/m, page);
  const others = part(read(page), /^\.Ss DNS\n([\s\S]*?)^\.Sh ENVIRONMENT$/m, page);
  const rows: readonly ServerRow[] = SERVER_VARIABLES;
  const item = (name: string): RegExp => new RegExp(`^\\.It Ev (?:.* )?${name}(?: |$)`, "m");
  for (const { names, rule } of rows) {
    for (const name of names) assertMatch(rule ? ruled : others, item(name));
  }
  const secrets = rows.filter((row) => row.secret).flatMap(({ names, perName }) =>
    perName ? [...names, `${names[0]}:name`] : names
  );
  const without = part(
    read(page),
    /^\.Sh ENVIRONMENT\n([\s\S]*?)variables under Supervisor/m,
    page,
  );
  assertEquals(unique(all(without, /^\.Ev ([\w:]+)/gm)), unique(secrets));
  const specification = "docs/specification.md";
  const listed = part(read(specification), /without secrets \(([^)]*)\)/, specification);
  assertEquals(unique(listed.replaceAll("`", "").split(", ")), unique(secrets));
});

test("sslserver-environment(7) has every default", () => {
  const page = read("man/sslserver-environment.7");
  for (const [name, value] of Object.entries(DEFAULTS)) {
    const [, item = ""] =
      new RegExp(`^\\.It Ev (?:.* )?${name}\\b.*\n([\\s\\S]*?)^\\.(?:It|El)`, "m").exec(page) ?? [];
    assert(item.includes(value) && item.includes("by default"), `${name} ${value}`);
  }
});

test("the documents misspell no variable", () => {
  // Names and words of other programs, which MIGRATION and the pages translate to ours.
  const meant = ["TLS_UID", "TLS_GID", "TLS_MIN_VERSON", "CIPHER"];
  const texts = markdown().filter((file) => file !== "CHANGELOG.md");
  for (const file of [...texts, ...pages().map((page) => `man/${page}`)]) {
    const names = all(read(file), /\b([A-Z][A-Z0-9_]{4,}(?::[\w.*]+)?)/g);
    const wrong = unique(names).filter((name) => spelling(name) !== undefined);
    assertEquals(wrong.filter((name) => !meant.includes(name)), [], file);
  }
});

/** The variables that programs get, with every option and a certificate with all kinds of names. */
function given(): string[] {
  const { certPem } = makeSelfSigned(["host.example"]);
  const der = decodePem(new TextEncoder().encode(certPem))[0]?.bytes ?? new Uint8Array();
  const tls = tlsVariables({
    protocol: "TLSv1.2",
    cipher: { name: "ECDHE-ECDSA-AES128-GCM-SHA256" },
    sessionId: Uint8Array.of(1),
    server: serverVariables(readCertificate(der)),
    clientChain: sentChain([der, der]),
    clientVerify: "SUCCESS",
    sni: "a",
    alpn: "b",
    ja4: "e",
    versionInterface: "c",
    versionLibrary: "d",
  });
  const end = { ip: "2001:db8::1", port: 1, host: "h", info: "i" };
  const conn = { local: end, remote: end, interface: "eth0", variables: new Map() };
  const options = { tcpVariables: true, family: 6, variables: "ucspi" } as const;
  const s6Conn = { ...conn, reservation: { others: 0 } };
  const s6 = connectionVariables(
    s6Conn as never,
    { ...options, variables: "s6" },
    s6TlsVariables({ protocol: "TLSv1.3", cipher: "x", serverName: "a" }, sentChain([der])),
  );
  return [...connectionVariables(conn as never, options, tls).keys(), ...s6.keys()].map((name) =>
    name
      .replace(/_[0-9]+$/, "_n")
      .replace(/^SSL_SERVER_/, "SSL_CLIENT_")
      .replace(/_(S|I)_DN_\w+$/, "_$1_DN_x")
  );
}

test("the table has every variable that programs get, and no other", () => {
  const names = unique(given());
  assert(names.length > 40, names.join());
  // The test's certificate has no mail address, and the monitor sets the variables of descriptors.
  const more = ["SSL_CLIENT_SAN_EMAIL_n", "SSLCTLFD", "SSLREADFD", "SSLWRITEFD"];
  const listed = CONNECTION_VARIABLES.flatMap(({ names }) => [...names] as string[])
    .filter((name) => !name.startsWith("PROXY_"));
  assertEquals(unique([...names, ...more]), unique(listed));
});

/** The beginnings of messages in these sources, up to a value or a cause. */
function beginnings(files: readonly string[]): string[] {
  return unique(
    files.flatMap((file) =>
      all(read(`src/${file}`), /["`](unable to [^"`]*)/g).map((text) =>
        text.replace(/\$\{.*|[:'(].*/s, "").trim()
      )
    ),
  );
}

/** Sources whose texts are not errors of sslserver: OpenSSL's reasons; causes and mistakes in this program
 *  (codec, runtime, metrics, the filter of system calls); the form of a message; other programs. */
const NOT_ERRORS =
  /^(?:tls\/(?:verify|path_rules|chain_fault)|privsep\/worker_filter|metrics\/(?:exposition|registry)|errors)\.ts$|^(?:client|codec|runtime)\/|^commands\/(?:tcprules|tcprulescheck|client|ssl(?:client|cat|connect)\w*|s_server\w*|small_client|https_at)\.ts$/;
/** Sources of runtime/ whose errors end a start. */
const ERRORS_OF_RUNTIME = ["runtime/bun/load_libc.ts", "runtime/current.ts"];

test("sslserver(1) has every error that ends a start or a connection", () => {
  const files = sources().filter((file) => !NOT_ERRORS.test(file));
  const found = beginnings([...files, ...ERRORS_OF_RUNTIME])
    .filter((text) => text !== "unable to"); // a value follows
  const page = words("sslserver.1");
  const lacking = found.filter((text) => {
    const variable = /^unable to (?:use|parse) \$?([A-Z][A-Z_]+)$/.exec(text)?.[1];
    return !(variable ? new RegExp(`\\b${variable}\\b`).test(page) : page.includes(text));
  });
  assert(found.length > 50, String(found.length));
  assertEquals(lacking, []);
});

test("tcprules(1) and tcprulescheck(1) have every error of theirs", () => {
  for (const name of ["tcprules", "tcprulescheck"]) {
    const page = words(`${name}.1`);
    const found = beginnings([`commands/${name}.ts`]);
    assertEquals(found.filter((text) => !page.includes(text)), []);
  }
});

test("the pages of the clients have every error of theirs", () => {
  const page = ["sslclient", "sslcat", "sslconnect", "https@"].map((name) => words(`${name}.1`))
    .join(" ");
  const files = sources().filter((file) =>
    /^client\/|^commands\/(?:small_client|https_at)/.test(file)
  );
  const found = beginnings(files);
  assert(found.length > 10);
  const lacking = found.filter((text) => text !== "unable to" && !page.includes(text));
  assertEquals(lacking, []);
});

test("s_server(1) has every error of its own, and every option with its reason", () => {
  const page = words("s_server.1");
  // s_server_verdict.ts has OpenSSL's names of what is wrong with a certificate.
  const own = /^commands\/s_server(?!_verdict)/;
  const found = beginnings(sources().filter((file) => own.test(file)))
    .map((text) => text.replace(/ (?:P|-\w+)$/, ""));
  assertEquals(found.filter((text) => !page.includes(text)), []);
  const source = read("man/s_server.1");
  for (const option of S_SERVER_OPTIONS.flatMap(({ options }) => options)) {
    assertMatch(source, new RegExp(`(?:It| ,) Fl ${option.name.slice(1)}(?: |$)`, "m"));
    const reason = "already" in option ? option.already : "refused" in option ? option.refused : "";
    assert(page.includes(reason.slice(1)), `${option.name}: ${reason}`);
  }
});

test("README has at most 250 lines", () => {
  assert(read("README.md").split("\n").length <= 251);
});

test("the pictures are plain SVG for light and dark backgrounds, without scripts or links", () => {
  const pictures = fs.readdirSync(join(ROOT, "docs/images"));
  assert(pictures.length > 0);
  for (const name of pictures) {
    const text = read(`docs/images/${name}`);
    assertMatch(text, /^<svg [^>]*viewBox=[\s\S]*<title[\s\S]*<\/svg>\n$/, name);
    assertMatch(text, /@media \(prefers-color-scheme: dark\)/, name);
    assertNotMatch(text, /<script|\son\w+=|href=|url\((?!#)|@import|<foreignObject/i, name);
  }
});

test("SECURITY.md names files that exist", () => {
  const named = all(read("SECURITY.md"), /`((?:\w+\/)*[\w*]+\.(?:ts|md))`/g);
  assert(named.length > 20);
  for (const name of named) {
    if (name.startsWith("src/")) {
      assert(fs.existsSync(join(ROOT, name)), name);
      continue;
    }
    const pattern = new RegExp(`^${name.replaceAll(".", "\\.").replaceAll("*", ".*")}$`);
    const found = fs.readdirSync(join(ROOT, "test"), { recursive: true, encoding: "utf8" });
    assert(found.some((file) => pattern.test(file)), name);
  }
});

test("compile.sh docs makes HTML of every page, with links that lead somewhere", () => {
  const dist = fs.mkdtempSync(join(tmpdir(), "html-"));
  try {
    execFileSync(join(ROOT, "compile.sh"), ["docs"], { env: { ...process.env, DIST: dist } });
    const folder = join(dist, "html");
    const made = fs.readdirSync(folder);
    assertEquals(made.sort(), [...pages().map((page) => `${page}.html`), "style.css"].sort());
    const links = made.flatMap((name) =>
      [...fs.readFileSync(join(folder, name), "utf8").matchAll(/href="([^"#]+)/g)].map(([, to]) =>
        to
      )
    );
    assert(links.includes("sslclient.1.html") && links.includes("style.css"));
    for (const to of new Set(links)) {
      assert(to?.startsWith("https://manpages.debian.org/") || made.includes(to ?? ""), to);
    }
  } finally {
    fs.rmSync(dist, { recursive: true });
  }
});

test("one version is everywhere", () => {
  const json = (path: string): string => (JSON.parse(read(path)) as { version: string }).version;
  assertEquals(
    [json("package.json"), json("deno.json"), json("package-lock.json")],
    [VERSION, VERSION, VERSION],
  );
  for (const page of pages()) {
    assert(read(`man/text/${page}.txt`).includes(`sslserver ${VERSION}`));
  }
  assert(read("man/sslserver.1").includes(`sslserver/${VERSION}`));
});

/** The completions that bash offers for the last of these words. */
const bash = (...words: string[]): string[] => bashOf("_sslserver", "sslserver", ...words);

/** The same for the command line of a name, by its function. */
function bashOf(completes: string, ...words: string[]): string[] {
  const script = `source completions/sslserver.bash
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); ${completes}; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return lines("bash", ["--norc", "-c", script, "bash", ...words]);
}

/** The completions that fish offers for a line. */
function fish(line: string): string[] {
  need("fish");
  const script = `source completions/sslserver.fish; complete -c frob -l read; complete -C ${
    JSON.stringify(line)
  }`;
  return lines("fish", ["--no-config", "-c", script]).map((line) => line.split("\t")[0] ?? "");
}

/** The completions that zsh offers, in a separate terminal. Waits for its prompt before the input. */
function zsh(line: string): string {
  need("zsh");
  const script = `zmodload zsh/zpty
    zpty z zsh -f -i
    zpty -w z 'stty -echo; fpath=($PWD/completions $fpath); autoload -Uz compinit; compinit -u -D'
    zpty -w z 'LISTMAX=10000 LINES=1000 COLUMNS=200; unsetopt beep; PS1="g""o> "'
    zpty -r z all '*go> *'
    zpty -wn z "$1"$'\\t\\t'
    zpty -wn z $'\\C-uprint do""ne\\n'
    zpty -r z all '*done*'
    print -r -- $all; zpty -d z`;
  return lines("zsh", ["-f", "-c", script, "zsh", line]).join("\n");
}

function lines(command: string, args: string[]): string[] {
  const options = { cwd: ROOT, encoding: "utf8", timeout: 20_000 } as const;
  return execFileSync(command, args, options).split("\n").filter((line) => line !== "");
}

test("bash completes every option and no other, values, and the command after host and port", () => {
  assertEquals(unique(bash("-")), NAMES);
  assertEquals(bash("-v", "--lo"), ["--log", "--lookup-timeout"]);
  assertEquals(bash("--log", ""), ["text", "json", "s6"]);
  assertEquals(bash("--man", "sslserver"), ["sslserver", "sslserver-environment"]);
  assertEquals(bash("-x", "comple"), ["completions"]);
  assertEquals(bash("-c", ""), []);
  assert(bash("-c", "4", "").includes(":0"));
  assert(bash("-v", "0", "443", "ech").includes("echo"));
  assertEquals(bash("0", "443", "cat", "READ"), ["README.md"]);
});

test("fish completes every option and no other, values, and the command after host and port", () => {
  assertEquals(unique(fish("sslserver -").filter((word) => /^-(?:-|.$)/.test(word))), NAMES);
  assertEquals(fish("sslserver --log ").sort(), ["json", "s6", "text"]);
  assertEquals(fish("sslserver -c 4 0 443 ech"), ["echo"]);
  assertEquals(fish("sslserver -v 0 443 cat READ"), ["README.md"]);
  assertEquals(fish("sslserver -v 0 443 frob --re"), ["--read"]);
});

// The test starts zsh three times, and each time it loads all its completions.
const slow = { timeout: 60_000 };

test("zsh completes every option, values, and the command after host and port", slow, () => {
  const listed = zsh("sslserver -");
  for (const name of NAMES) assert(listed.includes(name), `${name} is not in: ${listed}`);
  assertMatch(zsh("sslserver --log="), /json[\s\S]*text/);
  assertMatch(zsh("sslserver -v 0 443 mand"), /mandoc/);
});

const CLIENT = CLIENT_OPTIONS.flatMap(({ options }) => options).map(({ name }) => name).sort();
const OWN = ["--help", "--man", "--version", "-4", "-6"];

test("bash completes the other names: operands, options, and options after the port", () => {
  assertEquals(bashOf("_sslclient", "sslclient", "-").sort(), CLIENT);
  assertEquals(bashOf("_sslclient", "sslclient", "-a", "READ"), ["README.md"]);
  assert(bashOf("_sslclient", "sslclient", "-V", "2", "a", "443", "ech").includes("echo"));
  for (const name of ["sslcat", "sslconnect"]) {
    assertEquals(bashOf(`_${name}`, name, "-").sort(), OWN);
    assert(bashOf(`_${name}`, name, "-4", "a", "htt").includes("https"));
    assertEquals(bashOf(`_${name}`, name, "-4", "a", "443", "-").sort(), CLIENT);
    assertEquals(bashOf(`_${name}`, name, "a", "443", "-a", "READ"), ["README.md"]);
  }
  // bash takes the name for two words.
  const https = (...words: string[]): string[] => bashOf("_https_at", "https", "@", ...words);
  assertEquals(https("-").sort(), OWN);
  assertEquals(https("a", "p"), []);
  assert(https("a", "page", "htt").includes("https"));
  assertEquals(https("-6", "a", "page", "443", "-").sort(), CLIENT);
});

test("fish and zsh complete the other names, too", slow, () => {
  const options = (line: string): string[] =>
    unique(fish(line).filter((word) => /^-(?:-|.$)/.test(word)));
  assertEquals(options("sslclient -"), unique(CLIENT));
  assertEquals(options("https@ -"), unique(OWN));
  assertEquals(options("https@ a page 443 -"), unique(CLIENT));
  assertEquals(fish("sslclient -V 2 a 443 ech"), ["echo"]);
  const listed = zsh("sslcat a 443 -");
  for (const name of CLIENT) assert(listed.includes(name), `${name} is not in: ${listed}`);
});

/** UCSPI-TLS: `Y` answers with the variables of -s, byte for byte, to a program in sh and one in C. */

import { assert, assertEquals, assertMatch, assertNotMatch, assertStrictEquals } from "@std/assert";
import { latin1 } from "../../src/codec/bytes.ts";
import { selfSigned } from "./certificates.ts";
import { claim, type Trial, WITH_FFI } from "./harness.ts";
import { talk } from "./clients.ts";
import { converse, service, start, startScript } from "./ucspi_tls.ts";

const FFI = { forms: WITH_FFI };
const TLS13 = ["-3", "-s", "localhost"];

/** The variables in a message, each ended by NUL, by name. */
function variables(message: string): Map<string, string> {
  const items = message.split("\0").filter((item) => /^SSL_/.test(item));
  return new Map(items.map((item) => [item.split("=")[0] ?? "", item]));
}

async function certificate(t: Trial): Promise<Record<string, string>> {
  const subject = '/C=DE/ST=Köln/O=A=B, "C"/CN=localhost/emailAddress=a@example.org';
  const { certificate, key } = await selfSigned(t, "server", { subject });
  return { CERTFILE: certificate, KEYFILE: key };
}

/** The mod_ssl variables that a server without -n sets with -s. */
async function expected(t: Trial, env: Record<string, string>): Promise<Map<string, string>> {
  const server = await t.start({ options: ["-s"], program: ["env", "-0"], env });
  const { bytes } = await talk(t, server, "", TLS13);
  const all = variables(latin1(bytes));
  for (const name of all.keys()) if (/^SSL_(LOCAL|REMOTE)/.test(name)) all.delete(name);
  return all;
}

function same(message: string, wanted: Map<string, string>): void {
  assert(message.endsWith("\0\0"), "the message ends with an empty item");
  assertStrictEquals(message.indexOf("\0\0"), message.length - 2);
  const got = variables(message);
  assertEquals([...got.keys()].sort(), [...wanted.keys()].sort());
  assert(got.has("SSL_CIPHER") && got.has("SSL_SERVER_S_DN") && got.has("SSL_TLS_SNI"));
  // The two connections have different clients.
  const own = ["SSL_SESSION_ID", "SSL_JA4"];
  for (const [name, item] of wanted) {
    if (!own.includes(name)) assertStrictEquals(got.get(name), item);
  }
  assertMatch(got.get("SSL_JA4") ?? "", /^SSL_JA4=t13d\d{4}00_\w{12}_\w{12}$/);
}

claim("a program in sh gets the environment byte for byte", async (t) => {
  const env = await certificate(t);
  const script = `echo go; printf Y >&$SSLCTLFD; sed -zu '/^$/q' <&$SSLCTLFD >&$SSLWRITEFD`;
  const server = await startScript(t, script, { env });
  const told = await converse(t, server);
  assertStrictEquals(told.end, "close_notify");
  same(told.tls, await expected(t, env));
}, FFI);

claim("a program in C gets the environment byte for byte, and behind it the end", async (t) => {
  const env = await certificate(t);
  const wanted = await expected(t, env);
  for (const how of ["env", "all"]) {
    const server = await start(t, [service(t), "Y", how], { env });
    const told = await converse(t, server, { plain: "starttls\n", input: "bye\n", half: true });
    assertMatch(told.tls, /tls bye\n$/);
    same(told.tls.replace(/tls bye\n$/, ""), wanted);
  }
}, FFI);

claim("y gets no environment, and the program's own has none of TLS", async (t) => {
  const env = { ...await certificate(t), SSL_CIPHER: "inherited", SSLCTLFD: "77" };
  const script = `echo go; printf y >&$SSLCTLFD; cat <&$SSLCTLFD >&$SSLWRITEFD
    env >&$SSLWRITEFD`;
  const server = await startScript(t, script, { env, options: ["-s"] });
  const told = await converse(t, server);
  assertMatch(told.tls, /^SSLCTLFD=3$/m);
  assertMatch(told.tls, /^SSLREADFD=4$/m);
  assertMatch(told.tls, /^SSLWRITEFD=5$/m);
  assertMatch(told.tls, /^PROTO=TLS$/m);
  assertNotMatch(told.tls, /^SSL_(CIPHER|PROTOCOL|SERVER)/m);
  assertNotMatch(told.tls, /\0/);
}, FFI);

claim("a program that never reads the TLS variables is served", async (t) => {
  const env = await certificate(t);
  const script = `echo go; printf Y >&3; exec 3>&-; read a <&4; echo "$a" >&5`;
  const server = await startScript(t, script, { env });
  const told = await converse(t, server, { input: "ping\n" });
  assertEquals(told, { plain: "go\n", tls: "ping\n", end: "close_notify" });
}, FFI);

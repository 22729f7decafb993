/** --trace and --trace-bytes, compared with `openssl s_server -trace`. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { RECORDED } from "../codec/tls/samples.ts";
import { environmentOf, selfSigned } from "./certificates.ts";
import { Raw, refused, sClient, talk } from "./clients.ts";
import { claim, ON_BUN, type Server, WITH_FFI } from "./harness.ts";
import { offerOfOpenssl, offerOfTrace, traceOfOpenssl } from "./openssl_trace.ts";
import { converse, startScript } from "./ucspi_tls.ts";

/** The lines about connections, without what is before them. `port`: of one client alone. */
function traced(server: Server, port = "\\d+"): string[] {
  const prefix = new RegExp(`^sslserver: trace 127\\.0\\.0\\.1:${port} `);
  return server.lines(prefix).map((line) => line.replace(prefix, ""));
}

/** The lines about records and the names of messages, with fewer than three blanks before them. */
const outline = (server: Server): string[] =>
  traced(server).filter((line) => !line.startsWith("   "));

claim("--trace and openssl s_server -trace agree about every recorded hello", async (t) => {
  const pair = await selfSigned(t, "both");
  const server = await t.start({ options: ["--trace"], env: environmentOf(pair) });
  for (const [client, hello] of RECORDED) {
    const raw = (await Raw.connect(server.port)).send(hello);
    const port = String(raw.socket.localPort);
    await server.waitFor(new RegExp(`trace [\\d.]+:${port} to the client: `));
    raw.destroy();
    const theirs = offerOfOpenssl(await traceOfOpenssl(pair, hello));
    assert(theirs.suites.length > 5 && theirs.extensions.length > 5, client);
    assertEquals(offerOfTrace(traced(server, port)), theirs, client);
  }
}, { forms: ON_BUN });

claim("--trace: the messages of TLS 1.3 up to the ServerHello, then lengths", async (t) => {
  const server = await t.start({ options: ["--trace", "-v"] });
  assertEquals((await talk(t, server, "hello\n", ["-3", "-s", "a.example"])).text, "hello\n");
  await server.waitFor(/^sslserver: ended by/);
  const lines = outline(server);
  const [hello, , answer] = lines;
  assertMatch(hello ?? "", /^from the client: handshake, TLS 1\.[02], \d+ bytes$/);
  assertMatch(answer ?? "", /^to the client: handshake, TLS 1\.2, \d+ bytes$/);
  assertEquals([lines[1], lines[3]].map((line) => line?.split(",")[0]), [
    "  client_hello",
    "  server_hello",
  ]);
  const encrypted = lines.slice(4).filter((line) => !/change_cipher_spec/.test(line));
  for (const line of encrypted) {
    assertMatch(line, /^(from|to) the client: application_data, TLS 1\.2, \d+ bytes, encrypted$/);
  }
  assert(encrypted.some((line) => line.startsWith("from")));
  assert(encrypted.some((line) => line.startsWith("to")));
  const text = traced(server).join("\n");
  assertMatch(text, /^ {4}extension server_name \(0\), 14 bytes: a\.example$/m);
  assertMatch(text, /^ {4}extension supported_versions \(43\), 2 bytes: TLS 1\.3 \(0x0304\)$/m);
});

claim("--trace: the messages of TLS 1.2 up to ChangeCipherSpec, and an alert", async (t) => {
  const server = await t.start({ options: ["--trace"] });
  await talk(t, server, "x", ["-2"]);
  const old = ["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"];
  const { stderr } = await sClient(t, server, "", old);
  assertMatch(stderr, /alert (protocol version|handshake failure)/);
  // A close_notify of the first connection is an alert too, but an encrypted one.
  await server.waitFor(/ to the client: alert, .* fatal /);
  const names = traced(server).filter((line) => /^ {2}\w/.test(line)).map((line) =>
    line.trim().split(",")[0]
  );
  assertEquals(names.slice(0, 6), [
    "client_hello",
    "server_hello",
    "certificate",
    "server_key_exchange",
    "server_hello_done",
    "client_key_exchange",
  ]);
  assertMatch(traced(server).join("\n"), /^ {4}named_curve: \w+ \(\d+\)$/m);
  // rustls looks at the signatures before the version.
  assertMatch(
    outline(server).at(-1) ?? "",
    /^to the client: alert, TLS 1\.\d, 2 bytes: fatal \(2\), (protocol_version|handshake_failure) /,
  );
});

claim("--trace: with -n, TLS begins when the program asks for it", async (t) => {
  const server = await startScript(t, "echo go; printf y >&$SSLCTLFD; echo hi >&$SSLWRITEFD", {
    options: ["--trace"],
  });
  await converse(t, server);
  await server.waitFor(/trace .* server_hello, /);
  assertEquals(outline(server)[1]?.split(",")[0], "  client_hello");
}, { forms: WITH_FFI });

claim("--trace-bytes: every byte too; --log=json: an object for each line", async (t) => {
  const server = await t.start({ options: ["--trace-bytes", "--log=json"] });
  await refused(server.port, "GET /%s HTTP/1.0\r\n\r\n");
  const lines = await server.waitFor(/"event":"trace"/, 4);
  const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  const { remoteIp, remotePort, level } = events[0] ?? {};
  assertEquals([remoteIp, typeof remotePort, level], ["127.0.0.1", "number", "info"]);
  assertEquals(events.slice(0, 4).map(({ message }) => message), [
    "received 20 bytes",
    "  0000  47 45 54 20 2f 25 73 20 48 54 54 50 2f 31 2e 30  GET /?s HTTP/1.0",
    "  0010  0d 0a 0d 0a                                      ....".replace("....", "????"),
    "from the client: not TLS: 474554202f",
  ]);
});

claim("a traced connection carries a megabyte in both directions", async (t) => {
  const server = await t.start({ options: ["--trace"] });
  const sent = new Uint8Array(1 << 20).map((_, i) => i % 251);
  const { bytes, end } = await talk(t, server, sent);
  assertEquals(end, "close_notify");
  assertEquals(bytes, sent);
});

claim("a hostile server name cannot forge a line of the trace", async (t) => {
  const server = await t.start({ options: ["--trace"], program: ["true"] });
  await sClient(t, server, "", ["-servername", "a\nsslserver: ok 1 %s\x1b[31m", "-alpn", "\n%d"]);
  await server.waitFor(/extension server_name \(0\), \d+ bytes: a\?sslserver: ok 1 \?s\?\[31m$/);
  await server.waitFor(/application_layer_protocol_negotiation \(16\), \d+ bytes: \?\?d$/);
  assertEquals(server.lines(/^sslserver: ok 1/), []);
});

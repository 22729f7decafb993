/** --proxy-from: the address in a PROXY header replaces that of the listed proxy. A header from any other
 *  address is refused. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { encodeProxyV2 } from "../../src/codec/proxy/v2.ts";
import { FOUR, RICH, SIX, v2 } from "../codec/proxy/samples.ts";
import { makeRules } from "./admission.ts";
import { Raw } from "./clients.ts";
import { claim, type StartOptions, WITH_FFI } from "./harness.ts";
import { lineFor, type Proxied, proxied } from "./proxied.ts";

const ENDS = 'echo "$TCPREMOTEIP $TCPREMOTEPORT $TCPLOCALIP $TCPLOCALPORT $PROTO via $PROXY_IP"';

const listed = (more: StartOptions = {}): StartOptions => ({
  program: ["sh", "-c", ENDS],
  ...more,
  options: [
    "--proxy-from",
    "127.0.0.1,10.0.0.0/8",
    "-H",
    "-l",
    "x",
    "-e",
    "-v",
    ...more.options ?? [],
  ],
});

claim("addresses and ports of the header are the client's, in environment and log", async (t) => {
  const server = await t.start(listed());
  const four = "192.0.2.7 50312 198.51.100.1 465 TCP via 127.0.0.1\n";
  const six = "2001:db8::7 1 2001:db8::1 65535 TCP6 via 127.0.0.1\n";
  assertStrictEquals(await proxied(server, lineFor("192.0.2.7")), four);
  assertStrictEquals(await proxied(server, encodeProxyV2(FOUR)), four);
  assertStrictEquals(await proxied(server, encodeProxyV2(SIX, { checksum: true })), six);
  assertStrictEquals(await proxied(server, lineFor("192.0.2.7"), { slowly: true }), four);
  assertStrictEquals(await proxied(server, encodeProxyV2(FOUR), { slowly: true }), four);
  await server.waitFor(/pid [0-9]+ from 192\.0\.2\.7$/, 4);
  await server.waitFor(/ok [0-9]+ x:198\.51\.100\.1:465 :192\.0\.2\.7::50312$/);
  await server.waitFor(/ok [0-9]+ x:2001:db8::1:65535 :2001:db8::7::1$/);
});

claim("an IPv4 client of a dual-stack proxy is an IPv4 client", async (t) => {
  const server = await t.start(listed());
  const line = "PROXY TCP6 ::ffff:192.0.2.7 ::ffff:198.51.100.1 1 2\r\n";
  assertMatch(await proxied(server, line), /^192\.0\.2\.7 1 198\.51\.100\.1 2 TCP via/);
});

claim("after LOCAL and UNKNOWN the proxy is the client", async (t) => {
  const server = await t.start(listed());
  const real = /^127\.0\.0\.1 [0-9]+ 127\.0\.0\.1 [0-9]+ TCP via 127\.0\.0\.1$/m;
  assertMatch(await proxied(server, "PROXY UNKNOWN\r\n"), real);
  assertMatch(await proxied(server, v2(0x20, 0, new Uint8Array(7))), real);
});

claim("rules are those of the client in the header", async (t) => {
  const rules = await makeRules(t, '192.0.2.7:allow,WHO="seven"\n192.0.2.8:deny\n127.:deny\n');
  const program = ["sh", "-c", 'echo "$WHO"'];
  for (const option of ["-x", "-y"]) {
    const server = await t.start(listed({ options: [option, rules], program }));
    assertStrictEquals(await proxied(server, lineFor("192.0.2.7")), "seven\n");
    assertStrictEquals(await proxied(server, lineFor("192.0.2.8")), "");
    assertStrictEquals(await proxied(server, lineFor("192.0.2.9")), "\n");
    assertStrictEquals(await proxied(server, "PROXY UNKNOWN\r\n"), "");
    await server.waitFor(/deny [0-9]+ .*:192\.0\.2\.8::50312$/);
  }
});

claim("limits count the client in the header, not the proxy", async (t) => {
  const server = await t.start(listed({
    env: { MAXCONIP: "1" },
    program: ["sh", "-c", "echo in; read line"],
  }));
  const leave = new AbortController();
  const first = proxied(server, lineFor("192.0.2.7"), leave);
  await server.waitFor(/pid [0-9]+ from 192\.0\.2\.7$/);
  assertStrictEquals(await proxied(server, lineFor("192.0.2.7", 2)), "");
  assertStrictEquals(await proxied(server, lineFor("192.0.2.8"), { say: "bye\n" }), "in\n");
  await server.waitFor(/ip connection limit of 1 exceeded for: 192\.0\.2\.7/);
  leave.abort();
  await first;
});

claim("TLVs reach environment and log; inherited variables of their names do not", async (t) => {
  const program = ["sh", "-c", "env | grep ^PROXY_ | grep -v PORT= | sort"];
  const env = {
    PROXY_AUTHORITY: "inherited",
    PROXY_TLS_CLIENT_CN: "inherited",
    PROXY_HOME: "kept",
  };
  const server = await t.start(listed({ program, env, options: ["--log=json"] }));
  assertEquals((await proxied(server, encodeProxyV2(RICH))).split("\n"), [
    "PROXY_ALPN=h2",
    "PROXY_AUTHORITY=www.bücher.example",
    "PROXY_HOME=kept",
    "PROXY_IP=127.0.0.1",
    "PROXY_TLS_CIPHER=TLS_AES_256_GCM_SHA384",
    "PROXY_TLS_CLIENT_CN=Zoë",
    "PROXY_TLS_CLIENT_VERIFY=SUCCESS",
    "PROXY_TLS_VERSION=TLSv1.3",
    "PROXY_UNIQUE_ID=00ff0a41",
    "",
  ]);
  const [line] = await server.waitFor(/"event":"ok"/);
  const { remoteIp, proxyIp, uniqueId } = JSON.parse(line ?? "");
  assertEquals([remoteIp, proxyIp, uniqueId], ["2001:db8::7", "127.0.0.1", "00ff0a41"]);
  const hostile = { ...RICH, extras: { authority: "a\nPATH=/tmp\0" } };
  assertMatch(
    await proxied(server, encodeProxyV2(hostile)),
    /^PROXY_AUTHORITY=a\\0APATH=\/tmp\\00\n/,
  );
  assertStrictEquals(await proxied(server, "", { from: "127.0.0.2" }), "PROXY_HOME=kept\n");
});

claim("from other addresses a client is served, and its header refused", async (t) => {
  const server = await t.start(listed());
  const from = "127.0.0.2";
  assertMatch(await proxied(server, "", { from }), /^127\.0\.0\.2 .* via $/m);
  assertStrictEquals(await proxied(server, lineFor("192.0.2.7"), { from }), "");
  assertStrictEquals(await proxied(server, encodeProxyV2(FOUR), { from }), "");
  const why = "a PROXY header that --proxy-from does not allow";
  await server.waitFor(new RegExp(`unable to accept TLS from: 127\\.0\\.0\\.2 .* ${why}$`), 2);
  assertEquals(server.lines(/192\.0\.2\.7/), []);
});

claim("without --proxy-from every header is refused", async (t) => {
  const server = await t.start({ options: ["-v", "-e"], program: ["sh", "-c", ENDS] });
  assertStrictEquals(await proxied(server, lineFor("192.0.2.7")), "");
  await server.waitFor(/unable to accept TLS from: 127\.0\.0\.1 .* PROXY header/);
});

claim("a listed proxy must send a header: anything else is refused", async (t) => {
  const server = await t.start(listed());
  const wrong: [string, RegExp][] = [
    [
      "",
      /PROXY header: proxy: signature: of neither version at byte 0 \(connection from 127\.0\.0\.1\)$/,
    ],
    ["PROXY TCP4 1.2.3.4\r\n", /PROXY header: proxy v1: line: not four fields/],
    ["PROXY TCP4 1.2.3.4 5.6.7.8 99999 1\r\n", /PROXY header: proxy v1: source port/],
    ["\r\n\r\n\0\r\nQUIT\n\x31", /PROXY header: proxy v2: version/],
  ];
  for (const [header, expected] of wrong) {
    assertStrictEquals(await proxied(server, header), "");
    await server.waitFor(expected);
  }
  assertStrictEquals(await proxied(server, lineFor("192.0.2.7") + lineFor("192.0.2.8")), "");
  await server.waitFor(/TLS from: 192\.0\.2\.7 .* PROXY header that --proxy-from does not allow/);
  assertEquals(server.lines(/ ok /), []);
});

claim("a silent proxy, or a silent client behind a proxy, is closed after -T", async (t) => {
  const server = await t.start(listed({ options: ["-T", "1"] }));
  const silent = await Raw.connect(server.port);
  await silent.closedWithin();
  await server.waitFor(/unable to read the PROXY header: timed out after 1 s/);
  const behind = (await Raw.connect(server.port)).send(lineFor("192.0.2.7"));
  await behind.closedWithin();
  await server.waitFor(/unable to accept TLS from: 192\.0\.2\.7 .* timed out after 1 s/);
  assertStrictEquals(silent.received + behind.received, 0);
});

claim("silent clients behind a proxy are closed for newer ones (--pending)", async (t) => {
  const server = await t.start(listed({ options: ["--pending", "3", ...t.oneSpeaker] }));
  const silent = [];
  for (let i = 0; i < 4; i++) {
    const raw = await Raw.connect(server.port);
    silent.push(i % 2 ? raw : raw.send(lineFor(`192.0.2.${i}`)));
  }
  await silent[0]?.closedWithin();
  assertMatch(await proxied(server, lineFor("192.0.2.7")), /^192\.0\.2\.7 /);
  for (const raw of silent) raw.destroy();
});

claim(
  "neither a proxy's health check nor a silent client causes an error",
  async (t) => {
    const server = await t.start(listed({ options: ["-v"] }));
    const check = async (header: (own: number) => string | Uint8Array): Promise<void> => {
      const raw = await Raw.connect(server.port);
      const { localPort } = raw.socket;
      raw.send(header(localPort ?? 0));
      raw.socket.end();
      await raw.closedWithin();
    };
    await check(() => v2(0x20, 0, new Uint8Array(7))); // like a health check of HAProxy with send-proxy-v2
    await check((own) => lineFor("127.0.0.1", own)); // with send-proxy
    await check(() => lineFor("192.0.2.7"));
    await check(() => ""); // without send-proxy
    for (const ip of ["192\\.0\\.2\\.7", "127\\.0\\.0\\.1"]) {
      await server.waitFor(
        new RegExp(`info: .* TLS from: ${ip} .* connection closed by the peer$`),
      );
    }
    assertStrictEquals(server.lines(/unable/).length, 2);
  },
);

const PLAIN = ["sh", "-c", 'echo "plain $TCPREMOTEIP"; read line; echo "got $line"'];

claim("with -n the header comes before the program, and the rest goes to it", async (t) => {
  const server = await t.start(listed({ options: ["-n"], program: PLAIN }));
  const clear = { secure: false };
  const answer = "plain 192.0.2.7\ngot EHLO x\n";
  const header = lineFor("192.0.2.7");
  assertStrictEquals(await proxied(server, header, { ...clear, say: "EHLO x\n" }), answer);
  assertStrictEquals(await proxied(server, `${header}EHLO x\n`, clear), answer);
  assertStrictEquals(
    await proxied(server, `${header}EHLO x\n`, { ...clear, slowly: true }),
    answer,
  );
  assertStrictEquals(await proxied(server, "EHLO x\n", clear), "");
}, { forms: WITH_FFI });

claim("with -n a header from elsewhere ends the stream, however it is cut", async (t) => {
  const server = await t.start(listed({ options: ["-n"], program: PLAIN }));
  const clear = { secure: false, from: "127.0.0.2" };
  const header = lineFor("192.0.2.7");
  // Output of the program from before the end of the stream may arrive or not.
  const refused = async (bytes: Uint8Array | string, how: Proxied): Promise<void> => {
    const text = await proxied(server, bytes, how);
    assert(!text.includes("got"), text);
  };
  for (const slowly of [false, true]) {
    await refused(header, { ...clear, slowly });
    await refused(encodeProxyV2(FOUR), { ...clear, slowly });
  }
  await server.waitFor(/error: a PROXY header that .* \(connection from 127\.0\.0\.2\)$/, 4);
  const near = "PROXIES are no header\n";
  assertStrictEquals(
    await proxied(server, near, { ...clear, slowly: true }),
    `plain 127.0.0.2\ngot ${near}`,
  );
  await refused(lineFor("192.0.2.7") + header, { secure: false });
}, { forms: WITH_FFI });

claim("with -n a hello right behind the header is not lost", async (t) => {
  const server = await t.start(listed({
    options: ["-n"],
    program: ["sh", "-c", "printf y >&3; head -n 1 <&4 >&5"],
  }));
  assertStrictEquals(await proxied(server, lineFor("192.0.2.7"), { say: "inside\n" }), "inside\n");
}, { forms: WITH_FFI });

claim("an invalid list is wrong usage", async (t) => {
  for (const list of ["", "10.0.0.0/33", "10.0.0.0/8,", "proxy.example", "10.0.0"]) {
    const outcome = await t.fails({ options: [`--proxy-from=${list}`] });
    assertStrictEquals(outcome.status, 100, list);
    assertMatch(outcome.stderr, /option --proxy-from needs networks such as/);
  }
});

/** The log, line by line, as docs/specification.md#log-lines gives it, in text and JSON.
 *  No client can forge a line. */

import { assertEquals, assertMatch, assertNotMatch, assertStrictEquals } from "@std/assert";
import { refused, sClient, talk } from "./clients.ts";
import { claim, type Server } from "./harness.ts";

/** Every line from the first connection on. */
function connectionLines(server: Server): string[] {
  const lines = server.log().trimEnd().split("\n");
  return lines.slice(lines.findIndex((line) => /status: /.test(line)));
}

claim("-v: status, pid, ok, ended, status, in this order and no other line", async (t) => {
  const server = await t.start({ options: ["-v", "-l", "mx.example", "-c", "5"] });
  await talk(t, server, "x");
  await server.waitFor(/^sslserver: status: 0\/5\/0$/);
  const lines = connectionLines(server);
  const pid = /^sslserver: pid ([0-9]+)/.exec(lines[1] ?? "")?.[1];
  const expected = [
    /^sslserver: status: 1\/5\/0$/,
    new RegExp(`^sslserver: pid ${pid} from 127\\.0\\.0\\.1$`),
    new RegExp(
      `^sslserver: ok ${pid} mx\\.example:127\\.0\\.0\\.1:${server.port} localhost:127\\.0\\.0\\.1::[0-9]+$`,
    ),
    new RegExp(`^sslserver: ended by ${pid} status 0$`),
    /^sslserver: status: 0\/5\/0$/,
  ];
  assertStrictEquals(lines.length, expected.length, lines.join("\n"));
  expected.forEach((pattern, i) => assertMatch(lines[i] ?? "", pattern));
});

claim("-V: a tls line with protocol and cipher", async (t) => {
  const server = await t.start({ options: ["-V"] });
  const { facts } = await talk(t, server, "x", ["-3"]);
  const [line = ""] = await server.waitFor(/^sslserver: tls /);
  assertMatch(line, new RegExp(`^sslserver: tls [0-9]+ accept TLSv1\\.3:${facts["cipher"]}$`));
  await server.waitFor(
    /^sslserver: info: client of pid: \d+ has JA4: t1\d[di]\d{4}\w\w_\w{12}_\w{12}$/,
  );
  await talk(t, server, "x", ["-2"]);
  const lines = await server.waitFor(/^sslserver: tls /, 2);
  assertMatch(lines[1] ?? "", /^sslserver: tls [0-9]+ accept TLSv1\.2:ECDHE-\S+$/);
});

claim(
  "by default only errors are logged",
  async (t) => {
    const server = await t.start();
    await talk(t, server, "x");
    await refused(server.port, "GET / HTTP/1.0\r\n\r\n");
    await server.waitFor(/unable to accept TLS/);
    assertEquals(server.lines(/^sslserver: (status|pid|ok|tls|ended)/), []);
  },
);

claim("--log=json: the same events, one object a line", async (t) => {
  const server = await t.start({ options: ["-V", "--log=json", "-l", "mx.example"] });
  await talk(t, server, "x");
  await refused(server.port, "nonsense");
  await server.waitFor(/"event":"tls-failed"/);
  await server.waitFor(/"event":"ended"/);
  const events = server.log().trimEnd().split("\n").map((line) =>
    JSON.parse(line) as Record<string, unknown>
  );
  for (const { time, level, event } of events) {
    assertMatch(String(time), /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{12}Z$/);
    assertMatch(String(level), /^(fatal|error|warning|info|usage)$/, String(event));
  }
  const find = (name: string) => events.find(({ event }) => event === name) ?? {};
  const pid = find("pid")["pid"];
  assertStrictEquals(typeof pid, "number");
  assertEquals(
    { ...find("ok"), time: undefined, remotePort: undefined },
    {
      time: undefined,
      level: "info",
      event: "ok",
      pid,
      localHost: "mx.example",
      localIp: "127.0.0.1",
      localPort: server.port,
      remoteHost: "localhost",
      remoteIp: "127.0.0.1",
      remotePort: undefined,
    },
  );
  assertStrictEquals(find("tls")["protocol"], "TLSv1.3");
  assertEquals({ ...find("ended"), time: undefined }, {
    time: undefined,
    level: "info",
    event: "ended",
    pid,
    status: 0,
  });
  const status = events.filter(({ event }) => event === "status");
  assertEquals([status[0]?.["running"], status[0]?.["limit"], status[0]?.["perIp"]], [
    1,
    40,
    0,
  ]);
  assertStrictEquals(find("tls-failed")["remoteIp"], "127.0.0.1");
  assertStrictEquals(find("tls-failed")["level"], "error");
});

claim("a hostile server name, ALPN or -l cannot forge a line", async (t) => {
  const forged = "x\nsslserver: ok 1 forged";
  const options = ["-V", "-s", "-l", `${forged}\u001b[31m%s`];
  const server = await t.start({ options, program: ["true"] });
  await sClient(t, server, "", ["-servername", forged]);
  await talk(t, server, "", ["-s", forged, "-a", forged]).catch(() => {});
  await talk(t, server, "", ["-a", forged]);
  // rustls refuses a name that is no host name.
  await server.waitFor(/^sslserver: (?:ended by|error: unable to accept TLS)/, 3);
  assertEquals(server.lines(/^sslserver: ok 1 /), []);
  const [ok = ""] = server.lines(/^sslserver: ok /);
  assertMatch(ok, /^sslserver: ok [0-9]+ x\?sslserver: ok 1 forged\?\[31m\?s:127\.0\.0\.1:/);
  // deno-lint-ignore no-control-regex
  assertNotMatch(server.log(), /[^\x0a\x20-\x7e]/);
});

claim("the server runs on when its stderr has no reader", async (t) => {
  const server = await t.start({ options: ["-v"], prelude: "exec 2>/dev/full" });
  for (let i = 0; i < 3; i++) assertStrictEquals((await talk(t, server, "x\n")).text, "x\n");
});

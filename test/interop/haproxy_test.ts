/** Debian's HAProxy in front of two servers, with `examples/haproxy.cfg` unchanged: the client's address
 *  arrives in environment, rules and log of both, and only HAProxy's header is accepted. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotStrictEquals,
  assertStrictEquals,
} from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { makeRules } from "../e2e/admission.ts";
import { claim, ROOT, type Server, settled, type Trial } from "../e2e/harness.ts";
import { lineFor, proxied } from "../e2e/proxied.ts";
import { freePort } from "../free_port.ts";

const CONFIGURATION = join(ROOT, "examples/haproxy.cfg");

/** True if a socket listens on the port. Makes no connection, which would count as a client. */
function listens(port: number): boolean {
  const address = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const table = fs.readFileSync("/proc/net/tcp", "latin1");
  return table.split("\n").some((line) => line.includes(`${address} 00000000:0000 0A`));
}

interface Farm {
  /** The port on which HAProxy listens. */
  port: number;
  servers: [Server, Server];
}

/** Starts two servers, and HAProxy in front of them. */
async function farm(t: Trial, version: "send-proxy" | "send-proxy-v2"): Promise<Farm> {
  const rules = await makeRules(
    t,
    '127.0.0.5:allow,WHO="five"\n127.0.0.6:deny\n:allow,WHO="other"\n',
  );
  const start = (name: string): Promise<Server> =>
    t.start({
      options: ["--proxy-from", "127.0.0.1", "-x", rules, "-H", "-l", name, "-v", "--log=json"],
      program: [
        "sh",
        "-c",
        `echo "${name} $SSLREMOTEIP $SSLREMOTEPORT $SSLLOCALIP $SSLLOCALPORT $WHO $PROXY_UNIQUE_ID"`,
      ],
    });
  const servers: Farm["servers"] = [await start("one"), await start("two")];
  const port = await freePort();
  let configuration = CONFIGURATION;
  if (version === "send-proxy") {
    configuration = join(t.dir, "haproxy.cfg");
    const text = fs.readFileSync(CONFIGURATION, "utf8");
    const changed = text.replaceAll(/send-proxy-v2 .*$/gm, "send-proxy");
    assertNotStrictEquals(changed, text);
    fs.writeFileSync(configuration, changed);
  }
  const haproxy = t.spawn("haproxy", ["-db", "-f", configuration], {
    SERVICE: `127.0.0.1:${port}`,
    ONE: `127.0.0.1:${servers[0].port}`,
    TWO: `127.0.0.1:${servers[1].port}`,
  });
  let words = "";
  haproxy.stderr?.on("data", (bytes: Uint8Array) => words += new TextDecoder().decode(bytes));
  const listening = await settled(
    () => listens(port),
    (open) => open || haproxy.exitCode !== null,
  );
  assert(listening, `haproxy does not listen: ${words}`);
  return { port, servers };
}

for (const version of ["send-proxy", "send-proxy-v2"] as const) {
  claim(`behind HAProxy (${version}) both instances know the client`, async (t) => {
    const { port, servers } = await farm(t, version);
    const seen = new Map<string, number>();
    for (let i = 0; i < 8; i++) {
      const words = await proxied({ port }, "", { from: "127.0.0.5" });
      const [name = "", ip, remotePort, localIp, localPort, who, id] = words.trim().split(" ");
      seen.set(name, (seen.get(name) ?? 0) + 1);
      assertEquals([ip, localIp, Number(localPort), who], [
        "127.0.0.5",
        "127.0.0.1",
        port,
        "five",
      ]);
      const server = servers[name === "one" ? 0 : 1];
      const [line] = await server.waitFor(new RegExp(`"event":"ok".*"remotePort":${remotePort},`));
      const entry = JSON.parse(line ?? "");
      assertEquals([entry.remoteIp, entry.localPort], ["127.0.0.5", port]);
      assertStrictEquals(entry.proxyIp, "127.0.0.1");
      assertStrictEquals(entry.uniqueId, id);
      assertStrictEquals(id !== undefined, version === "send-proxy-v2");
    }
    assertEquals([...seen.keys()].sort(), ["one", "two"]);
  });

  claim(
    `behind HAProxy (${version}) rules apply to the client, and nothing else is logged`,
    async (t) => {
      const { port, servers } = await farm(t, version);
      assertMatch(await proxied({ port }, "", { from: "127.0.0.9" }), / 127\.0\.0\.9 .* other/);
      assertStrictEquals(await proxied({ port }, "", { from: "127.0.0.6" }), "");
      const denied = (): string[] => servers.flatMap((server) => server.lines(/"event":"deny"/));
      const [line] = await settled(denied, (lines) => lines.length > 0);
      assertStrictEquals(JSON.parse(line ?? "").remoteIp, "127.0.0.6");
      assertEquals(servers.flatMap((server) => server.lines(/unable/)), []);
    },
  );
}

claim("a header that does not come from HAProxy is refused", async (t) => {
  const { servers: [server] } = await farm(t, "send-proxy-v2");
  const from = "127.0.0.2";
  assertStrictEquals(await proxied(server, lineFor("127.0.0.5"), { from }), "");
  await server.waitFor(/127\.0\.0\.2.*a PROXY header that --proxy-from does not allow/);
  assertMatch(await proxied(server, "", { from }), /^one 127\.0\.0\.2 .* other/);
  assertEquals(server.lines(/127\.0\.0\.5/), []);
});

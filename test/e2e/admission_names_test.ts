/** Names: reverse DNS by -h, -p and -l against a real unbound, the server's own host by name, and
 *  rules about names. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import * as fs from "node:fs";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { assertDenied, makeRules, ptr, unbound, visit } from "./admission.ts";
import { freePort } from "../free_port.ts";
import { claim, type Server, WITH_FFI } from "./harness.ts";

const RECORDS = [
  ptr("127.0.0.1", "local.test"),
  ptr("127.0.0.2", "good.test"),
  "good.test. 300 IN A 127.0.0.2",
  ptr("127.0.0.3", "liar.test"),
  "liar.test. 300 IN A 198.51.100.1",
  ptr("127.0.0.5", "host.sub.test"),
  "host.sub.test. 300 IN A 127.0.0.5",
  ptr("127.0.0.6", "MiXed.Test"),
  "mixed.test. 300 IN A 127.0.0.6",
  ptr("127.0.0.7", "127.0.0.1"),
  ptr("::1", "six.test"),
  "six.test. 300 IN AAAA ::1",
  "server.test. 300 IN A 127.0.0.88",
  "only.six.test. 300 IN AAAA ::1",
  "every.test. 300 IN A 0.0.0.0",
  "every.six.test. 300 IN AAAA ::",
  "many.test. 300 IN A 224.0.0.1",
  "test. 300 IN SOA ns.test. root.test. 1 3600 900 86400 60",
];

/** Prints the variables of the connection, one per line. */
const SHOW = ["sh", "-c", "env | grep -E '^(PROTO|SSL(LOCAL|REMOTE)|TCP)' | sort"];

/** Those variables as a record. */
async function variables(server: Server, from: string): Promise<Record<string, string>> {
  const { text } = await visit(server, from);
  const lines = text.split("\n").filter((line) => line !== "");
  return Object.fromEntries(lines.map((line) => line.split(/=(.*)/).slice(0, 2)));
}

const NAMED: readonly [from: string, plain: string | undefined, paranoid: string | undefined][] = [
  ["127.0.0.2", "good.test", "good.test"],
  ["127.0.0.3", "liar.test", undefined],
  ["127.0.0.4", undefined, undefined],
  ["127.0.0.5", "host.sub.test", "host.sub.test"],
  ["127.0.0.7", undefined, undefined],
  ["::1", "six.test", "six.test"],
];

claim("-h looks up the client's name, -p also verifies it, -H does not look it up", async (t) => {
  const env = { DNSCACHEIP: await unbound(t, RECORDS), SSLREMOTEHOST: "inherited" };
  for (const [options, column] of [["-v", 1], ["-vp", 2], ["-vpP", 1], ["-vH", 0]] as const) {
    const server = await t.start({ options: [options], host: ":0", program: SHOW, env });
    for (const row of NAMED) {
      const [from] = row;
      const name = column === 0 ? undefined : row[column];
      const found = await variables(server, from);
      assertStrictEquals(found["SSLREMOTEHOST"], name, `${options} ${from}`);
      assertStrictEquals(found["SSLREMOTEIP"], from);
      const own = from === "::1" ? "six.test" : "local.test";
      assertStrictEquals(found["SSLLOCALHOST"], own);
      const local = from === "::1" ? "::1" : "127.0.0.1";
      await server.waitFor(
        new RegExp(
          `^sslserver: ok [0-9]+ ${own}:${local}:${server.port} ${name ?? ""}:${from}::[0-9]+$`,
        ),
      );
    }
    await server.stop();
  }
});

claim("-l sets the local name, also 0, without a query", async (t) => {
  const env = { DNSCACHEIP: await unbound(t, RECORDS) };
  for (const name of ["0", "mx.example"]) {
    const server = await t.start({ options: ["-l", name], program: SHOW, env });
    assertStrictEquals((await variables(server, "127.0.0.2"))["SSLLOCALHOST"], name);
    await server.stop();
  }
});

claim("the variables of a connection, with -e and -6 those of tcpserver too", async (t) => {
  const env = {
    DNSCACHEIP: await unbound(t, RECORDS),
    ...Object.fromEntries(
      ["PROTO", "SSLREMOTEINFO", "TCPREMOTEHOST", "TCPREMOTEINFO", "TCP6REMOTEIP", "TCP6INTERFACE"]
        .map((name) => [name, "inherited"]),
    ),
  };
  const ends = (prefix: string, remote: string, name: string | undefined, local: string) => ({
    [`${prefix}LOCALHOST`]: local === "::1" ? "six.test" : "local.test",
    [`${prefix}LOCALIP`]: local,
    [`${prefix}LOCALPORT`]: "?",
    ...(name ? { [`${prefix}REMOTEHOST`]: name } : {}),
    [`${prefix}REMOTEIP`]: remote,
    [`${prefix}REMOTEPORT`]: "?",
  });
  const seen = async (server: Server, from: string): Promise<Record<string, string>> => {
    const found = await variables(server, from);
    assertStrictEquals(found["SSLLOCALPORT"], String(server.port));
    for (const name of Object.keys(found)) {
      if (!name.endsWith("PORT")) continue;
      assertMatch(found[name] ?? "", /^[0-9]+$/);
      found[name] = "?";
    }
    return found;
  };
  const plain = await t.start({ host: ":0", program: SHOW, env });
  const v4 = ["127.0.0.2", "good.test", "127.0.0.1"] as const;
  const v6 = ["::1", "six.test", "::1"] as const;
  assertEquals(await seen(plain, "127.0.0.2"), { PROTO: "TLS", ...ends("SSL", ...v4) });
  assertEquals(await seen(plain, "::1"), { PROTO: "TLS", ...ends("SSL", ...v6) });
  const both = await t.start({ options: ["-e"], host: ":0", program: SHOW, env });
  assertEquals(await seen(both, "127.0.0.4"), {
    PROTO: "TCP",
    ...ends("SSL", "127.0.0.4", undefined, "127.0.0.1"),
    ...ends("TCP", "127.0.0.4", undefined, "127.0.0.1"),
  });
  const six = { ...ends("SSL", ...v6), ...ends("TCP6", ...v6) };
  assertEquals(await seen(both, "::1"), { PROTO: "TCP6", ...six, ...ends("TCP", ...v6) });
  const minus6 = await t.start({ options: ["-6"], host: ":0", program: SHOW, env });
  assertEquals(await seen(minus6, "::1"), { PROTO: "TCP6", ...six });
});

claim(
  "rules about names: =host, =.suffix and = apply to the name found, in lower case",
  async (t) => {
    const env = { DNSCACHEIP: await unbound(t, RECORDS) };
    const rules = `=good.test:allow,RULE="host"
=mixed.test:allow,RULE="mixed"
=.sub.test:deny
=.test:allow,RULE="suffix"
=:allow,RULE="any name"
:deny
`;
    const path = await makeRules(t, rules);
    const options = ["-vl0", "-x", path];
    const program = ["sh", "-c", 'echo "$RULE"'];
    const rows: [from: string, plain: string, paranoid: string][] = [
      ["127.0.0.2", "host\n", "host\n"],
      ["127.0.0.3", "suffix\n", ""],
      ["127.0.0.4", "", ""],
      ["127.0.0.5", "", ""],
      ["127.0.0.6", "mixed\n", "mixed\n"],
      ["127.0.0.7", "", ""],
    ];
    for (const [option, column] of [["-P", 1], ["-p", 2]] as const) {
      const server = await t.start({ options: [...options, option], program, env });
      for (const row of rows) {
        assertStrictEquals((await visit(server, row[0])).text, row[column], row[0]);
      }
      await server.waitFor(
        /^sslserver: deny [0-9]+ 0:[0-9.:]+ host\.sub\.test:127\.0\.0\.5::[0-9]+$/,
      );
      await server.stop();
    }
    const blind = await t.start({ options: [...options, "-H"], program, env });
    await assertDenied(blind, "127.0.0.2");
  },
);

claim("a DNS name that would break a log line or a script is ignored", async (t) => {
  const evil = [
    ["127.0.0.20", "evil\\010sslserver:.test"],
    ["127.0.0.21", "a%nb.test"],
    ["127.0.0.22", `${"x".repeat(60)}.${"y".repeat(60)}.${"z".repeat(60)}.test`],
  ] as const;
  const env = {
    DNSCACHEIP: await unbound(t, [...RECORDS, ...evil.map(([ip, name]) => ptr(ip, name))]),
  };
  const server = await t.start({ options: ["-vl0"], program: SHOW, env });
  for (const [from] of evil) {
    const name = (await variables(server, from))["SSLREMOTEHOST"];
    assertMatch(name ?? "", /^[!-~]*$/);
  }
  const lines = await server.waitFor(/^sslserver: ok /, evil.length);
  for (const line of lines) {
    assertMatch(
      line,
      /^sslserver: ok [0-9]+ 0:[0-9.:]+ [!-$&-~]{0,100}:127\.0\.0\.2[0-2]::[0-9]+$/,
    );
  }
  assertEquals(server.lines(/^(?!sslserver: (status|pid|ok|ended|info|warning))./), []);
});

claim("a DNS server where nothing listens costs a client no time", async (t) => {
  const env = { DNSCACHEIP: `127.0.0.1:${await freePort()} [::1%lo]:${await freePort()}` };
  const server = await t.start({ options: ["-h"], program: SHOW, env });
  const began = performance.now();
  const found = await variables(server, "127.0.0.2");
  assertStrictEquals(found["SSLREMOTEHOST"], undefined);
  assertStrictEquals(found["SSLREMOTEIP"], "127.0.0.2");
  assert(performance.now() - began < 5000, `${performance.now() - began} ms`);
}, { forms: WITH_FFI });

claim("host is resolved by our DNS client, with $LOCALDOMAIN and $DNSREWRITEFILE", async (t) => {
  const dns = await unbound(t, RECORDS);
  const rewrite = join(t.dir, "dnsrewrite");
  fs.writeFileSync(rewrite, "# the domain of this house\n=me:127.0.0.99\n*.house:.test\n?:.test\n");
  const rows: [host: string, options: string[], env: Record<string, string>, ip: string][] = [
    ["server.test", [], {}, "127.0.0.88"],
    ["server", [], { LOCALDOMAIN: "nowhere.test test" }, "127.0.0.88"],
    ["server.house", [], { DNSREWRITEFILE: rewrite }, "127.0.0.88"],
    ["server", [], { DNSREWRITEFILE: rewrite, LOCALDOMAIN: "wrong" }, "127.0.0.88"],
    ["me", [], { DNSREWRITEFILE: rewrite }, "127.0.0.99"],
    ["only.six.test", ["-6"], {}, "::1"],
    ["only.six.test", [], {}, "::1"],
  ];
  for (const [host, options, env, ip] of rows) {
    const server = await t.start({
      options: [...options, "-Hl0"],
      host,
      program: SHOW,
      env: { DNSCACHEIP: dns, ...env },
    });
    assertStrictEquals(await listensOn(server.pid), ip, host);
    await server.stop();
  }
  const missing = [["none.test", []], ["only.six.test", ["-4"]]] as const;
  for (const [host, options] of missing) {
    const outcome = await t.fails({ options, host, env: { DNSCACHEIP: dns } });
    assertStrictEquals(outcome.status, 111);
    assertMatch(outcome.stderr, /^sslserver: fatal: unable to find address of "/m);
  }
});

claim("a name that leads to every address, or to many hosts, is refused", async (t) => {
  const dns = await unbound(t, RECORDS);
  for (const host of ["every.test", "every.six.test", "many.test"]) {
    const outcome = await t.fails({ options: [], host, env: { DNSCACHEIP: dns } });
    assertStrictEquals(outcome.status, 111);
    assertMatch(
      outcome.stderr,
      /^sslserver: fatal: unable to listen on "[a-z.]+": the name leads/m,
    );
    assertMatch(outcome.stderr, /give host as an address of this machine/);
  }
});

/** The address on which a process listens, from /proc. */
function listensOn(pid: number): string {
  const own = new Set(
    fs.readdirSync(`/proc/${pid}/fd`).map((fd) => {
      try {
        return /^socket:\[([0-9]+)\]$/.exec(fs.readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
      } catch {
        return undefined;
      }
    }),
  );
  for (const table of ["tcp", "tcp6"]) {
    for (const line of fs.readFileSync(`/proc/net/${table}`, "latin1").split("\n").slice(1)) {
      const fields = line.trim().split(/\s+/);
      if (fields[3] !== "0A" || !own.has(fields[9])) continue;
      const hex = (fields[1] ?? "").split(":")[0] ?? "";
      if (hex.length === 32) return hex === "00000000000000000000000001000000" ? "::1" : hex;
      return (hex.match(/../g) ?? []).reverse().map((byte) => parseInt(byte, 16)).join(".");
    }
  }
  return "nowhere";
}

claim("if a DNS server is missing, the next one is asked", async (t) => {
  const dns = await unbound(t, RECORDS);
  const server = await t.start({
    options: ["-vl0"],
    program: SHOW,
    env: { DNSCACHEIP: `127.0.0.1:1 ${dns}` },
  });
  assertStrictEquals((await variables(server, "127.0.0.2"))["SSLREMOTEHOST"], "good.test");
});

claim("--hosts: /etc/hosts before DNS, and without -p", async (t) => {
  const env = { DNSCACHEIP: await unbound(t, RECORDS) };
  const server = await t.start({ options: ["--hosts", "-p"], program: SHOW, env });
  const found = await variables(server, "127.0.0.1");
  assertStrictEquals(found["SSLLOCALHOST"], "localhost");
  assertStrictEquals(found["SSLREMOTEHOST"], "localhost");
  assertStrictEquals((await variables(server, "127.0.0.2"))["SSLREMOTEHOST"], "good.test");
  assertStrictEquals((await variables(server, "127.0.0.3"))["SSLREMOTEHOST"], undefined);
}, { together: true });

claim("--strict-resolution and --lookup-timeout deny if DNS does not answer", async (t) => {
  const refuses = await freePort();
  const options = ["-v", "-l0", "--strict-resolution"];
  const strict = await t.start({ options, env: { DNSCACHEIP: `127.0.0.1:${refuses}` } });
  await assertDenied(strict, "127.0.0.2");
  await strict.waitFor(/^sslserver: deny .* the DNS does not answer$/);
  const silent = createSocket("udp4");
  silent.bind(0, "127.0.0.1");
  await once(silent, "listening");
  try {
    const env = { DNSCACHEIP: `127.0.0.1:${silent.address().port}` };
    const slow = await t.start({ options: ["-v", "-l0", "--lookup-timeout=1"], env });
    const begun = performance.now();
    await assertDenied(slow, "127.0.0.2");
    assert(performance.now() - begun < 10_000);
    await slow.waitFor(/^sslserver: deny .* the look-ups took too long$/);
  } finally {
    silent.close();
  }
}, { together: true, forms: WITH_FFI });

claim("--early-banner comes in the clear, before rules and TLS", async (t) => {
  const rules = await makeRules(t, "127.0.0.2:deny\n:allow\n");
  const server = await t.start({ options: ["-Hl0", "-y", rules, "--early-banner", "hi\n"] });
  for (const from of ["127.0.0.1", "127.0.0.2"]) {
    const plain = connect({ port: server.port, host: "127.0.0.1", localAddress: from });
    plain.on("error", () => {});
    const [banner] = await once(plain, "data") as [Uint8Array];
    assertStrictEquals(new TextDecoder().decode(banner), "hi\n");
    if (from === "127.0.0.1") {
      const secure = connectTls({ socket: plain, rejectUnauthorized: false });
      secure.write("echo\n");
      const [echo] = await once(secure, "data") as [Uint8Array];
      assertStrictEquals(new TextDecoder().decode(echo), "echo\n");
    }
    plain.destroy();
  }
}, { together: true });

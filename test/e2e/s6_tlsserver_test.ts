/** `s6-tlsserver` as its run scripts use it: the options at work, the environment of programs, log lines
 *  and signals; and a run script under Debian's s6 in which only PATH is changed. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import process from "node:process";
import { furnish, need, supervised } from "../interop/supervisors.ts";
import { freePort } from "../free_port.ts";
import { Guest, visit } from "./admission.ts";
import { environmentOf, openssl, selfSigned } from "./certificates.ts";
import { Raw, talk } from "./clients.ts";
import {
  claim,
  formCommand,
  isRoot,
  LIMIT,
  type Server,
  settled,
  type Trial,
  WITH_FFI,
} from "./harness.ts";

interface Given {
  readonly options?: readonly string[];
  readonly program?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts s6-tlsserver. `options` come before `-1 ip port prog`. */
async function start(
  t: Trial,
  { options = [], program = ["cat"], env }: Given = {},
): Promise<Server> {
  const files = env ?? environmentOf(await selfSigned(t, "server"));
  // The shell that starts the server drops variables like CERTFILE:name.
  const named = Object.entries(files).filter(([name]) => name.includes(":"));
  const command = [
    ...(named.length > 0 ? ["/usr/bin/env", ...named.map((entry) => entry.join("="))] : []),
    ...formCommand(t.form, program[0] ?? ""),
    "--as",
    "s6-tlsserver",
  ];
  return await t.start({ command, options, program, env: files, selfSigned: false });
}

const SHOW = ["sh", "-c", "env | sort"];
const GREET = ["sh", "-c", "echo hello; exec cat"];

/** A client that has heard the program's greeting. */
async function greeted(server: Server): Promise<Guest> {
  const guest = new Guest(server.port);
  await guest.hears(/hello|ready/, LIMIT);
  return guest;
}

const said = (text: string): Record<string, string> =>
  Object.fromEntries(
    text.split("\n").filter((line) => line.includes("=")).map((line) =>
      line.split(/=(.*)/s).slice(0, 2)
    ),
  );

claim("the environment of a program is the one that the reference describes", async (t) => {
  const pair = await selfSigned(t, "server");
  const client = await selfSigned(t, "client", { subject: "/C=XX/O=A, B/CN=joe" });
  const [key, certificate] = [join(t.dir, "k.der"), join(t.dir, "c.der")];
  await openssl(t, "pkey", "-in", pair.key, "-outform", "der", "-out", key);
  await openssl(t, "x509", "-in", pair.certificate, "-outform", "der", "-out", certificate);
  const env = {
    KEYFILE: key,
    CERTFILE: certificate,
    CAFILE: client.certificate,
    TCPREMOTEHOST: "forged",
    TCPREMOTEINFO: "forged",
    SSL_PEER_CERT_HASH: "forged",
    HOME: "/",
  };
  const server = await start(t, { options: ["-Y", "-H", "-l", "mx.test"], program: SHOW, env });
  const expected = {
    PROTO: "TCP",
    TCPREMOTEIP: "127.0.0.1",
    TCPLOCALIP: "127.0.0.1",
    TCPLOCALPORT: String(server.port),
    TCPLOCALHOST: "mx.test",
    TCPCONNNUM: "0",
    SSL_PROTOCOL: "TLSv1.3",
    HOME: "/",
  };
  const names = (found: Record<string, string>): string[] =>
    Object.keys(found).filter((name) => /^(PROTO|TCP|SSL|KEYFILE|CERTFILE|CA)/.test(name)).sort();
  const plain = said((await talk(t, server, "")).text);
  for (const [name, value] of Object.entries(expected)) assertEquals(plain[name], value, name);
  assertEquals(names(plain), [
    "PROTO",
    "SSL_CIPHER",
    "SSL_PROTOCOL",
    "TCPCONNNUM",
    "TCPLOCALHOST",
    "TCPLOCALIP",
    "TCPLOCALPORT",
    "TCPREMOTEIP",
    "TCPREMOTEPORT",
  ]);
  const files = ["-cert", client.certificate, "-key", client.key, "-servername", "a.test"];
  const more = said(
    new TextDecoder().decode(
      (await t.run("openssl", [
        "s_client",
        "-connect",
        `127.0.0.1:${server.port}`,
        "-ign_eof",
        ...files,
      ])).stdout,
    ),
  );
  assertEquals(more["SSL_PEER_CERT_SUBJECT"], "C=XX, O=A\\, B, CN=joe");
  assertMatch(more["SSL_PEER_CERT_HASH"] ?? "", /^SHA256:[0-9a-f]{64}$/);
  assertEquals(more["SSL_TLS_SNI_SERVERNAME"], "a.test");
  const kept = await start(t, { options: ["-ZH"], program: SHOW, env });
  assertEquals(said((await talk(t, kept, "")).text)["KEYFILE"], key);
}, { together: true });

claim("log lines, counts and limits of an address", async (t) => {
  const server = await start(t, {
    options: ["-v", "-H", "-C", "2", ...t.oneSpeaker],
    program: GREET,
  });
  const first = await greeted(server);
  await first.echoes("one");
  const second = await greeted(server);
  const third = new Guest(server.port);
  await third.closed;
  first.leave();
  await first.closed;
  const ip = "127\\.0\\.0\\.1";
  for (
    const line of [
      `s6-tcpserverd: info: starting - bound to ip ${ip} port ${server.port}`,
      `s6-tcpserverd: info: accept ${ip}_[0-9]+ pid [0-9]+ count 1/2`,
      `s6-tcpserverd: info: accept ${ip}_[0-9]+ pid [0-9]+ count 2/2`,
      `s6-tcpserver-access: pid ([0-9]+): info: allow pid \\1 ip ${ip}`,
      `s6-tcpserverd: info: reject ${ip}_[0-9]+ count 2/2`,
      "s6-tcpserverd: info: end pid [0-9]+ exitcode 0 count 1/2",
      "s6-tcpserverd: info: status: 2/40",
    ]
  ) await server.waitFor(new RegExp(`^${line}$`));
  second.leave();
  await second.closed;
  const quiet = await start(t, { options: ["-q", "-H"] });
  assertStrictEquals((await talk(t, quiet, "x")).text, "x");
  assertEquals(quiet.lines(/tcpserver/), []);
}, { together: true });

claim("output ends with FIN alone, and with -S by close_notify", async (t) => {
  const program = ["sh", "-c", "wc -c; head -c 300000 /dev/zero"];
  for (const [options, end] of [[["-H"], "eof"], [["-HS"], "close_notify"]] as const) {
    const server = await start(t, { options, program });
    const answer = await talk(t, server, "12345", ["-e", "half"]);
    assertEquals([answer.bytes.length, answer.end], [300_002, end]);
  }
  const strict = await start(t, {
    options: ["-HJ"],
    program: ["sh", "-c", "wc -c; sleep 0.2; echo x"],
  });
  assertEquals((await talk(t, strict, "12345", ["-e", "half"])).text, "5\nx\n");
  assert((await talk(t, strict, "12345", ["-e", "fin"])).text !== "5\nx\n");
}, { together: true });

claim("-k chooses certificates by name, -y requires one, -K limits the handshake", async (t) => {
  const [one, two] = [await selfSigned(t, "one"), await selfSigned(t, "two")];
  const names = { "KEYFILE:a.test": two.key, "CERTFILE:a.test": two.certificate };
  const subject = async (server: Server, name: string): Promise<string> => {
    const target = `127.0.0.1:${server.port}`;
    const args = ["s_client", "-connect", target, "-servername", name];
    const { stdout } = await t.run("openssl", args);
    return /subject=.*CN = (\w+)/.exec(new TextDecoder().decode(stdout))?.[1] ?? "none";
  };
  const both = { KEYFILE: one.key, CERTFILE: one.certificate, ...names };
  for (
    const [level, env, a, b] of [
      ["-k0", both, "one", "one"],
      ["-k1", both, "two", "one"],
      ["-k2", names, "two", "none"],
    ] as const
  ) {
    const server = await start(t, { options: ["-H", level], env });
    assertEquals([await subject(server, "a.test"), await subject(server, "b.test")], [a, b], level);
  }
  const env = { KEYFILE: one.key, CERTFILE: one.certificate, CAFILE: two.certificate };
  const closed = await start(t, { options: ["-Hy", "-K", "500"], env });
  assertStrictEquals((await talk(t, closed, "x")).text, "");
  const silent = await Raw.connect(closed.port);
  await silent.closedWithin();
}, { together: true });

claim(
  "-i, -x, -B and -L: rules, the banner in the clear, and the client of a PROXY header",
  async (t) => {
    const rules = join(t.dir, "rules");
    fs.mkdirSync(join(rules, "ip4/127.0.0.1_32"), { recursive: true });
    fs.writeFileSync(join(rules, "ip4/127.0.0.1_32/allow"), "");
    need("/usr/bin/s6-accessrules-cdb-from-fs", "s6");
    await t.run("s6-accessrules-cdb-from-fs", [`${rules}.cdb`, rules]);
    for (const options of [["-i", rules], ["-x", `${rules}.cdb`]]) {
      const server = await start(t, { options: ["-vH", ...options], program: GREET });
      const guest = await greeted(server);
      guest.leave();
      assertEquals((await visit(server, "127.0.0.2")).received, 0);
      await server.waitFor(
        /^s6-tcpserver-access: pid [0-9]+: info: deny pid [0-9]+ ip 127\.0\.0\.2$/,
      );
    }
    const greeting = await start(t, { options: ["-H", "-B", "hello\n"] });
    const raw = await Raw.connect(greeting.port);
    await settled(() => raw.received, (count) => count >= 6);
    assertEquals(new TextDecoder().decode(raw.bytes[0]), "hello\n");
    raw.destroy();
    const proxied = await start(t, { options: ["-vHL"] });
    await proxied.waitFor(/^s6-tlsserver: warning: --proxy-from 0\.0\.0\.0\/0 .*proxies/);
    const header = (await Raw.connect(proxied.port)).send(
      "PROXY TCP4 192.0.2.7 192.0.2.1 7 993\r\nGET / HTTP/1.0\r\n\r\n",
    );
    await header.closedWithin();
    await proxied.waitFor(/192\.0\.2\.7/);
  },
  { together: true, forms: WITH_FFI },
);

claim("HUP ends programs, QUIT also stops, ABRT kills; -1 closes stdout", async (t) => {
  const stubborn = [
    "sh",
    "-c",
    "trap 'echo term' TERM; echo ready; exec 3<&0; cat <&3 & wait; wait",
  ];
  for (const signal of ["SIGHUP", "SIGQUIT", "SIGABRT"] as const) {
    const server = await start(t, {
      options: ["-vH"],
      program: signal === "SIGABRT" ? GREET : stubborn,
    });
    if (!t.onDeno) {
      const ended = (): boolean => server.child.stdout?.readableEnded === true;
      assert(await settled(ended, (yes) => yes));
    }
    const guest = await greeted(server);
    process.kill(server.pid, signal);
    if (signal === "SIGABRT") await guest.closed;
    else {
      await guest.hears(/term/, LIMIT);
      await guest.echoes("goes on"); // QUIT ends the server, not the connection
      guest.leave();
      await guest.closed;
    }
    if (signal !== "SIGHUP") assertEquals((await server.exited).status, 0);
  }
}, { together: true });

claim("missing or wrong settings end with 100, failures of the system with 111", async (t) => {
  const pair = environmentOf(await selfSigned(t, "server"));
  const command = [...formCommand(t.form, "cat"), "--as", "s6-tlsserver"];
  for (
    const [options, env, status, line] of [
      [["-v2"], pair, 100, /^s6-tlsserver: fatal: unknown option -2$/m],
      [[], { CERTFILE: pair["CERTFILE"] ?? "" }, 100, /fatal: \$KEYFILE is not set$/m],
      [["-y"], pair, 100, /fatal: neither \$CADIR nor \$CAFILE is set$/m],
      [["-i", "a", "-x", "b"], pair, 100, /fatal: options -i and -x exclude each other$/m],
      [[], { ...pair, KEYFILE: "/nonexistent" }, 111, /fatal: unable to read key \/nonexistent/m],
    ] as const
  ) {
    const outcome = await t.fails({ command, options, env, selfSigned: false });
    assertMatch(outcome.stderr, line);
    assertEquals(outcome.status, status, outcome.stderr);
  }
}, { together: true });

/** As for s6-networking's; `s6-envuidgid` sets the variables of -U. */
const RUN = (port: number): string =>
  `#!/bin/sh
exec 2>&1
exec env KEYFILE=mx.key CERTFILE=mx.pem TLS_UID=65534 TLS_GID=65534 \\
  ${isRoot ? "s6-envuidgid nobody" : ""} \\
  s6-tlsserver ${isRoot ? "-U" : ""} -vH -c 20 -- 127.0.0.1 ${port} imapd
`;

supervised("a run script of s6 works with only PATH changed", async (t) => {
  need("/usr/bin/s6-svscan", "s6");
  await furnish(
    t,
    "id -u; env | grep -cE '^(UID|GID|KEYFILE|TLS_UID|SSLREMOTEIP)='; exec cat",
    "s6-tlsserver",
  );
  const port = await freePort();
  const service = join(t.dir, "scan/imaps");
  fs.mkdirSync(service, { recursive: true });
  for (const file of ["mx.pem", "mx.key"]) fs.renameSync(join(t.dir, file), join(service, file));
  fs.writeFileSync(join(service, "run"), RUN(port), { mode: 0o755 });
  const path = `${join(t.dir, "bin")}:/usr/bin:/bin:/usr/sbin:/sbin`;
  const scan = t.spawn("s6-svscan", [join(t.dir, "scan")], { PATH: path, E2E_MARK: t.dir });
  try {
    const answer = await settled(
      () => talk(t, { port } as Server, "hello\n").then(({ text }) => text, () => ""),
      (text) => text.endsWith("hello\n"),
    );
    assertStrictEquals(answer, `${isRoot ? "65534" : process.getuid?.()}\n0\nhello\n`);
  } finally {
    const control = ["s6-svscanctl", "-t", join(t.dir, "scan")];
    await t.run(control[0] ?? "", control.slice(1));
    await new Promise((resolve) => scan.once("exit", resolve));
  }
}, WITH_FFI);

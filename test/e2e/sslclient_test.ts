/** `sslclient` as a user runs it: against our own server, openssl s_server, haproxy, stunnel, and a
 *  server in Python that ends connections in unusual ways. */

import { assert, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import type { ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import { createServer } from "node:net";
import { freePort } from "../free_port.ts";
import { type Chain, chain, concatenated, openssl, type Pair, selfSigned } from "./certificates.ts";
import { claim, formCommand, type Outcome, settled, type Trial, WITH_FFI } from "./harness.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** Runs sslclient with these arguments; the last one is a script of sh. */
async function client(
  t: Trial,
  args: readonly string[],
  script: string,
  { env = {}, input = "", prelude = "" } = {},
): Promise<Outcome> {
  const command = [...formCommand(t.form, "sh"), "--as", "sslclient", ...args, "sh", "-c", script];
  return await t.run("sh", ["-c", `${prelude}\nexec "$@"`, "sh", ...command], { env, input });
}

/** Sends a line, ends the output and prints the answer. */
const ASK = "echo question >&7; exec 7>&-; cat <&6";

/** Starts a server program that listens when it can be connected to. */
async function listening(
  t: Trial,
  command: string,
  args: readonly string[],
  port: number,
): Promise<ChildProcess> {
  const child = t.spawn(command, args);
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (part) => said += part);
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const listens = (): boolean =>
    ["tcp", "tcp6"].some((file) =>
      new RegExp(`:${hex} [0-9A-F]+:0000 0A`).test(fs.readFileSync(`/proc/net/${file}`, "latin1"))
    );
  const ready = await settled(listens, (yes) => yes || child.exitCode !== null, 10_000);
  assert(ready, `${command} does not listen: ${said}`);
  return child;
}

async function authority(t: Trial): Promise<Chain & { both: string }> {
  const made = await chain(t);
  return { ...made, both: concatenated(t, "both.pem", made.certificate, made.intermediate) };
}

claim(
  "a program gets the stream on 6 and 7, its environment, and gives the exit status",
  async (t) => {
    const pki = await authority(t);
    const server = await t.start({
      env: { CERTFILE: pki.both, KEYFILE: pki.key },
      options: ["-s"],
      program: ["sh", "-c", 'read line; echo "$line for $SSL_TLS_SNI from $SSLREMOTEPORT"'],
    });
    const args = ["-v", "-a", pki.root, "-s", "-e", "localhost", String(server.port)];
    const script =
      `echo question >&7; read answer <&6; echo "$answer"; cat; (ls /proc/$$/fd >fds); xargs <fds
    env | grep -E '^(PROTO|SSL|TCP)' | grep -v CERT= | sort; exit 7`;
    const { status, stdout, stderr } = await client(t, args, script, { input: "input\n" });
    assertStrictEquals(status, 7, stderr);
    const [answer, input, descriptors, ...lines] = text(stdout).trim().split("\n");
    const env = Object.fromEntries(
      lines.map((line) => [line.replace(/=.*/, ""), line.replace(/^[^=]*=/, "")]),
    );
    assertStrictEquals(answer, `question for localhost from ${env.SSLLOCALPORT}`);
    assertStrictEquals(input, "input");
    assertStrictEquals(descriptors, "0 1 2 6 7");
    const own = { IP: "127.0.0.1", PORT: env.SSLLOCALPORT, HOST: "localhost" };
    const theirs = { IP: "127.0.0.1", PORT: String(server.port), HOST: "localhost" };
    for (const [end, facts] of [["LOCAL", own], ["REMOTE", theirs]] as const) {
      for (const [name, value] of Object.entries(facts)) {
        assertStrictEquals(env[`SSL${end}${name}`], value, `SSL${end}${name}`);
        assertStrictEquals(env[`TCP${end}${name}`], value, `TCP${end}${name}`);
      }
    }
    assertStrictEquals(env.PROTO, "TCP");
    assertStrictEquals(env.SSL_PROTOCOL, "TLSv1.3");
    assertStrictEquals(env.SSL_SERVER_S_DN, "/CN=leaf");
    assertStrictEquals(env.SSL_TLS_SNI, "localhost");
    assertStrictEquals(env.SSL_CLIENT_VERIFY, "NONE");
    assertMatch(
      stderr,
      /^sslclient: connected to 127\.0\.0\.1 port \d+\nsslclient: tls connect TLSv1\.3:TLS_[A-Z0-9_]+\n$/,
    );
  },
  { forms: WITH_FFI, together: true },
);

claim("a signal that ends the program is in the exit code, and SIGTERM is passed on", async (t) => {
  const server = await t.start({ program: ["cat"] });
  const args = ["-X", "-N", "127.0.0.1", String(server.port)];
  assertStrictEquals((await client(t, args, "kill -KILL $$")).status, 128 + 9);
  for (const [name, code] of [["TERM", 3], ["INT", 4], ["HUP", 5]] as const) {
    const script = `trap 'echo told; exit ${code}' ${name}; kill -${name} $PPID
      while :; do sleep 0.1; done`;
    const { status, stdout, stderr } = await client(t, args, script);
    assertStrictEquals(text(stdout), "told\n", `${name}: ${stderr}`);
    assertStrictEquals(status, code);
  }
}, { forms: WITH_FFI, together: true });

claim("wrong usage exits with 100, no connection and no program with 111", async (t) => {
  const server = await t.start({});
  const port = String(server.port);
  const rows: [string[], number, RegExp][] = [
    [["-m", "0", port], 100, /unknown option -m/],
    [["-X", "127.0.0.1", String(await freePort())], 111, /connection refused/],
    [["-X", "-c", "/nonexistent", "0", port], 111, /unable to read certificate \/nonexistent/],
    [["-X", "-I", "nosuch0", "fe80::1", port], 111, /unable to use interface nosuch0/],
    [["-X", "-i", "192.0.2.1", "0", port], 111, /address not available/],
  ];
  if (t.onDeno) rows.push([["-X", "-z", "HIGH", "0", port], 100, /rustls/]);
  for (const [args, code, message] of rows) {
    const { status, stderr, stdout } = await client(t, args, "echo started");
    assertStrictEquals(status, code, `${args.join(" ")}: ${stderr}`);
    assertMatch(stderr, message);
    assertStrictEquals(text(stdout), "");
  }
  const command = [...formCommand(t.form, "sh"), "--as", "sslclient", "-X", "-N", "0", port];
  const { status, stderr } = await t.run(command[0] ?? "", [...command.slice(1), "./nosuch"]);
  assertStrictEquals(status, 111);
  assertMatch(stderr, /unable to run \.\/nosuch/);
}, { forms: WITH_FFI, together: true });

claim("without FFI a program is refused with the remedy", async (t) => {
  const server = await t.start({});
  const { status, stderr } = await client(
    t,
    ["-X", "-N", "0", String(server.port)],
    "echo started",
  );
  assertStrictEquals(status, 100);
  assertMatch(stderr, /descriptors 6 and 7: Deno without FFI cannot\n.*--allow-ffi/);
}, { forms: ["deno-noffi"] });

claim("a server that is refused starts no program, and the error says why", async (t) => {
  const pki = await authority(t);
  const env = { CERTFILE: pki.both, KEYFILE: pki.key };
  const server = await t.start({ env, host: "0" });
  const port = String(server.port);
  const rows: [string[], RegExp | undefined][] = [
    [["-a", pki.root, "localhost", port], undefined],
    [["-a", pki.root, "127.0.0.1", port], /hostname mismatch/],
    [["localhost", port], /among the authorities/],
    [["-X", "localhost", port], undefined],
  ];
  for (const [args, message] of rows) {
    const { status, stdout, stderr } = await client(t, args, "echo started");
    assertStrictEquals(text(stdout), message ? "" : "started\n", `${args.join(" ")}: ${stderr}`);
    assertStrictEquals(status, message ? 111 : 0);
    assertMatch(stderr, message ?? /^$/);
  }
}, { forms: WITH_FFI, together: true });

claim("openssl s_server: both versions, RSA and EC, client certificates", async (t) => {
  const ca = await chain(t);
  const password = join(t.dir, "password");
  fs.writeFileSync(password, "secret\0");
  for (const type of ["rsa", "ec"] as const) {
    const pair = await selfSigned(t, type, { type, subject: "/CN=localhost" });
    const files = ["-cert", pair.certificate, "-key", pair.key];
    const asks = ["-Verify", "3", "-verify_return_error", "-CAfile", ca.root];
    const port = await freePort();
    await listening(t, "openssl", [
      "s_server",
      "-accept",
      String(port),
      ...files,
      "-rev",
      "-verify",
      "3",
    ], port);
    const strict = await freePort();
    const accept = ["s_server", "-accept", String(strict), ...files, "-rev", ...asks];
    await listening(t, "openssl", accept, strict);
    const locked = join(t.dir, `${type}-locked.key`);
    await openssl(t, "pkcs8", "-topk8", "-in", ca.key, "-out", locked, "-passout", "pass:secret");
    const chained = concatenated(t, `${type}-chained.pem`, ca.certificate, ca.intermediate);
    const trusting = ["-a", pair.certificate];
    const versions = t.onDeno ? [type === "rsa" ? "TLSv1.2" : "TLSv1.3"] : ["TLSv1.2", "TLSv1.3"];
    for (const version of versions) {
      const env = { TLS_MAX_VERSION: version };
      const about = `${type} ${version}`;
      const one = await client(t, [...trusting, "-v", "localhost", String(port)], ASK, { env });
      assertStrictEquals(text(one.stdout), "noitseuq\n", `${about}: ${one.stderr}`);
      assertMatch(one.stderr, new RegExp(`tls connect ${version}:`));
      const own = ["-c", chained, "-k", locked, "-3"];
      const certified = [...trusting, ...own, "localhost", String(strict)];
      const prelude = `exec 3<${password}`;
      const two = await client(t, certified, ASK, { env, prelude });
      assertStrictEquals(text(two.stdout), "noitseuq\n", `${about}, certificate: ${two.stderr}`);
      const without = await client(t, [...trusting, "localhost", String(strict)], ASK, { env });
      assertStrictEquals(text(without.stdout), "", about);
      assertMatch(without.stderr, /alert from the server|connection (?:lost|closed|reset)/);
    }
  }
}, { forms: WITH_FFI, together: true, timeout: 120_000 });

claim("haproxy and stunnel: a question, half-close and the answer", async (t) => {
  const pair = await selfSigned(t, "proxy");
  const both = concatenated(t, "proxy-both.pem", pair.key, pair.certificate);
  const echo = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  await new Promise<void>((done) => echo.listen(0, "127.0.0.1", done));
  const behind = (echo.address() as { port: number }).port;
  try {
    const first = await freePort();
    const haproxy = join(t.dir, "haproxy.cfg");
    fs.writeFileSync(
      haproxy,
      `defaults\n mode tcp\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n` +
        `frontend f\n bind 127.0.0.1:${first} ssl crt ${both}\n default_backend b\n` +
        `backend b\n server s 127.0.0.1:${behind}\n`,
    );
    await listening(t, "haproxy", ["-q", "-db", "-f", haproxy], first);
    const second = await freePort();
    const stunnel = join(t.dir, "stunnel.conf");
    fs.writeFileSync(
      stunnel,
      `foreground = yes\npid =\n[echo]\naccept = 127.0.0.1:${second}\n` +
        `connect = 127.0.0.1:${behind}\ncert = ${both}\n`,
    );
    await listening(t, "stunnel4", [stunnel], second);
    for (const port of [first, second]) {
      const script = "head -c 1000000 /dev/zero >&7; exec 7>&-; wc -c <&6";
      const trusting = ["-a", pair.certificate, "localhost", String(port)];
      const { stdout, stderr } = await client(t, trusting, script);
      assertStrictEquals(text(stdout).trim(), "1000000", `${port}: ${stderr}`);
    }
  } finally {
    echo.close();
  }
}, { forms: WITH_FFI, together: true });

/** A TLS server that ends each connection in the way of argv[1], after a line from the client. */
const ENDINGS = `
import socket, ssl, struct, sys, time
way, cert, key = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    plain, _ = listener.accept()
    if way == "mute":
        time.sleep(60)
    tls = context.wrap_socket(plain, server_side=True, suppress_ragged_eofs=True)
    tls.recv(100)
    tls.send(b"part\\n")
    if way == "reset":
        time.sleep(0.2)
        plain = socket.socket(fileno=tls.detach())
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        plain.close()
    elif way == "cut":
        plain = socket.socket(fileno=tls.detach())
        plain.shutdown(socket.SHUT_WR)
        plain.close()
    elif way == "stall":
        time.sleep(60)
`;

async function ending(t: Trial, way: string, pair: Pair): Promise<string> {
  const child = t.spawn("python3", ["-c", ENDINGS, way, pair.certificate, pair.key]);
  return await new Promise((resolve, reject) => {
    child.stdout?.once("data", (port) => resolve(String(port).trim()));
    child.once("close", () => reject(new Error("python3 has ended")));
  });
}

claim(
  "a server that resets, cuts, stalls or says nothing ends the program or the start",
  async (t) => {
    const ask = "echo question >&7; cat <&6; echo end";
    const half = "echo question >&7; exec 7>&-; cat <&6; echo end";
    const pair = await selfSigned(t, "server");
    const both = /^part\nend\n$/;
    const rows: [string, string[], number | undefined, RegExp, RegExp][] = [
      ["reset", [], 0, both, /lost: connection reset by the peer/],
      ["reset after", [], 0, both, /lost: connection reset by the peer/],
      ["cut", ["-v"], 0, both, /end of data without close_notify/],
      ["cut after", ["-v"], 0, both, /end of data without close_notify/],
      // The program gets end of file and SIGTERM at once.
      ["stall", ["-w", "1"], undefined, /^part\n(end\n)?$/, /no traffic for 1 s/],
      ["mute", ["-T", "0+1"], 111, /^$/, /unable to begin TLS with .*: timed out after 1 s/],
    ];
    await Promise.all(rows.map(async ([how, options, code, output, message]) => {
      const [way = "", after] = how.split(" ");
      const port = await ending(t, way, pair);
      const args = ["-X", "-N", ...options, "127.0.0.1", port];
      const { status, stdout, stderr } = await client(t, args, after ? half : ask);
      assertMatch(text(stdout), output, `${how}: ${stderr}`);
      assertMatch(stderr, message, how);
      if (code !== undefined) assertStrictEquals(status, code, how);
    }));
  },
  { forms: WITH_FFI, together: true },
);

claim("an address that does not answer times out after -T", async (t) => {
  // Linux drops every SYN for a socket whose queue is full.
  const script = "import socket,time\ns=socket.socket()\ns.bind(('127.0.0.1',0))\ns.listen(0)\n" +
    "c=socket.create_connection(s.getsockname())\nprint(s.getsockname()[1],flush=True)\ntime.sleep(60)";
  const deaf = t.spawn("python3", ["-c", script]);
  const port = await new Promise<string>((done) =>
    deaf.stdout?.once("data", (part) => done(String(part).trim()))
  );
  const begun = performance.now();
  const { status, stderr } = await client(t, ["-T", "1+0", "127.0.0.1", port], "echo started");
  assertStrictEquals(status, 111);
  assertMatch(stderr, /unable to connect to "127\.0\.0\.1" port \d+: timed out/);
  assert(performance.now() - begun < 15_000);
}, { forms: WITH_FFI, together: true });

claim("much data in both directions arrive whole, in little memory", async (t) => {
  const size = 30_000_000;
  const make = (pass: string): string =>
    `head -c ${size} /dev/zero | openssl enc -aes-128-ctr -pass pass:${pass} -nosalt -pbkdf2 2>/dev/null`;
  const server = await t.start({
    program: ["sh", "-c", `(${make("down")}) & sha256sum >${t.dir}/up; wait`],
  });
  const script = `(${make("up")}) >&7 & exec 7>&-; sha256sum <&6; wait
    sed -n 's/VmHWM:\\s*//p' /proc/$PPID/status`;
  const args = ["-X", "-N", "127.0.0.1", String(server.port)];
  const { stdout, stderr } = await client(t, args, script);
  const [down, peak] = text(stdout).trim().split("\n");
  const hash = async (pass: string): Promise<string> =>
    text((await t.run("sh", ["-c", `(${make(pass)}) | sha256sum`])).stdout).trim();
  assertStrictEquals(down, await hash("down"), stderr);
  assert(await settled(() => server.children().length === 0, (yes) => yes, 10_000));
  assertStrictEquals(fs.readFileSync(join(t.dir, "up"), "utf8").trim(), await hash("up"));
  const limit = t.onDeno ? 250_000 : 150_000;
  assert(parseInt(peak ?? "") < limit, `${peak} at most`);
}, { forms: WITH_FFI });

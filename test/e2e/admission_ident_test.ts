/** Ident (-r, -t) with scripted servers on port 113 of the clients' own addresses. Port 113 needs
 *  root, or net.ipv4.ip_unprivileged_port_start at 113 or below. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { once } from "node:events";
import * as net from "node:net";
import { assertDenied, Guest, makeRules, visit } from "./admission.ts";
import { claim, type Server, type Trial } from "./harness.ts";

/** The reaction of a scripted ident server to a question. */
type Script = (socket: net.Socket, question: string) => void;

/** Listens on port 113 of `ip`. Rejects with the reason and the remedy. */
async function identServer(ip: string, script: Script): Promise<net.Server> {
  const server = net.createServer((socket) => {
    let text = "";
    socket.on("error", () => {});
    socket.on("data", (bytes: Uint8Array) => {
      text += new TextDecoder().decode(bytes);
      if (text.endsWith("\r\n")) script(socket, text.trimEnd());
    });
  });
  server.listen(113, ip);
  await once(server, "listening").catch((error: Error) => {
    throw new Error(`unable to bind port 113 of ${ip}: ${error.message}; run this test as root`);
  });
  return server;
}

/** A claim with ident servers, which are closed at its end. */
function asked(
  name: string,
  scripts: Readonly<Record<string, Script>>,
  body: (t: Trial) => Promise<void>,
): void {
  claim(name, async (t) => {
    const servers: net.Server[] = [];
    try {
      for (const [ip, script] of Object.entries(scripts)) {
        servers.push(await identServer(ip, script));
      }
      await body(t);
    } finally {
      for (const server of servers) server.close();
    }
  });
}

const SHOW = [
  "sh",
  "-c",
  'printf "%s" "${SSLREMOTEINFO-unset}|${TCPREMOTEINFO-unset}" | od -An -tx1 -v | tr -d " \\n"',
];

/** SSLREMOTEINFO and TCPREMOTEINFO of the program. */
async function info(server: Server, from: string): Promise<string> {
  const { text } = await visit(server, from);
  const bytes = (text.match(/../g) ?? []).map((hex) => parseInt(hex, 16));
  return new TextDecoder("latin1").decode(Uint8Array.from(bytes));
}

const user = (name: string): Script => (socket, question) => {
  socket.end(`${question} : USERID : UNIX : ${name}\r\n`);
};

asked("-r asks whoever owns the connection, -R nobody; an inherited answer is removed", {
  "127.0.0.2": user("joe"),
  "127.0.0.3": (socket, question) => socket.end(`${question} : ERROR : NO-USER\r\n`),
}, async (t) => {
  const env = { SSLREMOTEINFO: "inherited", TCPREMOTEINFO: "inherited" };
  const server = await t.start({ options: ["-vreHl0"], program: SHOW, env });
  assertStrictEquals(await info(server, "127.0.0.2"), "joe|joe");
  assertStrictEquals(await info(server, "127.0.0.3"), "unset|unset");
  assertStrictEquals(await info(server, "127.0.0.4"), "unset|unset"); // no server there
  await server.waitFor(/^sslserver: ok [0-9]+ 0:[0-9.:]+ :127\.0\.0\.2:joe:[0-9]+$/);
  const silent = await t.start({ options: ["-eRHl0"], program: SHOW, env });
  assertStrictEquals(await info(silent, "127.0.0.2"), "unset|unset");
});

asked("the question names both ports, and comes from the connection's own local address", {
  "127.0.0.2": (socket, question) => {
    socket.end(`${question} : USERID : UNIX : ${socket.remoteAddress}/${question}\r\n`);
  },
}, async (t) => {
  const server = await t.start({ options: ["-rHl0"], host: "0", program: SHOW });
  const [answer] = (await info(server, "127.0.0.2")).split("|");
  const [address, ports] = answer?.split("/") ?? [];
  assertStrictEquals(address, "127.0.0.1");
  assertMatch(ports ?? "", new RegExp(`^[0-9]+ ?, ?${server.port}$`));
});

const HOSTILE: readonly [ip: string, name: string, script: Script][] = [
  ["127.0.1.1", "a line of 1 MB", (socket, question) => {
    socket.write(`${question} : USERID : UNIX : ${"A".repeat(1 << 20)}\r\n`);
  }],
  ["127.0.1.2", "NUL", user("jo\0e")],
  ["127.0.1.3", "a forged line", user("joe\nsslserver: ok 1 forged")],
  ["127.0.1.4", "escape sequences", user("\x1b[2J\x1b]0;title\x07joe")],
  ["127.0.1.5", "a line without end", (socket) => socket.write("1 , 2 : USERID : UNIX : jo")],
  ["127.0.1.6", "bytes without end", (socket) => {
    const more = (): void => {
      while (!socket.destroyed && socket.write(new Uint8Array(65_536).fill(65)));
    };
    socket.on("drain", more);
    more();
  }],
  ["127.0.1.7", "spaces, colons and per cent", user("a:b %n %s c")],
  ["127.0.1.8", "bytes beyond ASCII", (socket, question) => {
    socket.write(`${question} : USERID : UNIX : `);
    socket.end(Uint8Array.of(0x80, 0xff, 0xc3, 0xa4, 13, 10));
  }],
  ["127.0.1.9", "a reset", (socket) => socket.resetAndDestroy()],
  ["127.0.1.10", "nothing but a line's end", (socket) => socket.end("\r\n")],
  ["127.0.1.11", "answers one byte at a time", (socket, question) => {
    for (const letter of `${question} : USERID : UNIX : slow\r\n`) socket.write(letter);
    socket.end();
  }],
];

asked(
  "hostile answers leave log and environment clean",
  Object.fromEntries(
    HOSTILE.map(([ip, , script]) => [ip, script]),
  ),
  async (t) => {
    const path = await makeRules(t, "root@127.0.1.1:deny\n:allow\n");
    const server = await t.start({
      options: ["-vrHl0", "-t", "1", "-x", path],
      program: ["sh", "-c", 'printf "%s" "$SSLREMOTEINFO" | od -An -tx1 -v | tr -d " \\n"; echo .'],
    });
    for (const [ip, name] of HOSTILE) {
      const { text } = await visit(server, ip);
      assertMatch(text, /^(2[0-9a-f]|[3-6][0-9a-f]|7[0-9a-e]){0,257}\.\n$/, name);
    }
    const lines = await server.waitFor(/^sslserver: ok /, HOSTILE.length);
    assertStrictEquals(lines.length, HOSTILE.length);
    for (const line of lines) {
      assertMatch(line, /^sslserver: ok [0-9]+ 0:[0-9.:]+ :[0-9.]+:[ -$&-~]{0,100}:[0-9]+$/);
    }
    assertEquals(server.lines(/^(?!sslserver: (status|pid|ok|ended|info|warning))./), []);
    assertMatch(lines.at(-1) ?? "", /:slow:[0-9]+$/);
  },
);

asked("rules about the ident answer: info@address comes before the address", {
  "127.0.0.2": user("joe"),
  "127.0.0.3": user("root"),
}, async (t) => {
  const path = await makeRules(
    t,
    "joe@127.0.0.2:allow,WHO='joe'\nroot@127.0.0.3:deny\n127.0.0.2:deny\n:allow,WHO='any'\n",
  );
  const options = ["-Hl0", "-x", path];
  const program = ["sh", "-c", 'echo "$WHO"'];
  const asking = await t.start({ options: [...options, "-r"], program });
  assertStrictEquals((await visit(asking, "127.0.0.2")).text, "joe\n");
  await assertDenied(asking, "127.0.0.3");
  const blind = await t.start({ options, program });
  await assertDenied(blind, "127.0.0.2");
  assertStrictEquals((await visit(blind, "127.0.0.3")).text, "any\n");
});

asked("a silent ident server delays its own connection by -t, and nobody else's", {
  "127.0.0.2": () => {},
  "127.0.0.3": user("joe"),
}, async (t) => {
  const server = await t.start({ options: ["-rHl0", "-t", "3"], program: SHOW });
  const began = performance.now();
  const slow = new Guest(server.port, "127.0.0.2");
  let over = false;
  slow.closed.then(() => over = true);
  for (let i = 0; i < 5; i++) assertStrictEquals(await info(server, "127.0.0.3"), "joe|unset");
  assert(!over, "the slow one was served before its time");
  await slow.closed;
  const took = performance.now() - began;
  assert(slow.text !== "" && took >= 2900 && took < 12_000, `${took} ms: ${slow.text}`);
});

/** MAXCONIP, MAXCONRATE and MAXCONNET: how many connections are admitted, which clients are counted
 *  together, and that each place is released however a connection ends. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import * as net from "node:net";
import {
  assertDenied,
  CountingDns,
  Guest,
  makeRules,
  ptrAnswer,
  silentVisit,
  visit,
} from "./admission.ts";
import { Raw, refused } from "./clients.ts";
import { claim, type Server, settled, type Trial } from "./harness.ts";

const STAY = ["sh", "-c", "echo in; exec cat"];

/** Connects a client and waits for its program. The client disconnects at the end of the claim. */
type Usher = (server: Server, from?: string) => Promise<Guest>;

/** A claim with clients that stay connected. */
function party(name: string, body: (t: Trial, guest: Usher) => Promise<void>): void {
  claim(name, async (t) => {
    const guests: Guest[] = [];
    try {
      await body(t, async (server, from) => {
        const one = await guest(server, from);
        guests.push(one);
        return one;
      });
    } finally {
      for (const one of guests) one.leave();
    }
  });
}

/** A client at `from` whose program runs. */
async function guest(server: Server, from = "127.0.0.1"): Promise<Guest> {
  const one = new Guest(server.port, from);
  await one.heard();
  return one;
}

/** A client that tries until it is admitted. The server may learn later than the client that another
 *  connection has ended. */
async function patient(server: Server, from = "127.0.0.1"): Promise<Guest> {
  const knock = async (): Promise<Guest> => {
    const one = new Guest(server.port, from);
    await one.heard().catch(() => {});
    return one;
  };
  const one = await settled(knock, ({ text }) => text !== "");
  assertStrictEquals(one.text, "in\n", `${from} is locked out`);
  return one;
}

/** Asserts that a client at `from` is admitted soon. */
async function letIn(server: Server, from?: string): Promise<void> {
  (await patient(server, from)).leave();
}

/** The deny line for `from`, with its reason. */
const denial = (server: Server, from: string, why: string): RegExp =>
  new RegExp(
    `^sslserver: deny ${server.speakers} 0:127\\.0\\.0\\.1:${server.port} :` +
      `${from.replaceAll(".", "\\.")}::[0-9]+ ${why}$`,
  );

party(
  "MAXCONIP of the environment: the next one of that address is denied at accept",
  async (t, guest) => {
    const server = await t.start({ options: ["-vHl0"], program: STAY, env: { MAXCONIP: "2" } });
    const guests = [await guest(server), await guest(server)];
    await assertDenied(server);
    await server.waitFor(
      /^sslserver: warning: ip connection limit of 2 exceeded for: 127\.0\.0\.1$/,
    );
    await server.waitFor(denial(server, "127.0.0.1", "ip connection limit:2 exceeded"));
    assert(server.lines(/^sslserver: status: [12]\/40\/2$/).length >= 2);
    guests.push(await guest(server, "127.0.0.2"));
    for (const one of guests) one.leave();
    await letIn(server);
  },
);

party("MAXCONIP of a rule: counted per address, also for a network's rule", async (t, guest) => {
  const path = await makeRules(t, '127.0.1.:allow,MAXCONIP="1"\n127.0.2.1:allow,MAXCONIP="0"\n');
  const server = await t.start({ options: ["-vHl0", "-x", path], program: STAY });
  await guest(server, "127.0.1.1");
  await assertDenied(server, "127.0.1.1");
  await server.waitFor(denial(server, "127.0.1.1", "ip connection limit:1 exceeded"));
  await guest(server, "127.0.1.2");
  await guest(server, "127.0.2.1");
  await guest(server, "127.0.2.1");
  assertEquals(server.lines(/: warning: ip /), []);
});

party("MAXCONIP is capped at -c", async (t, guest) => {
  const server = await t.start({
    options: ["-vHl0", "-c", "3"],
    program: STAY,
    env: { MAXCONIP: "100" },
  });
  const path = await makeRules(t, ':allow,MAXCONIP="100"\n');
  const ruled = await t.start({ options: ["-vHl0", "-c", "1", "-x", path], program: ["true"] });
  for (let i = 0; i < 3; i++) await guest(server);
  await server.waitFor(/^sslserver: status: 3\/3\/3$/);
  assertStrictEquals((await visit(ruled)).certificate, "localhost");
});

party("MAXCONNET: the whole network of a rule shares the number", async (t, guest) => {
  const path = await makeRules(
    t,
    '127.1.0.0/16:allow,MAXCONNET="2"\n127.2.:allow,MAXCONNET="1"\n:allow\n',
    "ours",
  );
  const server = await t.start({ options: ["-vHl0", "-x", path], program: STAY });
  const first = await guest(server, "127.1.0.1");
  await guest(server, "127.1.200.2");
  await assertDenied(server, "127.1.3.3");
  await server.waitFor(denial(server, "127.1.3.3", "network connection limit:2 exceeded"));
  await guest(server, "127.2.0.1");
  await assertDenied(server, "127.2.0.2");
  await guest(server, "127.3.0.1");
  await guest(server, "127.3.0.2");
  first.leave();
  await letIn(server, "127.1.3.3");
});

party(
  "MAXCONNET of the environment: for every rule of a network, not for all the world",
  async (t, guest) => {
    const rules = '127.1.0.0/16:allow\n127.2.:allow\n127.3.:allow,MAXCONNET="2"\n:allow\n';
    const path = await makeRules(t, rules, "ours");
    const server = await t.start({
      options: ["-vHl0", "-x", path],
      program: STAY,
      env: { MAXCONNET: "1" },
    });
    for (const net of ["127.1", "127.2"]) {
      await guest(server, `${net}.0.1`);
      await assertDenied(server, `${net}.0.2`);
    }
    await guest(server, "127.3.0.1");
    await guest(server, "127.3.0.2");
    await assertDenied(server, "127.3.0.3");
    await guest(server, "127.4.0.1");
    await guest(server, "127.5.0.1");
  },
);

claim("MAXCONRATE: so many in so many seconds, then again", async (t) => {
  const path = await makeRules(t, '127.0.1.:allow,MAXCONRATE="2/3600"\n');
  const server = await t.start({
    options: ["-vHl0", "-x", path],
    program: ["sh", "-c", "echo in"],
    env: { MAXCONRATE: "2/4" },
  });
  for (const from of ["127.0.1.1", "127.0.1.2"]) {
    for (let i = 0; i < 2; i++) assertStrictEquals((await visit(server, from)).text, "in\n");
    await assertDenied(server, from);
    await server.waitFor(denial(server, from, "ip rate limit:2 exceeded"));
  }
  for (let i = 0; i < 2; i++) assertStrictEquals((await visit(server)).text, "in\n");
  await assertDenied(server);
  await server.waitFor(denial(server, "127.0.0.1", "ip rate limit:2 exceeded"));
  await server.waitFor(/^sslserver: warning: ip rate limit of 2 exceeded for: 127\.0\.0\.1$/);
  await letIn(server);
}, { together: true });

claim(
  "a limit that cannot be read: fatal from the environment, a denial from a rule",
  async (t) => {
    for (const [name, value] of [["MAXCONIP", "many"], ["MAXCONRATE", "5"], ["MAXCONNET", "-1"]]) {
      const outcome = await t.fails({
        options: ["-Hl0"],
        env: { [name as string]: value as string },
      });
      assertStrictEquals(outcome.status, 111);
      assertMatch(outcome.stderr, new RegExp(`^sslserver: fatal: unable to parse ${name}: `, "m"));
      const path = await makeRules(t, `:allow,${name}="${value}"\n`);
      const server = await t.start({ options: ["-vHl0", "-x", path], program: STAY });
      await assertDenied(server);
      await server.waitFor(
        new RegExp(`^sslserver: error: unable to parse ${name}: .* in the rules$`),
      );
      await server.stop();
    }
  },
);

/** The ways in which a connection can end. Each takes one place and releases it. */
const ENDINGS: readonly { name: string; program?: string[]; end: Ending }[] = [
  { name: "the program exits", program: ["sh", "-c", "echo in"], end: (s) => visit(s) },
  { name: "the client leaves", end: async (s) => (await patient(s)).leave() },
  { name: "the client resets", end: async (s) => (await patient(s)).reset() },
  { name: "the client resets before a word", end: resetAtOnce },
  { name: "the client sends no TLS", end: (s) => refused(s.port, "GET / HTTP/1.0\r\n\r\n") },
  { name: "the client stops in the middle of its hello", end: halfHello },
  { name: "the client says nothing for -T seconds", end: (s) => silentVisit(s.port) },
  { name: "the rules deny", end: (s) => assertDenied(s, "127.0.0.2") },
  {
    name: "the program is killed",
    program: ["sh", "-c", "echo in; kill -9 $$"],
    end: (s) => visit(s),
  },
];
type Ending = (server: Server) => Promise<unknown>;

/** Connects and resets at once. */
async function resetAtOnce(server: Server): Promise<void> {
  const socket = net.connect({ port: server.port, host: "127.0.0.1" });
  socket.on("error", () => {});
  await new Promise<void>((resolve) => socket.once("connect", resolve));
  socket.resetAndDestroy();
}

async function halfHello(server: Server): Promise<void> {
  const raw = await Raw.connect(server.port);
  raw.send(Uint8Array.of(22, 3, 1, 1, 0, 1, 0)).socket.end();
  await raw.closedWithin();
}

for (const { name, program = STAY, end } of ENDINGS) {
  claim(`slots are released when ${name}`, async (t) => {
    const path = await makeRules(t, "127.0.0.2:deny\n127.:allow,MAXCONNET='2',MAXCONIP='2'\n");
    const server = await t.start({
      options: ["-vHl0", "-T", "1", "-x", path],
      program,
      env: { MAXCONIP: "2" },
    });
    for (let i = 0; i < 5; i++) {
      await end(server);
      await letIn(server);
    }
  }, { together: true });
}

claim("slots are released when the program cannot be started", async (t) => {
  const path = await makeRules(t, ":allow,MAXCONNET='2',MAXCONIP='2'\n");
  const options = ["-vHl0", "-x", path];
  const program = join(t.dir, "none");
  fs.writeFileSync(program, "", { mode: 0o644 });
  const server = await t.start({ options, program: [program], env: { MAXCONIP: "2" } });
  for (let n = 1; n <= 6; n++) {
    const { certificate } = await settled(() => visit(server), (seen) => !!seen.certificate);
    assertStrictEquals(certificate, "localhost");
    await server.waitFor(/^sslserver: error: unable to run \S+none: /, n);
  }
});

claim("the slot is released when the client resets during its look-up", async (t) => {
  let answers = false;
  const dns = await CountingDns.start((query) =>
    answers ? ptrAnswer(query, "known.test") : undefined
  );
  try {
    const server = await t.start({
      options: ["-vl0"],
      program: STAY,
      env: { MAXCONIP: "1", DNSCACHEIP: dns.address },
    });
    const socket = net.connect({ port: server.port, host: "127.0.0.1" });
    socket.on("error", () => {});
    await dns.names(1);
    await assertDenied(server);
    socket.resetAndDestroy();
    await server.waitFor(/reset by the peer/, 1, 30_000);
    answers = true;
    await letIn(server);
  } finally {
    dns.close();
  }
}, { timeout: 90_000 });

claim(
  "clients that leave while they wait for a slot leave no program behind",
  async (t) => {
    const server = await t.start({ options: ["-vHl0", "-c", "1"], program: STAY });
    const guests = Array.from({ length: 4 }, () => new Guest(server.port));
    const inside = (): Guest[] => guests.filter(({ text }) => text !== "");
    await settled(inside, (found) => found.length === 1);
    // Connections accepted together with the first complete their handshake and then wait.
    await settled(
      () => guests.filter(({ certificate }) => certificate !== undefined),
      (found) => found.length === guests.length,
      500,
    );
    for (const one of guests) if (one.text === "") one.reset();
    for (const one of inside()) one.leave();
    await letIn(server);
    await server.noChildren();
  },
);

claim(
  "a flood from many addresses: all are admitted, and memory is released",
  async (t) => {
    const server = await floodServer(t);
    const before = server.memory();
    for (let round = 0; round < 3; round++) {
      const flood = Array.from(
        { length: 400 },
        (_, i) => resetFrom(server, `127.${i % 200}.${round}.9`),
      );
      await Promise.all(flood);
    }
    await letIn(server, "127.0.0.77");
    const grown = server.memory() - before;
    assert(grown < 100, `${grown} MiB more than before`);
  },
);

function floodServer(t: Trial): Promise<Server> {
  return t.start({
    options: ["-Hl0"],
    program: STAY,
    env: { MAXCONIP: "3", MAXCONRATE: "100/60" },
  });
}

/** Connects from an address and resets at once. */
async function resetFrom(server: Server, from: string): Promise<void> {
  const socket = net.connect({ port: server.port, host: "127.0.0.1", localAddress: from });
  socket.on("error", () => {});
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.once("connect", () => socket.resetAndDestroy());
  await closed;
}

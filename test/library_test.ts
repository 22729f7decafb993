/** The library: what a handler may rely on, in the runtime that runs this file. */

import { assert, assertEquals, assertMatch, assertRejects, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { test } from "node:test";
import { type Handler, serve, type ServeOptions, type TlsServer } from "../mod.ts";
import { writeTree } from "./admit/access_trees.ts";
import { received, tlsClient, tlsThrough, turns, until, within } from "./runtime/tools.ts";

const PATIENT = { timeout: 60_000 };

async function serving(
  handler: Handler,
  body: (server: TlsServer) => Promise<void>,
  options: ServeOptions = {},
): Promise<void> {
  const { PATH } = process.env;
  const server = await serve(
    { hostname: "127.0.0.1", selfSigned: true, env: { PATH }, log: () => {}, ...options },
    handler,
  );
  try {
    await body(server);
  } finally {
    await server.shutdown();
  }
}

test(
  "the log has the messages of a traced connection, and its bytes if asked for",
  PATIENT,
  async () => {
    for (
      const [trace, wanted] of [["messages", / client_hello, /], [
        "bytes",
        / received \d+ bytes$/m,
      ]] as const
    ) {
      let log = "";
      const options: ServeOptions = { trace, log: (lines) => log += lines };
      await serving(({ readable, writable }) => readable.pipeTo(writable), async ({ port }) => {
        const client = await tlsClient(port);
        await until(() => wanted.test(log), `${wanted} in the log`);
        assertMatch(log, /^sslserver: trace 127\.0\.0\.1:\d+ from the client: handshake, /m);
        client.destroy();
      }, options);
    }
  },
);

const BUFFERS = {
  Uint8Array: (size: number) => new Uint8Array(size),
  Buffer: (size: number) => Buffer.alloc(size),
};
for (const [kind, make] of Object.entries(BUFFERS)) {
  test(`a handler may use its ${kind} again once it has been written`, PATIENT, () => reuse(make));
}

async function reuse(make: (size: number) => Uint8Array): Promise<void> {
  const size = 100_000;
  const count = 200;
  let written = 0;
  const handler: Handler = async ({ writable }) => {
    const writer = writable.getWriter();
    const buffer = make(size);
    for (; written < count; written++) {
      await writer.write(buffer.fill(written));
      assertStrictEquals(buffer.length, size);
    }
    await writer.close();
  };
  const held = async (): Promise<void> => {
    let last = -1;
    for (let same = 0; same < 20; same = written === last ? same + 1 : 0) {
      last = written;
      await turns();
    }
    assert(written < count, "the handler was never held up");
  };
  await serving(handler, async ({ port }) => {
    const { client, toServer } = await tlsThrough(port);
    let received = 0, wrong = 0, slow = true;
    client.on("data", (chunk: Uint8Array) => {
      for (const byte of chunk) if (byte !== Math.floor(received++ / size)) wrong++;
      if (!slow) return;
      slow = false;
      toServer.pause(); // fills all buffers before reading continues
      void held().then(() => toServer.resume());
    });
    await within(new Promise((done) => client.once("end", done)), "end of output");
    assertEquals([received, wrong], [size * count, 0]);
    client.destroy();
    toServer.destroy();
  });
}

test("a handler can write every kind of bytes, and text is a TypeError", PATIENT, async () => {
  const outcomes: string[] = [];
  const handler: Handler = async ({ writable }) => {
    const writer = writable.getWriter();
    for (
      const chunk of [new Uint8Array([97]), new Uint8Array([98]).buffer, new Uint16Array([0x6463])]
    ) {
      await writer.write(chunk as Uint8Array);
    }
    await writer.write("text" as never).catch((error) => outcomes.push(String(error)));
  };
  await serving(handler, async ({ port }) => {
    const client = tlsClient(port);
    const output = await within(received(client), "the output");
    outcomes.push(new TextDecoder().decode(output));
    client.destroy();
  });
  assertEquals(outcomes, ["TypeError: writable takes a Uint8Array, not string", "abcd"]);
});

test("a handler that throws a value without text gives its slot back", PATIENT, async () => {
  const lines: string[] = [];
  const handler: Handler = () => {
    throw {
      toString() {
        throw new Error("no text");
      },
    };
  };
  await serving(handler, async ({ port }) => {
    for (let visit = 0; visit < 2; visit++) {
      const client = tlsClient(port);
      client.resume();
      await within(once(client, "end"), "the end of the output");
      client.destroy();
    }
  }, { concurrency: 1, log: (text) => void lines.push(text) });
  assertMatch(lines.join(""), /the handler failed: a value without text \(connection from/);
});

/** What a handler sees that reads to the end and then answers. */
interface Met {
  bytes: number;
  /** Whether its signal was aborted: while it ran, and after. */
  aborted: [boolean, boolean];
  failed: boolean;
  answered: boolean;
}

/** What the client does after its five bytes. */
const ENDINGS = {
  "close_notify": ({ client }) => void client.end(),
  "a FIN alone": ({ toServer }) => void toServer.end(),
  "a reset": ({ toServer }) => void toServer.resetAndDestroy(),
  "nothing, until the idle limit": () => {},
  "nothing, and the server ends": (_, server) => void server.shutdown(),
} satisfies Record<
  string,
  (client: Awaited<ReturnType<typeof tlsThrough>>, server: TlsServer) => void
>;

const WHOLE: Met = { bytes: 5, aborted: [false, false], failed: false, answered: true };
const CUT: Met = { bytes: 5, aborted: [true, true], failed: true, answered: false };

for (const [what, end] of Object.entries(ENDINGS)) {
  const whole = what === "close_notify" || what === "a FIN alone";
  test(
    `the client ends with ${what}: data and signal say ${
      whole ? "nothing of a cut" : "that it was cut"
    }`,
    PATIENT,
    async () => {
      const met: Met = { bytes: 0, aborted: [false, false], failed: false, answered: false };
      let signal: AbortSignal | undefined;
      let over = false;
      const handler: Handler = async (conn) => {
        signal = conn.signal;
        try {
          for await (const chunk of conn.readable) met.bytes += chunk.length;
          const writer = conn.writable.getWriter();
          await writer.write(new TextEncoder().encode("answer"));
          await writer.close();
          met.answered = true;
        } catch {
          met.failed = true;
        }
        met.aborted[0] = conn.signal.aborted;
        over = true;
      };
      await serving(handler, async (server) => {
        const tls = await tlsThrough(server.port);
        tls.client.on("error", () => {});
        tls.client.write("12345");
        await until(() => met.bytes === 5, "the client's bytes");
        end(tls, server);
        await until(() => over, "the end of the handler");
        tls.client.destroy();
        tls.toServer.destroy();
      }, what.includes("idle") ? { idleTimeout: 1 } : {});
      met.aborted[1] = signal?.aborted ?? false;
      assertEquals(met, whole ? WHOLE : CUT);
    },
  );
}

const NUMBERS = {
  "their least": { concurrency: 1, pending: 1, backlog: 1, handshakeTimeout: 1, idleTimeout: 1 },
  "their greatest": {
    concurrency: 1_000_000,
    pending: 1_000_000,
    backlog: 65_535,
    handshakeTimeout: 2_000_000,
    idleTimeout: 2_000_000,
  },
};

for (const [what, options] of Object.entries(NUMBERS)) {
  test(`a server with all numbers at ${what} serves`, PATIENT, async () => {
    const handler: Handler = ({ readable, writable }) => readable.pipeTo(writable);
    await serving(handler, async ({ port }) => {
      const { client, toServer } = await tlsThrough(port);
      client.write("hello");
      const [chunk] = await within(once(client, "data"), "the echo");
      assertStrictEquals(String(chunk), "hello");
      client.destroy();
      toServer.destroy();
    }, options);
  });
}

test("a server that cannot listen lets its script go on and end", PATIENT, async () => {
  await serving(() => {}, async ({ port }) => {
    const again = serve(
      { hostname: "127.0.0.1", port, selfSigned: true, env: {}, log() {} },
      () => {},
    );
    await assertRejects(() => again, Error, /unable to listen on 127\.0\.0\.1 port/);
  });
});

test(
  "a signal ends the server, and one aborted before the start admits no client",
  PATIENT,
  async () => {
    for (const early of [true, false]) {
      const controller = new AbortController();
      if (early) controller.abort();
      const options = { hostname: "127.0.0.1", selfSigned: true, env: {}, log() {} };
      const server = await serve({ ...options, signal: controller.signal }, () => {});
      if (!early) controller.abort();
      await within(server.closed, "end of the server");
    }
  },
);

test(
  "s6's access rules admit clients, set variables, and run a command in place of a program only",
  PATIENT,
  async () => {
    const place = mkdtempSync(join(tmpdir(), "library-"));
    const visit = async (port: number): Promise<string> => {
      let text = "";
      const client = tlsClient(port);
      client.on("data", (bytes: Uint8Array) => text += new TextDecoder().decode(bytes));
      client.on("end", () => client.end());
      await within(new Promise((resolve) => client.on("close", resolve)), "end of the visit");
      return text;
    };
    const handler: Handler = async ({ environment, writable }) => {
      const writer = writable.getWriter();
      await writer.write(
        new TextEncoder().encode(`${environment["WHO"]} ${"PATH" in environment}`),
      );
      await writer.close();
    };
    const lines: string[] = [];
    const options = { accessDir: place, log: (text: string) => void lines.push(text) };
    try {
      await serving(handler, async ({ port }) => {
        writeTree(place, { "ip4/127.0.0.0_8": { env: { WHO: "loopback" } } });
        assertMatch(await visit(port), /^loopback /);
        writeTree(place, { "ip4/127.0.0.1_32": { exec: "echo command" } });
        assertStrictEquals(await visit(port), "");
        assertMatch(lines.join(""), /exec of ip4\/127\.0\.0\.1_32: a handler serves/);
        writeTree(place, { "ip4/127.0.0.1_32": "deny" });
        rmSync(join(place, "ip4/127.0.0.1_32/allow"));
        assertStrictEquals(await visit(port), "");
      }, options);
      rmSync(place, { recursive: true });
      writeTree(place, { "ip4/127.0.0.1_32": { exec: "echo command" } });
      const program = { command: ["echo", "program"] };
      const server = await serve({ hostname: "127.0.0.1", selfSigned: true, ...options }, program);
      assertStrictEquals(await visit(server.port), "command\n");
      await server.shutdown();
    } finally {
      rmSync(place, { recursive: true });
    }
  },
);

test("shutdown() gives a program time to end after SIGTERM", PATIENT, async () => {
  const folder = mkdtempSync(join(tmpdir(), "library-"));
  try {
    const ended = join(folder, "ended");
    // The shell runs its trap when the sleep is over, so it needs some time after the signal.
    const script = `trap 'echo >"${ended}"; exit 0' TERM; echo ready; while :; do sleep 0.1; done`;
    const server = await serve(
      { hostname: "127.0.0.1", selfSigned: true, env: { PATH: process.env.PATH }, log: () => {} },
      { command: ["sh", "-c", script] },
    );
    const tls = await tlsThrough(server.port);
    tls.client.on("error", () => {});
    await new Promise((resolve) => tls.client.once("data", resolve));
    await server.shutdown();
    tls.client.destroy();
    tls.toServer.destroy();
    assert(existsSync(ended));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

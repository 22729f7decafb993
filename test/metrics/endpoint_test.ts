import { assert, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import * as net from "node:net";
import { tmpdir } from "node:os";
import process from "node:process";
import { after, test } from "node:test";
import { FatalError } from "../../src/errors.ts";
import type { MetricsAddress } from "../../src/config/metrics_address.ts";
import {
  type EndpointOptions,
  listenMetrics,
  type MetricsEndpoint,
  metricsSocket,
} from "../../src/metrics/endpoint.ts";
import { currentRuntime } from "../../src/runtime/current.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "metrics-"));
after(() => fs.rmSync(dir, { recursive: true, force: true }));

const LOOPBACK: MetricsAddress = { host: "127.0.0.1", port: 0 };
const GET = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

function fail(error: unknown): never {
  throw error;
}

/** Runs `body` with an endpoint. */
async function within(
  body: (endpoint: MetricsEndpoint) => Promise<void>,
  address = LOOPBACK,
  options: Partial<EndpointOptions> = {},
): Promise<void> {
  const endpoint = await listenMetrics(address, { text: () => "m 1\n", onError: fail, ...options });
  try {
    await body(endpoint);
  } finally {
    endpoint.close();
  }
}

/** A client. `text` collects what it receives. */
class Client {
  text = "";
  readonly closed: Promise<void>;
  readonly connected: Promise<void>;
  readonly socket: net.Socket;

  constructor(endpoint: MetricsEndpoint) {
    const { hostname, port } = endpoint.where.startsWith("http")
      ? new URL(endpoint.where)
      : { hostname: "", port: "" };
    const host = hostname.replace(/^\[|\]$/g, "");
    this.socket = hostname
      ? net.connect({ host, port: Number(port) })
      : net.connect({ path: endpoint.where });
    this.connected = new Promise((resolve) => this.socket.once("connect", () => resolve()));
    this.closed = new Promise((resolve) => this.socket.once("close", () => resolve()));
    this.socket.on("error", () => {}); // a reset is an end, too
    this.socket.on("data", (bytes: Uint8Array) => this.text += new TextDecoder().decode(bytes));
  }
}

async function ask(endpoint: MetricsEndpoint, request: string): Promise<string> {
  const client = new Client(endpoint);
  client.socket.write(request);
  await client.closed;
  return client.text;
}

async function refusal(address: MetricsAddress): Promise<FatalError> {
  try {
    (await listenMetrics(address, { text: () => "", onError: fail })).close();
  } catch (error) {
    assert(error instanceof FatalError);
    return error;
  }
  throw new Error("it was bound");
}

test("GET /metrics returns the current metrics, and other requests are refused", async () => {
  let count = 0;
  await within(
    async (endpoint) => {
      assertMatch(endpoint.where, /^http:\/\/127\.0\.0\.1:[0-9]+\/metrics$/);
      assertMatch(await ask(endpoint, GET), /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nm 1\n$/);
      assertMatch(await ask(endpoint, GET), /\r\n\r\nm 2\n$/);
      assertMatch(await ask(endpoint, "GET / HTTP/1.1\r\n\r\n"), /^HTTP\/1\.1 404 /);
      assertMatch(await ask(endpoint, "POST /metrics HTTP/1.1\r\n\r\n"), /^HTTP\/1\.1 405 /);
      assertMatch(await ask(endpoint, "\0\r\n\r\n"), /^HTTP\/1\.1 400 /);
      assertStrictEquals(count, 2, "a refusal made metrics");
    },
    LOOPBACK,
    { text: () => `m ${++count}\n` },
  );
});

test("a request that comes in pieces is put together", async () => {
  await within(async (endpoint) => {
    const client = new Client(endpoint);
    await client.connected;
    for (const char of GET) {
      await new Promise<void>((resolve) => client.socket.write(char, () => resolve()));
    }
    await client.closed;
    assertMatch(client.text, /^HTTP\/1\.1 200 /);
  });
});

test("a client that has ended its side after the request is answered", async () => {
  await within(async (endpoint) => {
    const client = new Client(endpoint);
    client.socket.end(GET);
    await client.closed;
    assertMatch(client.text, /^HTTP\/1\.1 200 /);
  });
});

test("an endless head is refused at its limit", async () => {
  await within(async (endpoint) => {
    assertMatch(
      await ask(endpoint, `GET /metrics HTTP/1.1\r\nA: ${"x".repeat(300_000)}`),
      /^HTTP\/1\.1 431 /,
    );
  });
});

test("an answer of many kilobytes arrives whole", async () => {
  const text = "m 1\n".repeat(100_000);
  await within(
    async (endpoint) => {
      const got = await ask(endpoint, GET);
      assertStrictEquals(got.slice(got.indexOf("\r\n\r\n") + 4), text);
    },
    LOOPBACK,
    { text: () => text },
  );
});

test("a client that sends nothing, or half a request, is closed when the time is up", async () => {
  await within(
    async (endpoint) => {
      const [silent, slow] = [new Client(endpoint), new Client(endpoint)];
      slow.socket.write("GET /met");
      await Promise.all([silent.closed, slow.closed]);
      assertStrictEquals(silent.text + slow.text, "");
    },
    LOOPBACK,
    { maxTime: 50 },
  );
});

test("a client that does not read the answer is closed when the time is up", async () => {
  await within(
    async (endpoint) => {
      const client = new Client(endpoint);
      await client.connected;
      client.socket.pause();
      client.socket.write(GET);
      await new Client(endpoint).closed; // the second client came later, so the first one's time is up, too
      client.socket.resume();
      await client.closed;
      assert(client.text.length < 50_000_000);
    },
    LOOPBACK,
    { maxTime: 50, text: () => "m 1\n".repeat(12_500_000) },
  );
});

test("with too many clients the oldest is closed", async () => {
  await within(
    async (endpoint) => {
      const oldest = new Client(endpoint);
      await oldest.connected;
      const second = new Client(endpoint);
      await second.connected;
      assertMatch(await ask(endpoint, GET), /^HTTP\/1\.1 200 /);
      await oldest.closed;
      second.socket.write(GET);
      await second.closed;
      assertMatch(second.text, /^HTTP\/1\.1 200 /);
    },
    LOOPBACK,
    { maxConnections: 2 },
  );
});

test("if metrics cannot be made, the answer is 503 and the error is logged", async () => {
  const told: unknown[] = [];
  await within(
    async (endpoint) => assertMatch(await ask(endpoint, GET), /^HTTP\/1\.1 503 /),
    LOOPBACK,
    {
      text: () => {
        throw new Error("no");
      },
      onError: (error) => told.push(error),
    },
  );
  assertStrictEquals(told.length, 1);
});

test("clients wait for slow metrics, also after their FIN", async () => {
  const wait = Promise.withResolvers<string>();
  const asked = Promise.withResolvers<void>();
  let count = 0;
  await within(
    async (endpoint) => {
      const [open, half, gone] = [new Client(endpoint), new Client(endpoint), new Client(endpoint)];
      open.socket.write(GET);
      half.socket.end(GET);
      gone.socket.write(GET);
      await asked.promise;
      gone.socket.destroy();
      await gone.closed;
      wait.resolve("m 7\n");
      await Promise.all([open.closed, half.closed]);
      for (const { text } of [open, half]) assertMatch(text, /\r\n\r\nm 7\n$/);
    },
    LOOPBACK,
    {
      text: () => {
        if (++count === 3) asked.resolve();
        return wait.promise;
      },
    },
  );
});

test("a failure to make metrics is answered with 503 and reported, but not after the end", async () => {
  const told: unknown[] = [];
  const options = { text: () => Promise.reject(new Error("no")), onError: told.push.bind(told) };
  await within(
    async (endpoint) => assertMatch(await ask(endpoint, GET), /^HTTP\/1\.1 503 /),
    LOOPBACK,
    options,
  );
  assertStrictEquals(told.length, 1);
  const never = Promise.withResolvers<string>();
  const asked = Promise.withResolvers<void>();
  const text = (): Promise<string> => {
    asked.resolve();
    return never.promise;
  };
  const endpoint = await listenMetrics(LOOPBACK, { ...options, text });
  const client = new Client(endpoint);
  client.socket.write(GET);
  await asked.promise;
  endpoint.close();
  never.reject(new Error("the server is shutting down"));
  await client.closed;
  assertStrictEquals(client.text, "");
  assertStrictEquals(told.length, 1);
});

test("a socket that listens already is taken over, and closed at the end", async () => {
  const { libc } = await currentRuntime();
  assert(libc);
  const fd = metricsSocket(libc, LOOPBACK) ?? -1;
  const { port } = libc.getsockname(fd);
  const kept = libc.dup(fd); // like the server's copy for the next worker
  await within(
    async (endpoint) => {
      assertStrictEquals(endpoint.where, `http://127.0.0.1:${port}/metrics`);
      assertMatch(await ask(endpoint, GET), /^HTTP\/1\.1 200 /);
    },
    LOOPBACK,
    { socket: fd },
  );
  await within(
    async (endpoint) => {
      assertStrictEquals(endpoint.where, `http://127.0.0.1:${port}/metrics`);
      assertMatch(await ask(endpoint, GET), /^HTTP\/1\.1 200 /);
    },
    LOOPBACK,
    { socket: kept },
  );
  await within(async (endpoint) => {
    assertMatch(await ask(endpoint, GET), /^HTTP\/1\.1 200 /);
  }, { host: "127.0.0.1", port });
});

test("only an address is bound in advance, and a failure is fatal", async () => {
  const { libc } = await currentRuntime();
  assert(libc);
  assertStrictEquals(metricsSocket(libc, { path: join(dir, "no") }), undefined);
  assertThrows(
    () => metricsSocket(libc, { host: "192.0.2.1", port: 9100 }),
    FatalError,
    /^unable to listen for --metrics on 192\.0\.2\.1:9100: /,
  );
});

test("closing frees the port at once and closes all clients", async () => {
  const first = await listenMetrics(LOOPBACK, { text: () => "", onError: fail });
  const client = new Client(first);
  await client.connected;
  first.close();
  const port = Number(new URL(first.where).port);
  await within(async (endpoint) => {
    assertStrictEquals(endpoint.where, first.where);
    assertMatch(await ask(endpoint, GET), /^HTTP\/1\.1 200 /);
    first.close(); // a second close does nothing
    assertMatch(await ask(endpoint, GET), /^HTTP\/1\.1 200 /);
  }, { host: "127.0.0.1", port });
  await client.closed;
});

test("an address in use is refused with address and reason", async () => {
  await within(async (endpoint) => {
    const port = Number(new URL(endpoint.where).port);
    const { message, code } = await refusal({ host: "127.0.0.1", port });
    assertMatch(
      message,
      new RegExp(`^unable to listen for --metrics on 127.0.0.1:${port}: .*in use`),
    );
    assertStrictEquals(code, 111);
  });
});

test("an address of another machine is refused", async () => {
  const { message } = await refusal({ host: "192.0.2.1", port: 9100 });
  assertMatch(message, /^unable to listen for --metrics on 192\.0\.2\.1:9100: /);
});

test("IPv6 works, and is shown in brackets", async () => {
  await within(async (endpoint) => {
    assertMatch(endpoint.where, /^http:\/\/\[::1\]:[0-9]+\/metrics$/);
    assertMatch(await ask(endpoint, GET), /^HTTP\/1\.1 200 /);
  }, { host: "::1", port: 0 });
});

test("a unix socket is its owner's alone, and gone at the end", async () => {
  const path = join(dir, "own");
  const before = process.umask(0);
  try {
    await within(async (endpoint) => {
      assertStrictEquals(endpoint.where, path);
      assertStrictEquals(fs.statSync(path).mode & 0o7777, 0o600);
      assertStrictEquals(process.umask(), 0);
      assertMatch(await ask(endpoint, GET), /^HTTP\/1\.1 200 /);
    }, { path });
  } finally {
    process.umask(before);
  }
  assert(!fs.existsSync(path));
});

test("the socket of a dead server is replaced", async () => {
  const path = join(dir, "stale");
  const moved = join(dir, "moved");
  const dead = await listenMetrics({ path: moved }, { text: () => "", onError: fail });
  fs.renameSync(moved, path); // close removes only `moved`
  dead.close();
  assert(fs.existsSync(path));
  await within(async (endpoint) => {
    assertMatch(await ask(endpoint, GET), /^HTTP\/1\.1 200 /);
  }, { path });
});

test("closing does not remove a file that another process has put at the path", async () => {
  const path = join(dir, "taken");
  const first = await listenMetrics({ path }, { text: () => "", onError: fail });
  fs.renameSync(path, `${path}.moved`);
  await within(async (endpoint) => {
    first.close();
    assert(fs.existsSync(path));
    assertMatch(await ask(endpoint, GET), /^HTTP\/1\.1 200 /);
  }, { path });
  assert(!fs.existsSync(path));
});

test("a socket in use, a file and a missing folder are refused and left alone", async () => {
  const path = join(dir, "used");
  await within(async (endpoint) => {
    const { message } = await refusal({ path });
    assertStrictEquals(
      message,
      `unable to listen for --metrics on ${path}: another server listens there`,
    );
    assertMatch(await ask(endpoint, GET), /^HTTP\/1\.1 200 /);
  }, { path });
  const file = join(dir, "file");
  fs.writeFileSync(file, "dear");
  assertMatch((await refusal({ path: file })).message, /: the file exists and is not a socket$/);
  assertStrictEquals(fs.readFileSync(file, "utf8"), "dear");
  fs.symlinkSync(file, join(dir, "link"));
  assertMatch((await refusal({ path: join(dir, "link") })).message, /not a socket$/);
  assertMatch(
    (await refusal({ path: join(dir, "none/metrics") })).message,
    /^unable to listen for --metrics on .*none\/metrics: /,
  );
});

/** Which addresses are tried, in which order and for how long (-T). The runtime is a fake one. */

import { assertEquals, assertMatch, assertRejects, assertStrictEquals } from "@std/assert";
import { test, type TestContext } from "node:test";
import { dial, type DialOptions } from "../../src/client/dial.ts";
import { clientDefaults } from "../../src/config/client_options.ts";
import { FatalError } from "../../src/errors.ts";
import type { ClientSocket, ConnectTarget, Runtime } from "../../src/runtime/runtime.ts";

/** What an address does: it answers, refuses, or does not answer (the times that it does not). */
type Behaviour = "answers" | "refuses" | number;

interface Try {
  ip: string;
  /** Until the attempt was given up, rounded down to tenths. */
  seconds: number;
}

/** Dials, and returns the attempts and the address that was connected to. While an address does not answer, the clock of
 *  the timers runs in steps of 10 ms. */
async function dialled(
  t: TestContext,
  behaviours: Readonly<Record<string, Behaviour>>,
  options: Partial<DialOptions>,
  signal = new AbortController().signal,
  tick = () => t.mock.timers.tick(10),
): Promise<{ tries: Try[]; targets: ConnectTarget[]; to?: string; error?: FatalError }> {
  const tries: Try[] = [];
  const targets: ConnectTarget[] = [];
  const left = new Map(Object.entries(behaviours));
  const connect = (target: ConnectTarget, signal: AbortSignal): Promise<ClientSocket> => {
    const { ip } = target;
    const one = { ip, seconds: NaN };
    tries.push(one);
    targets.push(target);
    const behaviour = left.get(ip) ?? Infinity;
    if (behaviour === "refuses") {
      return Promise.reject(Object.assign(new Error("refused"), { code: "ECONNREFUSED" }));
    }
    if (behaviour === "answers" || behaviour === 0) {
      return Promise.resolve({ remote: { ip, port: 1 } } as ClientSocket);
    }
    left.set(ip, behaviour - 1);
    return new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
      let steps = 0;
      while (!signal.aborted) {
        tick();
        one.seconds = Math.floor(++steps / 10) / 10;
      }
    });
  };
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const runtime = {
    connect,
    libc: { interfaceIndex: () => 7 },
  } as unknown as Runtime;
  const all = { ...clientDefaults(), host: "localhost", port: "25", ...options };
  try {
    const { remote } = await dial(all, { runtime, env: {}, signal });
    return { tries, targets, to: remote.ip };
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    return { tries, targets, error };
  } finally {
    t.mock.timers.reset();
  }
}

function sameTries(tries: readonly Try[], expected: readonly [string, number][]): void {
  assertEquals<unknown>(tries.map(({ ip, seconds }) => [ip, seconds]), expected);
}

test("each of several addresses gets x seconds, then those that timed out get y", async (t) => {
  const timeout = { first: 0.1, further: 0.3 };
  const { tries, to } = await dialled(t, { "127.0.0.1": 1 }, { timeout });
  sameTries(tries, [["127.0.0.1", 0.1], ["::1", 0.1], ["127.0.0.1", NaN]]);
  assertStrictEquals(to, "127.0.0.1");
});

test("the second round gets y, and does not try what was refused", async (t) => {
  const timeout = { first: 0.1, further: 0.2 };
  const { tries, error } = await dialled(t, { "127.0.0.1": "refuses" }, { timeout });
  sameTries(tries, [["127.0.0.1", NaN], ["::1", 0.1], ["::1", 0.2]]);
  assertStrictEquals(error?.code, 111);
  assertMatch(
    `${error?.message}`,
    /^unable to connect to "localhost" port 25: 127\.0\.0\.1: refused; ::1: timed out$/,
  );
});

test("a single address gets x+y at once", async (t) => {
  const timeout = { first: 0.1, further: 0.2 };
  const { tries, error } = await dialled(t, {}, { host: "192.0.2.1", timeout });
  sameTries(tries, [["192.0.2.1", 0.3]]);
  assertMatch(`${error?.message}`, /"192\.0\.2\.1" port 25: timed out$/);
});

test("with x of 0 the first round is skipped, with y of 0 the second", async (t) => {
  const none = await dialled(t, {}, { timeout: { first: 0, further: 0.1 } });
  sameTries(none.tries, [["127.0.0.1", 0.1], ["::1", 0.1]]);
  const once = await dialled(t, {}, { timeout: { first: 0.1, further: 0 } });
  sameTries(once.tries, [["127.0.0.1", 0.1], ["::1", 0.1]]);
});

test("the first address that answers is used", async (t) => {
  const { tries, to } = await dialled(t, { "127.0.0.1": "refuses", "::1": "answers" }, {});
  assertEquals(tries.map(({ ip }) => ip), ["127.0.0.1", "::1"]);
  assertStrictEquals(to, "::1");
});

test("host, family, local end and interface become targets", async (t) => {
  const rows: [Partial<DialOptions>, ConnectTarget[]][] = [
    [{ host: "0" }, [{ ip: "127.0.0.1", port: 25 }, { ip: "::1", port: 25 }]],
    [{ host: "0", family: 6 }, [{ ip: "::1", port: 25 }]],
    [{ host: "localhost", family: 4 }, [{ ip: "127.0.0.1", port: 25 }]],
    [{ host: "192.0.2.1", localIp: "192.0.2.9", localPort: 2000 }, [
      { ip: "192.0.2.1", port: 25, localIp: "192.0.2.9", localPort: 2000 },
    ]],
    [{ host: "fe80::1%eth0" }, [{ ip: "fe80::1", port: 25, scopeId: 7 }]],
    [{ host: "fe80::1%3" }, [{ ip: "fe80::1", port: 25, scopeId: 3 }]],
    [{ host: "fe80::1", interface: "eth0" }, [{ ip: "fe80::1", port: 25, scopeId: 7 }]],
    [{ host: "2001:db8::1", interface: "eth0" }, [{ ip: "2001:db8::1", port: 25 }]],
  ];
  for (const [options, expected] of rows) {
    const refuses = Object.fromEntries(expected.map(({ ip }) => [ip, "refuses" as const]));
    const { targets } = await dialled(t, refuses, options);
    assertEquals(targets, expected);
  }
});

test("an address of the other family is an error", async (t) => {
  const { tries, error } = await dialled(t, {}, { host: "192.0.2.1", family: 6 });
  assertEquals(tries, []);
  assertMatch(`${error?.message}`, /it has no IPv6 address$/);
});

test("a signal ends the dialling with its reason", async (t) => {
  const controller = new AbortController();
  const why = new Error("given up");
  const runs = dialled(t, {}, {}, controller.signal, () => controller.abort(why));
  assertStrictEquals(
    (await assertRejects(() => runs, Error)).message,
    why.message,
  );
});

/** -c, MAXCONIP, MAXCONRATE and MAXCONNET hold for all workers together: the monitor counts. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import * as fs from "node:fs";
import { Guest, makeRules } from "./admission.ts";
import { LIMIT, type Server, settled, type Trial, within } from "./harness.ts";
import { compiled, Load, split, workersOf } from "./privsep.ts";

const STAY = ["sh", "-c", "echo in; exec cat"];

/** Makes a folder in which programs count how many of them run, and the command of such a program. */
async function counting(t: Trial): Promise<{ program: string[]; peak(name?: string): number }> {
  const folder = `${t.dir}/counts`;
  fs.mkdirSync(folder);
  return {
    program: [await compiled("privsep"), "count", folder],
    peak: (name = "peak") => Number(fs.readFileSync(`${folder}/${name}`, "utf8")),
  };
}

/** Connects from all addresses at once, and waits until each client has output or is closed. Returns the
 *  clients that are admitted. */
async function knock(server: Server, from: readonly string[]): Promise<Guest[]> {
  const guests = from.map((address) => new Guest(server.port, address));
  const closed = new Set<Guest>();
  for (const one of guests) one.closed.then(() => closed.add(one));
  const answered = (): boolean => guests.every((one) => one.text !== "" || closed.has(one));
  assert(await settled(answered, (all) => all), "somebody has no answer");
  return guests.filter((one) => one.text !== "");
}

/** Disconnects the clients and waits until their programs have ended. */
async function leave(server: Server, guests: readonly Guest[]): Promise<void> {
  for (const one of guests) one.leave();
  await within(Promise.all(guests.map(({ closed }) => closed)), LIMIT, "they did not leave");
  await server.noChildren();
}

/** Asserts that exactly `count` clients are admitted. Tries again if there are fewer, because the server
 *  may still count clients that have just disconnected. Fails at once if there are more. */
async function exactly(count: number, server: Server, from: readonly string[]): Promise<void> {
  const met = async (): Promise<number> => {
    const guests = await knock(server, from);
    assert(guests.length <= count, `${guests.length} are in, where ${count} may be`);
    await leave(server, guests);
    return guests.length;
  };
  assertStrictEquals(await settled(met, (seen) => seen === count), count);
}

const same = (address: string, count: number): string[] => Array(count).fill(address);

split(
  "-c 5 with 4 workers and 60 clients at once: 5 programs, and everybody is served",
  async (t) => {
    const { program, peak } = await counting(t);
    const server = await t.start({ options: ["-HRl0", "--workers", "4", "-c", "5"], program });
    await workersOf(server, 4);
    const load = await Load.start(t, server.port, {
      rate: 1000,
      atOnce: 60,
      hold: 20,
      greeted: true,
    });
    await load.served(400);
    const { ok, refused, denied, cut } = await load.end();
    assertEquals({ refused, denied, cut }, { refused: 0, denied: 0, cut: 0 }, load.trouble);
    assert(ok >= 400);
    assertStrictEquals(peak(), 5);
    await server.noChildren();
  },
);

split("MAXCONIP=2 with 4 workers under load: no address ever has a third program", async (t) => {
  const { program, peak } = await counting(t);
  const server = await t.start({
    options: ["-qHRl0", "--workers", "4", "-c", "30"],
    env: { MAXCONIP: "2" },
    program: [...program, "each"],
  });
  await workersOf(server, 4);
  const load = await Load.start(t, server.port, {
    rate: 600,
    atOnce: 40,
    hold: 20,
    addresses: 3,
    greeted: true,
  });
  await load.served(300);
  const { refused, denied, cut } = await load.end();
  assertEquals({ refused, cut }, { refused: 0, cut: 0 }, load.trouble);
  assert(denied > 0, "nobody was denied");
  for (const address of ["127.0.1.1", "127.0.1.2", "127.0.1.3"]) {
    assertStrictEquals(peak(address), 2);
  }
});

split("MAXCONIP with 4 workers: of 20 at once exactly so many, again and again", async (t) => {
  const server = await t.start({
    options: ["-qHRl0", "--workers", "4"],
    env: { MAXCONIP: "3" },
    program: STAY,
  });
  for (let round = 0; round < 3; round++) {
    await exactly(6, server, [...same("127.0.0.2", 20), ...same("127.0.0.3", 20)]);
  }
});

split("MAXCONNET with 2 workers: the network of a rule shares one number", async (t) => {
  const path = await makeRules(t, '127.1.:allow,MAXCONNET="4"\n:allow\n', "ours");
  const server = await t.start({
    options: ["-qHRl0", "--workers", "2", "-x", path],
    program: STAY,
  });
  const network = Array.from({ length: 16 }, (_, i) => `127.1.0.${i + 1}`);
  for (let round = 0; round < 2; round++) {
    await exactly(6, server, [...network, "127.2.0.1", "127.2.0.2"]);
  }
});

split("MAXCONRATE with 2 workers: so many of an address in that time, open or not", async (t) => {
  const server = await t.start({
    options: ["-qHRl0", "--workers", "2"],
    env: { MAXCONRATE: "5/3600" },
    program: STAY,
  });
  const guests = await knock(server, same("127.0.0.2", 16));
  assertStrictEquals(guests.length, 5);
  await leave(server, guests);
  assertStrictEquals((await knock(server, same("127.0.0.2", 4))).length, 0);
  await leave(server, await knock(server, ["127.0.0.3"]));
});

/** s6's access rules in the monitor: a worker chooses among the rules by what it claims of its client, and
 *  nothing else. */

import { assert, assertEquals, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { test } from "node:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import type { AccessRules } from "../../../src/admit/access_rules.ts";
import type { MessageOf } from "../../../src/privsep/messages.ts";
import { AccessRequests } from "../../../src/privsep/monitor/access_requests.ts";
import type { Worker } from "../../../src/privsep/monitor/worker_handle.ts";
import { lookUp } from "../../../src/runtime/look_up.ts";
import { type AccessTree, writeTree } from "../../admit/access_trees.ts";
import { within } from "../../runtime/tools.ts";
import { type Puppet, serving, settled, type StageOptions } from "../puppet.ts";

const TREE: AccessTree = {
  "ip4/192.0.2.1_32": { env: { WHO: "one", INHERITED: "", SSLREMOTEIP: "" }, exec: "echo one" },
  "ip4/192.0.2.2_32": { env: { WHO: "two" }, exec: "echo two" },
  "ip4/192.0.2.3_32": "deny",
  "ip4/192.0.2.0_24": { env: { LD_LIBRARY_PATH: "/ours", KEYFILE: "/key" } },
  "reversedns/example.org": { exec: "echo name" },
};

type Made = Awaited<ReturnType<typeof serving>>;

async function withRules(
  options: StageOptions,
  run: (made: Made, puppet: Puppet, folder: string) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "access-"));
  writeTree(folder, TREE);
  const { argv = [], ...rest } = options;
  const made = await serving({
    argv: [...argv, "--access-dir", folder],
    base: { PATH: "/usr/bin:/bin", INHERITED: "yes" },
    fake: true,
    ...rest,
  });
  try {
    await run(made, made.puppets[0] as Puppet, folder);
  } finally {
    await made.close();
    rmSync(folder, { recursive: true });
  }
}

let last = 0;

/** What the worker says of a client when it asks for a program. */
function start(puppet: Puppet, claim: Partial<MessageOf<"START">>): void {
  puppet.send({
    kind: "START",
    id: ++last,
    delayed: false,
    ruled: false,
    ip: "192.0.2.9",
    host: "",
    info: "",
    variables: new Map([["SSLREMOTEIP", "192.0.2.9"], ["PROTO", "TLS"]]),
    ...claim,
  });
}

/** The command and environment of the program that the monitor starts. */
async function started(made: Made, puppet: Puppet, claim: Partial<MessageOf<"START">>) {
  const before = made.programs.length;
  start(puppet, claim);
  await puppet.hear("STARTED");
  puppet.dropDescriptors();
  assertStrictEquals(made.programs.length, before + 1);
  const { command, env, base } = made.programs.at(-1) ?? {};
  return { command, env: { ...base, ...env } };
}

async function refused(puppet: Puppet, claim: Partial<MessageOf<"START">>): Promise<string> {
  start(puppet, claim);
  return (await puppet.hear("REFUSED")).why;
}

const CLAIMS = [false, true]; // of `ruled`: the worker's word does not matter

test("a program gets the variables of the rule for the claimed address, and of no other", async () => {
  const execlineb = lookUp("execlineb");
  await withRules({}, async (made, puppet) => {
    for (const ruled of CLAIMS) {
      const one = await started(made, puppet, { ip: "192.0.2.1", ruled });
      assertEquals(one.command, [execlineb, "-c", "echo one"]);
      assertEquals(one.env, { PATH: "/usr/bin:/bin", PROTO: "TLS", WHO: "one" });
      const two = await started(made, puppet, { ip: "192.0.2.2", host: "example.org", ruled });
      assertEquals(two.command, [execlineb, "-c", "echo two"]);
      const plain = await started(made, puppet, { ruled });
      assertEquals(plain.command, ["cat"]);
      assertEquals(plain.env, {
        PATH: "/usr/bin:/bin",
        INHERITED: "yes",
        PROTO: "TLS",
        SSLREMOTEIP: "192.0.2.9",
        LD_LIBRARY_PATH: "/ours",
      });
      const named = await started(made, puppet, {
        ip: "198.51.100.1",
        host: "A.Example.ORG",
        ruled,
      });
      assertEquals(named.command, [execlineb, "-c", "echo name"]);
    }
  });
});

test("a client that no rule allows gets no program, whatever the worker says", async () => {
  await withRules({}, async (_made, puppet) => {
    for (const ruled of CLAIMS) {
      for (
        const claim of [
          { ip: "192.0.2.3", host: "example.org" },
          { ip: "198.51.100.1" },
          { ip: "198.51.100.1", host: "example.net" },
          { ip: "198.51.100.1", host: "../../ip4/192.0.2.1_32" },
          { ip: "198.51.100.1", host: "x/../example.org" },
        ]
      ) {
        const why = await refused(puppet, { ...claim, ruled });
        assertStrictEquals(why, "the rules deny this connection", JSON.stringify(claim));
      }
      assertMatch(await refused(puppet, { ip: "../192.0.2.1", ruled }), /^ip: address/);
    }
  });
});

test("with -H a name that a worker claims is ignored", async () => {
  await withRules({ argv: ["-H"] }, async (_made, puppet) => {
    const why = await refused(puppet, { ip: "198.51.100.1", host: "example.org" });
    assertStrictEquals(why, "the rules deny this connection");
    puppet.send({ kind: "RULES", id: 1, by: "address", ip: "198.51.100.1", host: "" });
    const { verdict } = await puppet.hear("RULED");
    assertEquals(verdict, { allow: false, env: [], kind: "any" });
    puppet.send({ kind: "RULES", id: 2, by: "host", ip: "198.51.100.1", host: "example.org" });
    assertStrictEquals((await puppet.hear("RULED")).verdict.allow, false);
  });
});

test("a worker gets verdict and variables, and no command", async () => {
  await withRules({}, async (_made, puppet) => {
    const ask = async (by: "address" | "host", ip: string, host = "") => {
      puppet.send({ kind: "RULES", id: 7, by, ip, host });
      const { id, verdict } = await puppet.hear("RULED");
      assertStrictEquals(id, 7);
      return { ...verdict, env: verdict.env.toSorted() };
    };
    assertEquals(await ask("address", "192.0.2.1"), {
      allow: true,
      env: [["INHERITED", null], ["SSLREMOTEIP", null], ["WHO", "one"]],
      rule: "ip4/192.0.2.1_32",
      kind: "address",
    });
    assertEquals(await ask("address", "198.51.100.1"), { allow: true, env: [] });
    assertEquals(await ask("host", "198.51.100.1", "MX.example.org"), {
      allow: true,
      env: [],
      rule: "reversedns/example.org",
      kind: "host",
    });
    assertEquals(await ask("host", "198.51.100.1"), { allow: false, env: [], kind: "any" });
  });
});

test("rules that changed after the verdict decide what runs", async () => {
  await withRules({}, async (made, puppet, folder) => {
    puppet.send({ kind: "RULES", id: 1, by: "address", ip: "192.0.2.2", host: "" });
    assertStrictEquals((await puppet.hear("RULED")).verdict.allow, true);
    writeFileSync(join(folder, "ip4/192.0.2.2_32/exec"), "echo new");
    const { command } = await started(made, puppet, { ip: "192.0.2.2" });
    assertStrictEquals(command?.at(-1), "echo new");
    rmSync(join(folder, "ip4/192.0.2.2_32/allow"));
    writeFileSync(join(folder, "ip4/192.0.2.2_32/deny"), "");
    assertStrictEquals(
      await refused(puppet, { ip: "192.0.2.2" }),
      "the rules deny this connection",
    );
  });
});

test("many requests are answered in turns between workers, up to a limit", async () => {
  const asked: string[] = [];
  let slow = 0;
  const byAddress = (ip: string) => {
    asked.push(ip);
    slow++;
    return { allow: true, env: new Map() };
  };
  const rules = { byAddress } as unknown as AccessRules;
  const requests = new AccessRequests(rules, { concurrency: 40, pending: 1000 });
  const worker = (name: string) => {
    const answers: number[] = [];
    const send = ({ id }: { id: number }): void => void answers.push(id);
    return { name, answers, state: "serving", channel: { send } };
  };
  const [hostile, honest] = [worker("hostile"), worker("honest")];
  const ask = (who: typeof hostile, id: number, ip: string): void =>
    requests.request(who as unknown as Worker, { kind: "RULES", id, by: "address", ip, host: "" });
  const most = 16 + 40 + 1000 + 1024;
  for (let id = 0; id < most; id++) ask(hostile, id, "192.0.2.1");
  assertStrictEquals(slow, 16, "in the first turn");
  assertThrows(() => ask(hostile, most, "192.0.2.1"), Error, /too many questions/);
  ask(honest, 1, "192.0.2.2");
  let turns = 0;
  while (honest.answers.length === 0) {
    await new Promise((resolve) => setImmediate(resolve));
    turns++;
  }
  assert(turns <= 2, `${turns} turns`);
  assert(hostile.answers.length <= 32, String(hostile.answers.length));
  while (hostile.answers.length < most / 2) await new Promise((resolve) => setImmediate(resolve));
  hostile.state = "ended";
  const before = slow;
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
  assertStrictEquals(slow, before, "an ended worker is not answered");
  ask(honest, 2, "192.0.2.2");
  assertEquals(honest.answers, [1, 2]);
});

test("a question that cannot be valid ends the worker", async () => {
  await withRules({}, async (made, puppet) => {
    puppet.send({ kind: "RULES", id: 1, by: "address", ip: "not an address", host: "" });
    await within(puppet.ended, "end of the worker");
    await settled("a line", () => made.lines.length > 0);
    assertMatch(made.lines.join("\n"), /was ended: ip: /);
  });
  const made = await serving({ fake: true });
  const [puppet] = made.puppets as [Puppet];
  puppet.send({ kind: "RULES", id: 1, by: "address", ip: "192.0.2.1", host: "" });
  await within(puppet.ended, "end of the worker");
  await settled("a line", () => made.lines.length > 0);
  assertMatch(made.lines.join("\n"), /was ended: privsep: rules: there are none/);
  await made.close();
});

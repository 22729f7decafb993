/** Changes of rules, authorities, revocation lists and resolv.conf take effect without a signal while the
 *  worker is jailed. Files that only a rule names the worker reads itself, inside its jail. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import * as fs from "node:fs";
import { after } from "node:test";
import { makeRules, ptrAnswer, visit } from "./admission.ts";
import { environmentOf, openssl, selfSigned } from "./certificates.ts";
import { assertServed, bundle, folder, judge, maker, meet } from "./client_pki.ts";
import { settled } from "./harness.ts";
import { mounted } from "./mounts.ts";
import { asRoot, jailed, locked } from "./privsep.ts";

after(() => fs.rmSync(folder, { recursive: true, force: true }));

/** The time in which a change takes effect, in milliseconds. */
const SOON = 5000;

asRoot("rules that are replaced decide, and set the program's variables", async (t) => {
  const path = await makeRules(t, ':allow,WHO="one"\n', "ours");
  const server = await t.start({
    options: ["-HRl0", "-x", path, "--workers", "2"],
    env: jailed(t),
    program: ["sh", "-c", "echo $WHO"],
  });
  const said = async (): Promise<string> => (await visit(server)).text;
  assertStrictEquals(await said(), "one\n");
  for (const [rule, word] of [[':allow,WHO="two"', "two\n"], [":deny", ""], [":allow", "\n"]]) {
    await makeRules(t, `${rule}\n`, "ours");
    const start = performance.now();
    assertStrictEquals(await settled(said, (it) => it === word), word);
    assert(performance.now() - start < SOON);
    // Two workers and the monitor each check the file separately: wait until all agree.
    const all = await settled(
      async () => new Set(await Promise.all(Array.from({ length: 6 }, said))),
      (it) => it.size === 1,
    );
    assertEquals([...all], [word]);
  }
});

asRoot("a CAFILE and a CADIR that change are what clients are judged by", async (t) => {
  const env = jailed(t);
  const CAFILE = bundle(t, "trust.pem", "other");
  const server = await judge(t, "-smvHl0", { ...env, CAFILE });
  assertStrictEquals((await meet(t, server, ["leaf"])).text, "");
  bundle(t, "trust.pem", "root");
  const served = await settled(() => meet(t, server, ["leaf"]), ({ text }) => text !== "");
  assertServed(served, "SUCCESS", "CAFILE");
  const CADIR = `${t.dir}/authorities`;
  fs.mkdirSync(CADIR);
  const hash = async (name: string): Promise<string> =>
    (await openssl(t, "x509", "-noout", "-subject_hash", "-in", bundle(t, "one.pem", name))).trim();
  fs.copyFileSync(bundle(t, "one.pem", "other"), `${CADIR}/${await hash("other")}.0`);
  const by = await judge(t, "-smvHl0", { ...env, CADIR });
  assertStrictEquals((await meet(t, by, ["leaf"])).text, "");
  fs.copyFileSync(bundle(t, "one.pem", "root"), `${CADIR}/${await hash("root")}.0`);
  const seen = await settled(() => meet(t, by, ["leaf"]), ({ text }) => text !== "");
  assertServed(seen, "SUCCESS", "CADIR");
});

asRoot("a CRLFILE that changes: newly revoked clients are refused from then on", async (t) => {
  const CRLFILE = `${t.dir}/list.pem`;
  fs.writeFileSync(CRLFILE, maker.list({ by: "root" }));
  const CAFILE = bundle(t, "trust.pem", "root");
  const server = await judge(t, "-smvHl0", { CAFILE, CRLFILE, ...jailed(t) });
  assertServed(await meet(t, server, ["leaf"]), "SUCCESS", "before");
  fs.writeFileSync(`${CRLFILE}.new`, maker.list({ by: "root", revoked: ["leaf"] }));
  fs.renameSync(`${CRLFILE}.new`, CRLFILE);
  const met = await settled(() => meet(t, server, ["leaf"]), ({ text }) => text === "");
  assertStrictEquals(met.text, "");
  assertMatch(met.lines.join("\n"), /certificate revoked/);
});

/** Starts a DNS server on 127.53.0.N that answers every PTR question with `name`. */
async function nameServer(n: number, name: string): Promise<() => void> {
  const socket = createSocket("udp4").bind(53, `127.53.0.${n}`);
  await once(socket, "listening");
  socket.on("message", (bytes: Uint8Array, from) => {
    socket.send(ptrAnswer(new Uint8Array(bytes), name), from.port, from.address);
  });
  return () => socket.close();
}

asRoot("a resolv.conf that is replaced names the servers that are asked", async (t) => {
  // The server sees a copy of /etc in its own mount namespace, so the machine's /etc stays unchanged.
  const etc = `${t.dir}/etc`;
  const conf = (n: number): void => {
    fs.writeFileSync(`${etc}/resolv.conf.new`, `nameserver 127.53.0.${n}\n`);
    fs.renameSync(`${etc}/resolv.conf.new`, `${etc}/resolv.conf`);
  };
  fs.mkdirSync(etc);
  for (const name of ["passwd", "group", "ld.so.cache", "nsswitch.conf", "services"]) {
    if (fs.existsSync(`/etc/${name}`)) fs.copyFileSync(`/etc/${name}`, `${etc}/${name}`);
  }
  conf(1);
  const close = [await nameServer(1, "one.test"), await nameServer(2, "two.test")];
  try {
    const server = await t.start({
      options: ["-Rl0", "--workers", "1"],
      env: jailed(t),
      program: ["sh", "-c", "echo $SSLREMOTEHOST"],
      prelude: mounted(`mount --bind ${etc} /etc`),
    });
    let visits = 0; // each from a new address, whose name is not cached
    const said = async (): Promise<string> =>
      (await visit(server, `127.9.${visits >> 8}.${++visits & 255}`)).text;
    assertStrictEquals(await said(), "one.test\n");
    conf(2);
    assertStrictEquals(await settled(said, (it) => it === "two.test\n"), "two.test\n");
  } finally {
    for (const one of close) one();
  }
});

asRoot("a CERTFILE that a rule names is read by the worker, inside its jail", async (t) => {
  const env = jailed(t);
  const [inside, outside, roots] = [
    await selfSigned(t, "inside"),
    await selfSigned(t, "outside"),
    locked(await selfSigned(t, "roots")),
  ];
  fs.chmodSync(env["SSL_CHROOT"] ?? "", 0o755);
  for (const [pair, name] of [[inside, "inside"], [roots, "roots"]] as const) {
    for (const part of ["certificate", "key"] as const) {
      fs.copyFileSync(pair[part], `${t.dir}/jail/${name}.${part}`);
    }
  }
  fs.chownSync(`${t.dir}/jail/inside.key`, 64_001, 64_002);
  fs.chmodSync(`${t.dir}/jail/roots.key`, 0o400);
  fs.chmodSync(outside.key, 0o644);
  const rule = (certificate: string, key: string): string =>
    `allow,CERTFILE="${certificate}",KEYFILE="${key}"`;
  const path = await makeRules(
    t,
    `127.0.0.2:${rule("/inside.certificate", "/inside.key")}\n` +
      `127.0.0.3:${rule(outside.certificate, outside.key)}\n` +
      `127.0.0.4:${rule("/roots.certificate", "/roots.key")}\n:allow\n`,
    "ours",
  );
  const server = await t.start({
    options: ["-vHRl0", "-x", path, "--workers", "1"],
    env: { ...env, ...environmentOf(await selfSigned(t, "start")) },
    program: ["sh", "-c", "echo $CERTFILE"],
  });
  const met = await visit(server, "127.0.0.2");
  assertEquals([met.certificate, met.text], ["inside", "/inside.certificate\n"]);
  assertStrictEquals((await visit(server, "127.0.0.1")).certificate, "start");
  for (
    const [from, what] of [
      ["127.0.0.3", `unable to read certificate ${outside.certificate}: no such file or directory`],
      ["127.0.0.4", "unable to read key /roots.key: permission denied"],
    ] as const
  ) {
    const { text, certificate } = await visit(server, from);
    assertEquals({ text, certificate }, { text: "", certificate: undefined });
    const [line = ""] = await server.waitFor(new RegExp(`from ${from.replaceAll(".", "\\.")}\\)$`));
    assert(line.toLowerCase().includes(what.toLowerCase()), server.log());
  }
});

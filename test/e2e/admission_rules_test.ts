/** Rules files decide which clients are admitted, with which variables and certificate. A file that is
 *  missing, broken or maliciously damaged admits no client. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import {
  assertDenied,
  MAKERS,
  makeRules,
  plainVisit,
  Rereading,
  silentVisit,
  tcpserver,
  visit,
} from "./admission.ts";
import { selfSigned } from "./certificates.ts";
import { claim, settled, type Trial } from "./harness.ts";

const SHOW = ["sh", "-c", 'printf "in:%s:%s" "$LOOP" "$RANGE"'];

const RULES = `# addresses, ranges, prefixes
127.0.0.2:deny
127.0.0.3:allow,LOOP="three"
127.0.0.4-9:deny
127.0.0.10-12:allow,RANGE=/a "b" c/
127.0.1.:deny
127.0.1.7:allow
127.1.:allow,LOOP="one",RANGE="net"
127.1.5.:deny
127.2-3.:deny
127.3.3.3:allow,LOOP=""
127.9.9.9:deny,LOOP="unseen"
`;

const VISITORS = [
  ...Array.from({ length: 14 }, (_, i) => `127.0.0.${i + 1}`),
  ...["127.0.1.0", "127.0.1.6", "127.0.1.7", "127.0.1.8", "127.0.2.1", "127.0.10.7"],
  ...["127.1.0.1", "127.1.4.255", "127.1.5.1", "127.1.50.1", "127.10.1.1", "127.11.5.1"],
  ...["127.2.0.1", "127.3.3.2", "127.3.3.3", "127.4.0.1", "127.9.9.9", "127.9.9.10"],
];

for (const last of ["", "127.:allow,LOOP='all'\n:deny\n", "127.:deny\n", ":deny\n"]) {
  claim(
    `verdicts and variables are tcpserver's; last rules: ${JSON.stringify(last)}`,
    async (t) => {
      const theirs = await makeRules(t, RULES + last, "tcprules", "theirs.cdb");
      const reference = await tcpserver(t, ["-H", "-x", theirs], SHOW);
      const expected: string[] = [];
      for (const from of VISITORS) expected.push(await plainVisit(reference, from));
      assert(new Set(expected).size >= 4, expected.join());
      for (const maker of MAKERS) {
        const path = await makeRules(t, RULES + last, maker, `${maker}.cdb`);
        const server = await t.start({ options: ["-Hl0", "-x", path], program: SHOW });
        for (const [i, from] of VISITORS.entries()) {
          const { text } = await visit(server, from);
          assertStrictEquals(text, expected[i], `${from}, rules made by ${maker}`);
        }
        await server.stop();
      }
    },
  );
}

claim("an address without a rule is admitted, as in tcpserver", async (t) => {
  const path = await makeRules(t, "10.:deny\n");
  const server = await t.start({ options: ["-Hl0", "-x", path], program: SHOW });
  assertStrictEquals((await visit(server)).text, "in::");
});

claim("IPv6 and networks: rules of ours apply to ::1 and to parts of 127.0.0.0/8", async (t) => {
  const rules = `::1:allow,LOOP="six"
127.0.0.0/8:allow,LOOP="8"
127.64.0.0/10:deny
127.65.0.0/16:allow,LOOP="16"
127.65.1.1:deny
::/0:deny
`;
  const path = await makeRules(t, rules, "ours");
  const files = await Rereading.prepare(t);
  const options = ["-Hl0", "-x", path];
  const server = await t.start({ options, host: ":0", program: SHOW, env: files.environment });
  const rows: [from: string, text: string][] = [
    ["::1", "in:six:"],
    ["127.0.0.1", "in:8:"],
    ["127.63.255.255", "in:8:"],
    ["127.64.0.0", ""],
    ["127.65.9.9", "in:16:"],
    ["127.65.1.1", ""],
    ["127.127.255.255", ""],
    ["127.128.0.1", "in:8:"],
  ];
  for (const [from, text] of rows) assertStrictEquals((await visit(server, from)).text, text, from);
  await makeRules(t, "::1:deny\n:allow\n", "ours");
  await files.again(server);
  await assertDenied(server, "::1");
});

claim("a network's key of ucspi-tcp6 and one of Debian's tcprules both apply", async (t) => {
  const path = join(t.dir, "rules.cdb");
  // 127.64.0.0/10 in the form of ucspi-tcp6, 127.32.0.0/11 in the form of Debian's ucspi-tcp.
  const records = "+11,2:_0bcdefgh0j->D\0\n+13,2:127.32.0.0/11->D\0\n\n";
  const made = await t.run("cdb", ["-c", path], { input: records });
  assertStrictEquals(made.status, 0, made.stderr);
  const server = await t.start({ options: ["-Hl0", "-x", path], program: SHOW });
  await assertDenied(server, "127.127.1.1");
  await assertDenied(server, "127.63.1.1");
  assertStrictEquals((await visit(server, "127.128.1.1")).text, "in::");
  assertStrictEquals((await visit(server, "127.31.1.1")).text, "in::");
});

claim("a rule's variables reach the program, over those of the server", async (t) => {
  const rules = '127.0.0.1:allow,HELLO="from the rule",PATH="/nowhere",SSLREMOTEIP="x",EMPTY=""\n';
  const path = await makeRules(t, rules);
  const program = ["/bin/sh", "-c", 'echo "$HELLO|$PATH|$SSLREMOTEIP|${EMPTY-unset}|$KEPT"'];
  const server = await t.start({
    options: ["-Hl0", "-x", path],
    program,
    env: { HELLO: "from the server", EMPTY: "no", KEPT: "kept" },
  });
  assertStrictEquals((await visit(server)).text, "from the rule|/nowhere|x||kept\n");
  assertMatch(
    (await visit(server, "127.0.0.2")).text,
    /^from the server\|.*\|127.0.0.2\|no\|kept$/m,
  );
});

claim("another certificate for one network, by a rule", async (t) => {
  const [main, other] = [await selfSigned(t, "main"), await selfSigned(t, "other")];
  const set = `CERTFILE="${other.certificate}",KEYFILE="${other.key}"`;
  const path = await makeRules(t, `127.0.0.2:allow,${set}\n127.0.0.3:allow,CERTFILE="/none"\n`);
  const server = await t.start({
    options: ["-vHl0", "-x", path],
    program: ["sh", "-c", 'echo "${KEYFILE-hidden} $CERTFILE"'],
    env: { CERTFILE: main.certificate, KEYFILE: main.key },
  });
  const first = await visit(server, "127.0.0.1");
  assertEquals([first.certificate, first.text], ["main", `hidden ${main.certificate}\n`]);
  const second = await visit(server, "127.0.0.2");
  assertEquals([second.certificate, second.text], ["other", `hidden ${other.certificate}\n`]);
  const third = await visit(server, "127.0.0.3");
  assertEquals([third.certificate, third.text], [undefined, ""]);
  await server.waitFor(/^sslserver: error: unable to read certificate \/none: /);
  assertStrictEquals((await visit(server, "127.0.0.1")).certificate, "main");
});

claim(
  "a denied client gets no byte, whether it sends data or not, and one log line",
  async (t) => {
    const path = await makeRules(t, "127.0.0.2:deny\n");
    const server = await t.start({ options: ["-vHl", "mx.test", "-B", "hello", "-x", path] });
    assertStrictEquals(await silentVisit(server.port, "127.0.0.2"), 0);
    await assertDenied(server, "127.0.0.2");
    const line = new RegExp(
      `^sslserver: deny ${server.speakers} mx\\.test:127\\.0\\.0\\.1:${server.port} :127\\.0\\.0\\.2::[0-9]+$`,
    );
    await server.waitFor(line, 2);
    const others = server.lines(/^(?!sslserver: warning: Deno without FFI)./).filter((text) =>
      !line.test(text)
    );
    assertEquals(
      others.filter((text) => !/self-signed|run as root|info: (listening|serving)/.test(text)),
      [],
    );
  },
);

claim("without -v a denial is not logged, and with -q nothing is", async (t) => {
  const path = await makeRules(t, ":deny\n");
  for (const options of [["-Q"], ["-q"]]) {
    const server = await t.start({ options: [...options, "-Hl0", "-x", path] });
    await assertDenied(server);
    await server.stop();
    assertEquals(server.lines(/deny|error/), []);
  }
});

claim("-y applies first: deny is final, and allow skips -x", async (t) => {
  const early = await makeRules(
    t,
    "127.0.0.2:deny\n127.0.0.3:allow,LOOP='early'\n",
    "ours",
    "y.cdb",
  );
  const late = await makeRules(t, "127.0.0.2:allow,LOOP='late'\n:deny\n", "ours", "x.cdb");
  const options = ["-Hl0", "-y", early, "-x", late];
  const files = await Rereading.prepare(t);
  const server = await t.start({ options, program: SHOW, env: files.environment });
  await assertDenied(server, "127.0.0.2");
  assertStrictEquals((await visit(server, "127.0.0.3")).text, "in:early:");
  await assertDenied(server, "127.0.0.4");
  await makeRules(t, "127.0.0.4:allow,LOOP='late'\n:deny\n", "ours", "x.cdb");
  await files.again(server);
  assertStrictEquals((await visit(server, "127.0.0.4")).text, "in:late:");
});

for (const option of ["-x", "-y"]) {
  claim(`a missing file of ${option} denies with an error, with -X it allows`, async (t) => {
    const path = join(t.dir, "none.cdb");
    for (const lenient of [false, true]) {
      fs.rmSync(path, { force: true });
      const options = [lenient ? "-vXHl0" : "-vHl0", option, path];
      const files = await Rereading.prepare(t);
      const server = await t.start({ options, program: SHOW, env: files.environment });
      if (lenient) assertStrictEquals((await visit(server)).text, "in::");
      else {
        await assertDenied(server);
        await server.waitFor(/^sslserver: deny .* rules cannot be read$/);
      }
      const error = `sslserver: error: unable to read ${path}: no such file`;
      assertEquals(server.lines(/: error: /), lenient ? [] : [error]);
      await makeRules(t, ":deny\n", "tcprules", "none.cdb");
      await files.again(server);
      await assertDenied(server);
      await server.waitFor(/^sslserver: deny .*::[0-9]+$/);
      await server.stop();
    }
  });
}

claim(
  "a folder, a FIFO or a foreign file in place of the rules denies, also with -X",
  async (t) => {
    const [folder, fifo, text] = ["folder", "fifo", "text"].map((name) => join(t.dir, name));
    assert(folder && fifo && text);
    fs.mkdirSync(folder);
    assertStrictEquals((await t.run("mkfifo", [fifo])).status, 0);
    fs.writeFileSync(text, "127.0.0.1:allow\n");
    const path = await makeRules(t, ":allow\n");
    const server = await t.start({ options: ["-vXHl0", "-x", path], program: SHOW });
    for (const bad of [folder, fifo, text, "/dev/zero", "/dev/null"]) {
      const before = server.lines(/: error: /).length;
      fs.symlinkSync(bad, `${path}.new`);
      fs.renameSync(`${path}.new`, path);
      await settled(() => visit(server), ({ text }) => text === "");
      await assertDenied(server);
      await server.waitFor(/: error: /, before + 1);
    }
    const errors = server.lines(/: error: /);
    assertEquals(errors.filter((line) => !line.includes(`unable to read ${path}: `)), []);
  },
  { together: true },
);

claim(
  "a changed rules file applies within seconds",
  async (t) => {
    const path = await makeRules(t, ":allow,LOOP='old'\n");
    const server = await t.start({ options: ["-Hl0", "-x", path], program: SHOW });
    assertStrictEquals((await visit(server)).text, "in:old:");
    await makeRules(t, ":allow,LOOP='new'\n");
    const changed = performance.now();
    let text = "in:old:";
    while (text === "in:old:" && performance.now() - changed < 10_000) {
      text = (await visit(server)).text;
    }
    assertStrictEquals(text, "in:new:");
    assert(performance.now() - changed < 5000, "the change was noticed too late");
  },
);

/** Variants of the file with one change each: flipped bytes, cuts, hostile lengths and tables. */
function* damaged(sound: Uint8Array, count: number): Generator<[what: string, bytes: Uint8Array]> {
  const step = sound.length / count;
  for (let i = 0; i < count; i++) {
    const at = Math.floor(i * step);
    const flipped = Uint8Array.from(sound);
    flipped[at] = (flipped[at] ?? 0) ^ (i % 2 === 0 ? 0xff : 1 << (i % 8));
    yield [`byte ${at} flipped`, flipped];
    if (i % 4 === 0) yield [`cut at ${at}`, sound.slice(0, at)];
  }
  const huge = Uint8Array.from(sound);
  new DataView(huge.buffer).setUint32(2048, 0xffffffff, true);
  yield ["a giant key", huge];
  const loops = Uint8Array.from(sound);
  for (let slot = 0; slot < 256; slot++) {
    new DataView(loops.buffer).setUint32(slot * 8, 0, true);
    new DataView(loops.buffer).setUint32(slot * 8 + 4, 0xffffffff, true);
  }
  yield ["tables without end", loops];
  yield ["nothing but 0xff", new Uint8Array(sound.length).fill(0xff)];
}

/** Installs each damaged file in turn, and asserts that 127.0.0.9 is denied under every one. */
async function attack(t: Trial, path: string, count: number): Promise<void> {
  const files = await Rereading.prepare(t);
  const options = ["-vHl0", "-x", path];
  const server = await t.start({ options, program: SHOW, env: files.environment });
  const sound = new Uint8Array(fs.readFileSync(path));
  let tried = 0;
  for (const [what, bytes] of damaged(sound, count)) {
    fs.writeFileSync(`${path}.bad`, bytes);
    fs.renameSync(`${path}.bad`, path);
    await files.again(server);
    assertStrictEquals(await silentVisit(server.port, "127.0.0.9"), 0, what);
    tried++;
  }
  assert(tried >= 100);
  assert(server.running);
  assertEquals(server.lines(/^sslserver: (ok|pid) /), []);
  fs.writeFileSync(`${path}.good`, sound);
  fs.renameSync(`${path}.good`, path);
  await files.again(server);
  assertStrictEquals((await visit(server)).text, "in:good:");
  server.signal("SIGTERM"); // at the end the server logs how many repeated lines it suppressed
  await server.exited;
  const all = await settled(() => server.count("deny "), (count) => count >= tried);
  assertStrictEquals(all, tried);
  const errors = server.count("error: unable to read");
  assert(errors > 0 && errors <= tried, `${errors} errors, ${tried} denials`);
}

claim("a small rules file damaged in a hundred ways never admits a denied client", async (t) => {
  const path = await makeRules(t, "127.0.0.1:allow,LOOP='good'\n10.:allow\n=x.test:allow\n:deny\n");
  await attack(t, path, 90);
});

claim("a large rules file damaged in a hundred ways never admits a denied client", async (t) => {
  const many = Array.from({ length: 5000 }, (_, i) => `10.${i >> 8}.${i & 255}.1:allow\n`).join("");
  const path = await makeRules(t, `127.0.0.1:allow,LOOP='good'\n${many}:deny\n`);
  assert(fs.statSync(path).size > 65_536);
  await attack(t, path, 90);
});

/** A returning client can resume its session without a full handshake. The server verifies the client's
 *  certificate again each time, and the program gets the same variables. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { after } from "node:test";
import { makeRules } from "./admission.ts";
import { at, bundle, folder, judge, maker, openssl } from "./client_pki.ts";
import { stdout } from "./clients.ts";
import { claim, type Server, settled, type Trial, WITH_FFI } from "./harness.ts";

after(() => fs.rmSync(folder, { recursive: true }));

const WAYS = ["-tls1_3", "-tls1_2"] as const;
/** Prints all variables of the client, between marks. Sorted, because `env` of coreutils does not sort. */
const MIRROR = ["sh", "-c", "echo '<<<'; env | grep -a ^SSL_CLIENT_ | sort; echo '>>>'"];

interface Came {
  how: "New" | "Reused" | undefined;
  /** The output of the program; undefined: no program. */
  program: string | undefined;
}

/** Connects with `openssl s_client`, and saves the session to a file or resumes the one in it. */
async function come(
  t: Trial,
  server: Server,
  options: readonly string[],
  session: "-sess_out" | "-sess_in",
  from = "127.0.0.1",
): Promise<Came> {
  const where = ["-connect", `127.0.0.1:${server.port}`, "-bind", `${from}:0`, "-ign_eof"];
  const kept = [session, join(t.dir, `session${options[0]}.pem`)];
  const text = stdout(await t.run("openssl", ["s_client", ...where, ...options, ...kept]));
  return {
    how: /^(New|Reused), TLS/m.exec(text)?.[1] as Came["how"],
    program: /<<<\n([^]*?)>>>/.exec(text)?.[1],
  };
}

const shown = (t: Trial, ...names: [string, ...string[]]): string[] => {
  const [leaf, ...sent] = names;
  const chain = sent.length > 0 ? ["-cert_chain", bundle(t, "sent.pem", ...sent)] : [];
  return ["-cert", bundle(t, "leaf.pem", leaf), "-key", at(maker.key(leaf)), ...chain];
};

/** Asserts that the last visit was refused for this reason, and that no program was started. `count`: the visits
 *  that this server has refused. */
async function assertLost(
  server: Server,
  came: Came,
  why: string,
  what: string,
  count = 1,
): Promise<void> {
  assertStrictEquals(came.program, undefined, what);
  const lines = await server.waitFor(/: error: /, count);
  assert(lines.at(-1)?.endsWith(why), `${what}: ${lines.at(-1)}`);
}

/** `judge` with one worker, because only the worker that made a session can resume it. */
const judgeAlone: typeof judge = (t, options, env, more) =>
  judge(t, options, env, { ...more, options: [...more?.options ?? [], ...t.oneSpeaker] });

claim("sessions are resumed, by ticket", async (t) => {
  const server = await judgeAlone(t, "-svHl0", {}, { program: MIRROR });
  for (const way of WAYS) {
    assertStrictEquals((await come(t, server, [way], "-sess_out")).how, "New", way);
    const again = await come(t, server, [way], "-sess_in");
    assertEquals(again, { how: "Reused", program: "SSL_CLIENT_VERIFY=NONE\n" }, way);
  }
  const byId = ["-tls1_2", "-no_ticket"];
  await come(t, server, byId, "-sess_out");
  assertStrictEquals(
    (await come(t, server, byId, "-sess_in")).how,
    "New",
    "no session is kept here",
  );
}, { forms: WITH_FFI });

claim("a resumed session has the same facts about the client", async (t) => {
  const CAFILE = bundle(t, "trust.pem", "root");
  for (
    const [options, env] of [
      ["-smvHl0", { CAFILE, VERIFYDEPTH: "2" }],
      ["-svHl0", { CCAFILE: "/dev/null", CAFILE }],
      ["-svHl0", { CCAFILE: "/dev/null" }],
    ] as const
  ) {
    const server = await judgeAlone(t, options, env, { program: MIRROR });
    for (const way of WAYS) {
      const who = [way, ...shown(t, "leaf2", "sub2", "sub1")];
      const first = await come(t, server, who, "-sess_out");
      assertStrictEquals(first.how, "New");
      assertMatch(first.program ?? "", /^SSL_CLIENT_CERT_CHAIN_1=/m);
      assertMatch(first.program ?? "", /^SSL_CLIENT_S_DN_CN=leaf2$/m);
      // Without a certificate: the variables must come from the session.
      const again = await come(t, server, [way], "-sess_in");
      assertEquals(again, { ...first, how: "Reused" }, `${options} ${way}`);
    }
    await server.stop();
  }
}, { forms: WITH_FFI });

claim("a resumed session whose certificate has been revoked is refused", async (t) => {
  const CAFILE = bundle(t, "trust.pem", "root");
  for (const way of WAYS) {
    const CRLFILE = join(t.dir, "list.pem");
    fs.writeFileSync(CRLFILE, maker.list({ by: "root" }));
    const server = await judgeAlone(t, "-smvHl0", { CAFILE, CRLFILE }, { program: MIRROR });
    const who = [way, ...shown(t, "leaf")];
    assertMatch((await come(t, server, who, "-sess_out")).program ?? "", /VERIFY=SUCCESS/);
    const again = await come(t, server, who, "-sess_in");
    assertStrictEquals(again.how, "Reused", way);
    fs.writeFileSync(CRLFILE, maker.list({ by: "root", revoked: ["leaf"] }));
    const last = await settled(
      () => come(t, server, who, "-sess_in"),
      ({ program }) => program === undefined, // the server checks the list once a second
    );
    assertStrictEquals(last.how, "Reused", way);
    await assertLost(server, last, "client certificate: certificate revoked", way);
    await server.stop();
  }
}, { forms: WITH_FFI });

claim("a resumed session whose authority is trusted no more is refused", async (t) => {
  for (const way of WAYS) {
    for (const CCAFILE of [undefined, "/dev/null"]) {
      const CAFILE = bundle(t, "trust.pem", "root");
      const env: Record<string, string> = { CAFILE, ...CCAFILE ? { CCAFILE } : {} };
      const server = await judgeAlone(t, "-smvHl0", env, { program: MIRROR });
      const who = [way, ...shown(t, "leaf")];
      assertMatch((await come(t, server, who, "-sess_out")).program ?? "", /VERIFY=SUCCESS/);
      bundle(t, "trust.pem", "other");
      const last = await settled(
        () => come(t, server, who, "-sess_in"),
        ({ program }) => program === undefined,
      );
      // The TLS context stays the same as long as the CA names in the request do.
      if (CCAFILE) assertStrictEquals(last.how, "Reused");
      const why = "client certificate: unable to get local issuer certificate";
      await assertLost(server, last, why, `${way} ${CCAFILE}`);
      await server.stop();
    }
  }
}, { forms: WITH_FFI });

/** The end of validity and openssl's options for a certificate that expires in `seconds` seconds. */
function shortLived(seconds: number): { end: number; options: string[] } {
  maker.pem("future");
  const end = Math.ceil(Date.now() / 1000 + seconds) * 1000;
  const text = (ms: number): string =>
    `${new Date(ms).toISOString().replaceAll(/[-:T]|\.000Z/g, "").slice(0, 14)}Z`;
  fs.writeFileSync(at("short.txt"), "");
  fs.writeFileSync(
    at("short.cnf"),
    "[ca]\ndefault_ca=a\n[a]\ndatabase=short.txt\nnew_certs_dir=.\nrand_serial=yes\n" +
      "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n",
  );
  const dates = ["-startdate", text(end - 3_600_000), "-enddate", text(end)];
  const by = ["-cert", "root.pem", "-keyfile", maker.key("root"), "-extfile", "future.ext"];
  const files = ["-in", "future.csr", "-out", "short.pem", "-config", "short.cnf"];
  openssl("ca", "-batch", "-notext", ...dates, ...by, ...files);
  return { end, options: ["-cert", at("short.pem"), "-key", at(maker.key("future"))] };
}

/** Makes sessions with a certificate that is valid for `seconds` seconds, and resumes them. A busy machine may need
 *  longer, and gets a certificate that is valid for longer then. Returns its end of validity and openssl's options. */
async function resumedBefore(
  t: Trial,
  server: Server,
  seconds: number,
): Promise<[end: number, options: string[]]> {
  const { end, options } = shortLived(seconds);
  const visits: [first: Came, second: Came][] = [];
  for (const way of WAYS) {
    const who = [way, ...options];
    visits.push([await come(t, server, who, "-sess_out"), await come(t, server, who, "-sess_in")]);
  }
  if (Date.now() >= end && seconds < 20) return await resumedBefore(t, server, 2 * seconds);
  for (const [first, second] of visits) {
    assertMatch(first.program ?? "", /VERIFY=SUCCESS/);
    assertStrictEquals(second.how, "Reused");
  }
  return [end, options];
}

claim("a resumed session whose certificate has expired is refused", async (t) => {
  const CAFILE = bundle(t, "trust.pem", "root");
  const server = await judgeAlone(t, "-smvHl0", { CAFILE }, { program: MIRROR });
  const [end, options] = await resumedBefore(t, server, 5);
  await settled(() => Date.now(), (now) => now > end + 10);
  for (const way of WAYS) {
    const before = server.lines(/: error: /).length;
    const last = await come(t, server, [way, ...options], "-sess_in");
    assertStrictEquals(last.how, "Reused", way);
    await assertLost(server, last, "client certificate: certificate has expired", way, before + 1);
  }
}, { forms: WITH_FFI });

claim("a session begun without a certificate does not stand for one", async (t) => {
  const CAFILE = bundle(t, "trust.pem", "root");
  const rules = await makeRules(
    t,
    `127.0.0.2:allow,CCAFILE="/dev/null"
127.0.0.3:allow,CCAFILE="/dev/null",CCAVERIFY="1"
127.0.0.4:allow,CCAVERIFY="1"
:allow
`,
  );
  const server = await judgeAlone(t, "-svHl0", { CAFILE }, {
    program: MIRROR,
    options: ["-x", rules],
  });
  let lost = 0;
  for (const way of WAYS) {
    for (const from of ["127.0.0.1", "127.0.0.2"]) {
      const first = await come(t, server, [way], "-sess_out", from);
      assertStrictEquals(first.program, "SSL_CLIENT_VERIFY=NONE\n");
      for (const to of ["127.0.0.3", "127.0.0.4"]) {
        const last = await come(t, server, [way], "-sess_in", to);
        const what = `${way} ${from} ${to}`;
        await assertLost(server, last, "peer did not return a certificate", what, ++lost);
      }
    }
  }
}, { forms: WITH_FFI });

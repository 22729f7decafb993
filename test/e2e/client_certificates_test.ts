/** A client's certificate decides whether a program starts, and what the program reads about the
 *  certificate. The result is the same on every runtime. */

import { assertEquals, assertMatch, assertNotMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { after } from "node:test";
import { CountingDns, makeRules, ptrAnswer } from "./admission.ts";
import {
  assertRefused,
  assertServed,
  bundle,
  folder,
  judge,
  maker,
  meet,
  type Shown,
  staleList,
  VISITOR,
} from "./client_pki.ts";
import { sClient, stdout } from "./clients.ts";
import { claim, type Form, type Server, type Trial, WITH_FFI } from "./harness.ts";

after(() => fs.rmSync(folder, { recursive: true }));

const VERSIONS = ["-3", "-2"] as const;
const NONE = "peer did not return a certificate";
const NO_ISSUER = "unable to get local issuer certificate";
const PURPOSE = "unsuitable certificate purpose";
const WEAK_DIGEST = "CA signature digest algorithm too weak";
const TOO_LONG = "certificate chain too long";

/** `says` is SUCCESS or the reason of the refusal. `own` describes a refusal by the TLS library of one
 *  runtime itself, with an alert and its own text. */
type Row = readonly [what: string, shown: Shown, says: string, own?: Own];
type Own = {
  readonly of: "Bun" | "Deno";
  readonly why: string;
  /** The end that the client sees: in TLS 1.3 after its handshake, in TLS 1.2 during its handshake. */
  readonly hears: readonly [string, string];
  /** The library closes at once. If the client has sent data meanwhile, the kernel sends a reset, which
   *  may overtake the rest. */
  readonly atOnce?: true;
};

const on = (t: Trial): "Bun" | "Deno" => t.onDeno ? "Deno" : "Bun";

/** The end that a client without the required certificate sees. In TLS 1.3 it comes after the client's
 *  handshake. */
function missing(form: Form, version: string): string {
  if (version === "-3") return "tlsv13 alert certificate required";
  const words = form === "deno"
    ? "tlsv13 alert certificate required"
    : "sslv3 alert handshake failure";
  return `no handshake: ${words}`;
}

async function assertTable(t: Trial, server: Server, rows: readonly Row[]): Promise<void> {
  for (const version of VERSIONS) {
    for (const [about, shown, says, own] of rows) {
      const what = `${about} (${version})`;
      const met = await meet(t, server, shown, version);
      if (own?.of === on(t)) {
        const [three, two] = own.hears;
        const end = own.atOnce && met.end === "reset" ? "reset" : version === "-3" ? three : two;
        assertRefused(met, own.why, end, what);
        continue;
      }
      if (says === "SUCCESS") assertServed(met, says, what);
      else if (!shown) assertRefused(met, NONE, missing(t.form, version), what);
      else assertRefused(met, `client certificate: ${says}`, "close_notify", what);
    }
  }
}

/** Deno cannot read the key of the certificate, so it cannot verify the client's signature. */
const unreadable = (alert: string): Own => ({
  of: "Deno",
  why: "unable to verify the first certificate",
  hears: [alert, `no handshake: ${alert}`],
});
/** In TLS 1.2 BoringSSL closes without an alert. */
const NO_SIGNER: Own = {
  of: "Bun",
  why: "client certificate: unsuitable certificate purpose",
  hears: ["sslv3 alert illegal parameter", "no handshake: eof"],
};

/** BoringSSL tries only one of several chains, and accepts RSA-PSS with one salt length only. */
const closes = (why: string): Own => ({
  of: "Bun",
  why: `client certificate: ${why}`,
  hears: ["close_notify", "close_notify"],
  atOnce: true,
});

const TABLE: readonly Row[] = [
  ["a client of the root", ["leaf"], "SUCCESS"],
  ["no certificate", undefined, NONE],
  ["a client of an intermediate that it sends", ["leaf1", "sub1"], "SUCCESS"],
  ["an intermediate that it does not send", ["leaf1"], NO_ISSUER],
  ["the root sent too", ["leaf1", "sub1", "root"], "SUCCESS"],
  ["root before intermediate", ["leaf1", "root", "sub1"], "SUCCESS"],
  ["useless ones between", ["leaf1", "other", "leaf", "sub1"], "SUCCESS"],
  ["P-384", ["p384Leaf"], "SUCCESS"],
  ["RSA", ["rsaUnderEc"], "SUCCESS"],
  ["Ed25519", ["edUnderEc"], "SUCCESS"],
  ["an authority with Ed25519", ["ed"], "SUCCESS"],
  ["an authority with RSA", ["rsaLeaf"], "SUCCESS"],
  ["no usages at all", ["plain"], "SUCCESS"],
  ["both usages", ["both"], "SUCCESS"],
  ["expired", ["expired"], "certificate has expired"],
  ["not yet valid", ["future"], "certificate is not yet valid"],
  ["for servers only", ["serverOnly"], PURPOSE],
  ["under an intermediate for servers", ["byServerSub", "serverSub"], PURPOSE],
  ["an authority that nobody knows", ["p224"], NO_ISSUER],
  ["the same, its root sent", ["p224", "p224Root"], "self-signed certificate in certificate chain"],
  [
    "an authority of our root's name and another key",
    ["byImpostor", "impostor"],
    "certificate signature failure",
  ],
  ["two intermediates where one is allowed", ["leaf2", "sub2", "sub1"], TOO_LONG],
  ["self-signed", ["self"], "self-signed certificate"],
  ["a broken signature", ["broken"], "certificate signature failure"],
  [
    "a broken signature of an intermediate",
    ["byBrokenSub", "brokenSub"],
    "certificate signature failure",
  ],
  ["an intermediate that is none (CA:FALSE)", ["byFalseCa", "falseCa"], "invalid CA certificate"],
  ["another client as intermediate", ["byNotCa", "notCa"], "invalid CA certificate"],
  ["an intermediate that must not sign", ["byNoSignCa", "noSignCa"], "invalid CA certificate"],
  ["an intermediate without constraints", ["byBareCa", "bareCa"], "invalid CA certificate"],
  ["signed with SHA-1", ["rsaSha1"], WEAK_DIGEST],
  ["signed with MD5", ["rsaMd5"], WEAK_DIGEST],
  ["under an authority of 1024 bits", ["byWeak"], "CA certificate key too weak"],
  [
    "a key of 1024 bits",
    ["weakLeaf"],
    "EE certificate key too weak",
    unreadable("tlsv1 alert decrypt error"),
  ],
  ["without digitalSignature", ["encipher"], PURPOSE, NO_SIGNER],
  [
    "an unknown critical extension",
    ["critical"],
    "unhandled critical extension",
    unreadable("sslv3 alert certificate unknown"),
  ],
  ["the same in an intermediate", ["byCriticalSub", "criticalSub"], "unhandled critical extension"],
  ["an unknown extension", ["unknown"], "SUCCESS"],
  [
    "policies that are critical",
    ["policies"],
    "SUCCESS",
    unreadable("sslv3 alert certificate unknown"),
  ],
  ["signed with RSA-PSS", ["rsaPss"], "SUCCESS"],
  ["with a short salt", ["rsaPss384"], "SUCCESS", closes("certificate signature failure")],
  ["cross-signed, the wrong way first", ["leaf1", "crossed", "sub1"], "SUCCESS", closes(NO_ISSUER)],
];

claim(
  "-m admits clients with a valid certificate, and starts nothing for all others",
  async (t) => {
    const CAFILE = bundle(t, "trust.pem", "root", "edRoot", "rsaRoot", "weakRoot");
    const server = await judge(t, "-smvHl0", { CAFILE });
    await assertTable(t, server, TABLE);
  },
  { forms: WITH_FFI, timeout: 120_000 },
);

claim("-m trusts CAFILE alone, whatever CCAFILE names", async (t) => {
  const CAFILE = bundle(t, "trust.pem", "root", "rsaRoot");
  const chained = "self-signed certificate in certificate chain";
  for (
    const [CCAFILE, says] of [
      ["/dev/null", NO_ISSUER],
      [bundle(t, "named.pem", "p224Root"), chained], // the library appends this root to the chain
    ] as const
  ) {
    const server = await judge(t, "-smvHl0", { CAFILE, CCAFILE });
    await assertTable(t, server, [
      ["a client of the root", ["leaf1", "sub1"], "SUCCESS"],
      ["cross-signed, the wrong way first", ["leaf1", "crossed", "sub1"], "SUCCESS"],
      ["signed with a short salt", ["rsaPss384"], "SUCCESS"],
      ["expired", ["expired"], "certificate has expired"],
      ["an authority that is named, or not, and not trusted", ["p224"], says],
    ]);
    for (const version of VERSIONS) {
      assertRefused(await meet(t, server, undefined, version), NONE, "close_notify", version);
    }
    await server.stop();
  }
}, { forms: WITH_FFI });

claim("VERIFYDEPTH and path lengths bound the chain", async (t) => {
  const CAFILE = bundle(t, "trust.pem", "root");
  const one = ["leaf1", "sub1"] as const;
  const two = ["leaf2", "sub1", "sub2"] as const;
  const three = ["leaf3", "sub3", "sub1", "sub2"] as const;
  for (
    const [VERIFYDEPTH, ...rows] of [
      ["0", ["none", ["leaf"], "SUCCESS"], ["one", one, TOO_LONG]],
      ["2", ["one", one, "SUCCESS"], ["two", two, "SUCCESS"], ["three", three, TOO_LONG]],
      [
        "9",
        ["three", three, "SUCCESS"],
        ["below length 0", ["byPath0", "path0"], "SUCCESS"],
        ["beyond it", ["bySubPath0", "subPath0", "path0"], "path length constraint exceeded"],
      ],
    ] as const
  ) await assertTable(t, await judge(t, "-smvHl0", { CAFILE, VERIFYDEPTH }), rows);
}, { forms: WITH_FFI });

claim(
  "CRLFILE: revoked clients are refused, and all clients if no list is current",
  async (t) => {
    const CAFILE = bundle(t, "trust.pem", "root", "other");
    const rows: [list: string, ...Row[]][] = [
      [
        maker.list({ by: "root", revoked: ["p256"] }),
        ["revoked", ["p256"], "certificate revoked"],
        ["not revoked", ["leaf"], "SUCCESS"],
        ["no list of the intermediate", ["leaf1", "sub1"], "unable to get certificate CRL"],
      ],
      [
        staleList("p256"),
        ["revoked", ["p256"], "certificate revoked"],
        ["a list out of date", ["leaf"], "CRL has expired"],
      ],
      [maker.list({ by: "other" }), ["another's list", ["leaf"], "unable to get certificate CRL"]],
      [
        maker.list({ by: "root", keyOf: "namesake" }),
        ["a list that somebody of the root's name signed", ["leaf"], "CRL signature failure"],
      ],
      [
        maker.list({ by: "root", revoked: ["sub1"] }) + maker.list({ by: "sub1" }),
        ["a revoked intermediate", ["leaf1", "sub1"], "certificate revoked"],
      ],
    ];
    const CRLFILE = join(t.dir, "lists.pem");
    for (const [list, ...table] of rows) {
      fs.writeFileSync(CRLFILE, list);
      const server = await judge(t, "-smvHl0", { CAFILE, CRLFILE });
      await assertTable(t, server, table);
      await server.stop();
    }
  },
  { forms: WITH_FFI, timeout: 90_000 },
);

claim("a certificate that was revoked just now is refused", async (t) => {
  const CRLFILE = join(t.dir, "list.pem");
  fs.writeFileSync(CRLFILE, maker.list({ by: "root" }));
  const CAFILE = bundle(t, "trust.pem", "root");
  const server = await judge(t, "-smvHl0", { CAFILE, CRLFILE });
  assertServed(await meet(t, server, ["leaf"]), "SUCCESS", "before");
  fs.writeFileSync(CRLFILE, maker.list({ by: "root", revoked: ["leaf"] }));
  server.signal("SIGHUP");
  for (let met = await meet(t, server, ["leaf"]);; met = await meet(t, server, ["leaf"])) {
    if (met.text === "SUCCESS") continue; // the connection came before the signal took effect
    assertRefused(met, "client certificate: certificate revoked", "close_notify", "after");
    return;
  }
}, { forms: WITH_FFI });

claim("-z also requires the client's name, if it has one", async (t) => {
  const CAFILE = bundle(t, "trust.pem", "root");
  const dns = await CountingDns.start((query) => ptrAnswer(query, VISITOR));
  try {
    const server = await judge(t, "-szvl0", { CAFILE, DNSCACHEIP: dns.address });
    const mismatch = "hostname mismatch";
    await assertTable(t, server, [
      ["no certificate", undefined, NONE],
      ["an alternative name, in capitals", ["zName"], "SUCCESS"],
      ["a wildcard", ["zWild"], "SUCCESS"],
      ["a wildcard for a whole domain", ["zTooWild"], mismatch],
      ["a wildcard inside a label", ["zInside"], mismatch],
      ["the common name alone", ["zCommon"], "SUCCESS"],
      ["the common name beside an alternative one", ["zCommonBeside"], mismatch],
      ["the common name beside an address of mail", ["zEmail"], "SUCCESS"],
      ["another name", ["zOther"], mismatch],
      ["another common name", ["leaf"], mismatch],
      ["expired, of another name", ["expired"], "certificate has expired"],
    ]);
    const nameless = await judge(t, "-szvHl0", { CAFILE });
    await assertTable(t, nameless, [
      ["another name, the client's unknown", ["zOther"], "SUCCESS"],
      ["expired, the client's name unknown", ["expired"], "certificate has expired"],
    ]);
    const valid = await judge(t, "-smvl0", { CAFILE, DNSCACHEIP: dns.address });
    await assertTable(t, valid, [["another name, with -m", ["zOther"], "SUCCESS"]]);
  } finally {
    dns.close();
  }
}, { forms: WITH_FFI });

claim(
  "with CCAFILE alone every client is admitted, and the program reads the result",
  async (t) => {
    const trust = bundle(t, "trust.pem", "root");
    const rows: readonly [shown: Shown, judged: string][] = [
      [["leaf"], "SUCCESS"],
      [undefined, "NONE"],
      [["expired"], "FAILED:certificate has expired"],
      [["self"], "FAILED:self-signed certificate"],
      [["p224"], `FAILED:${NO_ISSUER}`],
    ];
    for (const CCAFILE of ["/dev/null", trust]) {
      const judged = await judge(t, "-svHl0", { CCAFILE, CAFILE: trust });
      const seen = await judge(t, "-svHl0", { CCAFILE });
      for (const version of VERSIONS) {
        for (const [shown, verdict] of rows) {
          const what = `${shown} ${CCAFILE} ${version}`;
          assertServed(await meet(t, judged, shown, version), verdict, what);
          const generous = shown ? "GENEROUS" : "NONE";
          assertServed(await meet(t, seen, shown, version), generous, what);
        }
      }
    }
    const unasked = await judge(t, "-svHl0", { CAFILE: trust });
    assertServed(await meet(t, unasked, ["leaf"]), "NONE", "nobody asks");
  },
  { forms: WITH_FFI },
);

claim("rules ask some clients for a certificate and not others", async (t) => {
  const CAFILE = bundle(t, "trust.pem", "root");
  const other = bundle(t, "other.pem", "other");
  const rules = await makeRules(
    t,
    `127.0.0.2:allow,CCAFILE="-"
127.0.0.3:allow,CCAVERIFY="1"
127.0.0.4:allow,CAFILE="${other}"
127.0.0.5:allow,CCAFILE="/dev/null"
127.0.0.6:allow,CCAVERIFY="1",CAFILE="${join(t.dir, "missing.pem")}"
:allow
`,
  );
  const key = join(folder, maker.key("leaf"));
  const shown = ["-cert", bundle(t, "leaf.pem", "leaf"), "-key", key];
  const rows: [options: string, from: string, certificate: boolean, expected: string][] = [
    ["-svHl0", "127.0.0.1", true, "NONE"],
    ["-svHl0", "127.0.0.3", true, "SUCCESS"],
    ["-svHl0", "127.0.0.3", false, ""],
    ["-svHl0", "127.0.0.5", true, "SUCCESS"],
    ["-svHl0", "127.0.0.5", false, "NONE"],
    ["-svHl0", "127.0.0.6", true, ""],
    ["-smvHl0", "127.0.0.1", true, "SUCCESS"],
    ["-smvHl0", "127.0.0.2", true, "NONE"],
    ["-smvHl0", "127.0.0.2", false, "NONE"],
    ["-smvHl0", "127.0.0.4", true, ""],
    ["-smvHl0", "127.0.0.5", false, ""],
  ];
  for (const options of ["-svHl0", "-smvHl0"]) {
    const server = await judge(t, options, { CAFILE }, { options: ["-x", rules] });
    const mine = rows.filter(([of]) => of === options);
    for (const [, from, certificate, expected] of mine) {
      const args = ["-bind", `${from}:0`, ...certificate ? shown : []];
      const answer = await sClient(t, server, "", args);
      assertStrictEquals(stdout(answer), expected, `${options} ${from} ${certificate}`);
    }
    const refused = mine.filter(([, , , expected]) => expected === "").length;
    assertStrictEquals((await server.waitFor(/: error: /, refused)).length, refused);
    await server.waitFor(/: ended by /, mine.length - refused);
    assertStrictEquals(server.lines(/: pid /).length, mine.length - refused);
    await server.stop();
  }
}, { forms: WITH_FFI });

claim(
  "the request names the authorities of CCAFILE, else those that are trusted, or none",
  async (t) => {
    const CAFILE = bundle(t, "trust.pem", "root");
    const CCAFILE = bundle(t, "named.pem", "other", "edRoot");
    const rows: [options: string, env: Record<string, string>, names: string[]][] = [
      ["-mHl0", { CAFILE }, ["CN = root"]],
      ["-mHl0", { CAFILE, CCAFILE }, ["CN = edRoot", "CN = other"]],
      ["-mHl0", { CCAFILE }, ["CN = edRoot", "CN = other"]],
      ["-mHl0", { CAFILE, CCAFILE: "/dev/null" }, []],
      ["-Hl0", { CCAFILE: "/dev/null" }, []],
      ["-Hl0", { CCAFILE, CAFILE }, ["CN = edRoot", "CN = other"]],
    ];
    for (const [options, env, names] of rows) {
      const server = await judge(t, options, env);
      for (const version of ["-tls1_3", "-tls1_2"]) {
        const where = ["-connect", `127.0.0.1:${server.port}`];
        const answer = stdout(await t.run("openssl", ["s_client", version, ...where]));
        const list = /^Acceptable client certificate CA names\n((?:CN = .*\n)*)/m.exec(answer);
        const told = list?.[1]?.trimEnd().split("\n") ?? [];
        assertEquals(told.sort(), names, `${JSON.stringify(env)} ${version}`);
        if (names.length === 0) assertMatch(answer, /^No client certificate CA names sent$/m);
      }
      await server.stop();
    }
    const unasked = await judge(t, "-mHl0", { CAFILE, CCAFILE: "-" });
    const where = ["-connect", `127.0.0.1:${unasked.port}`];
    const answer = stdout(await t.run("openssl", ["s_client", ...where]));
    assertNotMatch(answer, /Requested Signature Algorithms/);
  },
  { forms: WITH_FFI },
);

claim("a Gemini service knows its users by certificates they made themselves", async (t) => {
  const say = 'echo "20 text/plain"; echo "you are $SSL_CLIENT_FINGERPRINT_SHA256"';
  const env = { CCAFILE: "/dev/null" };
  const server = await judge(t, "-sHl0", env, { program: ["sh", "-c", say] });
  const key = join(folder, maker.key("self"));
  const certificate = bundle(t, "self.pem", "self");
  const told = await t.run("openssl", [
    ...["x509", "-noout", "-fingerprint", "-sha256", "-in", certificate],
  ]);
  const fingerprint = stdout(told).replace(/^.*=|[:\n]/g, "").toLowerCase();
  assertMatch(fingerprint, /^[0-9a-f]{64}$/);
  const request = "gemini://localhost/\r\n";
  const known = await sClient(t, server, request, ["-cert", certificate, "-key", key]);
  assertStrictEquals(stdout(known), `20 text/plain\nyou are ${fingerprint}\n`);
  const stranger = await sClient(t, server, request);
  assertStrictEquals(stdout(stranger), "20 text/plain\nyou are \n");
});

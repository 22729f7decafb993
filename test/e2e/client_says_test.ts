/** Each row of "My client says …" in docs/troubleshooting.md: the client says it, and the log has the reason. */

import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { type Symptom, SYMPTOMS } from "../../tools/messages/clients.ts";
import { agedSelfSigned, environmentOf, openssl, selfSigned } from "./certificates.ts";
import { claim, type Server, type StartOptions, type Trial } from "./harness.ts";

type Name = keyof typeof SYMPTOMS;

interface Case {
  server?: (t: Trial) => Promise<StartOptions>;
  /** Runs before the client. */
  before?: (t: Trial) => void;
  /** The client's command without its address. Default: openssl s_client. */
  client?: (t: Trial) => string[] | Promise<string[]>;
  curl?: string;
}

const sClient = (...options: string[]) => (): string[] => options;
const env = (variables: Record<string, string>) => async (): Promise<StartOptions> => ({
  env: variables,
  selfSigned: true,
});

/** A client that shows a certificate that it has made itself. */
const visitor = (...kind: string[]) => async (t: Trial): Promise<string[]> => {
  const name = kind[0]?.replace(":", "");
  const [certificate, key] = [join(t.dir, `${name}.pem`), join(t.dir, `${name}.key`)];
  const request = ["-x509", "-nodes", "-subj", "/CN=visitor", "-days", "9"];
  await openssl(t, "req", ...request, "-newkey", ...kind, "-keyout", key, "-out", certificate);
  return ["-cert", certificate, "-key", key];
};

const P256 = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

/** A server that requires client certificates of an authority that has issued none. */
const required = (name: string) => async (t: Trial): Promise<StartOptions> => {
  const { certificate } = await selfSigned(t, name);
  return { options: ["-m"], env: { CAFILE: certificate }, selfSigned: true };
};

const CASES: Readonly<Record<Name, Case>> = {
  unknownAuthority: { client: sClient("-verify_return_error") },
  expired: {
    server: async (t) => ({ env: environmentOf(await agedSelfSigned(t, "old", -1)) }),
    client: (t) => ["-verify_return_error", "-CAfile", join(t.dir, "old.pem")],
  },
  wrongName: {
    server: async (t) => ({ env: environmentOf(await selfSigned(t, "own")) }),
    client: (t) => {
      const trusted = ["-verify_return_error", "-CAfile", join(t.dir, "own.pem")];
      return [...trusted, "-verify_hostname", "other.example"];
    },
  },
  certificateRequired: { server: required("one") },
  certificateRefused: { server: required("two"), client: visitor(...P256) },
  decryptError: {
    server: required("three"),
    client: async (t) => [...await visitor("rsa:1024")(t), "-cipher", "DEFAULT@SECLEVEL=0"],
  },
  handshakeFailure: { client: sClient("-tls1_2", "-cipher", "AES128-SHA") },
  protocolVersion: { client: sClient("-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0") },
  unrecognizedName: {
    server: env({ SNI_STRICT: "1" }),
    client: sClient("-servername", "other.example"),
  },
  noApplicationProtocol: { server: env({ ALPN: "imap" }), client: sClient("-alpn", "h2") },
  wrongVersionNumber: {
    server: () => Promise.resolve({ options: ["--early-banner", "220 ready\r\n"] }),
  },
  plainHttp: { curl: "http" },
  programNotFound: {
    server: (t) => {
      const program = join(t.dir, "program");
      fs.writeFileSync(program, "#!/bin/sh\n", { mode: 0o755 });
      return Promise.resolve({ program: [program] });
    },
    before: (t) => fs.rmSync(join(t.dir, "program")),
  },
};

async function said(t: Trial, server: Server, { client, curl }: Case): Promise<string> {
  const address = `127.0.0.1:${server.port}`;
  const { stdout, stderr } = curl
    ? await t.run("curl", ["-sSm", "9", `${curl}://${address}/`])
    : await t.run("openssl", [
      "s_client",
      "-ign_eof",
      "-connect",
      address,
      ...await client?.(t) ?? [],
    ]);
  return new TextDecoder().decode(stdout) + stderr;
}

/** Returns what is wrong with a row. */
async function tried(t: Trial, name: Name): Promise<string[]> {
  const [one, row]: [Case, Symptom] = [CASES[name], SYMPTOMS[name]];
  const server = await t.start(await one.server?.(t) ?? {});
  one.before?.(t);
  const text = await said(t, server, one);
  const wrong = row.says.some((words) => text.includes(words))
    ? []
    : [`${name}: ${text.slice(-300)}`];
  const logged = new RegExp(row.log.map((words) => words.replaceAll(/[()]/g, "\\$&")).join("|"));
  await server.waitFor(logged).catch((error) => wrong.push(`${name}: ${error}`));
  return wrong;
}

claim("a client says what the table has, and the log has the reason", async (t) => {
  const left = Object.keys(SYMPTOMS) as Name[];
  assert(left.length >= 10);
  const wrong: string[] = [];
  const work = async (): Promise<void> => {
    for (let name = left.shift(); name; name = left.shift()) wrong.push(...await tried(t, name));
  };
  await Promise.all([work(), work(), work()]);
  assertEquals(wrong, []);
}, { forms: ["binary", "deno"], timeout: 90_000 });

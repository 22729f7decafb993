/** Every variable that a rule may set, by the table, has an effect there, and no other variable has. */

import { assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { after, test } from "node:test";
import { admit, type AdmitServices } from "../../src/admit/admit.ts";
import {
  isForRules,
  type RuleVariable,
  type RuleVariables,
  type VariableName,
} from "../../src/config/variables.ts";
import { SERVER_VARIABLES } from "../../src/config/variables_of_server.ts";
import { Log } from "../../src/log.ts";
import type { Runtime, TlsContext } from "../../src/runtime/runtime.ts";
import { ClientAuths } from "../../src/tls/client_auth.ts";
import { Contexts } from "../../src/tls/context.ts";
import { makeSelfSigned } from "../../src/tls/self_signed.ts";
import { ServerNames } from "../../src/tls/server_names.ts";

const folder = fs.mkdtempSync(join(tmpdir(), "rule-variables-"));
after(() => fs.rmSync(folder, { recursive: true }));
const CERTFILE = join(folder, "cert.pem"), KEYFILE = join(folder, "key.pem");
const pair = makeSelfSigned(["own.example"]);
fs.writeFileSync(CERTFILE, pair.certPem);
fs.writeFileSync(KEYFILE, pair.keyPem);
const ENV: Readonly<Record<string, string>> = {
  CERTFILE,
  KEYFILE,
  CAFILE: CERTFILE,
  CCAFILE: CERTFILE,
};

/** For each variable, a value that changes the result of a connection. */
const VALUES: Readonly<Record<RuleVariable, string>> = {
  CERTFILE: "/missing",
  CERTCHAINFILE: "/missing",
  KEYFILE: "/missing",
  SNI_STRICT: "1",
  TLS_MIN_VERSION: "9",
  TLS_MAX_VERSION: "9",
  CIPHERS: "TLS_AES_128_GCM_SHA256",
  ALPN: "a b",
  CURVES: "X448",
  DHFILE: "/missing",
  CAFILE: "/missing",
  CADIR: "/missing",
  CRLFILE: "/missing",
  VERIFYDEPTH: "x",
  CCAFILE: "/missing",
  CCADIR: "/missing",
  CCAVERIFY: "",
  MAXCONIP: "x",
  MAXCONRATE: "x",
  MAXCONNET: "x",
  TICKETKEYFILE: "/missing",
};

/** The result of admission and of the choice of a context, for a rule with these variables. */
async function outcome(env: RuleVariables): Promise<string> {
  const lines: string[] = [];
  const write = (text: string): number => lines.push(text);
  const log = new Log({ verbosity: 1, form: "text", name: "t", write });
  const verdict = { allow: true, env, rule: new Uint8Array(0) };
  const services = {
    options: { remoteName: false, paranoid: false, ident: false, identTimeout: 1 },
    log,
    limiter: undefined,
    limits: {},
    rules: { evaluate: () => verdict },
  } as unknown as AdmitServices;
  const end = { ip: "192.0.2.1", port: 1, host: "x" };
  const { signal } = new AbortController();
  const conn = { local: { ...end }, remote: { ...end }, variables: new Map(), signal };
  const denial = await admit(conn as never, services);

  const runtime = { cipherLists: true, tlsContext: () => ({}) as TlsContext } as unknown as Runtime;
  const lookup = (name: string): string | undefined => ENV[name];
  const auths = new ClientAuths({ option: "none", env: lookup, log });
  const contexts = new Contexts({ runtime, log, env: lookup });
  const names = new ServerNames(contexts, Object.entries(ENV));
  let chosen: string;
  try {
    const auth = auths.get(env);
    const { alert = undefined } = { ...names.select(env, auth, new Uint8Array(0)) } as {
      alert?: number;
    };
    chosen = `required ${auth?.required}, alert ${alert}`;
  } catch (error) {
    chosen = String(error);
  }
  log.flush();
  return [denial?.kind, chosen, ...lines].join("\n");
}

test("every variable for rules changes what becomes of a connection, and no other does", async () => {
  const names: VariableName[] = SERVER_VARIABLES.flatMap((row) => [...row.names]);
  const usual = await outcome(new Map([["X", "y"]]));
  assertStrictEquals(usual, "\nrequired false, alert undefined");
  for (const name of names) {
    const value = VALUES[name as RuleVariable] ?? "x";
    const found = await outcome(new Map([[name, value]]));
    assertStrictEquals(found !== usual, isForRules(name), `${name}: ${found}`);
  }
});

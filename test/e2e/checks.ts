/** Helpers of the claims about --check: a sound configuration in which to plant mistakes, certificates
 *  with any fault, and a function that runs the check and parses its findings. */

import { assert } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { openssl, type Pair } from "./certificates.ts";
import { denoDir } from "./admission.ts";
import { formCommand, isRoot, type Trial } from "./harness.ts";

/** The uid and gid of the checked server's programs: Debian's nobody. */
export const NOBODY = 65534;

/** A command line to be checked. */
export interface Plan {
  env: Record<string, string>;
  options: string[];
  host: string;
  port: string;
  program: string[];
  /** Shell text that runs before the shell executes the server. */
  prelude?: string;
}

export interface Finding {
  level: "ok" | "info" | "warning" | "error";
  text: string;
  remedy?: string;
}

export interface Checked {
  status: number | null;
  findings: Finding[];
  stdout: string;
  stderr: string;
}

export interface Wanted {
  /** The issuer; absent: self-signed. */
  by?: Pair;
  days?: number;
  subject?: string;
  names?: readonly string[];
  /** Lines of an OpenSSL extension file, in addition to the names. */
  extensions?: readonly string[];
  key?: "ec" | "rsa" | "rsa1024";
  digest?: "sha256" | "sha1";
}

const KEYS = {
  ec: ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
  rsa: ["-newkey", "rsa:2048"],
  rsa1024: ["-newkey", "rsa:1024"],
} as const;

/** A certificate and its key as `NAME.pem` and `NAME.key`. Only the owner can read the key. */
export async function issue(t: Trial, name: string, wanted: Wanted = {}): Promise<Pair> {
  const { by, days = 200, names = ["localhost"], key = "ec", digest = "sha256" } = wanted;
  const at = (ending: string): string => join(t.dir, `${name}.${ending}`);
  const pair = { certificate: at("pem"), key: at("key") };
  const subject = wanted.subject ?? `/CN=${name}`;
  const request = ["-keyout", pair.key, "-out", at("csr"), "-subj", subject];
  await openssl(t, "req", "-new", ...KEYS[key], "-nodes", ...request);
  const extensions = [
    ...names.length > 0 ? [`subjectAltName=${names.map((one) => `DNS:${one}`).join(",")}`] : [],
    ...wanted.extensions ?? [],
  ];
  fs.writeFileSync(at("ext"), extensions.map((line) => `${line}\n`).join(""));
  const signer = by
    ? ["-CA", by.certificate, "-CAkey", by.key, "-CAcreateserial"]
    : ["-signkey", pair.key];
  const out = ["-days", String(days), `-${digest}`, "-extfile", at("ext"), "-out"];
  await openssl(t, "x509", "-req", "-in", at("csr"), ...signer, ...out, pair.certificate);
  fs.chmodSync(pair.key, 0o600);
  return pair;
}

/** An authority: a root, or an intermediate under `by`. */
export async function authority(
  t: Trial,
  name: string,
  wanted: Pick<Wanted, "by" | "days"> = {},
): Promise<Pair> {
  const extensions = ["basicConstraints=critical,CA:true", "keyUsage=keyCertSign,cRLSign"];
  return await issue(t, name, { ...wanted, names: [], extensions });
}

/** A revocation list of an authority: valid for a month, or out of date. */
export async function revocationList(
  t: Trial,
  by: Pair,
  name: string,
  { ended = false } = {},
): Promise<string> {
  const at = (file: string): string => join(t.dir, `${name}.${file}`);
  fs.writeFileSync(at("index"), "");
  const lines = [`[ca]`, `default_ca=own`, `[own]`, `database=${at("index")}`, `default_md=sha256`];
  fs.writeFileSync(at("cnf"), lines.join("\n"));
  const dates = ended
    ? ["-crl_lastupdate", "20240101000000Z", "-crl_nextupdate", "20240201000000Z"]
    : ["-crldays", "30"];
  const signer = ["-cert", by.certificate, "-keyfile", by.key];
  const [config, out] = [at("cnf"), at("crl")];
  await openssl(t, "ca", "-gencrl", "-config", config, ...signer, ...dates, "-out", out);
  return out;
}

/** Sets mode 640 and this group. Without root the group stays: server and tests are one user then. */
export function readableBy(path: string, gid: number): void {
  if (isRoot) fs.chownSync(path, 0, gid);
  fs.chmodSync(path, 0o640);
}

/** A configuration in which nothing is wrong. */
export async function sound(t: Trial): Promise<Plan> {
  const root = await authority(t, "root");
  const leaf = await issue(t, "leaf", { by: root, names: ["mx.example"] });
  return {
    env: { CERTFILE: leaf.certificate, KEYFILE: leaf.key },
    options: [...isRoot ? ["-u", String(NOBODY), "-g", String(NOBODY)] : [], "-H", "-l", "mx"],
    host: "127.0.0.1",
    port: "0",
    program: ["cat"],
  };
}

/** Runs the check; after the summary, every line must be a finding. */
export async function check(t: Trial, plan: Plan, ...more: string[]): Promise<Checked> {
  const { env, options, host, port, program, prelude = "" } = plan;
  const command = [
    ...formCommand(t.form, program[0] ?? ""),
    "--check",
    ...more,
    ...options,
    host,
    port,
    ...program,
  ];
  const outcome = await t.run(
    "sh",
    ["-c", `${prelude}\nexec "$@"`, "sh", ...command],
    { env: { DENO_DIR: denoDir(), ...env } },
  );
  const stdout = new TextDecoder().decode(outcome.stdout);
  const json = more.includes("--log=json");
  const end = stdout.indexOf(json ? "\n" : "\n\n");
  const lines = stdout.slice(end + 1).split("\n").filter((line) => line !== "");
  const findings = lines.map((line) => {
    if (json) return JSON.parse(line) as Finding;
    const [, level, text, remedy] = /^(ok|info|warning|error): (.*?)(?: -- (.*))?$/.exec(line) ??
      [];
    assert(level && text, `no finding: ${line}`);
    return { level, text, ...(remedy === undefined ? {} : { remedy }) } as Finding;
  });
  return { status: outcome.status, findings, stdout, stderr: outcome.stderr };
}

/** The warning that the sound plan causes when it runs as root on a runtime with a debugger, because
 *  workers and programs are the same user. */
const SAME_USER = /^workers are user 65534: programs run as the same user/;

/** Warnings and errors, except the one that the sound plan causes. */
export const complaints = ({ findings }: Checked): Finding[] =>
  findings.filter(({ level, text }) =>
    (level === "warning" || level === "error") && !SAME_USER.test(text)
  );

/** The exit code of a plan without complaints. */
export const soundStatus = ({ findings }: Checked): number =>
  findings.some(({ level, text }) => level === "warning" && SAME_USER.test(text)) ? 1 : 0;

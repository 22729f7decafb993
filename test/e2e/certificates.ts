/** Certificates and keys, made by openssl for one trial. */

import { assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import type { Trial } from "./harness.ts";

export interface Pair {
  certificate: string;
  key: string;
}

/** Runs openssl and asserts that it succeeds. */
export async function openssl(t: Trial, ...args: string[]): Promise<string> {
  const outcome = await t.run("openssl", args);
  assertStrictEquals(outcome.status, 0, `openssl ${args.join(" ")}: ${outcome.stderr}`);
  return new TextDecoder().decode(outcome.stdout);
}

const KEYS = {
  ec: ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
  rsa: ["-newkey", "rsa:2048"],
} as const;

/** A self-signed certificate and its PKCS #8 key as `NAME.pem` and `NAME.key`. */
export async function selfSigned(
  t: Trial,
  name: string,
  { type = "ec", subject = `/CN=${name}`, days = "365" }: {
    type?: "ec" | "rsa";
    subject?: string;
    days?: string;
  } = {},
): Promise<Pair> {
  const pair = { certificate: join(t.dir, `${name}.pem`), key: join(t.dir, `${name}.key`) };
  const files = ["-keyout", pair.key, "-out", pair.certificate];
  const what = ["-subj", subject, "-days", days, "-addext", "subjectAltName=DNS:localhost"];
  await openssl(t, "req", "-x509", ...KEYS[type], "-nodes", ...files, ...what);
  return pair;
}

/** Like `selfSigned`, but the certificate was issued a year ago and expires in `days` days. */
export async function agedSelfSigned(t: Trial, name: string, days: number): Promise<Pair> {
  const at = (file: string): string => join(t.dir, `${name}.${file}`);
  const pair = await selfSigned(t, name);
  const date = (days: number): string =>
    `${new Date(Date.now() + days * 86_400_000).toISOString().replaceAll(/[-:T]|\..*/g, "")}Z`;
  const config = `[ca]\ndefault_ca=d\n[d]\ndir=${t.dir}\ndatabase=${at("index")}\n` +
    `serial=${at("serial")}\nnew_certs_dir=${t.dir}\ndefault_md=sha256\npolicy=p\n` +
    "x509_extensions=e\n[p]\ncommonName=supplied\n[e]\nsubjectAltName=DNS:localhost\n";
  fs.writeFileSync(at("config"), config);
  fs.writeFileSync(at("index"), "");
  fs.writeFileSync(at("serial"), "01\n");
  const request = ["-new", "-key", pair.key, "-subj", `/CN=${name}`, "-out", at("csr")];
  await openssl(t, "req", ...request);
  const dates = ["-startdate", date(-365), "-enddate", date(days)];
  const by = ["-selfsign", "-keyfile", pair.key, "-in", at("csr"), "-out", pair.certificate];
  await openssl(t, "ca", "-batch", "-notext", "-config", at("config"), ...dates, ...by);
  return pair;
}

export interface Chain extends Pair {
  root: string;
  intermediate: string;
}

/** A root, an intermediate and a server certificate under it. */
export async function chain(t: Trial): Promise<Chain> {
  const at = (file: string): string => join(t.dir, file);
  const root = await selfSigned(t, "root");
  const sign = async (name: string, issuer: Pair, extensions: string): Promise<Pair> => {
    const pair = { certificate: at(`${name}.pem`), key: at(`${name}.key`) };
    const request = at(`${name}.csr`);
    const files = ["-keyout", pair.key, "-out", request];
    await openssl(t, "req", ...KEYS.ec, "-nodes", ...files, "-subj", `/CN=${name}`);
    fs.writeFileSync(at(`${name}.ext`), extensions);
    const by = ["-CA", issuer.certificate, "-CAkey", issuer.key, "-CAcreateserial"];
    const out = ["-out", pair.certificate, "-days", "100", "-extfile", at(`${name}.ext`)];
    await openssl(t, "x509", "-req", "-in", request, ...by, ...out);
    return pair;
  };
  const middle = await sign("middle", root, "basicConstraints=critical,CA:true\n");
  const leaf = await sign("leaf", middle, "subjectAltName=DNS:localhost\n");
  return { ...leaf, root: root.certificate, intermediate: middle.certificate };
}

/** One file with the contents of several, in order. */
export function concatenated(t: Trial, name: string, ...files: string[]): string {
  const path = join(t.dir, name);
  fs.writeFileSync(path, files.map((file) => fs.readFileSync(file, "utf8")).join(""));
  return path;
}

export const environmentOf = ({ certificate, key }: Pair): Record<string, string> => ({
  CERTFILE: certificate,
  KEYFILE: key,
});

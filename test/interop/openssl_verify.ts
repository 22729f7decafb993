/** openssl for the tests of verification: makes authorities, clients and revocation lists from a
 *  short description, and returns the result of `openssl verify` for a chain. */

import { join } from "@std/path";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { tmpdir } from "node:os";
import { decodePem, encodePem } from "../../src/codec/x509/pem.ts";

/** The folder in which openssl works. The test that imports it removes it. */
export const folder = mkdtempSync(join(tmpdir(), "sslserver-verify-"));

/** The description of a certificate. Its name in a table is also its common name. */
export interface Spec {
  /** The name of the issuer; absent: self-signed. */
  readonly by?: string;
  /** The common name if it differs from the name in the table. */
  readonly cn?: string;
  /** Algorithm and option, as for `openssl genpkey`. Default: P-256. */
  readonly key?: string;
  /** The name of a certificate whose key is used. */
  readonly keyOf?: string;
  /** Extensions in openssl's syntax, one per line. Absent: version 1. */
  readonly ext?: string;
  /** Days of validity from now. Default: 100. */
  readonly days?: number;
  /** Further arguments of `openssl x509 -req`, such as the digest. */
  readonly args?: string;
  /** Break the signature. */
  readonly broken?: boolean;
}

/** The description of a revocation list. */
export interface ListSpec {
  readonly by: string;
  readonly revoked?: readonly string[];
  /** Days of validity from now. Default: 100. */
  readonly days?: number;
  readonly keyOf?: string;
  readonly ext?: string;
}

const CONFIG = join(folder, "openssl.cnf");
writeFileSync(
  CONFIG,
  `[req]
distinguished_name = dn
prompt = no
[dn]
[ca]
default_ca = a
[a]
database = ${folder}/index.txt
default_md = sha256
`,
);

/** Runs openssl. Returns its stdout; throws if it fails. */
export function openssl(...args: readonly string[]): string {
  try {
    return execFileSync("openssl", args, {
      cwd: folder,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env["PATH"], OPENSSL_CONF: CONFIG },
    });
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") {
      throw new Error("openssl is missing: install the Debian package openssl");
    }
    throw error;
  }
}

const P256 = "EC ec_paramgen_curve:P-256";
let serial = 4096;

/** Makes the certificates of a table, each at its first use. */
export class Maker {
  readonly #made = new Map<string, { pem: string; serial: string }>();
  readonly #keys = new Set<string>();

  constructor(readonly specs: Readonly<Record<string, Spec>>) {}

  #spec(name: string): Spec {
    const spec = this.specs[name];
    if (!spec) throw new Error(`no certificate is called ${name}`);
    return spec;
  }

  key(name: string): string {
    const { keyOf, key = P256 } = this.#spec(name);
    if (keyOf) return this.key(keyOf);
    const file = `${name}.key`;
    if (!this.#keys.has(file)) {
      const [algorithm = "", ...options] = key.split(" ");
      const more = options.flatMap((option) => ["-pkeyopt", option]);
      openssl("genpkey", "-algorithm", algorithm, ...more, "-out", file);
      this.#keys.add(file);
    }
    return file;
  }

  #make(name: string): { pem: string; serial: string } {
    const known = this.#made.get(name);
    if (known) return known;
    const spec = this.#spec(name);
    const { by, cn = name, ext, days = 100, args = "", broken } = spec;
    const key = this.key(name);
    openssl("req", "-new", "-key", key, "-subj", `/CN=${cn}`, "-out", `${name}.csr`);
    const number = (serial++).toString(16).toUpperCase();
    const how = ["-set_serial", `0x${number}`, "-days", String(days)];
    if (ext !== undefined) {
      writeFileSync(join(folder, `${name}.ext`), ext);
      how.push("-extfile", `${name}.ext`);
    }
    if (by === undefined) how.push("-signkey", key);
    else {
      this.pem(by);
      how.push("-CA", `${by}.pem`, "-CAkey", this.key(by));
    }
    how.push(...args.split(" ").filter((word) => word !== ""));
    let pem = openssl("x509", "-req", "-in", `${name}.csr`, ...how);
    if (broken) {
      const der = this.#der(pem).slice();
      der[der.length - 1] = (der[der.length - 1] ?? 0) ^ 1;
      pem = encodePem("CERTIFICATE", der);
    }
    writeFileSync(join(folder, `${name}.pem`), pem);
    const made = { pem, serial: number };
    this.#made.set(name, made);
    return made;
  }

  pem(name: string): string {
    return this.#make(name).pem;
  }

  der(name: string): Uint8Array {
    return this.#der(this.pem(name));
  }

  #der(pem: string): Uint8Array {
    return decodePem(new TextEncoder().encode(pem))[0]?.bytes ?? new Uint8Array();
  }

  /** A revocation list in PEM. */
  list({ by, revoked = [], days = 100, keyOf = by, ext }: ListSpec): string {
    const index = revoked.map((name) => {
      const { serial } = this.#make(name);
      return `R\t491231235959Z\t240101000000Z\t${serial}\tunknown\t/CN=${name}\n`;
    });
    writeFileSync(join(folder, "index.txt"), index.join(""));
    writeFileSync(join(folder, "crl.cnf"), `${readFileSync(CONFIG, "utf8")}[ext]\n${ext ?? ""}\n`);
    this.pem(by);
    const key = this.key(keyOf);
    // openssl refuses a certificate whose key is not the signing key.
    let certificate = `${by}.pem`;
    if (keyOf !== by) {
      certificate = "signer.pem";
      const subject = `/CN=${this.#spec(by).cn ?? by}`;
      openssl("req", "-x509", "-new", "-key", key, "-subj", subject, "-out", certificate);
    }
    const how = ["-keyfile", key, "-cert", certificate, "-crldays", String(days)];
    if (ext) how.push("-crlexts", "ext");
    return openssl("ca", "-config", "crl.cnf", "-gencrl", ...how);
  }
}

/** The input of `openssl verify`. */
export interface Question {
  readonly leaf: string;
  readonly sent: readonly string[];
  readonly trusted: readonly string[];
  readonly lists: readonly string[];
  readonly depth: number;
  /** Seconds since 1970. */
  readonly time: number;
  /** What the leaf is used for. Default: sslclient. */
  readonly purpose?: "sslclient" | "sslserver";
  /** The leaf must be for this host, a name or an address. */
  readonly host?: string;
}

/** `OK` or the first reason that openssl gives, without "error … lookup:". All texts are PEM. */
export function opensslVerdict(question: Question): string {
  const { leaf, sent, trusted, lists, depth, time, purpose = "sslclient", host } = question;
  const file = (name: string, texts: readonly string[]): string => {
    writeFileSync(join(folder, name), texts.join(""));
    return name;
  };
  const args = ["verify", "-purpose", purpose, "-auth_level", "2"];
  if (host !== undefined) args.push(isIP(host) ? "-verify_ip" : "-verify_hostname", host);
  args.push("-no-CApath", "-no-CAstore", "-verify_depth", String(depth), "-attime", String(time));
  if (trusted.length > 0) args.push("-CAfile", file("trusted", trusted));
  else args.push("-no-CAfile");
  if (sent.length > 0) args.push("-untrusted", file("sent", sent));
  if (lists.length > 0) args.push("-crl_check_all", "-CRLfile", file("lists", lists));
  args.push(file("leaf", [leaf]));
  const { stdout, stderr, status } = spawnSync("openssl", args, {
    cwd: folder,
    encoding: "utf8",
    env: { PATH: process.env["PATH"] },
  });
  if (status === 0 && /^leaf: OK$/m.test(stdout)) return "OK";
  return /^error \d+ at \d+ depth lookup: (.*)$/m.exec(stderr)?.[1] ?? `${stdout}${stderr}`;
}

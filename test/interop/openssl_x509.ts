/** openssl for the tests: makes certificates in a new folder, and derives from openssl's output about a
 *  certificate the variables and extensions that a program should get. */

import { fail } from "@std/assert";
import { join } from "@std/path";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { type Case, P256 } from "./openssl_x509_cases.ts";

/** The folder in which openssl works. The test that imports it removes it. */
export const folder = mkdtempSync(join(tmpdir(), "sslserver-x509-"));

const CONFIG = join(folder, "openssl.cnf");
writeFileSync(
  CONFIG,
  `[req]
distinguished_name = dn
string_mask = $ENV::STRING_MASK
prompt = no
x509_extensions = v3
[dn]
[v3]
subjectKeyIdentifier = hash
[ca]
default_ca = ca_default
[ca_default]
database = ${folder}/index.txt
new_certs_dir = ${folder}
rand_serial = yes
default_md = sha256
unique_subject = no
policy = policy
[policy]
commonName = supplied
`,
);
writeFileSync(join(folder, "index.txt"), "");

/** Runs openssl. Returns its stdout; throws if it fails. */
export function openssl(
  args: readonly string[],
  options: { input?: string; mask?: string } = {},
): string {
  try {
    return execFileSync("openssl", args, {
      cwd: folder,
      encoding: "utf8",
      input: options.input ?? "",
      stdio: ["pipe", "pipe", "pipe"],
      env: {
        PATH: process.env["PATH"],
        OPENSSL_CONF: CONFIG,
        STRING_MASK: options.mask ?? "utf8only",
      },
    });
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") {
      throw new Error("openssl is missing: install the Debian package openssl");
    }
    throw error;
  }
}

const made = new Set<string>();
/** The file of a private key. Made at its first use. */
function key(kind: string): string {
  const [algorithm = "", option] = kind.split(" ");
  const file = `${kind.replace(/\W/g, "_")}.key`;
  if (!made.has(file)) {
    openssl([
      "genpkey",
      "-algorithm",
      algorithm,
      ...(option ? ["-pkeyopt", option] : []),
      "-out",
      file,
    ]);
    made.add(file);
  }
  return file;
}

/** Makes the certificate of a case, in PEM. */
export function make(
  { key: kind = P256, subject = "/CN=x", args = [], mask, dates }: Case,
): string {
  const options = mask === undefined ? {} : { mask };
  const keyFile = key(kind);
  if (dates) {
    openssl(["req", "-new", "-key", keyFile, "-subj", subject, "-out", "request.csr"], options);
    const [start, end] = dates;
    openssl([
      "ca",
      "-batch",
      "-notext",
      "-selfsign",
      "-in",
      "request.csr",
      "-keyfile",
      keyFile,
      "-startdate",
      start,
      "-enddate",
      end,
      "-out",
      "certificate.pem",
    ]);
    return readFileSync(join(folder, "certificate.pem"), "utf8").replace(
      /^[^]*?(?=-----BEGIN)/,
      "",
    );
  }
  if (args.includes("-x509v1")) {
    // Without extensions `x509 -req` makes version 1.
    openssl(["req", "-new", "-key", keyFile, "-subj", subject, "-out", "request.csr"], options);
    return openssl(["x509", "-req", "-in", "request.csr", "-signkey", keyFile]);
  }
  return openssl(["req", "-x509", "-new", "-key", keyFile, "-subj", subject, ...args], options);
}

/** The part of the output of `openssl x509` after `label`, up to the end of the line. */
function field(report: string, label: RegExp): string {
  const found = new RegExp(`${label.source}(.*)`, "m").exec(report)?.[1];
  return found ?? fail(`openssl prints no ${label}`);
}

const COMPONENT: Readonly<Record<string, string>> = {
  GN: "G",
  SN: "S",
  title: "T",
  initials: "I",
  description: "D",
  emailAddress: "Email",
  x500UniqueIdentifier: "UID",
};
const COMPONENTS = "C ST L O OU CN T I G S D UID Email".split(" ");

/** The components that openssl prints for a name, with mod_ssl's names and numbers. */
function printedComponents(pem: string, which: "subject" | "issuer"): Record<string, string> {
  const options = "utf8,esc_ctrl,sep_multiline,sname";
  const printed = openssl(["x509", "-noout", `-${which}`, "-nameopt", options], { input: pem });
  const found: Record<string, string> = {};
  for (
    const part of printed.split("\n").slice(1, -1).flatMap((line) => line.slice(4).split(" + "))
  ) {
    const equals = part.indexOf("=");
    const short = part.slice(0, equals);
    const component = COMPONENT[short] ?? short;
    if (!COMPONENTS.includes(component)) continue;
    let name = component;
    for (let n = 1; name in found; n++) name = `${component}_${n}`;
    found[name] = part.slice(equals + 1);
  }
  return found;
}

/** openssl's output about a certificate. */
export interface Printed {
  /** The variables by name, without `SSL_CLIENT_`. */
  readonly variables: Record<string, string>;
  readonly fingerprint: string;
  readonly dnsNames: readonly string[];
  readonly emails: readonly string[];
  readonly ips: readonly string[];
  readonly constraints: string | undefined;
  readonly keyUsage: readonly string[] | undefined;
  readonly extendedKeyUsage: readonly string[] | undefined;
}

/** Runs openssl for a certificate in PEM and parses its output. */
export function print(pem: string): Printed {
  const what = "-serial -dates -subject -issuer -nameopt compat -fingerprint -sha256 -text";
  const printed = openssl(["x509", ...what.split(" ")], { input: pem });
  // A long serial number continues on the next line after a backslash.
  const report = printed.replaceAll(/\\\n(?=[0-9A-F]*$)/gm, "");
  const variables: Record<string, string> = {
    M_VERSION: field(report, /^ *Version: /).split(" ")[0] ?? "",
    M_SERIAL: String(BigInt(field(report, /^serial=-?/).replace(/^/, "0x"))),
    V_START: field(report, /^notBefore=/),
    V_END: field(report, /^notAfter=/),
    A_SIG: field(report, /^ *Signature Algorithm: /).trimEnd(),
    A_KEY: field(report, /^ *Public Key Algorithm: /),
    S_DN: field(report, /^subject=/),
    I_DN: field(report, /^issuer=/),
    CERT: /-----BEGIN[^]*/.exec(report)?.[0] ?? "",
  };
  if (/^serial=-/m.test(report)) variables["M_SERIAL"] = `-${variables["M_SERIAL"]}`;
  for (const [prefix, which] of [["S_DN", "subject"], ["I_DN", "issuer"]] as const) {
    for (const [name, value] of Object.entries(printedComponents(pem, which))) {
      variables[`${prefix}_${name}`] = value;
    }
  }
  const extension = (name: string) =>
    new RegExp(`X509v3 ${name}: ?(?:critical)?\\n *(.*)`).exec(report)?.[1];
  const names = extension("Subject Alternative Name")?.split(", ") ?? [];
  const of = (kind: string) =>
    names.filter((name) => name.startsWith(kind)).map((name) => name.slice(kind.length));
  return {
    variables,
    fingerprint: field(report, /Fingerprint=/).replaceAll(":", "").toLowerCase(),
    dnsNames: of("DNS:"),
    emails: of("email:"),
    ips: of("IP Address:"),
    constraints: extension("Basic Constraints"),
    keyUsage: extension("Key Usage")?.split(", ").map((text) => USAGES[text] ?? text),
    extendedKeyUsage: extension("Extended Key Usage")?.split(", ")
      .map((text) => PURPOSES[text] ?? text),
  };
}

/** Our names of extended key usages, by openssl's names. */
const PURPOSES: Readonly<Record<string, string>> = {
  "TLS Web Server Authentication": "serverAuth",
  "TLS Web Client Authentication": "clientAuth",
  "Code Signing": "codeSigning",
  "E-mail Protection": "emailProtection",
  "Time Stamping": "timeStamping",
  "OCSP Signing": "OCSPSigning",
  "Any Extended Key Usage": "anyExtendedKeyUsage",
};
const USAGES: Readonly<Record<string, string>> = {
  "Digital Signature": "digitalSignature",
  "Non Repudiation": "nonRepudiation",
  "Key Encipherment": "keyEncipherment",
  "Data Encipherment": "dataEncipherment",
  "Key Agreement": "keyAgreement",
  "Certificate Sign": "keyCertSign",
  "CRL Sign": "cRLSign",
  "Encipher Only": "encipherOnly",
  "Decipher Only": "decipherOnly",
};

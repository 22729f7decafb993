/** Client certificates: from environment and options to what is asked of a client, and from its
 *  chain to a verdict. Asking is the TLS library's part, and proof that the client holds the key;
 *  whether the certificate is any good is decided here, the same on every runtime. */

import { join } from "node:path";
import { nodeCrypto } from "../builtins.ts";
import type { Certificate } from "../codec/x509/certificate.ts";
import { encodePem } from "../codec/x509/pem.ts";
import {
  CLIENT_AUTH_VARIABLES,
  DEFAULTS,
  holds,
  type RuleVariable,
  type RuleVariables,
} from "../config/variables.ts";
import { EXIT, FatalError, reason } from "../errors.ts";
import { certificateNames, type Files, localFiles, signature } from "../files/files.ts";
import { type Loaded, Reloading } from "../files/reloading.ts";
import type { Announcer } from "../log.ts";
import { RecentlyUsed } from "./recently_used.ts";
import type { ClientChain, SentCertificate } from "./client_chain.ts";
import { loadNames, type Named } from "./requested_names.ts";
import type { VariableLookup } from "./settings.ts";
import { type HeldFiles, loadTrust, MAX_FILES, type TrustFiles } from "./trust_files.ts";
import type { Trust } from "./trust.ts";
import type { ClientVerify } from "./variables.ts";
import { verifyChain } from "./verify.ts";

/** -Z, -m, -z. */
export type ClientCertificate = "none" | "valid" | "match";

/** What is asked of the clients of connections with the same settings. */
export interface ClientAuth {
  /** Differs where the TLS context must: where other names are sent, or the library may refuse here
   *  and not there. New revocation lists need no new context, so sessions can be resumed. */
  readonly key: string;
  /** Without a valid certificate there is no connection. */
  readonly required: boolean;
  /** Certificates whose subjects go into the request. */
  readonly names: string[];
  /** These are the trusted ones, so the TLS library may refuse on its own, with an alert. Else it may
   *  not: Bun's would close on everybody whom the names do not vouch for. */
  readonly namesAreTrust: boolean;
  /** The verdict on a chain. `host`: the client's name, for -z. */
  verify(chain: ClientChain, host: string | undefined): ClientVerify;
}

/** Settings kept beside the server's own; a rules file can name many. */
const MAX_ENTRIES = 64;
/** Files of a folder that are named when they cannot be used. */
const MAX_SAID = 10;
/** Names in the request for a certificate, in bytes: the field has 65,535 (RFC 8446 4.2.4, RFC 5246 7.4.4), and
 *  in TLS 1.3 other extensions take a few of them. */
const MAX_NAMES = 65_400;
/** OpenSSL's own default, and more than any real chain. */
const MAX_DEPTH = 100;

/** What was read for some settings. */
interface Read {
  readonly auth: ClientAuth;
  /** For the next reading. */
  readonly held: HeldFiles | undefined;
  readonly named: Named | undefined;
}

export interface ClientAuthsOptions {
  option: ClientCertificate;
  env: VariableLookup;
  log: Announcer;
  files?: Files;
  now?: () => number;
}

/** Keeps what was read, and reads again what has changed (files/reloading.ts). */
export class ClientAuths {
  readonly #auths = new RecentlyUsed<Reloading<Read>>(MAX_ENTRIES);
  readonly #now: () => number;
  readonly #files: Files;

  constructor(readonly options: ClientAuthsOptions) {
    this.#now = options.now ?? Date.now;
    this.#files = options.files ?? localFiles;
  }

  /** For the server's environment with `overlay` on top; undefined: no certificate is asked for.
   *  Throws `FatalError`. */
  get(overlay?: RuleVariables): ClientAuth | undefined {
    const lookup: VariableLookup = (name) => overlay?.get(name) ?? this.options.env(name);
    if (demand(this.options.option, lookup) === "none") return undefined;
    const values = CLIENT_AUTH_VARIABLES.map((name) => lookup(name));
    const key = values.map((value) => value ?? "\x01").join("\0");
    const known = this.#auths.get(key);
    if (known) return known.value.auth;
    const settings = new Map<RuleVariable, string | undefined>(
      CLIENT_AUTH_VARIABLES.map((name, i) => [name, values[i]]),
    );
    const auth = this.#readAgain((name) => settings.get(name));
    say(auth.problems, (text) => this.options.log.warning(text));
    if (overlay) this.#auths.add(key, auth);
    else this.#auths.addLasting(key, auth);
    return auth.current.auth;
  }

  /** False: a file of the server's environment is broken, and what it held before is in use. */
  get sound(): boolean {
    return [...this.#auths.lasting()].every(({ sound }) => sound);
  }

  /** Looks at the files now, and reads those that have changed. */
  look(): void {
    for (const auth of this.#auths.all()) auth.look();
  }

  /** Reads every file again (SIGHUP). */
  reload(): void {
    for (const auth of this.#auths.all()) auth.reload();
  }

  #readAgain(lookup: VariableLookup): Reloading<Read> {
    const { log } = this.options;
    return new Reloading<Read>({
      stamp: () => this.#signature(lookup),
      load: (before) => this.#load(lookup, before?.value),
      kept: "the old authorities stay in use",
      report: (problems) => say(problems, (text) => log.error(text)),
      onReload(_now, _before, again) {
        if (again) log.notice(`authorities good again: ${pathsIn(lookup).join(", ")}`);
      },
    }, this.#now);
  }

  /** Of all files that the settings name, and of those in the folders now, whether they were ever
   *  read or not: one that is broken is seen when it is repaired. */
  #signature(lookup: VariableLookup): string {
    const paths = pathsIn(lookup);
    for (const folder of pathsIn(lookup, "folder")) {
      try {
        const names = certificateNames(this.#files.list(folder));
        paths.push(...names.slice(0, MAX_FILES).map((name) => join(folder, name)));
      } catch {
        // the folder's own stamp tells
      }
    }
    return signature(this.#files, paths);
  }

  /** `before`: the same settings as they were read last. */
  #load(lookup: VariableLookup, before: Read | undefined): Loaded<Read> {
    const required = demand(this.options.option, lookup) === "required";
    const asked = { caFile: lookup("CAFILE") || undefined, caDir: lookup("CADIR") || undefined };
    const hints = { caFile: lookup("CCAFILE") || undefined, caDir: lookup("CCADIR") || undefined };
    const hinted = hints.caFile !== undefined || hints.caDir !== undefined;
    const anchors: TrustFiles = asked.caFile || asked.caDir ? asked : required ? hints : {};
    if (required && !anchors.caFile && !anchors.caDir) {
      throw new FatalError(
        "unable to require client certificates: there is nothing to verify them against",
        EXIT.system,
        "set CAFILE or CADIR to the authorities that are trusted",
      );
    }
    const crlFile = lookup("CRLFILE") || undefined;
    const loaded = anchors.caFile || anchors.caDir
      ? loadTrust({ ...anchors, crlFile }, this.#files, before?.held)
      : undefined;
    const trust = loaded?.trust;
    const named = hinted && hints !== anchors
      ? loadNames(hints, this.#files, before?.named)
      : undefined;
    const trusted = new Set(trust?.authorities.map(pemOf));
    const byPem = new Map(
      (named?.authorities ?? trust?.authorities ?? []).map((one) => [pemOf(one), one]),
    );
    refuseTooManyNames([...byPem.values()]);
    const names = [...byPem.keys()];
    const namesAreTrust = names.length === trusted.size && names.every((pem) => trusted.has(pem));
    const about = JSON.stringify([required && namesAreTrust, names]);
    const auth = {
      key: nodeCrypto().createHash("sha256").update(about).digest("base64"),
      required,
      names,
      namesAreTrust,
      verify: verifier(trust, this.options.option === "match", depth(lookup), this.#now),
    };
    return {
      value: { auth, held: loaded?.held, named },
      problems: [...loaded?.problems ?? [], ...named?.problems ?? []],
      sound: (loaded?.sound ?? true) && (named?.sound ?? true),
    };
  }
}

/** The files and folders, or folders alone, that the settings name. */
function pathsIn(lookup: VariableLookup, only?: "folder"): string[] {
  return CLIENT_AUTH_VARIABLES.flatMap((name) => {
    const path = lookup(name);
    const kind = path && holds(name, path);
    return kind && (only ?? kind) === kind ? [path] : [];
  });
}

function say(problems: readonly string[], say: (text: string) => void): void {
  for (const text of problems.slice(0, MAX_SAID)) say(text);
  const more = problems.length - MAX_SAID;
  if (more > 0) say(`${more} more files of authorities have such faults`);
}

/** As the TLS library takes it. */
function pemOf({ der }: Certificate): string {
  return encodePem("CERTIFICATE", der);
}

/** Every handshake would fail: the names do not fit into the request for a certificate. */
function refuseTooManyNames(names: readonly Certificate[]): void {
  const size = names.reduce((sum, { subject }) => sum + 2 + subject.der.length, 0);
  if (size <= MAX_NAMES) return;
  throw new FatalError(
    `unable to ask for client certificates: the names of ${names.length} authorities have ${size} ` +
      `bytes, and the request holds ${MAX_NAMES}`,
    EXIT.system,
    "set CCAFILE to a file with the authorities to be named, or to /dev/null to name none",
  );
}

/** `CCAFILE=-` asks for none, whatever else is said. -m, -z and CCAVERIFY require a valid one.
 *  CCAFILE or CCADIR alone ask for one, and the program sees how good it is. */
function demand(
  option: ClientCertificate,
  lookup: VariableLookup,
): "none" | "optional" | "required" {
  const hint = lookup("CCAFILE");
  if (hint === "-") return "none";
  if (option !== "none" || lookup("CCAVERIFY") !== undefined) return "required";
  return hint || lookup("CCADIR") ? "optional" : "none";
}

function depth(lookup: VariableLookup): number {
  const text = lookup("VERIFYDEPTH") || DEFAULTS.VERIFYDEPTH;
  const n = /^[0-9]{1,3}$/.test(text) ? Number(text) : NaN;
  if (!(n <= MAX_DEPTH)) {
    throw new FatalError(
      `unable to use VERIFYDEPTH: '${text}' is no number from 0 to ${MAX_DEPTH}`,
      undefined,
      "set it like VERIFYDEPTH=1, or unset it",
    );
  }
  return n;
}

function verifier(
  trust: Trust | undefined,
  match: boolean,
  depth: number,
  now: () => number,
): ClientAuth["verify"] {
  return (chain, host) => {
    const [leaf] = chain;
    if (!leaf) return "NONE";
    if (!trust) return readable(leaf) ?? "GENEROUS";
    const verdict = verifyChain(chain, trust, {
      depth,
      now: now(),
      purpose: "client",
      hostName: match ? host : undefined,
    });
    return verdict.ok ? "SUCCESS" : `FAILED:${verdict.reason}`;
  };
}

/** Nothing can be told to a program of one that cannot be read, so that is no GENEROUS case. */
function readable(leaf: SentCertificate): ClientVerify | undefined {
  try {
    leaf.read();
    return undefined;
  } catch (error) {
    return `FAILED:unreadable certificate: ${reason(error)}`;
  }
}

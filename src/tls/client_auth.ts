/** Client certificates: turns environment and options into the request for a certificate, and the
 *  client's chain into a verdict. The TLS library sends the request and verifies that the client
 *  holds the key. This file decides whether the certificate is valid, in the same way on every
 *  runtime. */

import { join } from "node:path";
import { nodeCrypto } from "../builtins.ts";
import type { Certificate } from "../codec/x509/certificate.ts";
import { encodePem } from "../codec/x509/pem.ts";
import {
  CLIENT_AUTH_VARIABLES,
  DEFAULTS,
  holds,
  overlaid,
  type RuleVariable,
  type RuleVariables,
} from "../config/variables.ts";
import type { Options } from "../config/options.ts";
import { EXIT, FatalError, reason } from "../errors.ts";
import { certificateNames, type Files, localFiles, signature } from "../files/files.ts";
import { type Loaded, Reloading } from "../files/reloading.ts";
import type { Announcer } from "../log.ts";
import { RecentlyUsed } from "./recently_used.ts";
import { faultText } from "./chain_fault.ts";
import type { SentCertificate, SentChain } from "./sent_chain.ts";
import { loadNames, type Named } from "./requested_names.ts";
import type { VariableLookup } from "./settings.ts";
import { type HeldFiles, loadTrust, MAX_FILES, type TrustFiles } from "./trust_files.ts";
import type { Trust } from "./trust.ts";
import type { ClientVerify } from "./variables.ts";
import { verifyChain } from "./verify.ts";

/** The options -Z, -m, -z and --client-cert. */
export type ClientCertificate = Options["clientCertificate"];

/** The certificate request and the verification for connections with the same settings. */
export interface ClientAuth {
  /** Cache key for the TLS context. It changes when the names sent change, or whether the library
   *  may refuse a client. New revocation lists do not change it, so sessions can be resumed. */
  readonly key: string;
  /** True if a connection without a valid certificate is refused. */
  readonly required: boolean;
  /** True if a connection whose client sends a certificate that is not valid is refused. */
  readonly refusesInvalid: boolean;
  /** Certificates (PEM) whose subjects are named in the request. */
  readonly names: string[];
  /** True if `names` are exactly the trusted authorities. Only then may the TLS library refuse a
   *  client, with an alert: Bun's would otherwise refuse every client whose chain does not end at
   *  one of `names`. */
  readonly namesAreTrust: boolean;
  /** Returns the verdict on a chain. `host`: the client's name, for -z. */
  verify(chain: SentChain, host: string | undefined): ClientVerify;
}

/** Maximum cached settings besides the server's own; a rules file can name any number. */
const MAX_ENTRIES = 64;
/** Maximum problems reported one by one; the others are only counted. */
const MAX_LOGGED = 10;
/** Maximum size of the names in the request, in bytes. The field holds 65,535 (RFC 8446 4.2.4, RFC
 *  5246 7.4.4), of which other extensions of TLS 1.3 need a few. */
const MAX_NAMES = 65_400;
/** Largest VERIFYDEPTH: OpenSSL's default, and more than any real chain needs. */
const MAX_DEPTH = 100;

/** What was read for one set of settings. */
interface Read {
  readonly auth: ClientAuth;
  /** `held` and `named` are passed to the next reading. */
  readonly held: HeldFiles | undefined;
  readonly named: Named | undefined;
}

export interface ClientAuthsOptions {
  option: ClientCertificate;
  /** Default: `listed`. */
  revocation?: Options["revocation"];
  env: VariableLookup;
  log: Announcer;
  files?: Files;
  now?: () => number;
}

/** Caches what was read, and reads changed files again (files/reloading.ts). */
export class ClientAuths {
  readonly #auths = new RecentlyUsed<Reloading<Read>>(MAX_ENTRIES);
  readonly #now: () => number;
  readonly #files: Files;

  constructor(readonly options: ClientAuthsOptions) {
    this.#now = options.now ?? Date.now;
    this.#files = options.files ?? localFiles;
  }

  /** Returns the settings for the server's environment with `overlay` on top; undefined if no
   *  certificate is requested. Throws `FatalError`. */
  get(overlay?: RuleVariables): ClientAuth | undefined {
    const lookup: VariableLookup = (name) => overlaid(name, overlay, this.options.env);
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

  /** False if a file of the server's environment is broken and its former content is in use. */
  get upToDate(): boolean {
    return [...this.#auths.lasting()].every(({ upToDate }) => upToDate);
  }

  /** Checks the files now, and reads those that have changed. */
  refresh(): void {
    for (const auth of this.#auths.all()) auth.refresh();
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

  /** Signature of all files that the settings name, and of the files that are in the folders now.
   *  It includes files that were never read, so that the repair of a broken file is noticed. */
  #signature(lookup: VariableLookup): string {
    const paths = pathsIn(lookup);
    for (const folder of pathsIn(lookup, "folder")) {
      try {
        const names = certificateNames(this.#files.list(folder));
        paths.push(...names.slice(0, MAX_FILES).map((name) => join(folder, name)));
      } catch {
        // the folder itself is in `paths`, so its stamp shows a change
      }
    }
    return signature(this.#files, paths);
  }

  /** `before`: what was last read for the same settings. */
  #load(lookup: VariableLookup, before: Read | undefined): Loaded<Read> {
    const demanded = demand(this.options.option, lookup);
    const required = demanded === "required" || demanded === "sent";
    const verified = demanded === "required" || demanded === "valid";
    const asked = { caFile: lookup("CAFILE") || undefined, caDir: lookup("CADIR") || undefined };
    const hints = { caFile: lookup("CCAFILE") || undefined, caDir: lookup("CCADIR") || undefined };
    const hinted = hints.caFile !== undefined || hints.caDir !== undefined;
    const anchors: TrustFiles = asked.caFile || asked.caDir ? asked : verified ? hints : {};
    if (verified && !anchors.caFile && !anchors.caDir) {
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
      refusesInvalid: verified,
      names,
      namesAreTrust,
      verify: verifier(trust, this.options, depth(lookup), this.#now),
    };
    return {
      value: { auth, held: loaded?.held, named },
      problems: [...loaded?.problems ?? [], ...named?.problems ?? []],
      upToDate: (loaded?.upToDate ?? true) && (named?.upToDate ?? true),
    };
  }
}

/** Returns the files and folders, or the folders alone, that the settings name. */
function pathsIn(lookup: VariableLookup, only?: "folder"): string[] {
  return CLIENT_AUTH_VARIABLES.flatMap((name) => {
    const path = lookup(name);
    const kind = path && holds(name, path);
    return kind && (only ?? kind) === kind ? [path] : [];
  });
}

function say(problems: readonly string[], say: (text: string) => void): void {
  for (const text of problems.slice(0, MAX_LOGGED)) say(text);
  const more = problems.length - MAX_LOGGED;
  if (more > 0) say(`${more} more files of authorities have problems`);
}

/** PEM, the form that the TLS library expects. */
function pemOf({ der }: Certificate): string {
  return encodePem("CERTIFICATE", der);
}

/** Throws `FatalError` if the names do not fit into the request for a certificate: every handshake
 *  would fail. */
function refuseTooManyNames(names: readonly Certificate[]): void {
  const size = names.reduce((sum, { subject }) => sum + 2 + subject.der.length, 0);
  if (size <= MAX_NAMES) return;
  throw new FatalError(
    `unable to ask for client certificates: the names of ${names.length} authorities have ${size} ` +
      `bytes, and the request holds ${MAX_NAMES}`,
    EXIT.system,
    "set CCAFILE to a file with fewer authorities, or to /dev/null to list none",
  );
}

/** `CCAFILE=-` requests no certificate, whatever else is set. -m, -z and CCAVERIFY require a valid
 *  one. --client-cert requests one, and refuses a client whose certificate is not valid. CCAFILE or
 *  CCADIR alone request one, and the program gets the verdict (SSL_CLIENT_VERIFY). */
function demand(
  option: ClientCertificate,
  lookup: VariableLookup,
): "none" | "optional" | "valid" | "sent" | "required" {
  const hint = lookup("CCAFILE");
  if (hint === "-") return "none";
  if (lookup("CCAVERIFY") !== undefined) return "required";
  if (option === "optional") return "valid";
  if (option === "asked") return "optional";
  if (option === "sent") return "sent";
  if (option !== "none") return "required";
  return hint || lookup("CCADIR") ? "optional" : "none";
}

function depth(lookup: VariableLookup): number {
  const text = lookup("VERIFYDEPTH") || DEFAULTS.VERIFYDEPTH;
  const n = /^[0-9]{1,3}$/.test(text) ? Number(text) : NaN;
  if (!(n <= MAX_DEPTH)) {
    throw new FatalError(
      `unable to use VERIFYDEPTH: '${text}' is not a number from 0 to ${MAX_DEPTH}`,
      undefined,
      "set it like VERIFYDEPTH=1, or unset it",
    );
  }
  return n;
}

function verifier(
  trust: Trust | undefined,
  { option, revocation = "listed" }: Pick<ClientAuthsOptions, "option" | "revocation">,
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
      hostName: option === "match" ? host : undefined,
      revocation,
    });
    return verdict.ok ? "SUCCESS" : `FAILED:${faultText(verdict.fault)}`;
  };
}

/** Returns `FAILED` for a certificate that cannot be read, instead of `GENEROUS`: the program would
 *  get no other variable of it. */
function readable(leaf: SentCertificate): ClientVerify | undefined {
  try {
    leaf.read();
    return undefined;
  } catch (error) {
    return `FAILED:unreadable certificate: ${reason(error)}`;
  }
}

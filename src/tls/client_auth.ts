/** Client certificates: from environment and options to what is asked of a client, and from its
 *  chain to a verdict. Asking is the TLS library's part, and proof that the client holds the key;
 *  whether the certificate is any good is decided here, the same on every runtime. */

import fs from "node:fs";
import { EXIT, FatalError, reason } from "../errors.ts";
import type { Log } from "../log.ts";
import { decodePem, encodePem } from "../codec/pem.ts";
import { signature } from "./files.ts";
import type { Lookup } from "./settings.ts";
import { loadTrust, type Trust, type TrustFiles } from "./trust.ts";
import type { ClientVerify } from "./variables.ts";
import { DEFAULT_DEPTH, verifyChain } from "./verify.ts";

/** -Z, -m, -z. */
export type ClientCertificate = "none" | "valid" | "match";

/** What is asked of the clients of connections with the same settings. */
export interface ClientAuth {
  /** Differs where the TLS context must. */
  readonly key: string;
  /** Without a valid certificate there is no connection. */
  readonly required: boolean;
  /** Certificates whose subjects go into the request. */
  readonly names: string[];
  /** These are the trusted ones too, so the TLS library may refuse on its own, with an alert. */
  readonly namesAreTrust: boolean;
  /** The verdict on a chain (DER, the client's own first). `host`: the client's name, for -z. */
  verify(chain: readonly Uint8Array[], host: string | undefined): ClientVerify;
}

const VARIABLES = ["CAFILE", "CADIR", "CCAFILE", "CCADIR", "CCAVERIFY", "VERIFYDEPTH", "CRLFILE"];

/** Looked at for changes once in so many milliseconds. */
const RECHECK = 1000;
/** Settings kept; a rules file can name many. */
const MAX_ENTRIES = 64;
/** OpenSSL's own default, and more than any real chain. */
const MAX_DEPTH = 100;

interface Entry {
  auth: ClientAuth;
  lookup: Lookup;
  files: readonly string[];
  seen: string;
  checked: number;
}

export interface ClientAuthsOptions {
  option: ClientCertificate;
  env: Lookup;
  log: Log;
  now?: () => number;
}

/** Keeps what was read, and reads again what has changed. */
export class ClientAuths {
  readonly #entries = new Map<string, Entry>();
  readonly #now: () => number;
  #generation = 0;

  constructor(readonly options: ClientAuthsOptions) {
    this.#now = options.now ?? Date.now;
  }

  /** For the server's environment with `overlay` on top; undefined: no certificate is asked for.
   *  Throws `FatalError`. */
  get(overlay?: ReadonlyMap<string, string>): ClientAuth | undefined {
    const lookup: Lookup = (name) => overlay?.get(name) ?? this.options.env(name);
    if (demand(this.options.option, lookup) === "none") return undefined;
    const key = VARIABLES.map((name) => lookup(name) ?? "\x01").join("\0");
    let entry = this.#entries.get(key);
    if (!entry) {
      const values = new Map(VARIABLES.map((name) => [name, lookup(name)]));
      entry = this.#make((name) => values.get(name));
      this.#entries.set(key, entry);
      if (this.#entries.size > MAX_ENTRIES) {
        this.#entries.delete(this.#entries.keys().next().value as string);
      }
    } else if (this.#now() - entry.checked >= RECHECK) this.#refresh(entry);
    return entry.auth;
  }

  /** Reads every file again (SIGHUP). */
  reload(): void {
    for (const entry of this.#entries.values()) {
      entry.seen = "";
      this.#refresh(entry);
    }
  }

  #refresh(entry: Entry): void {
    entry.checked = this.#now();
    const seen = signature(entry.files);
    if (seen === entry.seen) return;
    entry.seen = seen;
    try {
      Object.assign(entry, this.#make(entry.lookup));
    } catch (error) {
      this.options.log.error(`${reason(error)}; the old authorities stay in use`);
    }
  }

  #make(lookup: Lookup): Entry {
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
    const files = [asked.caFile, asked.caDir, hints.caFile, hints.caDir, crlFile]
      .filter((file) => file !== undefined);
    const seen = signature(files);
    const trust = anchors.caFile || anchors.caDir ? loadTrust({ ...anchors, crlFile }) : undefined;
    const names = hinted && hints !== anchors ? certificatesIn(hints) : trust?.pem ?? [];
    const trusted = new Set(trust?.pem);
    // The files of a folder are known only now. What changed while it was read is seen next time.
    const all = [...new Set([...files, ...trust?.files ?? []])];
    const unchanged = signature(files) === seen;
    return {
      auth: {
        key: String(++this.#generation),
        required,
        names,
        namesAreTrust: names.length === trusted.size && names.every((pem) => trusted.has(pem)),
        verify: verifier(trust, this.options.option === "match", depth(lookup), this.#now),
      },
      lookup,
      files: all,
      seen: unchanged ? signature(all) : "",
      checked: this.#now(),
    };
  }
}

/** `CCAFILE=-` asks for none, whatever else is said. -m, -z and CCAVERIFY require a valid one.
 *  CCAFILE or CCADIR alone ask for one, and the program sees how good it is. */
function demand(option: ClientCertificate, lookup: Lookup): "none" | "optional" | "required" {
  const hint = lookup("CCAFILE");
  if (hint === "-") return "none";
  if (option !== "none" || lookup("CCAVERIFY") !== undefined) return "required";
  return hint || lookup("CCADIR") ? "optional" : "none";
}

function depth(lookup: Lookup): number {
  const text = lookup("VERIFYDEPTH");
  if (!text) return DEFAULT_DEPTH;
  const n = /^[0-9]{1,3}$/.test(text) ? Number(text) : NaN;
  if (!(n <= MAX_DEPTH)) {
    throw new FatalError(
      `unable to use VERIFYDEPTH: '${text}' is no number from 0 to ${MAX_DEPTH}`,
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
    if (chain.length === 0) return "NONE";
    if (!trust) return "GENEROUS";
    const verdict = verifyChain(chain, trust, {
      depth,
      now: now(),
      purpose: "client",
      hostName: match ? host : undefined,
    });
    return verdict.ok ? "SUCCESS" : `FAILED:${verdict.reason}`;
  };
}

/** Certificates of a file or folder, which may hold none at all. */
function certificatesIn({ caFile, caDir }: TrustFiles): string[] {
  const pems: string[] = [];
  if (caFile) {
    try {
      for (const { label, bytes } of decodePem(fs.readFileSync(caFile))) {
        if (label.endsWith("CERTIFICATE")) pems.push(encodePem("CERTIFICATE", bytes));
      }
    } catch (error) {
      throw new FatalError(
        `unable to read CCAFILE ${caFile}: ${reason(error)}`,
        EXIT.system,
        "it wants certificates in PEM form, none for an empty list, or - to ask for none",
      );
    }
  }
  if (caDir) pems.push(...loadTrust({ caDir }).pem);
  return pems;
}

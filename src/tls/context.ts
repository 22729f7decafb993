/** TLS contexts by what they are made of: made once, used by every connection with the same
 *  settings, and made anew when a file behind them changes (files/reloading.ts). A handshake costs at most a
 *  few `stat` calls a second. */

import type { Certificate } from "../codec/x509/certificate.ts";
import {
  type CertificateVariable,
  hasServerNames,
  type RuleVariable,
  type RuleVariables,
  TLS_VARIABLES,
} from "../config/variables.ts";
import { type Files, localFiles, namedFiles, signature } from "../files/files.ts";
import { type Loaded, Reloading } from "../files/reloading.ts";
import type { Announcer } from "../log.ts";
import type { KeyPair, Runtime } from "../runtime/runtime.ts";
import type { ClientAuth } from "./client_auth.ts";
import { ExpiryWarnings } from "./expiry_warnings.ts";
import { keyPairFiles, readFiles } from "./key_files.ts";
import { type ServerKeyPair, serverKeyPairs } from "./key_pairs.ts";
import { prepare, type Prepared } from "./prepared.ts";
import { RecentlyUsed } from "./recently_used.ts";
import { type TlsConfig, tlsConfig, type VariableLookup } from "./settings.ts";
import { refuseUnsupported } from "./unsupported.ts";

type Overlay = RuleVariables;
/** What is set for one server name. */
export type ServerNameSettings = ReadonlyMap<CertificateVariable, string>;

/** Contexts kept beyond those made at start; a rules file can name many. */
const MAX_CONTEXTS = 256;

/** Of one configuration. */
interface Made {
  readonly prepared: Prepared;
  readonly pairs: readonly ServerKeyPair[];
  /** Hash of what the files held. */
  readonly content: string;
}

/** Neither library has it, and every old run script sets it. */
export const DHFILE_IGNORED =
  "DHFILE is ignored: the TLS library has no finite-field Diffie-Hellman";

export interface ContextsOptions {
  runtime: Runtime;
  log: Announcer;
  /** For what a connection's rules set; default: `log`. */
  rulesLog?: Announcer;
  /** The server's own environment. */
  env: VariableLookup;
  /** For encrypted keys (-3). */
  password?: string | undefined;
  /** In place of files (--self-signed). */
  keyPair?: KeyPair | undefined;
  files?: Files;
  now?: () => number;
}

export class Contexts {
  readonly #made = new RecentlyUsed<Reloading<Made>>(MAX_CONTEXTS);
  /** That of connections without rules and names, which is found without putting its key together. */
  #plain: { readonly auth: string | undefined; readonly made: Reloading<Made> } | undefined;
  readonly #now: () => number;
  readonly #files: Files;
  readonly #expiry: ExpiryWarnings;
  #toldOfDhFile = false;

  constructor(readonly options: ContextsOptions) {
    this.#now = options.now ?? Date.now;
    this.#files = options.files ?? localFiles;
    this.#expiry = new ExpiryWarnings(options.log);
  }

  /** A variable of the server's environment with `overlay` (a rule's variables) on top. */
  lookup(name: RuleVariable, overlay?: Overlay): string | undefined {
    return overlay?.get(name) ?? this.options.env(name);
  }

  /** The files that a value of CERTFILE, CERTCHAINFILE or KEYFILE names. */
  named(value: string): string[] {
    return namedFiles(value, this.#files);
  }

  /** True when there is a certificate for clients whatever name they ask for. */
  hasDefault(overlay?: Overlay): boolean {
    return this.options.keyPair !== undefined || !!this.lookup("CERTCHAINFILE", overlay) ||
      !!this.lookup("CERTFILE", overlay);
  }

  /** The context for the server's environment with `overlay` (a rule's variables) on top, that asks
   *  for what `auth` wants of the client. `named` has certificate and key of one server name, in
   *  place of the default ones.
   *  Throws `FatalError` when it cannot be made and there is no older one. */
  get(overlay?: Overlay, auth?: ClientAuth, named?: ServerNameSettings): Prepared {
    if (overlay?.has("DHFILE")) this.warnOfDhFile(overlay);
    const plain = !named && !overlay?.size ? this.#plain : undefined;
    if (plain && plain.auth === auth?.key) return plain.made.value.prepared;
    const lookup: VariableLookup = (name) =>
      named && hasServerNames(name) ? named.get(name) : this.lookup(name, overlay);
    refuseUnsupported(lookup);
    const own = named ? undefined : this.options.keyPair;
    const values = TLS_VARIABLES.map((name) => lookup(name) ?? "");
    const key = [auth?.key ?? "", own ? "own" : "", ...values].join("\0");
    const known = this.#made.get(key);
    if (known) return known.value.prepared;
    const made = own ? this.#ofPair(lookup, auth, own) : this.#ofFiles(tlsConfig(lookup), auth);
    if (overlay) this.#made.add(key, made);
    else {
      this.#made.addLasting(key, made);
      if (!named) this.#plain = { auth: auth?.key, made };
    }
    return made.current.prepared;
  }

  /** Says once that DHFILE does nothing, if it is set. Every worker says it of its rules. */
  warnOfDhFile(overlay?: Overlay): void {
    if (this.#toldOfDhFile || !this.lookup("DHFILE", overlay)) return;
    this.#toldOfDhFile = true;
    const { log, rulesLog = log } = this.options;
    (overlay ? rulesLog : log).warning(DHFILE_IGNORED, "unset DHFILE");
  }

  /** Looks at the files now, and reads those that have changed. */
  look(): void {
    for (const made of this.#made.all()) made.look();
  }

  /** Reads every file again, changed or not (SIGHUP). */
  reload(): void {
    for (const made of this.#made.all()) made.reload();
  }

  /** False: a file of the server's environment is broken, and what it held before is in use. */
  get sound(): boolean {
    return [...this.#made.lasting()].every(({ sound }) => sound);
  }

  /** The files of all certificates in use, and when these end (milliseconds since 1970), as the
   *  files are now. A file may come more than once. */
  *expiries(): Iterable<{ path: string; notAfter: number }> {
    for (const { value: { pairs } } of this.#made.all()) {
      for (const { path, leaf } of pairs) yield { path, notAfter: leaf.notAfter.ms };
    }
  }

  /** The server's own certificates in use, with their files. */
  *leaves(): Iterable<{ path: string; leaf: Certificate }> {
    for (const { current } of this.#made.all()) yield* current.pairs;
  }

  /** Warns of certificates that have expired or will soon, those sent with the server's own included. To be
   *  called at start and every hour: each warning is given once a day. */
  warnOfExpiry(): void {
    const now = this.#now();
    for (const { current } of this.#made.all()) {
      for (const pair of current.pairs) this.#expiry.give(pair, now);
    }
  }

  /** Of a pair that no file holds: it stays. */
  #ofPair(lookup: VariableLookup, auth: ClientAuth | undefined, own: KeyPair): Reloading<Made> {
    const config = tlsConfig((name) =>
      name === "CERTFILE" ? "-" : name === "KEYFILE" ? "" : lookup(name)
    );
    const prepared = prepare(this.options.runtime, config, auth, [own]);
    const loaded = { value: { prepared, pairs: [], content: "" } };
    return new Reloading<Made>(
      { stamp: () => "", load: () => loaded, kept: "", report() {} },
      this.#now,
    );
  }

  #ofFiles(config: TlsConfig, auth: ClientAuth | undefined): Reloading<Made> {
    const { log } = this.options;
    const paths = (): string[] => keyPairFiles(config, this.#files).certificates;
    return new Reloading<Made>({
      stamp: () => signature(this.#files, Object.values(keyPairFiles(config, this.#files)).flat()),
      load: (before) => this.#load(config, auth, before),
      kept: "the old certificate stays in use",
      report: (problems) => problems.forEach((text) => log.error(text)),
      onReload(value, before, again) {
        if (value.content !== before.content) {
          log.notice(`certificate renewed: ${paths().join(", ")}`);
        } else if (again) log.notice(`certificate good again: ${paths().join(", ")}`);
      },
    }, this.#now);
  }

  #load(
    config: TlsConfig,
    auth: ClientAuth | undefined,
    before: Loaded<Made> | undefined,
  ): Loaded<Made> {
    const { files, content } = readFiles(config, this.#files);
    const now = this.#now();
    if (before?.value.content === content && now < (before.until ?? Infinity)) return before;
    const pairs = serverKeyPairs(files.certificates, files.keys, this.options.password, now);
    const prepared = prepare(this.options.runtime, config, auth, pairs);
    return {
      value: { prepared, pairs, content },
      until: Math.min(...pairs.map(({ until }) => until)),
    };
  }
}

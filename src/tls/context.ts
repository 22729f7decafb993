/** TLS contexts, cached by their settings. A context is made once, used by every connection with
 *  the same settings, and made again when one of its files changes (files/reloading.ts). Checking
 *  for changes costs a few `stat` calls a second at most, however many handshakes there are. */

import type { Certificate } from "../codec/x509/certificate.ts";
import {
  type CertificateVariable,
  hasServerNames,
  overlaid,
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
import { type ContextOptions, prepare, type Prepared } from "./prepared.ts";
import { RecentlyUsed } from "./recently_used.ts";
import { refuseHttp2, type TlsConfig, tlsConfig, type VariableLookup } from "./settings.ts";
import { refuseUnsupported } from "./unsupported.ts";

type Overlay = RuleVariables;
/** The certificate variables of one server name. */
export type ServerNameSettings = ReadonlyMap<CertificateVariable, string>;

/** Maximum cached contexts besides those made at start; a rules file can name any number. */
const MAX_CONTEXTS = 256;

/** What is made of one configuration. */
interface Made {
  readonly prepared: Prepared;
  readonly pairs: readonly ServerKeyPair[];
  /** Hash of the files' content. */
  readonly content: string;
}

/** Only a warning: neither TLS library supports DHFILE, and every old run script sets it. */
export const DHFILE_IGNORED =
  "DHFILE is ignored: the TLS library has no finite-field Diffie-Hellman";

export interface ContextsOptions {
  runtime: Runtime;
  log: Announcer;
  /** Log for problems of variables that rules set; default: `log`. */
  rulesLog?: Announcer;
  /** The server's own environment. */
  env: VariableLookup;
  /** Password of encrypted keys (-3). */
  password?: string | undefined;
  /** Used in place of files (--self-signed). */
  keyPair?: KeyPair | undefined;
  files?: Files;
  now?: () => number;
  more?: ContextOptions;
  /** True: what serves speaks no HTTP/2, so that ALPN must not offer it. */
  http1?: boolean;
}

export class Contexts {
  readonly #made = new RecentlyUsed<Reloading<Made>>(MAX_CONTEXTS);
  /** Context of connections without rules and server name; found without building its key. */
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

  /** Returns a variable of the server's environment with `overlay` (a rule's variables) on top. */
  lookup(name: RuleVariable, overlay?: Overlay): string | undefined {
    return overlaid(name, overlay, this.options.env);
  }

  /** Returns the files that a value of CERTFILE, CERTCHAINFILE or KEYFILE names. */
  named(value: string): string[] {
    return namedFiles(value, this.#files);
  }

  /** True if there is a default certificate, which does not depend on the name that the client asks
   *  for. */
  hasDefault(overlay?: Overlay): boolean {
    return this.options.keyPair !== undefined || !!this.lookup("CERTCHAINFILE", overlay) ||
      !!this.lookup("CERTFILE", overlay);
  }

  /** Returns the context for the server's environment with `overlay` (a rule's variables) on top.
   *  `auth`: the client certificate to request. `named`: certificate and key of one server name,
   *  used in place of the default ones.
   *
   *  Throws `FatalError` if the context cannot be made and there is no older one. */
  get(overlay?: Overlay, auth?: ClientAuth, named?: ServerNameSettings): Prepared {
    if (overlay?.has("DHFILE")) this.warnOfDhFile(overlay);
    const plain = !named && !overlay?.size ? this.#plain : undefined;
    if (plain && plain.auth === auth?.key) return plain.made.value.prepared;
    const lookup: VariableLookup = (name) =>
      named && hasServerNames(name) ? named.get(name) : this.lookup(name, overlay);
    refuseUnsupported(lookup);
    if (this.options.http1) refuseHttp2(lookup("ALPN"));
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

  /** Warns once if DHFILE is set, because it has no effect. Every worker warns of the DHFILE of its
   *  rules. */
  warnOfDhFile(overlay?: Overlay): void {
    if (this.#toldOfDhFile || !this.lookup("DHFILE", overlay)) return;
    this.#toldOfDhFile = true;
    const { log, rulesLog = log } = this.options;
    (overlay ? rulesLog : log).warning(DHFILE_IGNORED, "unset DHFILE");
  }

  /** Checks the files now, and reads those that have changed. */
  refresh(): void {
    for (const made of this.#made.all()) made.refresh();
  }

  /** Reads every file again, changed or not (SIGHUP). */
  reload(): void {
    for (const made of this.#made.all()) made.reload();
  }

  /** False if a file of the server's environment is broken and its former content is in use. */
  get upToDate(): boolean {
    return [...this.#made.lasting()].every(({ upToDate }) => upToDate);
  }

  /** Yields the file and the end (milliseconds since 1970) of every certificate in use. Changed
   *  files are read first. A file may occur more than once. */
  *expiries(): Iterable<{ path: string; notAfter: number }> {
    for (const { value: { pairs } } of this.#made.all()) {
      for (const { path, leaf } of pairs) yield { path, notAfter: leaf.notAfter.ms };
    }
  }

  /** Yields the server's own certificates in use, with their files. Does not check the files. */
  *leaves(): Iterable<{ path: string; leaf: Certificate }> {
    for (const { current } of this.#made.all()) yield* current.pairs;
  }

  /** Warns of certificates that have expired or will soon, including the issuers' certificates that
   *  are sent. Must be called at start and every hour: each warning is given once a day. */
  warnOfExpiry(): void {
    const now = this.#now();
    for (const { current } of this.#made.all()) {
      for (const pair of current.pairs) this.#expiry.give(pair, now);
    }
  }

  /** Makes the context of a key pair that comes from no file. It is never reloaded. */
  #ofPair(lookup: VariableLookup, auth: ClientAuth | undefined, own: KeyPair): Reloading<Made> {
    const config = tlsConfig((name) =>
      name === "CERTFILE" ? "-" : name === "KEYFILE" ? "" : lookup(name)
    );
    const prepared = prepare(this.options.runtime, config, auth, [own], this.options.more);
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
    const prepared = prepare(this.options.runtime, config, auth, pairs, this.options.more);
    return {
      value: { prepared, pairs, content },
      until: Math.min(...pairs.map(({ until }) => until)),
    };
  }
}

/** TLS contexts by what they are made of: made once, used by every connection with the same
 *  settings, and made anew when a file behind them changes. A handshake costs at most a few
 *  `stat` calls a second; a renewal that is broken is reported once and the old context stays. */

import { type Certificate, readCertificate } from "../codec/x509/certificate.ts";
import { oneLine } from "../codec/x509/names.ts";
import { decodePem } from "../codec/x509/pem.ts";
import { CERTIFICATE_VARIABLES, TLS_VARIABLES } from "../config/variables.ts";
import { reason } from "../errors.ts";
import { type Files, localFiles, namedFiles, signature } from "../files/files.ts";
import type { Announcer } from "../log.ts";
import type { KeyPair, Runtime, TlsContext } from "../runtime/runtime.ts";
import type { ClientAuth } from "./client_auth.ts";
import { type Contents, filesOf, readFiles } from "./key_files.ts";
import { type ServerKeyPair, serverKeyPairs } from "./key_pairs.ts";
import { endsSoon, timeLeft } from "./lifetime.ts";
import { refusing } from "./server_key.ts";
import { type Lookup, type TlsConfig, tlsConfig } from "./settings.ts";
import { serverVariables } from "./variables.ts";

type Overlay = ReadonlyMap<string, string>;

/** What a handshake needs, and what is known before it. */
export interface Prepared {
  context: TlsContext;
  /** The `SSL_SERVER_*` variables of the first certificate. */
  serverVariables: ReadonlyMap<string, string>;
  /** The server's own certificates. */
  certificates: readonly Certificate[];
}

/** How often the files behind a context are looked at, in milliseconds. */
const RECHECK = 1000;
/** Contexts kept beyond those made at start; a rules file can name many. The one unused longest
 *  makes room. */
const MAX_CONTEXTS = 256;

const DAY = 86_400_000;

/** Modern suites only; those below TLS 1.2 come in when somebody asks for such a version. */
const CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20";
const OLD_CIPHERS = `${CIPHERS}:ECDHE+AES:RSA+AES`;

interface Entry {
  config: TlsConfig;
  auth: ClientAuth | undefined;
  /** What `stat` said of the files when they were last read or tried. */
  seen: string;
  /** Hash of what the files held. */
  content: string;
  checked: number;
  /** What was logged of the files, until they are good again. */
  failure?: string | undefined;
  prepared: Prepared;
  pairs: readonly ServerKeyPair[];
  /** Until then the same certificates of the files are the valid ones. */
  until: number;
}

type Made = Pick<Entry, "prepared" | "pairs" | "until">;

/** Neither library has it, and every old run script sets it. */
export const DHFILE_IGNORED =
  "DHFILE is ignored: the TLS library has no finite-field Diffie-Hellman";

export interface ContextsOptions {
  runtime: Runtime;
  log: Announcer;
  /** For what a connection's rules set; default: `log`. */
  rulesLog?: Announcer;
  /** The server's own environment. */
  env: Lookup;
  /** For encrypted keys (-3). */
  password?: string | undefined;
  /** In place of files (--self-signed). */
  keyPair?: KeyPair | undefined;
  files?: Files;
  now?: () => number;
}

export class Contexts {
  readonly #entries = new Map<string, Entry>();
  /** Keys of those made for the server's own environment: they stay. */
  readonly #lasting = new Set<string>();
  /** That of connections without rules and names, which is found without putting its key together. */
  #plain: Entry | undefined;
  readonly #now: () => number;
  readonly #files: Files;
  /** When it was warned of a certificate, by what was said of it but for the time. */
  readonly #warned = new Map<string, number>();

  #toldOfDhFile = false;

  constructor(readonly options: ContextsOptions) {
    this.#now = options.now ?? Date.now;
    this.#files = options.files ?? localFiles;
  }

  /** A variable of the server's environment with `overlay` (a rule's variables) on top. */
  lookup(name: string, overlay?: Overlay): string | undefined {
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
  get(overlay?: Overlay, auth?: ClientAuth, named?: Overlay): Prepared {
    if (overlay?.has("DHFILE")) this.warnOfDhFile(overlay);
    const plain = !named && !overlay?.size ? this.#plain : undefined;
    if (plain && plain.auth?.key === auth?.key) return this.#fresh(plain);
    const lookup: Lookup = (name) =>
      named && CERTIFICATE_VARIABLES.has(name) ? named.get(name) : this.lookup(name, overlay);
    const own = named ? undefined : this.options.keyPair;
    const values = TLS_VARIABLES.map((name) => lookup(name) ?? "");
    const key = [auth?.key ?? "", own ? "own" : "", ...values].join("\0");
    const known = this.#entries.get(key);
    if (known) {
      this.#entries.delete(key);
      this.#entries.set(key, known);
      return this.#fresh(known);
    }
    const entry = this.#make(lookup, auth, own);
    this.#entries.set(key, entry);
    if (!overlay) {
      this.#lasting.add(key);
      if (!named) this.#plain = entry;
    }
    if (this.#entries.size > this.#lasting.size + MAX_CONTEXTS) {
      for (const oldest of this.#entries.keys()) {
        if (this.#lasting.has(oldest)) continue;
        this.#entries.delete(oldest);
        break;
      }
    }
    return entry.prepared;
  }

  #fresh(entry: Entry): Prepared {
    if (this.#now() - entry.checked >= RECHECK) this.#refresh(entry);
    return entry.prepared;
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
    for (const entry of this.#entries.values()) this.#refresh(entry);
  }

  /** Reads every file again, changed or not (SIGHUP). */
  reload(): void {
    for (const entry of this.#entries.values()) {
      entry.seen = "";
      entry.failure = undefined;
      this.#refresh(entry);
    }
  }

  /** False: a file of the server's environment is broken, and what it held before is in use. */
  get sound(): boolean {
    return [...this.#lasting].every((key) => this.#entries.get(key)?.failure === undefined);
  }

  /** The files of all certificates in use, and when these end (milliseconds since 1970), as the
   *  files are now. A file may come more than once. */
  *expiries(): Iterable<{ path: string; notAfter: number }> {
    for (const entry of this.#entries.values()) {
      if (this.#now() - entry.checked >= RECHECK) this.#refresh(entry);
      for (const { path, leaf } of entry.pairs) yield { path, notAfter: leaf.notAfter.ms };
    }
  }

  /** The server's own certificates in use, with their files. */
  *leaves(): Iterable<{ path: string; leaf: Certificate }> {
    for (const { pairs } of this.#entries.values()) {
      for (const { path, leaf } of pairs) yield { path, leaf };
    }
  }

  /** Warns of certificates that have expired or will soon, those sent with the server's own included. To be
   *  called at start and every hour: each warning is given once a day. */
  warnOfExpiry(): void {
    const now = this.#now();
    for (const { pairs } of this.#entries.values()) {
      for (const { path, certificates } of pairs) {
        for (const [i, certificate] of certificates.entries()) {
          const sent = i === 0 ? "" : `: ${oneLine(certificate.subject)} of its chain`;
          this.#warnOf(`certificate ${path}${sent}`, certificate, now);
        }
      }
    }
  }

  #warnOf(which: string, certificate: Certificate, now: number): void {
    const { notAfter } = certificate;
    const date = new Date(notAfter.ms).toISOString().slice(0, 10);
    const expired = notAfter.ms < now;
    if (!expired && !endsSoon(certificate, now)) return;
    const about = `${which} ${date} ${expired}`;
    if (now - (this.#warned.get(about) ?? -Infinity) < DAY) return;
    this.#warned.set(about, now);
    this.options.log.warning(
      expired
        ? `${which} expired on ${date}`
        : `${which} expires in ${timeLeft(certificate, now)}, on ${date}`,
    );
  }

  #make(lookup: Lookup, auth: ClientAuth | undefined, own: KeyPair | undefined): Entry {
    const config = own
      ? tlsConfig((name) => name === "CERTFILE" ? "-" : name === "KEYFILE" ? "" : lookup(name))
      : tlsConfig(lookup);
    if (own) {
      return {
        ...this.#build(config, auth, [own]),
        pairs: [],
        until: Infinity,
        config,
        auth,
        seen: "",
        content: "",
        checked: Infinity,
      };
    }
    const seen = this.#signature(config);
    const { files, content } = readFiles(config, this.#files);
    return {
      ...this.#fromFiles(config, auth, files),
      config,
      auth,
      seen,
      content,
      checked: this.#now(),
    };
  }

  #refresh(entry: Entry): void {
    if (entry.checked === Infinity) return; // made of no file
    entry.checked = this.#now();
    const seen = this.#signature(entry.config);
    if (seen === entry.seen && entry.checked < entry.until) return;
    entry.seen = seen;
    try {
      const { files, content } = readFiles(entry.config, this.#files);
      const renewed = content !== entry.content;
      if (renewed || entry.checked >= entry.until) {
        Object.assign(entry, this.#fromFiles(entry.config, entry.auth, files), { content });
      }
      if (renewed) {
        const paths = files.certificates.map(({ path }) => path);
        this.options.log.notice(`certificate renewed: ${paths.join(", ")}`);
      }
      entry.failure = undefined;
    } catch (error) {
      const failure = reason(error);
      if (failure === entry.failure) return;
      entry.failure = failure;
      this.options.log.error(`${failure}; the old certificate stays in use`);
    }
  }

  #signature(config: TlsConfig): string {
    const paths = filesOf(config, this.#files);
    return signature(this.#files, [...paths.certificates, ...paths.keys]);
  }

  #fromFiles(
    config: TlsConfig,
    auth: ClientAuth | undefined,
    { certificates, keys }: Contents,
  ): Made {
    const pairs = serverKeyPairs(certificates, keys, this.options.password, this.#now());
    const until = Math.min(...pairs.map(({ until }) => until));
    return { ...this.#build(config, auth, pairs), pairs, until };
  }

  #build(
    config: TlsConfig,
    auth: ClientAuth | undefined,
    keyPairs: (KeyPair & Partial<ServerKeyPair>)[],
  ): Pick<Entry, "prepared"> {
    const { runtime } = this.options;
    const { minVersion, maxVersion, alpn } = config;
    const old = minVersion === "TLSv1" || minVersion === "TLSv1.1";
    const modern = old ? OLD_CIPHERS : CIPHERS;
    const ciphers = config.ciphers ?? (runtime.cipherLists ? modern : undefined);
    const required = auth?.required && auth.namesAreTrust;
    const context = refusing(config.ciphers, keyPairs[0], () =>
      runtime.tlsContext({
        keyPairs,
        minVersion,
        maxVersion,
        ...(ciphers ? { ciphers } : {}),
        ...(alpn ? { alpn } : {}),
        ...(auth ? { requestCertificate: { ca: auth.names, required: !!required } } : {}),
      }));
    const ders = keyPairs.flatMap(({ chain }) =>
      decodePem(new TextEncoder().encode(chain))[0] ?? []
    )
      .map(({ bytes }) => bytes);
    const [leaf] = ders;
    return {
      prepared: {
        context,
        serverVariables: leaf ? serverVariables(leaf) : new Map(),
        certificates: ders.map(readCertificate),
      },
    };
  }
}

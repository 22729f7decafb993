/** Chooses the certificate by server name: `CERTFILE:name` and `KEYFILE:name`, s6's convention,
 *  from the server's environment with the variables of a rule on top.
 *
 *  The name is read from the ClientHello before the TLS library gets it. It is hostile: it is
 *  looked up among the names of the settings and never becomes part of a path or of a variable's
 *  name. An exact name takes precedence over a wildcard; `*.example` stands for one label, as in
 *  certificates (RFC 6125 6.4.3). Case does not matter (RFC 6066 3). */

import { type ClientHello, decodeClientHello, gatherHello } from "../codec/client_hello.ts";
import { matchesHost } from "../codec/x509/match.ts";
import type { Options } from "../config/options.ts";
import { type CertificateVariable, ofServerName, type RuleVariables } from "../config/variables.ts";
import { EXIT, FatalError, reason } from "../errors.ts";
import type { Reason } from "../reason.ts";
import type { ClientAuth } from "./client_auth.ts";
import type { Contexts } from "./context.ts";
import type { Prepared } from "./prepared.ts";

/** RFC 1035 2.3.4. The underscore is not permitted in host names, but it is used. */
const MAX_NAME = 253;
const NAME = /^(?:\*\.)?[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/;

/** The certificate variables of one name. */
type Settings = Map<CertificateVariable, string>;

/** TLS alerts (RFC 8446 6, RFC 6066 3). */
export const ALERT = { unexpectedMessage: 10, decodeError: 50, unrecognizedName: 112 } as const;

/** Why a client gets no handshake: the alert that is sent to it, and the reason for the log. */
export interface HandshakeRefusal {
  alert: number;
  why: Reason;
}

/** Returns the settings by name, in lower case. Throws `FatalError` for a name that no client can
 *  ask for, or that occurs twice. */
function byName(variables: Iterable<[string, string | undefined]>): Map<string, Settings> {
  const found = new Map<string, Settings>();
  for (const [variable, value] of variables) {
    const { variable: kind, serverName = "" } = ofServerName(variable) ?? {};
    if (kind === undefined || value === undefined) continue;
    const name = serverName.toLowerCase();
    if (name.length > MAX_NAME || !NAME.test(name)) {
      throw new FatalError(
        `unable to use ${variable}: '${serverName}' is not a host name`,
        EXIT.system,
        "write a name like www.example or *.example after the colon, with xn-- for other alphabets",
      );
    }
    const settings = found.get(name) ?? new Map<CertificateVariable, string>();
    if (settings.has(kind)) {
      throw new FatalError(
        `unable to use ${variable}: the name is set twice, in two spellings`,
        EXIT.system,
        "unset one of them; case does not matter in names",
      );
    }
    settings.set(kind, value);
    found.set(name, settings);
  }
  return found;
}

/** True for a record of TLS (RFC 8446 5.1); the library refuses anything else. */
function isTls(first: Uint8Array): boolean {
  const [type = 0, major] = first;
  return type >= 20 && type <= 24 && major === 3;
}

/** Chooses contexts by name. */
export class ServerNames {
  readonly #contexts: Contexts;
  readonly #names: ReadonlyMap<string, Settings>;

  /** `env` is the server's environment. Throws `FatalError` if a setting is invalid. */
  constructor(
    contexts: Contexts,
    env: Iterable<[string, string | undefined]>,
    readonly mode: Options["serverNames"] = "used",
  ) {
    this.#contexts = contexts;
    this.#names = mode === "ignored" ? new Map() : byName(env);
  }

  /** Makes every context that the server's environment asks for, so that mistakes are found at
   *  start. Throws `FatalError`. */
  prepare(auth?: ClientAuth): void {
    // With SNI_STRICT, unknown names are refused, so a default certificate is optional.
    if (this.mode === "only" && this.#names.size === 0) throw NO_NAMES();
    const withoutDefault = this.mode === "only" ||
      this.#strict() && this.#names.size > 0 && !this.#contexts.hasDefault();
    if (!withoutDefault) this.#contexts.get(undefined, auth);
    for (const [name, settings] of this.#names) {
      if (usable(name, settings)) this.#contexts.get(undefined, auth, settings);
    }
  }

  /** Returns the context for the client that sent the records `first`; `overlay` is what its rules
   *  set. Throws `FatalError` if the context cannot be made. */
  select(
    overlay: RuleVariables,
    auth: ClientAuth | undefined,
    first: Uint8Array,
  ): Prepared | HandshakeRefusal {
    const strict = this.#strict(overlay);
    const more = overlay.size > 0 && this.mode !== "ignored"
      ? byName(withEmpty(overlay))
      : undefined;
    if (!strict && this.#names.size === 0 && !more?.size) return this.#contexts.get(overlay, auth);
    let hello: ClientHello | undefined;
    try {
      const gathered = gatherHello(first);
      if (gathered.is === "other" && isTls(first)) {
        // We cannot read the name, but the library might accept this hello. The name in it may have
        // another certificate.
        return { alert: ALERT.unexpectedMessage, why: { kind: "unreadable server name" } };
      }
      if (gathered.is === "whole") hello = decodeClientHello(gathered.message);
    } catch (error) {
      return { alert: ALERT.decodeError, why: { kind: "malformed", text: reason(error) } };
    }
    const name = hello?.serverName?.toLowerCase().replace(/\.$/, "");
    const settings = name === undefined ? undefined : this.#settings(name, more);
    if (settings) return this.#contexts.get(overlay, auth, settings);
    if (!strict) return this.#contexts.get(overlay, auth);
    if (name === undefined) {
      return { alert: ALERT.unrecognizedName, why: { kind: "no server name" } };
    }
    if (this.mode !== "only" && this.#contexts.hasDefault(overlay)) {
      const prepared = this.#contexts.get(overlay, auth);
      if (prepared.certificates.some((own) => matchesHost(own, name))) return prepared;
    }
    return { alert: ALERT.unrecognizedName, why: { kind: "unknown server name", name } };
  }

  #settings(name: string, more: Map<string, Settings> | undefined): Settings | undefined {
    const dot = name.indexOf(".");
    for (const one of [name, ...(dot > 0 ? [`*${name.slice(dot)}`] : [])]) {
      const own = this.#names.get(one);
      const rules = more?.get(one);
      const settings = rules ? new Map([...own ?? [], ...rules]) : own;
      if (settings && usable(one, settings)) return settings;
    }
    return undefined;
  }

  /** Returns the server names that a certificate file is configured for, in the server's
   *  environment; `undefined` stands for the default certificate. */
  of(path: string): (string | undefined)[] {
    const uses = (settings: (name: CertificateVariable) => string | undefined): boolean =>
      this.#contexts.named(settings("CERTCHAINFILE") || settings("CERTFILE") || "").includes(path);
    return [
      ...(uses((name) => this.#contexts.lookup(name)) ? [undefined] : []),
      ...[...this.#names].filter(([, own]) => uses((name) => own.get(name))).map(([name]) => name),
    ];
  }

  #strict(overlay?: RuleVariables): boolean {
    return this.mode === "only" || !!this.#contexts.lookup("SNI_STRICT", overlay);
  }
}

const NO_NAMES = (): FatalError =>
  new FatalError(
    "unable to find a certificate: no CERTFILE:name is set",
    EXIT.system,
    "set CERTFILE:name and KEYFILE:name for each server name",
  );

/** The variables of a rule, with empty values for those that it removes, because an empty value
 *  switches off the server's own. */
function* withEmpty(overlay: RuleVariables): Iterable<[string, string]> {
  for (const [name, value] of overlay) yield [name, value ?? ""];
}

/** False if the name was switched off by empty values. Throws `FatalError` for a key without a
 *  certificate. */
function usable(name: string, settings: Settings): boolean {
  if (settings.get("CERTCHAINFILE") || settings.get("CERTFILE")) return true;
  if (!settings.get("KEYFILE")) return false;
  throw new FatalError(
    `unable to use KEYFILE:${name}: there is no CERTFILE:${name}`,
    EXIT.system,
    "set both, or put the key into the certificate file",
  );
}

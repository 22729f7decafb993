/** Makes options and environment of sslserver from what the options of `s_server` have said. */

import type { HandlerChoice, Options } from "../config/options.ts";
import type { Env } from "../config/variables.ts";
import { type TlsValues, withTlsValues } from "../config/variables_of_s_server.ts";
import { UsageError } from "../errors.ts";
import type { Files } from "../files/files.ts";
import type { TlsVersion } from "../runtime/runtime.ts";
import { groupNames } from "../tls/groups.ts";
import { OLD_CIPHERS } from "../tls/prepared.ts";
import { systemAuthorities } from "../tls/system_authorities.ts";
import type { ServerMode, ServerSettings } from "./s_server_settings.ts";

type FileFinder = Pick<Files, "stamp">;

/** The certificate if no option names one. */
const DEFAULT_CERTIFICATE = "server.pem";
const DEFAULT_SECOND = "server2.pem";
const VERSIONS: readonly TlsVersion[] = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

const HANDLERS: Readonly<Record<ServerMode, HandlerChoice>> = {
  terminal: { kind: "terminal" },
  www: { kind: "www" },
  WWW: { kind: "files", folder: "." },
  HTTP: { kind: "answers", folder: "." },
  rev: { kind: "reverse" },
};

/** Returns the options of the server. Throws `UsageError` for a combination that cannot be
 *  honoured. */
export function translatedOptions(settings: ServerSettings, files: FileFinder): Options {
  const { options, mode, asks, refusesInvalid } = settings;
  const { family } = options;
  const any = family === 4 ? "0" : family === 6 ? "::" : ":0";
  const traced = settings.state || settings.messages || settings.decoded || settings.dump;
  return {
    ...options,
    host: settings.host === ":0" ? any : settings.host,
    port: settings.port,
    command: [],
    handler: HANDLERS[mode],
    // A terminal has one client at a time, as there.
    concurrency: mode === "terminal" ? 1 : options.concurrency,
    selfSigned: options.selfSigned || certificateFile(settings, files) === undefined,
    clientCertificate: asks === "no"
      ? "none"
      : asks === "asks"
      ? refusesInvalid ? "optional" : "asked"
      : refusesInvalid
      ? "valid"
      : "sent",
    trace: traced ? settings.dump ? "bytes" : "messages" : "nothing",
  };
}

/** The default certificate; undefined: a temporary one is made. */
function certificateFile({ identity }: ServerSettings, files: FileFinder): string | undefined {
  if (identity.certificate !== undefined) return identity.certificate;
  const { key } = identity;
  if (files.stamp(DEFAULT_CERTIFICATE) !== undefined) return DEFAULT_CERTIFICATE;
  if (key === undefined) return undefined;
  throw new UsageError(
    `-key ${key} has no certificate: there is no ${DEFAULT_CERTIFICATE}`,
    "name it with -cert",
  );
}

/** Returns the environment in the names that sslserver reads. Certificates come from options alone;
 *  variables of sslserver that no option has count, if they are set. Throws `UsageError`. */
export function translatedEnvironment(
  settings: ServerSettings,
  env: Env,
  files: FileFinder,
): Record<string, string> {
  const { ciphers, alpn, groups } = settings;
  return withTlsValues(env, {
    ...certificateValues(settings, files),
    named: namedPair(settings),
    ...versionRange(settings),
    ciphers,
    alpn,
    groups: groups === undefined ? undefined : knownGroups(groups),
    clients: clientValues(settings, env, files),
  });
}

function certificateValues(
  settings: ServerSettings,
  files: FileFinder,
): Pick<TlsValues, "certificates" | "keys"> {
  const first = certificateFile(settings, files);
  const { identity, second, chainFile, authorities } = settings;
  if (first !== undefined) {
    const issuers = chainFile ?? authorities.file;
    return {
      certificates: list([first, identity.chain, second.certificate, second.chain, issuers]),
      keys: list([identity.key ?? first, second.key ?? second.certificate]),
    };
  }
  if (second.certificate === undefined) return {};
  throw new UsageError("-dcert is a second certificate, and there is no first", "use -cert");
}

/** Paths as sslserver lists them. Throws `UsageError`. */
function list(paths: readonly (string | undefined)[]): string {
  const named = [...new Set(paths.filter((path) => path !== undefined))];
  const joined = named.length > 1 && named.find((path) => path.includes(":"));
  if (joined) {
    throw new UsageError(
      `unable to use ${joined} with another file: its name has a colon`,
      "rename it",
    );
  }
  return named.join(":");
}

/** -cert2 and -key2. Throws `UsageError` if they are for no name. */
function namedPair({ named, serverName: name }: ServerSettings): TlsValues["named"] {
  if (name === undefined) {
    if (named.certificate === undefined && named.key === undefined) return undefined;
    throw new UsageError("-cert2 and -key2 are for a server name", "use -servername as well");
  }
  const certificate = named.certificate ?? DEFAULT_SECOND;
  return { name, certificate, key: named.key ?? certificate };
}

/** Throws `UsageError` for a group that no library has. */
function knownGroups(groups: string): string {
  try {
    groupNames(groups);
    return groups;
  } catch (error) {
    throw new UsageError((error as Error).message.replace("CURVES", "-groups"));
  }
}

/** The versions that all options allow. TLS 1.0 and 1.1 count only if an option names them. Throws
 *  `UsageError` if they are not one range. */
export function versionRange(
  { versions, minVersion = "TLSv1.2", maxVersion = "TLSv1.3" }: Pick<
    ServerSettings,
    "versions" | "minVersion" | "maxVersion"
  >,
): { minVersion: TlsVersion; maxVersion: TlsVersion } {
  const from = VERSIONS.indexOf(minVersion);
  const to = VERSIONS.indexOf(maxVersion);
  const left = VERSIONS.filter((one, i) => i >= from && i <= to && versions.has(one));
  const [lowest] = left;
  const highest = left.at(-1);
  if (lowest === undefined || highest === undefined) {
    throw new UsageError(
      "the options leave no version of TLS",
      "leave out an option such as -no_tls1_2, or choose versions with -min_protocol",
    );
  }
  if (VERSIONS.indexOf(highest) - VERSIONS.indexOf(lowest) >= left.length) {
    throw new UsageError(
      `the options leave out a version between ${lowest} and ${highest}, which no library can`,
      "leave out the highest or the lowest ones",
    );
  }
  return { minVersion: lowest, maxVersion: highest };
}

/** What is trusted and named. Without authorities of its own the server trusts those of the system,
 *  and then names none to clients, as OpenSSL does. */
function clientValues(
  settings: ServerSettings,
  env: Env,
  files: FileFinder,
): TlsValues["clients"] {
  const { authorities, verifyFile, verifyFolder, asks, options, caNames, depth } = settings;
  if (asks === "no") return undefined;
  const own = verifyFile ?? authorities.file;
  const folder = verifyFolder ?? authorities.folder;
  const system = own === undefined && folder === undefined
    ? systemAuthorities(env, files)
    : undefined;
  const caFile = own ?? (authorities.systemFile ? system?.caFile : undefined);
  const caDir = folder ?? (authorities.systemFolder ? system?.caDir : undefined);
  const names = caNames ? authorities.file : undefined;
  const namesAreTrust = names !== undefined && names === caFile && caDir === undefined;
  return {
    caFile: caFile ?? "",
    caDir: caDir ?? "",
    names: namesAreTrust ? "" : names ?? "/dev/null",
    lists: options.revocation === "listed" ? undefined : settings.crl,
    depth,
  };
}

/** The ciphers if no option names any, where the library takes a list: also those without forward
 *  secrecy and with CBC, as OpenSSL's default. */
export const DEFAULT_CIPHERS = OLD_CIPHERS;

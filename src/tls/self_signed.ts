/** A temporary certificate for `--self-signed`: made at start, held in memory, never written. It is
 *  for a first try. Clients can only verify it by its fingerprint, so that is returned for
 *  display. */

import os from "node:os";
import { literalHost } from "../accept/address.ts";
import { nodeCrypto } from "../builtins.ts";
import {
  bitString,
  element,
  objectIdentifier,
  sequence,
  stringElement,
  time,
  unsigned,
} from "../codec/der_write.ts";
import { TAG } from "../codec/der.ts";
import { ipOrUndefined } from "../codec/ip.ts";
import { encodePem } from "../codec/x509/pem.ts";
import type { Options } from "../config/options.ts";
import type { Log } from "../log.ts";
import type { KeyPair } from "../runtime/runtime.ts";

/** A certificate with its key. */
export interface SelfSigned {
  readonly certPem: string;
  /** PKCS #8. */
  readonly keyPem: string;
  /** SHA-256 of the certificate in DER, lower-case hex. */
  readonly fingerprintSha256: string;
}

const DAY = 86_400_000;
/** Long enough for a trial, too short for permanent use. */
const LIFETIME = 30 * DAY;
/** The client's clock may be slow. */
const BACKDATED = DAY / 24;

const ALWAYS = ["localhost", "127.0.0.1", "::1"];

/** Makes a P-256 certificate for localhost and for `hosts`: host names, and addresses in text form
 *  (a scope id after `%` is dropped). Other texts are left out, because no certificate can name
 *  them. `now` is in milliseconds since 1970. */
export function makeSelfSigned(hosts: readonly string[], now = Date.now()): SelfSigned {
  const { publicKey, privateKey } = nodeCrypto().generateKeyPairSync("ec", { namedCurve: "P-256" });
  const algorithm = sequence(objectIdentifier("1.2.840.10045.4.3.2"));
  const commonName = sequence(objectIdentifier("2.5.4.3"), stringElement(TAG.utf8, "localhost"));
  const name = sequence(element(TAG.set, commonName));
  const body = sequence(
    element(0xa0, unsigned(Uint8Array.of(2))),
    serialNumber(),
    algorithm,
    name,
    sequence(time(now - BACKDATED), time(now + LIFETIME)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    element(0xa3, extensions([...new Set([...ALWAYS, ...hosts])])),
  );
  const signature = nodeCrypto().sign("sha256", body, { key: privateKey, dsaEncoding: "der" });
  const certificate = sequence(body, algorithm, bitString(signature));
  return {
    certPem: encodePem("CERTIFICATE", certificate),
    keyPem: encodePem("PRIVATE KEY", privateKey.export({ type: "pkcs8", format: "der" })),
    fingerprintSha256: nodeCrypto().createHash("sha256").update(certificate).digest("hex"),
  };
}

/** Random, because a browser refuses a second certificate with the same issuer and serial number.
 *  Always positive, and 16 bytes long. */
function serialNumber(): Uint8Array {
  const bytes = nodeCrypto().randomBytes(16);
  bytes[0] = (bytes[0] ?? 0) & 0x3f | 0x40;
  return unsigned(bytes);
}

function extensions(hosts: readonly string[]): Uint8Array {
  const names = hosts.flatMap((host) => generalName(host) ?? []);
  return sequence(
    extension("2.5.29.19", true, sequence()),
    // digitalSignature is the only usage that ECDHE needs.
    extension("2.5.29.15", true, bitString(Uint8Array.of(0x80), 7)),
    extension("2.5.29.37", false, sequence(objectIdentifier("1.3.6.1.5.5.7.3.1"))),
    extension("2.5.29.17", false, sequence(...names)),
  );
}

function extension(oid: string, critical: boolean, value: Uint8Array): Uint8Array {
  const flag = critical ? element(TAG.boolean, Uint8Array.of(0xff)) : new Uint8Array();
  return sequence(objectIdentifier(oid), flag, element(TAG.octetString, value));
}

function generalName(host: string): Uint8Array | undefined {
  const ip = ipOrUndefined(host.replace(/%.*$/, ""));
  if (ip) return element(0x87, ip);
  const isName = host.length <= 253 && /^(?:[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.|$))+$/i.test(host);
  return isName ? stringElement(0x82, host.replace(/\.$/, "")) : undefined;
}

/** Makes the certificate of --self-signed and logs its fingerprint; undefined without the
 *  option. */
export function selfSigned(options: Options, log: Log): KeyPair | undefined {
  if (!options.selfSigned) return undefined;
  const { certPem, keyPem, fingerprintSha256 } = makeSelfSigned(ownNames(options.host));
  log.notice(`self-signed certificate, SHA-256 fingerprint ${fingerprintSha256}`, {
    fingerprint: fingerprintSha256,
  });
  return { chain: certPem, key: keyPem };
}

/** Returns names and addresses of this host, for the self-signed certificate. */
function ownNames(host: string): string[] {
  const addresses = Object.values(os.networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .map(({ address }) => address);
  return [os.hostname(), ...(literalHost(host) ? [] : [host]), ...addresses];
}

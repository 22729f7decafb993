/** CURVES: the groups for the key exchange, best first. OpenSSL's and IANA's names are accepted. */

import { EXIT, FatalError, quoted } from "../errors.ts";

/** Names in lower case, and the names for the TLS library. Groups that BoringSSL lacks are not
 *  here. */
const GROUPS: ReadonlyMap<string, string> = new Map([
  ["x25519mlkem768", "X25519MLKEM768"],
  ["mlkem1024", "MLKEM1024"],
  ["x25519", "X25519"],
  ["p-256", "P-256"],
  ["secp256r1", "P-256"],
  ["prime256v1", "P-256"],
  ["p-384", "P-384"],
  ["secp384r1", "P-384"],
  ["p-521", "P-521"],
  ["secp521r1", "P-521"],
]);

const EXAMPLE = "CURVES=X25519MLKEM768:X25519:P-256:P-384";

/** Parses a list of groups, separated by colons as in OpenSSL, or by commas. Throws `FatalError`
 *  with a name that no runtime supports, or that occurs twice. */
export function groupNames(list: string | undefined): string[] | undefined {
  if (!list) return undefined;
  const groups: string[] = [];
  for (const word of list.split(/[:,]/)) {
    const group = GROUPS.get(word.trim().toLowerCase());
    if (group === undefined) {
      throw new FatalError(
        `unable to use CURVES: no runtime supports the group ${quoted(word.trim())}`,
        EXIT.system,
        `name some of ${[...new Set(GROUPS.values())].join(", ")}, best first: ${EXAMPLE}`,
      );
    }
    if (groups.includes(group)) {
      throw new FatalError(
        `unable to use CURVES: ${group} is there twice`,
        EXIT.system,
        `name each group once: ${EXAMPLE}`,
      );
    }
    groups.push(group);
  }
  return groups;
}

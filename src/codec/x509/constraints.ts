/** Name constraints: the names for which an authority, and the authorities below it, may issue
 *  certificates (RFC 5280 4.2.1.10). Pure: no I/O. The results have OpenSSL's wording.
 *
 *  DNS names, IP addresses, e-mail addresses, directory names and URIs are compared. A
 *  constraint of another kind refuses every certificate that has a name of that kind. An
 *  ambiguous name is refused. Unlike in RFC 5280, a DNS constraint may begin with a dot, as many
 *  authorities write it: it covers the names below that domain, and not the domain. */

import { DecodeError, latin1 } from "../bytes.ts";
import { DerReader, type Element } from "../der.ts";
import type { Certificate, DistinguishedName } from "./certificate.ts";
import { readDistinguishedName } from "./certificate.ts";
import { commonAddress, hostLabels } from "./match.ts";
import { attributeText, canonicalRdn } from "./names.ts";

/** The constraints of an authority. `malformed` refuses every certificate below it. */
export type NameConstraints = Constraints | "malformed";

/** Why the constraints forbid a certificate, in OpenSSL's words if OpenSSL has that problem. */
export type ConstraintProblem =
  | "unsupported or invalid name constraint syntax"
  | "unsupported name constraint type"
  | "unsupported or invalid name syntax"
  | "permitted subtree violation"
  | "excluded subtree violation"
  | "too many name constraints";

interface Constraints {
  readonly permitted: readonly Subtree[];
  readonly excluded: readonly Subtree[];
}

/** Tags of the kinds of names (RFC 5280 4.2.1.6). That of a directory name is constructed. */
const KIND = { email: 0x81, dns: 0x82, directory: 0xa4, uri: 0x86, ip: 0x87, other: 0xa0 } as const;

/** A set of names of one kind. */
interface Subtree {
  readonly tag: number;
  /** True if the name is in the set; with `excluded`, also if a host that the name's wildcard
   *  matches is in it. Undefined: names of this kind cannot be compared. */
  readonly holds: ((name: Subject, excluded: boolean) => boolean) | undefined;
}

/** A name of a certificate, in the form for comparison. */
interface Subject {
  readonly tag: number;
  /** Labels of the host, the first of which may be `*`. */
  readonly labels?: readonly string[] | undefined;
  readonly local?: string;
  readonly address?: Uint8Array;
  readonly rdns?: readonly string[];
  /** The name cannot be compared with a constraint of its kind. */
  readonly malformed?: boolean;
}

/** Maximum number of permitted subtrees of one certificate, and of excluded ones. Real authorities
 *  have dozens. */
const MAX_SUBTREES = 1024;
/** Maximum number of comparisons of one certificate with the constraints of one authority. */
const MAX_WORK = 1 << 18;

const EMAIL_ATTRIBUTE = "1.2.840.113549.1.9.1";
const COMMON_NAME = "2.5.4.3";
/** An e-mail address in UTF-8, to which the constraints on e-mail addresses apply (RFC 9598 6). */
const SMTP_UTF8 = "1.3.6.1.5.5.7.8.9";

/** The host in a URI (RFC 3986 3.2). */
const URI_HOST = /^[a-z][a-z0-9+.-]*:\/\/(?:[^@/?#]*@)?([^@:/?#]+)(?::\d*)?(?:[/?#]|$)/i;

/** Reads the value of the extension. */
export function readNameConstraints(value: DerReader): NameConstraints {
  try {
    const list = value.sequence("name constraints");
    value.finish("after the name constraints");
    const permitted = readSubtrees(list, 0xa0);
    const excluded = readSubtrees(list, 0xa1);
    list.finish("after the excluded names");
    if (!permitted && !excluded) list.fail("name constraints", "empty");
    return { permitted: permitted ?? [], excluded: excluded ?? [] };
  } catch (error) {
    if (error instanceof DecodeError) return "malformed";
    throw error;
  }
}

function readSubtrees(list: DerReader, tag: number): Subtree[] | undefined {
  const tagged = list.optional(tag, "subtrees");
  if (!tagged) return undefined;
  const inside = list.inside(tagged);
  const subtrees: Subtree[] = [];
  do {
    if (subtrees.length === MAX_SUBTREES) inside.fail("subtrees", `above ${MAX_SUBTREES}`);
    const subtree = inside.sequence("subtree");
    const base = subtree.read("base");
    // Minimum and maximum are not used (RFC 5280 4.2.1.10).
    subtree.finish("after the base");
    subtrees.push({ tag: base.tag, holds: readBase(subtree, base) });
  } while (!inside.done);
  return subtrees;
}

function readBase(reader: DerReader, base: Element): Subtree["holds"] {
  const { tag, content } = base;
  const text = latin1(content);
  const fail = (): never => reader.fail("base", "malformed", base.start);
  /** The labels of a domain. For `.domain` the first label is empty and stands for any labels. */
  const domain = (of: string): string[] => {
    const below = of.startsWith(".");
    const labels = hostLabels(below ? of.slice(1) : of) ?? fail();
    return below ? ["", ...labels] : labels;
  };
  switch (tag) {
    case KIND.dns: {
      const base = text === "" ? [] : domain(text);
      return ({ labels = [] }, excluded) =>
        base[0] === ""
          ? labels.length >= base.length && endsWith(labels, base.slice(1))
          : endsWith(labels, base) || excluded && covers(labels, base);
    }
    case KIND.ip: {
      const half = content.length / 2;
      if (half !== 4 && half !== 16) fail();
      const [address, mask] = [content.subarray(0, half), content.subarray(half)];
      if (!/^1*0*$/.test(Array.from(mask, (byte) => byte.toString(2).padStart(8, "0")).join(""))) {
        fail();
      }
      return ({ address: given }) =>
        given?.length === half &&
        given.every((byte, i) => ((byte ^ (address[i] ?? 0)) & (mask[i] ?? 0)) === 0);
    }
    case KIND.email: {
      if (!text.includes("@")) return onHost(domain(text));
      const { local, labels } = mailbox(text) ?? fail();
      return (name) => name.local === local && onHost(labels)(name);
    }
    case KIND.uri:
      return onHost(domain(text));
    case KIND.directory: {
      const inside = reader.inside(base);
      const rdns = readDistinguishedName(inside, "base").rdns.map(canonicalRdn);
      inside.finish("after the base");
      return (name) => rdns.every((rdn, i) => name.rdns?.[i] === rdn);
    }
    default:
      return undefined;
  }
}

/** Matches only this host; with an empty first label, the hosts below it and not the host
 *  itself. */
function onHost(base: readonly string[]): (name: Subject) => boolean {
  return ({ labels = [] }) =>
    base[0] === ""
      ? labels.length >= base.length && endsWith(labels, base.slice(1))
      : labels.length === base.length && endsWith(labels, base);
}

function endsWith(labels: readonly string[], base: readonly string[]): boolean {
  const skip = labels.length - base.length;
  return skip >= 0 && base.every((label, i) => labels[skip + i] === label);
}

/** True if `labels` are a wildcard name that matches the host `base`. */
function covers(labels: readonly string[], base: readonly string[]): boolean {
  return labels[0] === "*" && labels.length === base.length && endsWith(base, labels.slice(1));
}

function mailbox(text: string): { local: string; labels: string[] } | undefined {
  const [local = "", host = "", ...more] = text.split("@");
  const labels = hostLabels(host);
  return local === "" || !labels || more.length > 0 ? undefined : { local, labels };
}

/** Returns why the constraints of an authority forbid a certificate below it, or undefined if
 *  they do not. `leaf`: the certificate is the first of its chain. */
export function constraintProblem(
  constraints: NameConstraints,
  certificate: Certificate,
  leaf: boolean,
): ConstraintProblem | undefined {
  if (constraints === "malformed") return "unsupported or invalid name constraint syntax";
  const { permitted, excluded } = constraints;
  const names = subjectsOf(certificate, leaf);
  if (names.length * (permitted.length + excluded.length) > MAX_WORK) {
    return "too many name constraints";
  }
  for (const name of names) {
    const ofKind = ({ tag }: Subtree) => tag === name.tag;
    const [may, mayNot] = [permitted.filter(ofKind), excluded.filter(ofKind)];
    const all = [...may, ...mayNot];
    if (all.length === 0) continue;
    if (all.some(({ holds }) => !holds)) return "unsupported name constraint type";
    if (name.malformed) return "unsupported or invalid name syntax";
    if (mayNot.some(({ holds }) => holds?.(name, true))) return "excluded subtree violation";
    if (may.length > 0 && !may.some(({ holds }) => holds?.(name, false))) {
      return "permitted subtree violation";
    }
  }
  return undefined;
}

/** All names of a certificate that constraints apply to. */
function subjectsOf(certificate: Certificate, leaf: boolean): Subject[] {
  const { subject, dnsNames, emails, ips, otherNames } = certificate;
  const names: Subject[] = subject.rdns.length > 0 ? [directory(subject)] : [];
  const attributes = subject.rdns.flat();
  for (const attribute of attributes) {
    if (attribute.oid === EMAIL_ATTRIBUTE) names.push(email(attributeText(attribute) ?? ""));
  }
  names.push(...dnsNames.map(dns), ...emails.map(email));
  names.push(...ips.map((address) => ({ tag: KIND.ip, address })));
  names.push(...otherNames.map(other));
  // If the subject alternative name has no name of a kind, `matchesHost`, `matchesAddress` and
  // other programs use the common name as a host name or an address.
  for (const attribute of leaf ? attributes : []) {
    const text = attribute.oid === COMMON_NAME ? attributeText(attribute) : undefined;
    const address = ips.length === 0 ? commonAddress(text) : undefined;
    if (address) names.push({ tag: KIND.ip, address });
    if (dnsNames.length === 0 && text?.includes(".") && dns(text).labels) names.push(dns(text));
  }
  return names;
}

function dns(text: string): Subject {
  const wild = text.startsWith("*.");
  const labels = hostLabels(wild ? text.slice(2) : text);
  return { tag: KIND.dns, labels: labels && wild ? ["*", ...labels] : labels, malformed: !labels };
}

function email(text: string): Subject {
  const found = mailbox(text);
  return { tag: KIND.email, malformed: !found, ...found };
}

function directory({ rdns }: DistinguishedName): Subject {
  return { tag: KIND.directory, rdns: rdns.map(canonicalRdn) };
}

function other({ tag, content }: Certificate["otherNames"][number]): Subject {
  try {
    if (tag === KIND.directory) {
      return directory(readDistinguishedName(new DerReader(content, "x509"), "name"));
    }
    if (tag === KIND.uri) {
      const labels = hostLabels(URI_HOST.exec(latin1(content))?.[1] ?? "");
      return { tag, labels, malformed: !labels };
    }
    if (tag === KIND.other && new DerReader(content, "x509").oid("other name") === SMTP_UTF8) {
      return { tag: KIND.email, malformed: true };
    }
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return { tag, malformed: true };
  }
  return { tag };
}

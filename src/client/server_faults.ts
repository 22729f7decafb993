/** The words for the reasons why a server is refused. They are for people, and no code compares
 *  them. Text from the server's certificate is made printable and shortened. */

import { formatIp } from "../codec/ip.ts";
import { printable } from "../codec/printable.ts";
import type { Certificate, DistinguishedName } from "../codec/x509/certificate.ts";
import { commonName } from "../codec/x509/match.ts";
import { oneLine } from "../codec/x509/names.ts";
import { type ChainFault, type ChainProblem, faultText } from "../tls/chain_fault.ts";
import type { ServerFault } from "./verify.ts";

/** Maximum length of a name of the server, in characters. */
const MAX_LENGTH = 100;
/** Maximum number of names. */
const MAX_NAMES = 5;

const subject = ({ subject }: Certificate): string => nameText(subject);
const issuer = ({ issuer }: Certificate): string => nameText(issuer);

/** The text after the problem: facts about the certificate that has it. Default: the subject. */
const DETAILS: {
  readonly [Problem in ChainProblem]?: (one: Certificate) => string;
} = {
  "certificate has expired": (one) => `${subject(one)} was valid until ${one.notAfter.text}`,
  "certificate is not yet valid": (one) => `${subject(one)} is valid from ${one.notBefore.text}`,
  "unable to get local issuer certificate": (one) =>
    `${subject(one)} is issued by ${issuer(one)}, which is not among the authorities`,
  "unable to get issuer certificate": (one) =>
    `${subject(one)} is issued by ${issuer(one)}, which is not among the authorities`,
  "self-signed certificate": (one) => `${subject(one)} is not among the authorities`,
  "self-signed certificate in certificate chain": (one) =>
    `${subject(one)} is not among the authorities`,
  "certificate revoked": (one) => `${subject(one)}, by the list of ${issuer(one)}`,
  "unable to get certificate CRL": (one) => `there is none of ${issuer(one)}`,
  "CRL has expired": (one) => `that of ${issuer(one)}`,
  "CRL is not yet valid": (one) => `that of ${issuer(one)}`,
};

const HINTS: { readonly [Problem in ChainProblem]?: string } = {
  "unable to get local issuer certificate":
    "name the file of the authority's certificate with -a or CAFILE; if the server does not send " +
    "the certificates between, add them to the file",
  "self-signed certificate":
    "if it is the right one, name its file with -a or CAFILE; -X switches the check off",
  "self-signed certificate in certificate chain":
    "name the file of the authority's certificate with -a or CAFILE",
  "certificate chain too long": "allow more intermediate certificates with -V",
  "unable to get certificate CRL": "add the list of each authority to CRLFILE",
};

/** Returns one line without a newline, and a hint for the user. */
export function serverFaultWords(fault: ServerFault): { text: string; hint: string | undefined } {
  if (fault.kind === "host") {
    return {
      text: `hostname mismatch: the certificate is for ${namesOf(fault.certificate)}, not for ${
        shown(fault.host)
      }`,
      hint: "connect to one of its names; -N switches the check off",
    };
  }
  const { problem } = fault.fault;
  return { text: chainText(fault.fault, fault.depth), hint: HINTS[problem] };
}

function chainText(fault: ChainFault, depth: number): string {
  const { problem, certificate } = fault;
  if (problem === "certificate chain too long" && certificate) {
    return `${problem}: more than ${depth} between the server's certificate and the authority's`;
  }
  if (!certificate) return printable(faultText(fault));
  return `${problem}: ${(DETAILS[problem] ?? subject)(certificate)}`;
}

function nameText(name: DistinguishedName): string {
  return shown(oneLine(name)) || "an empty name";
}

/** The names that `isFor` compares. */
function namesOf(certificate: Certificate): string {
  const { dnsNames, ips } = certificate;
  const names = [...dnsNames.map(shown), ...ips.map((ip) => formatIp(ip.slice()))];
  const common = names.length === 0 ? commonName(certificate) : undefined;
  if (common !== undefined) names.push(shown(common));
  if (names.length === 0) return "no host";
  const more = names.length - MAX_NAMES;
  return names.slice(0, MAX_NAMES).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

function shown(text: string): string {
  const line = printable(text.slice(0, MAX_LENGTH));
  return text.length > MAX_LENGTH ? `${line}...` : line;
}

/** `--check`: the authorities and revocation lists that clients are verified against, beyond what a
 *  start needs. When these expire, clients are refused, and the server does not warn of that
 *  beforehand. */

import fs from "node:fs";
import { equalBytes, latin1 } from "../codec/bytes.ts";
import type { Crl } from "../codec/x509/crl.ts";
import type { Certificate } from "../codec/x509/certificate.ts";
import { oneLine } from "../codec/x509/names.ts";
import type { VariableLookup } from "../tls/settings.ts";
import { endsSoon } from "../tls/lifetime.ts";
import { loadTrust } from "../tls/trust_files.ts";
import { obstacle, type ProcessUser } from "./access.ts";
import type { Findings } from "./finding.ts";

const DAY = 86_400_000;
/** Lists are issued daily to monthly. One that ends within this time should have been replaced. */
const LIST_EXPIRES_SOON = DAY;
/** Maximum names in one message. */
const MAX_NAMES = 3;

/** Checks CAFILE, CADIR and CRLFILE, or CCAFILE and CCADIR in their place. The start has already
 *  reported missing and broken files. */
export function checkTrust(
  lookup: VariableLookup,
  who: ProcessUser,
  findings: Findings,
  now = Date.now(),
): void {
  const own = { caFile: lookup("CAFILE") || undefined, caDir: lookup("CADIR") || undefined };
  const asked = { caFile: lookup("CCAFILE") || undefined, caDir: lookup("CCADIR") || undefined };
  const from = own.caFile || own.caDir ? own : asked;
  if (!from.caFile && !from.caDir) return;
  const crlFile = lookup("CRLFILE") || undefined;
  const where = [from.caFile, from.caDir].filter((path) => path !== undefined).join(" and ");
  findings.attempt(() => {
    // CCAFILE alone may be empty: a certificate is requested, but no authority is named.
    if (from === asked && from.caFile && fs.statSync(from.caFile).size === 0) return;
    const { trust } = loadTrust({ ...from, crlFile });
    const held = trust.authorities;
    checkAuthorities(held, where, findings, now);
    if (trust.checksRevocation) {
      checkLists(held, trust.lists, crlFile ?? where, findings, now);
    }
    for (const path of trust.files) {
      const why = obstacle(path, who, "read")?.text;
      if (why) {
        findings.warning(
          `authorities ${path}: ${why}, so a change has effect only after a restart`,
          `chmod a+r ${path}, and a+x the folder`,
        );
      }
    }
  });
}

function checkAuthorities(
  held: readonly Certificate[],
  where: string,
  findings: Findings,
  now: number,
): void {
  const name = `authorities ${where}`;
  const before = findings.list.length;
  const roots = held.filter(({ selfIssued }) => selfIssued);
  if (roots.length === 0) {
    findings.tolerable(
      `${name}: none is self-signed, so no client's chain can end there`,
      "add the certificate of the root",
    );
  }
  const ended = held.filter(({ notAfter }) => notAfter.ms < now);
  const live = roots.filter((root) => !ended.includes(root));
  if (roots.length > 0 && live.length === 0) {
    findings.tolerable(
      `${name}: ${listed(ended)} expired on ${ended[0]?.notAfter.text}: every client is refused`,
      "put the authority's current certificate there",
    );
  } else if (ended.length > 0) {
    findings.warning(
      `${name}: ${ended.length} of ${held.length} expired: ${listed(ended)}`,
      "remove them, or put their successors there",
    );
  }
  const soon = held.filter((one) => endsSoon(one, now));
  if (soon.length > 0) {
    findings.warning(
      `${name}: ${listed(soon)} ends on ${soon[0]?.notAfter.text}`,
      "add its successor, and issue certificates with that one",
    );
  }
  const ordinary = held.filter(({ version, basicConstraints }) =>
    version === 3 && !basicConstraints?.ca
  );
  if (ordinary.length > 0) {
    findings.warning(
      `${name}: ${
        listed(ordinary)
      } is not an authority (basic constraints), so certificates that it issued are refused`,
      "use the certificate of the authority that issues the clients' certificates",
    );
  }
  if (findings.list.length === before) {
    findings.ok(`${name}: ${held.length} certificates, ${roots.length} of them roots`);
  }
}

/** If there is any list, every authority needs a valid one. */
function checkLists(
  held: readonly Certificate[],
  lists: readonly Crl[],
  where: string,
  findings: Findings,
  now: number,
): void {
  const name = `revocation lists ${where}`;
  const before = findings.list.length;
  const of = ({ subject }: Certificate): Crl[] =>
    lists.filter(({ issuer }) => equalBytes(issuer, subject.der));
  const without = held.filter((authority) => of(authority).length === 0);
  if (without.length > 0) {
    findings.warning(
      `${name}: none from ${listed(without)}, so certificates that it issued are refused`,
      "add the list of each authority to CRLFILE",
    );
  }
  for (const authority of held) {
    const ends = of(authority).map(({ nextUpdate }) => nextUpdate);
    const last = ends.toSorted((a, b) => a.ms - b.ms).at(-1);
    if (!last) continue;
    if (last.ms < now) {
      findings.tolerable(
        `${name}: the list of ${oneLine(authority.subject)} expired on ${last.text}: ` +
          "its clients are refused",
        "fetch the current list, and a new one before each expires",
      );
    } else if (last.ms < now + LIST_EXPIRES_SOON) {
      findings.warning(
        `${name}: the list of ${oneLine(authority.subject)} ends on ${last.text}`,
        "fetch the next list",
      );
    }
  }
  const subjects = new Set(held.map(({ subject }) => latin1(subject.der)));
  const foreign = lists.filter(({ issuer }) => !subjects.has(latin1(issuer))).length;
  if (foreign > 0) {
    findings.warning(
      `${name}: ${foreign} from an issuer that is not among the authorities`,
      "add its certificate to CAFILE, or remove the list",
    );
  }
  if (findings.list.length === before) findings.ok(`${name}: ${lists.length}, valid`);
}

function listed(certificates: readonly Certificate[]): string {
  const names = certificates.slice(0, MAX_NAMES).map(({ subject }) => oneLine(subject));
  const more = certificates.length - names.length;
  return names.join(", ") + (more > 0 ? ` and ${more} more` : "");
}

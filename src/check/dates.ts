/** Findings about the dates of a certificate. */

import type { Certificate } from "../codec/x509/certificate.ts";
import { endsSoon, timeLeft } from "../tls/lifetime.ts";
import type { Findings } from "./finding.ts";

/** Checks when a certificate ends. `about` is the beginning of the message: `certificate a.pem:`.
 *  `now`: milliseconds since 1970. */
export function checkEnd(
  certificate: Certificate,
  about: string,
  remedy: string,
  findings: Findings,
  now: number,
): void {
  const { notAfter } = certificate;
  if (notAfter.ms < now) {
    findings.tolerable(`${about} expired on ${notAfter.text}`, remedy);
  } else if (endsSoon(certificate, now)) {
    const left = timeLeft(certificate, now);
    findings.warning(`${about} ends in ${left}, on ${notAfter.text}`, remedy);
  }
}

/** Checks when a certificate begins. `name`: `certificate a.pem`. */
export function checkBeginning(
  { notBefore }: Certificate,
  name: string,
  findings: Findings,
  now: number,
): void {
  if (notBefore.ms <= now) return;
  findings.tolerable(
    `${name}: not valid before ${notBefore.text}`,
    "check the clock of this machine, or wait",
  );
}

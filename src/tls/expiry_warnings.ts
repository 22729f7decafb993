/** Warnings of certificates that have expired or will soon. Each is given once a day at most. */

import type { Certificate } from "../codec/x509/certificate.ts";
import { oneLine } from "../codec/x509/names.ts";
import type { Announcer } from "../log.ts";
import type { ServerKeyPair } from "./key_pairs.ts";
import { endsSoon, timeLeft } from "./lifetime.ts";

const DAY = 86_400_000;

export class ExpiryWarnings {
  /** When each warning was last given. The key is its text without the remaining time. */
  readonly #given = new Map<string, number>();

  constructor(readonly log: Pick<Announcer, "warning">) {}

  /** Warns of a certificate and of the issuers' certificates sent with it. `now`: milliseconds
   *  since 1970. */
  give({ path, certificates }: Pick<ServerKeyPair, "path" | "certificates">, now: number): void {
    for (const [i, certificate] of certificates.entries()) {
      const sent = i === 0 ? "" : `: ${oneLine(certificate.subject)} of its chain`;
      this.#warnOf(`certificate ${path}${sent}`, certificate, now);
    }
  }

  #warnOf(which: string, certificate: Certificate, now: number): void {
    const { notAfter } = certificate;
    const date = new Date(notAfter.ms).toISOString().slice(0, 10);
    const expired = notAfter.ms < now;
    if (!expired && !endsSoon(certificate, now)) return;
    const about = `${which} ${date} ${expired}`;
    if (now - (this.#given.get(about) ?? -Infinity) < DAY) return;
    this.#given.set(about, now);
    this.log.warning(
      expired
        ? `${which} expired on ${date}`
        : `${which} expires in ${timeLeft(certificate, now)}, on ${date}`,
    );
  }
}

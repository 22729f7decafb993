/** The findings about certificates that a start shares with `--check`, as far as the files have been read
 *  for it. The chain of a certificate and the authorities of clients are looked at by the check alone:
 *  that reads further files. */

import type { Assembled } from "../assemble.ts";
import type { Announcer } from "../log.ts";
import { checkLeaf } from "./certificates.ts";
import { checkBeginning } from "./dates.ts";
import { Findings } from "./finding.ts";

/** Warns of the certificates that are about to be served. None of it stops a start: a renewed file is taken
 *  while the server runs. */
export function warnOfServed(
  { services: { contexts, names }, warnOfExpiry }: Assembled,
  announce: Pick<Announcer, "warning">,
  now = Date.now(),
): void {
  warnOfExpiry();
  const findings = new Findings();
  for (const { path, leaf } of contexts.leaves()) {
    const name = `certificate ${path}`;
    checkBeginning(leaf, name, findings, now);
    for (const serverName of names.of(path)) checkLeaf(leaf, name, serverName, findings);
  }
  findings.start(announce);
}

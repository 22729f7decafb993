/** The findings about certificates that a start shares with `--check`. They need only files that
 *  the start has read. `--check` alone checks the chains and the authorities of clients, because
 *  these are in further files. */

import type { Assembled } from "../assemble.ts";
import type { Announcer } from "../log.ts";
import { checkLeaf } from "./certificates.ts";
import { checkBeginning } from "./dates.ts";
import { Findings } from "./finding.ts";

/** Warns of problems with the certificates that will be served. None of them stops a start, because
 *  a renewed file is used while the server runs. */
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

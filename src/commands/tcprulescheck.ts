/** `tcprulescheck cdb`: prints which rule applies to $TCPREMOTEIP, $TCPREMOTEHOST and
 *  $TCPREMOTEINFO, and what it does (docs/specification.md#access-rules). The output has the words
 *  of Debian's tcprulescheck, so that scripts that read them go on working. */

import { consult } from "../admit/rulebook.ts";
import { openRules } from "../admit/rules_database.ts";
import { PathRules } from "../files/rules_file.ts";
import { parseIp } from "../codec/ip.ts";
import { withoutControls } from "../codec/printable.ts";
import { type RuleHit, ruleWords } from "../codec/rules.ts";
import { EXIT, FatalError, reason, UsageError } from "../errors.ts";
import type { CommandIo } from "./tcprules.ts";

const USAGE = "tcprulescheck cdb";

const HELP = `usage: ${USAGE}

Prints which access rule of cdb applies to a client, and what the rule does.
These environment variables describe the client:

TCPREMOTEIP    address (0.0.0.0)
TCPREMOTEHOST  host name, in lower case
TCPREMOTEINFO  ident answer

tcprules makes cdb.
`;

/** Runs the command. Returns the exit code: 0, whether allowed or denied; 100: wrong usage; 111:
 *  the file cannot be read or is damaged (a server denies then). */
export async function tcprulescheck(args: readonly string[], io: CommandIo): Promise<number> {
  if (args[0] === "--help") {
    io.stdout(HELP);
    return EXIT.ok;
  }
  try {
    const [cdb, ...more] = args;
    if (!cdb || more.length > 0) throw new UsageError(USAGE);
    const ip = io.env.TCPREMOTEIP ?? "0.0.0.0";
    checkAddress(ip);
    const hit = look(cdb, {
      ip,
      host: io.env.TCPREMOTEHOST,
      info: io.env.TCPREMOTEINFO,
    });
    io.stdout(`${ruleWords(hit?.key)}:\n`);
    for (const [name, value] of hit?.rule.env ?? []) {
      // Control characters would let a rules file control the terminal.
      io.stdout(`set environment variable ${name}=${withoutControls(value)}\n`);
    }
    io.stdout(hit?.rule.deny ? "deny connection\n" : "allow connection\n");
    return EXIT.ok;
  } catch (thrown) {
    const usage = thrown instanceof UsageError;
    io.stderr(`tcprulescheck: ${usage ? "usage" : "fatal"}: ${reason(thrown)}\n`);
    return thrown instanceof FatalError ? thrown.code : EXIT.system;
  }
}

function checkAddress(ip: string): void {
  try {
    parseIp(ip);
  } catch (thrown) {
    throw new FatalError(`unable to parse TCPREMOTEIP: ${reason(thrown)}`, EXIT.usage);
  }
}

function look(cdb: string, peer: Parameters<typeof consult>[1]): RuleHit | undefined {
  try {
    const file = new PathRules(cdb).open();
    if (file === undefined) throw new Error("no such file");
    const rules = openRules(file);
    try {
      return consult(rules, peer);
    } finally {
      rules.file?.close();
    }
  } catch (thrown) {
    throw new FatalError(`unable to read ${cdb}: ${reason(thrown)}`);
  }
}

/** What sslcat, sslconnect and https@ share: their command line, `name [-4|-6] [host [… [port [options
 *  of sslclient]]]]`, and a conversation in this process instead of a program. */

import type { PrintBytes } from "../client/conversations.ts";
import { clientDefaults, type ClientOptions, type ParsedClient } from "../config/client_options.ts";
import { readClientOptions } from "../config/client_table.ts";
import { type OptionGroup, optionsByName, readOptions } from "../config/getopt.ts";
import { optionKinds } from "../config/option_kinds.ts";
import type { Page } from "../config/options.ts";
import type { Env } from "../config/variables.ts";
import { FatalError, reason, UsageError } from "../errors.ts";
import type { HandlerConnection } from "../program/handler.ts";
import { runClient, SilentEnd } from "./client.ts";
import type { CommandCall } from "./command.ts";
import { helpText } from "./help.ts";

/** The exit code when the reader of stdout has gone: that of a program that ends by SIGPIPE. */
const NO_READER = 128 + 13;

const { flag } = optionKinds<ClientOptions>();

export interface SmallClient {
  readonly name: "sslcat" | "sslconnect" | "https@";
  /** The operands by name, in their order. */
  readonly operands: readonly ("host" | "page" | "port")[];
  /** What it does, for --help: lines that end with a newline. */
  readonly about: string;
  /** Throws `UsageError` for operands that cannot be used. */
  check?(operands: Operands): void;
  /** Talks to the server. Rejects with the error of the command. */
  talk(connection: HandlerConnection, operands: Operands, print: PrintBytes): Promise<void>;
}

/** The operands with their defaults. */
export interface Operands {
  readonly host: string;
  readonly page: string;
  readonly port: string;
}

/** Runs the client to its end and returns the exit code. Never rejects. */
export async function smallClient(client: SmallClient, call: CommandCall): Promise<number> {
  const usage = `${client.name} [-4|-6] ${nested(client.operands)}`;
  const groups = ownOptions(client.name);
  let operands: Operands = { host: "0", page: "", port: "443" };
  const print: PrintBytes = async (bytes) => {
    try {
      await call.write(bytes);
    } catch (error) {
      if ((error as { code?: unknown }).code === "EPIPE") throw new SilentEnd(NO_READER);
      throw new FatalError(`unable to write standard output: ${reason(error)}`);
    }
  };
  return await runClient({
    name: client.name,
    usage,
    help: () => Promise.resolve(helpOf(client, usage, groups)),
    parse(argv, env) {
      const parsed = parseSmallClient(client, groups, argv, env);
      if ("print" in parsed) return parsed;
      operands = parsed.operands;
      return parsed;
    },
    talk: (connection) => client.talk(connection, operands, print),
  }, call);
}

function helpOf(
  { about }: SmallClient,
  usage: string,
  groups: readonly OptionGroup<ClientOptions>[],
): string {
  return helpText({
    usage,
    about,
    groups,
    closing: "The options after port are those of sslclient; see sslclient --help.\n",
  });
}

/** `[host [port [options]]]` */
function nested(operands: readonly string[]): string {
  return [...operands, "options"].reduceRight(
    (inner, word) => `[${word}${inner && ` ${inner}`}]`,
    "",
  );
}

/** The options before the host. `page`: the manual page. */
export function ownOptions(page: Page): readonly OptionGroup<ClientOptions>[] {
  return [
    {
      title: "Network",
      options: [
        flag("-4", "use IPv4 only", (o) => o.family = 4),
        flag("-6", "use IPv6 only", (o) => o.family = 6),
      ],
    },
    {
      title: "Instead of connecting",
      options: [
        { name: "--help", help: "print this help", set: () => ({ print: "help" }) },
        { name: "--man", help: "print the manual page", set: () => ({ print: "manual", page }) },
        { name: "--version", help: "print the version", set: () => ({ print: "version" }) },
      ],
    },
  ];
}

/** Reads the arguments after the name. Throws `UsageError`. */
export function parseSmallClient(
  client: Pick<SmallClient, "operands" | "check">,
  groups: readonly OptionGroup<ClientOptions>[],
  argv: readonly string[],
  env: Env,
): ParsedClient & ({ print: string } | { operands: Operands }) {
  // As with -RHl0: only a program would use the names of both ends.
  const options = { ...clientDefaults(), remoteName: false, ident: false, localName: "0" };
  const words = readOptions(optionsByName(groups), options, argv, env);
  if ("print" in words) return words;
  const names = client.operands;
  const given = Object.fromEntries(names.map((name, i) => [name, words[i] ?? ""]));
  const operands: Operands = {
    host: given["host"] || "0",
    page: given["page"] ?? "",
    port: given["port"] || "443",
  };
  client.check?.(operands);
  const rest = readClientOptions(options, words.slice(names.length), env);
  if ("print" in rest) return rest;
  if (rest.length > 0) {
    throw new UsageError(`'${rest[0]}' is no option`, "only options can follow the port");
  }
  return { connect: { ...options, host: operands.host, port: operands.port }, operands };
}

/** The table of the options of `sslclient`, which its kin share, and the reader of its command line. */

import { ipOrUndefined } from "../codec/ip.ts";
import { UsageError } from "../errors.ts";
import { clientDefaults, type ClientOptions, type ParsedClient } from "./client_options.ts";
import { type OptionGroup, optionsByName, readOptions } from "./getopt.ts";
import { badValue, MAX, oneWord, optionKinds, wholeNumber } from "./option_kinds.ts";
import { PAGES } from "./options.ts";
import { refuseJoined } from "./parse.ts";
import type { Env } from "./variables.ts";

export const CLIENT_USAGE = "sslclient [opts] host port prog [args]";

/** Largest -V: OpenSSL's default, and more than any real chain needs. */
const MAX_DEPTH = 100;

const { flag, text, number, seconds } = optionKinds<ClientOptions>();

/** In the order of the help. */
export const CLIENT_OPTIONS: readonly OptionGroup<ClientOptions>[] = [
  {
    title: "Log",
    options: [
      flag("-q", "print nothing", (o) => o.verbosity = 0),
      flag("-Q", "print errors (default)", (o) => o.verbosity = 1),
      flag("-v", "also print address, protocol and cipher", (o) => o.verbosity = 2),
    ],
  },
  {
    title: "Network",
    options: [
      flag("-4", "resolve host to IPv4", (o) => o.family = 4),
      flag("-6", "resolve host to IPv6; set PROTO and the TCP6 variables", (o) => o.family = 6),
      {
        name: "-T",
        value: "x+y",
        help: "seconds for each address: x, then y at a retry (2+58)",
        set(o, value) {
          o.timeout = timeout(value);
        },
      },
      text("-i", "ip", "connect from this local address", (o, value) => {
        if (!ipOrUndefined(value)) throw badValue("-i", value, "an address");
        o.localIp = value;
      }),
      number("-p", "port", "connect from this local port", 1, 65_535, (o, n) => o.localPort = n),
      text("-I", "if", "interface of a link-local IPv6 host", (o, value) => o.interface = value),
      flag("-d", "delay small packets (Nagle)", (o) => o.noDelay = false),
      flag("-D", "do not delay packets (default)", (o) => o.noDelay = true),
      seconds(
        "-w",
        "close the connection after s seconds without traffic (3600)",
        (o, n) => o.idleTimeout = n,
      ),
    ],
  },
  {
    title: "TLS",
    options: [
      flag("-x", "verify the server's certificate chain (default)", (o) => o.checkChain = true),
      flag("-X", "do not verify the certificate chain", (o) => o.checkChain = false),
      flag("-n", "require a certificate for host (default)", (o) => o.checkName = true),
      flag("-N", "accept a certificate for any host", (o) => o.checkName = false),
      text("-a", "file", "trust the authorities in this file", (o, value) => o.caFile = value),
      text("-A", "folder", "trust the authorities in this folder", (o, value) => o.caDir = value),
      number(
        "-V",
        "n",
        "maximum intermediate certificates of the server (1)",
        0,
        MAX_DEPTH,
        (o, n) => o.depth = n,
      ),
      text(
        "-c",
        "file",
        "send the client certificate and chain in this file",
        (o, value) => o.certFile = value,
      ),
      text(
        "-k",
        "file",
        "private key for -c (default: in the file of -c)",
        (o, value) => o.keyFile = value,
      ),
      flag("-3", "read the key's password from descriptor 3", (o) => o.keyPassword = true),
      text("-z", "ciphers", "cipher suites for TLS 1.2", (o, value) => o.ciphers = value),
    ],
  },
  {
    title: "Program",
    options: [
      flag("-h", "look up the server's name in DNS (default)", (o) => o.remoteName = true),
      flag("-H", "do not look up the server's name", (o) => o.remoteName = false),
      text("-l", "name", "set the local name instead of asking DNS", (o, s) => o.localName = s),
      flag("-r", "ask the ident server of the server's host", (o) => o.ident = true),
      flag("-R", "do not ask the ident server (default)", (o) => o.ident = false),
      seconds("-t", "ident timeout in seconds (26)", (o, n) => o.identTimeout = n),
      flag("-s", "set the variables of mod_ssl", (o) => o.tlsVariables = true),
      flag("-S", "do not set the variables of mod_ssl (default)", (o) => o.tlsVariables = false),
      flag("-e", "also set the variables of tcpclient", (o) => o.tcpVariables = true),
      flag("-E", "do not set the variables of tcpclient (default)", (o) => o.tcpVariables = false),
    ],
  },
  {
    title: "Instead of connecting",
    options: [
      { name: "--help", help: "print this help", set: () => ({ print: "help" }) },
      {
        name: "--man",
        value: "[page]",
        help: "print a manual page (sslclient)",
        set: (_o, value) => ({
          print: "manual",
          page: oneWord("--man", value || "sslclient", PAGES),
        }),
      },
      { name: "--version", help: "print the version", set: () => ({ print: "version" }) },
    ],
  },
];

const BY_NAME = optionsByName(CLIENT_OPTIONS);

/** Reads the arguments of `sslclient` after its name. Throws `UsageError`. */
export function parseClient(argv: readonly string[], env: Env): ParsedClient {
  const options = clientDefaults();
  const operands = readClientOptions(options, argv, env);
  if ("print" in operands) return operands;
  const [host, port, ...command] = operands;
  if (host === undefined) throw new UsageError("host, port and prog are missing");
  refuseJoined(host);
  if (port === undefined) throw new UsageError("port and prog are missing");
  if (command.length === 0) throw new UsageError("prog is missing");
  return { connect: { ...options, host, port, command } };
}

/** Reads the options at the start of `argv` into `options`. Returns the operands, or a request to
 *  print something. Throws `UsageError`. */
export function readClientOptions(
  options: ClientOptions,
  argv: readonly string[],
  env: Env,
): ReturnType<typeof readOptions> {
  const operands = readOptions(BY_NAME, options, argv, env);
  if (options.keyFile !== undefined && options.certFile === undefined) {
    throw new UsageError("option -k needs -c, too", "name the certificate of the key with -c");
  }
  return operands;
}

/** `2+58`, or `2` for `2+0`. */
function timeout(value: string): ClientOptions["timeout"] {
  const [, first = "", further = "0"] = /^([0-9]+)(?:\+([0-9]+))?$/.exec(value) ?? [];
  const wanted = "seconds such as 2+58";
  if (first === "") throw badValue("-T", value, wanted);
  const times = {
    first: wholeNumber("-T", first, 0, MAX.seconds),
    further: wholeNumber("-T", further, 0, MAX.seconds),
  };
  if (times.first + times.further === 0) throw badValue("-T", value, wanted);
  return times;
}

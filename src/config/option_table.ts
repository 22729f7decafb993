/** The table of the options of `sslserver`: name, value, help line and what an option sets. Parser,
 *  --help, completions and a test of the documents read this table. */

import os from "node:os";
import { EXPECTED_FORM, parseMetricsAddress } from "./metrics_address.ts";
import { type Options, PAGES, SHELLS } from "./options.ts";
import type { OptionGroup } from "./getopt.ts";
import {
  badValue,
  isName,
  MAX,
  network,
  oneWord,
  optionKinds,
  shortText,
  wholeNumber,
} from "./option_kinds.ts";

const { flag, text, number, seconds } = optionKinds<Options>();

/** In the order of the help. */
export const OPTIONS: readonly OptionGroup<Options>[] = [
  {
    title: "Log",
    options: [
      flag("-q", "print nothing", (o) => o.verbosity = 0),
      flag("-Q", "print errors (default)", (o) => o.verbosity = 1),
      flag("-v", "also print status lines", (o) => o.verbosity = 2),
      flag("-V", "also print protocol, cipher and JA4 fingerprint", (o) => o.verbosity = 3),
      {
        name: "--log",
        value: "text|json|s6",
        help: "form of the lines on stderr (text)",
        set(o, value) {
          o.log = oneWord("--log", value, ["text", "json", "s6"]);
        },
      },
      flag("--trace", "log the TLS records of each connection", (o) => o.trace = "messages"),
      flag(
        "--trace-bytes",
        "do the same as --trace, and dump every byte",
        (o) => o.trace = "bytes",
      ),
      text("--keylog", "file", "append the secrets of TLS connections to a file", (o, s) => {
        o.keylog = s;
      }),
      flag("-1", "print the local port to stdout when ready", (o) => o.printPort = true),
      number(
        "--notify-fd",
        "n",
        "write a newline to descriptor n when ready (s6)",
        3,
        MAX.descriptor,
        (o, n) => o.notifyFd = n,
      ),
      text(
        "--metrics",
        "where",
        "serve Prometheus metrics on address:port or a unix socket",
        (o, value) => {
          o.metrics = parseMetricsAddress(value);
          if (!o.metrics) throw badValue("--metrics", value, EXPECTED_FORM);
        },
      ),
    ],
  },
  {
    title: "Network",
    options: [
      flag("-4", "resolve host to IPv4", (o) => o.family = 4),
      flag("-6", "resolve host to IPv6; set PROTO and the TCP6 variables", (o) => o.family = 6),
      text("-I", "if", "interface of a link-local IPv6 host", (o, s) => o.interface = s),
      number("-b", "n", "listen backlog (1024)", 1, MAX.backlog, (o, n) => o.backlog = n),
      flag("-o", "keep the IP options of clients", (o) => o.keepIpOptions = true),
      flag("-O", "remove the IP options of clients (default)", (o) => o.keepIpOptions = false),
      flag("-d", "delay small packets (Nagle)", (o) => o.noDelay = false),
      flag("-D", "do not delay packets (default)", (o) => o.noDelay = true),
      {
        name: "--proxy-from",
        value: "nets",
        help: "require a PROXY header from these networks",
        set(o, value) {
          o.proxyFrom = value.split(",").map((text) => network("--proxy-from", text.trim()));
        },
      },
    ],
  },
  {
    title: "Limits",
    options: [
      number("-c", "n", "maximum programs at once (40)", 1, MAX.count, (o, n) => o.concurrency = n),
      number(
        "--pending",
        "n",
        "maximum connections without a completed handshake (1000)",
        1,
        MAX.count,
        (o, n) => o.pending = n,
      ),
      seconds("-t", "ident timeout in seconds (26)", (o, n) => o.identTimeout = n),
      seconds("-T", "handshake timeout in seconds (26)", (o, n) => o.handshakeTimeout = n),
      seconds(
        "-w",
        "close a connection after s seconds without traffic (3600)",
        (o, n) => o.idleTimeout = n,
      ),
    ],
  },
  {
    title: "Admission",
    options: [
      text("-x", "rules", "apply this rules file after DNS and ident", (o, s) => o.rules = s),
      text("-y", "rules", "apply this rules file before DNS and ident", (o, s) => o.earlyRules = s),
      flag("-X", "allow clients if a rules file is missing", (o) => o.allowMissingRules = true),
      text("--access-dir", "folder", "apply the s6 access rules of this folder", (o, s) => {
        o.accessDir = s;
      }),
      text("--access-cdb", "file", "apply the s6 access rules of this cdb file", (o, s) => {
        o.accessCdb = s;
      }),
      flag("-h", "look up the client's name in DNS (default)", (o) => o.remoteName = true),
      flag("-H", "do not look up the client's name", (o) => o.remoteName = false),
      flag(
        "-p",
        "use the name only if it resolves to the client's address",
        (o) => o.paranoid = true,
      ),
      flag("-P", "do not verify the name (default)", (o) => o.paranoid = false),
      flag("--hosts", "look up names in /etc/hosts before DNS", (o) => o.hosts = true),
      flag(
        "--strict-resolution",
        "deny a client if DNS or ident does not answer",
        (o) => o.strictResolution = true,
      ),
      seconds(
        "--lookup-timeout",
        "deny a client whose look-ups take longer than s seconds",
        (o, n) => o.lookupTimeout = n,
      ),
      text("-l", "name", "set the local name instead of asking DNS", (o, s) => o.localName = s),
      flag("-r", "ask the client's ident server", (o) => o.ident = true),
      flag("-R", "do not ask the ident server (default)", (o) => o.ident = false),
    ],
  },
  {
    title: "TLS",
    options: [
      flag("-n", "let the program decide when TLS begins (UCSPI-TLS)", (o) => o.delayed = true),
      flag("-N", "begin TLS at once (default)", (o) => o.delayed = false),
      flag("-m", "require a valid client certificate", (o) => o.clientCertificate = "valid"),
      flag(
        "-z",
        "like -m, and match the client's host name if it is known",
        (o) => o.clientCertificate = "match",
      ),
      flag(
        "--client-cert",
        "ask for a client certificate; refuse an invalid one",
        (o) => o.clientCertificate = "optional",
      ),
      flag(
        "-Z",
        "do not require a client certificate (default)",
        (o) => o.clientCertificate = "none",
      ),
      flag(
        "--no-close-notify",
        "end output with FIN, without close_notify",
        (o) => o.closeNotify = false,
      ),
      flag(
        "--enforce-close-notify",
        "treat FIN without close_notify as an error",
        (o) => o.enforceCloseNotify = true,
      ),
      flag("-3", "read the key's password from descriptor 3", (o) => o.keyPassword = true),
      flag("--self-signed", "serve with a temporary certificate", (o) => o.selfSigned = true),
    ],
  },
  {
    title: "Processes",
    options: [
      {
        name: "--workers",
        value: "n|auto",
        help: "number of worker processes (1); 0: a single process",
        set(o, value) {
          o.workers = value === "auto"
            ? os.availableParallelism()
            : wholeNumber("--workers", value, 0, MAX.workers);
        },
      },
      seconds(
        "--drain-timeout",
        "close all connections s seconds after SIGTERM",
        (o, n) => o.drainTimeout = n,
      ),
    ],
  },
  {
    title: "Program",
    options: [
      seconds(
        "--kill-after",
        "send SIGKILL to a program s seconds after SIGTERM",
        (o, n) => o.killAfter = n,
      ),
      text("-B", "text", "send text to the client first", (o, s) => o.banner = s),
      {
        name: "--early-banner",
        value: "text",
        help: "send text in the clear, before rules and TLS",
        set(o, value) {
          o.earlyBanner = shortText("--early-banner", value);
        },
      },
      flag("-s", "set the variables of mod_ssl", (o) => o.tlsVariables = true),
      flag("-S", "do not set the variables of mod_ssl (default)", (o) => o.tlsVariables = false),
      {
        name: "--variables",
        value: "ucspi|s6",
        help: "set the variables of ucspi-ssl or s6 (ucspi)",
        set(o, value) {
          o.variables = oneWord("--variables", value, ["ucspi", "s6"]);
        },
      },
      flag("-e", "also set the variables of tcpserver", (o) => o.tcpVariables = true),
      flag("-E", "do not set the variables of tcpserver (default)", (o) => o.tcpVariables = false),
      text("-g", "gid", "run programs as this group (number or name)", (o, value) => {
        o.group = isName(value) ? value : undefined;
        o.gid = o.group === undefined
          ? wholeNumber("-g", value, 1, MAX.id, " or a name")
          : undefined;
      }),
      text("-u", "uid", "run programs as this user (number or name)", (o, value) => {
        o.user = isName(value) ? value : undefined;
        o.uid = o.user === undefined
          ? wholeNumber("-u", value, 1, MAX.id, " or a name")
          : undefined;
      }),
      {
        name: "-U",
        help: "run programs as $UID and $GID, with groups $GIDLIST",
        set(o, _value, env) {
          o.user = o.group = undefined;
          o.uid = wholeNumber("$UID for -U", env.UID ?? "", 1, MAX.id);
          o.gid = wholeNumber("$GID for -U", env.GID ?? "", 1, MAX.id);
          o.groups = env.GIDLIST
            ? env.GIDLIST.split(",").map((gid) => wholeNumber("$GIDLIST for -U", gid, 0, MAX.id))
            : undefined;
        },
      },
    ],
  },
  {
    title: "In place of a program",
    options: [
      flag("--echo", "send back what the client sends", (o) => o.handler = { kind: "echo" }),
      flag("--www", "answer HTTP with a page about the connection", (o) => {
        o.handler = { kind: "www" };
      }),
      text("--files", "folder", "serve the files below a folder by HTTP", (o, folder) => {
        o.handler = { kind: "files", folder };
      }),
      text("--handler", "file", "call the function that this module exports", (o, file) => {
        o.handler = { kind: "handler", file };
      }),
    ],
  },
  {
    title: "Instead of serving",
    options: [
      flag("--check", "check the configuration and exit", (o) => o.check = true),
      { name: "--help", help: "print this help", set: () => ({ print: "help" }) },
      {
        name: "--man",
        value: "[page]",
        help: "print a manual page (that of this command)",
        set: (o, value) => {
          const own = o.name === "sslhandle" ? o.name : PAGES[0];
          return { print: "manual", page: oneWord("--man", value || own, PAGES) };
        },
      },
      {
        name: "--example",
        value: "[name]",
        help: "print a working configuration; without name, the list",
        set: (_o, name) => ({ print: "example", name }),
      },
      {
        name: "--completion",
        value: SHELLS.join("|"),
        help: "print completions for a shell",
        set: (_o, value) => ({
          print: "completion",
          shell: oneWord("--completion", value, SHELLS),
        }),
      },
      { name: "--version", help: "print the version", set: () => ({ print: "version" }) },
    ],
  },
];

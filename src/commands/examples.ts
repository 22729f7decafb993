/** The examples inside the program: files of examples/ that `--example` prints. Each is loaded when it is asked for;
 *  no file is read. docs/recipes/ explains them.
 *  Modules are copies in examples/text/: Deno would not strip the types of a module that it also knows as a text. */

import { oneWord } from "../config/option_kinds.ts";

/** An example: what it is, and its text. */
export interface Example {
  readonly about: string;
  /** Its path below examples/. */
  readonly file: string;
  text(): Promise<{ default: string }>;
}

/** In the order of the list. */
export const EXAMPLES: Readonly<Record<string, Example>> = {
  "smtps": {
    about: "run script: SMTP over TLS, with rules and limits",
    file: "smtps.sh",
    text: () => import("../../examples/smtps.sh", { with: { type: "text" } }),
  },
  "starttls": {
    about: "run script: SMTP with STARTTLS, with rules and limits",
    file: "starttls.sh",
    text: () => import("../../examples/starttls.sh", { with: { type: "text" } }),
  },
  "pop3s": {
    about: "run script: POP3 over TLS, for programs that check passwords",
    file: "pop3s.sh",
    text: () => import("../../examples/pop3s.sh", { with: { type: "text" } }),
  },
  "gemini": {
    about: "module for sslhandle: a Gemini server",
    file: "gemini.ts",
    text: () => import("../../examples/text/gemini.ts.txt", { with: { type: "text" } }),
  },
  "https": {
    about: "module for sslhandle: an HTTPS page",
    file: "status_page.ts",
    text: () => import("../../examples/text/status_page.ts.txt", { with: { type: "text" } }),
  },
  "handler": {
    about: "module for sslhandle: answers line by line",
    file: "handler.ts",
    text: () => import("../../examples/text/handler.ts.txt", { with: { type: "text" } }),
  },
  "dot": {
    about: "run script: DNS over TLS for a resolver",
    file: "dot.sh",
    text: () => import("../../examples/dot.sh", { with: { type: "text" } }),
  },
  "proxy": {
    about: "run script: TLS for a TCP port, with socat",
    file: "proxy.sh",
    text: () => import("../../examples/proxy.sh", { with: { type: "text" } }),
  },
  "proxy-module": {
    about: "module for sslhandle: TLS for a TCP port",
    file: "proxy.ts",
    text: () => import("../../examples/text/proxy.ts.txt", { with: { type: "text" } }),
  },
  "mtls": {
    about: "run script: client certificates and revocation",
    file: "mtls.sh",
    text: () => import("../../examples/mtls.sh", { with: { type: "text" } }),
  },
  "limits": {
    about: "run script: limits against scanners",
    file: "limits.sh",
    text: () => import("../../examples/limits.sh", { with: { type: "text" } }),
  },
  "jail": {
    about: "run script: a jail for the program",
    file: "jail.sh",
    text: () => import("../../examples/jail.sh", { with: { type: "text" } }),
  },
  "certbot": {
    about: "deploy hook of certbot, for a server that cannot read the key",
    file: "certbot.sh",
    text: () => import("../../examples/certbot.sh", { with: { type: "text" } }),
  },
  "haproxy": {
    about: "configuration of HAProxy for several machines",
    file: "haproxy.cfg",
    text: () => import("../../examples/haproxy.cfg", { with: { type: "text" } }),
  },
  "systemd": {
    about: "unit: IMAP over TLS as a service of systemd",
    file: "systemd/imaps.service",
    text: () => import("../../examples/systemd/imaps.service", { with: { type: "text" } }),
  },
  "systemd-socket": {
    about: "unit: the socket of that service",
    file: "systemd/imaps.socket",
    text: () => import("../../examples/systemd/imaps.socket", { with: { type: "text" } }),
  },
  "s6": {
    about: "run script: IMAP over TLS under s6",
    file: "s6/imaps/run",
    text: () => import("../../examples/s6/imaps/run", { with: { type: "text" } }),
  },
  "runit": {
    about: "run script: IMAP over TLS under runit or daemontools",
    file: "runit/imaps/run",
    text: () => import("../../examples/runit/imaps/run", { with: { type: "text" } }),
  },
  "container": {
    about: "Containerfile: IMAP over TLS in a container",
    file: "container/Containerfile",
    text: () => import("../../examples/container/Containerfile", { with: { type: "text" } }),
  },
};

/** Returns the text of an example. Without a name, and for `list`, returns the list of all: a line for each. Throws
 *  `UsageError` for another name. */
export async function example(name: string): Promise<string> {
  const names = Object.keys(EXAMPLES);
  const known = name === "" ? "list" : oneWord("--example", name, [...names, "list"]);
  const found = Object.hasOwn(EXAMPLES, known) ? EXAMPLES[known] : undefined;
  return found ? (await found.text()).default : list();
}

function list(): string {
  const width = Math.max(...Object.keys(EXAMPLES).map((name) => name.length)) + 2;
  return Object.entries(EXAMPLES).map(([name, { about }]) => `${name.padEnd(width)}${about}\n`)
    .join("");
}

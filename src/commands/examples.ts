/** The examples inside the program: files of examples/ that `--example` prints. Each is loaded when it is asked for;
 *  no file is read. docs/recipes/ explains them. */

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
  "haproxy": {
    about: "configuration of HAProxy in front of several machines",
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

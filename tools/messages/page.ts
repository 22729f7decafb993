/** Makes docs/troubleshooting.md from the tables of messages. */

import { type Symptom, SYMPTOMS } from "./clients.ts";
import { ABOUT_CERTIFICATES } from "./certificates.ts";
import { FINDINGS } from "./findings.ts";
import { RUNNING } from "./running.ts";
import { START } from "./start.ts";
import type { Row, Section } from "./table.ts";

/** The sections of the page, in its order, without the one about clients. */
export const SECTIONS: readonly Section[] = [
  ...RUNNING,
  ...START,
  ...ABOUT_CERTIFICATES,
  ...FINDINGS,
];

const HEAD = `# Troubleshooting

This page is made by \`tools/make_docs.ts\` from the tables in \`tools/messages/\`. It has the messages of sslserver, of
sslhandle, and those of s6-tlsserver that are the same. Search it for the fixed words of your message. Words in capitals
stand for names, numbers and reasons.

First steps:

- \`sslserver --check …\` with the same options and environment finds most mistakes, and prints a remedy for each.
- \`-v\` prints a line for each connection, \`-V\` the protocol and cipher.
- \`--trace\` prints the handshake: what the client offers, and which alert ends the handshake.
- \`openssl s_client -connect HOST:PORT -servername NAME\` is a client that prints many details.

## My client says …

Each row has the messages of openssl and curl first, and then those of Firefox and Chrome. Each alert that a client
sends appears in the log as \`alert from the client: NAME\`.

| client | log | cause | remedy |
| --- | --- | --- | --- |
`;

const code = (words: string): string => `\`${words.replaceAll("|", "\\|")}\``;
const list = (words: readonly string[]): string => words.map(code).join("<br>");

function symptom({ says, browsers, log, cause, remedy }: Symptom): string {
  const client = browsers === undefined ? list(says) : `${list(says)}<br>${browsers}`;
  const lines = log.filter((words) => words !== "");
  return `| ${client} | ${lines.length > 0 ? list(lines) : "–"} | ${cause} | ${remedy} |\n`;
}

const messages = ({ says, cause, remedy }: Row): string =>
  `| ${list(says)} | ${cause} | ${remedy} |\n`;

function section({ title, text, rows }: Section): string {
  const intro = text === "" ? "" : `${text}\n\n`;
  const head = "| message | cause | remedy |\n| --- | --- | --- |\n";
  return `\n## ${title}\n\n${intro}${head}${rows.map(messages).join("")}`;
}

/** Returns the page. */
export function troubleshooting(): string {
  return HEAD + Object.values<Symptom>(SYMPTOMS).map(symptom).join("") +
    SECTIONS.map(section).join("");
}

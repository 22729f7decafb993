/** The page of --www: what was agreed, what the client offered, and both certificates. Plain HTML that
 *  needs no script and reads well in a text browser. Pure: no I/O. Everything in it is escaped, since
 *  most of it comes from the client. */

import type { RemotePeer } from "../connection.ts";
import type { ExtensionView } from "../codec/tls/extensions.ts";
import type { MessageView } from "../codec/tls/messages.ts";
import { STYLE } from "./www_style.ts";

/** The facts on the page. */
export interface WwwFacts {
  readonly remote: RemotePeer;
  /** The variables of a program (sslserver-environment(7)). */
  readonly environment: Readonly<Record<string, string>>;
  /** The ClientHello; undefined if it cannot be shown. */
  readonly hello: MessageView | undefined;
  readonly request: { readonly target: string; readonly agent: string | undefined };
}

/** Maximum length of one list on the page. A client can offer thousands of values. */
const MAX_VALUES = 150;
const MAX_EXTENSIONS = 60;
/** Maximum number of values of an extension on one line. */
const MAX_SHOWN = 24;

/** Returns the page. */
export function wwwPage(facts: WwwFacts): string {
  const { environment: env, hello } = facts;
  const protocol = env.SSL_PROTOCOL ?? "unknown protocol";
  const cipher = env.SSL_CIPHER ?? "unknown cipher";
  const title = `${protocol}, ${cipher}`;
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<p class="eyebrow">This connection</p>
<h1>${escaped(protocol)} <span>${escaped(cipher)}</span></h1>
<p class="lead">${lead(facts)}</p>
</header>
<main>
${section("Agreed", agreed(facts))}
${hello ? offers(hello, env) : ""}
${certificate("The server's certificate", "SSL_SERVER", env)}
${clientCertificate(env)}
${section("Your request", rows([["Path", facts.request.target], ["Client", facts.request.agent]]))}
</main>
<footer><p>${escaped(env.SSL_VERSION_INTERFACE ?? "sslserver")}, with ${
    escaped(env.SSL_VERSION_LIBRARY ?? "its TLS library")
  }</p></footer>
</body>
</html>
`;
}

function lead({ remote, environment: env }: WwwFacts): string {
  const name = env.SSL_TLS_SNI;
  const host = remote.host ? ` (${escaped(remote.host)})` : "";
  const asked = name === undefined
    ? "asked for no server name"
    : `asked for <strong>${escaped(name)}</strong>`;
  return `<strong>${escaped(remote.ip)}</strong>${host}, port ${remote.port}, ${asked}.`;
}

function agreed({ environment: env }: WwwFacts): string {
  const used = env.SSL_CIPHER_USEKEYSIZE;
  return rows([
    ["Protocol", env.SSL_PROTOCOL],
    ["Cipher suite", env.SSL_CIPHER],
    ["Key size", used && `${used} bits`],
    ["Server name (SNI)", env.SSL_TLS_SNI ?? "none was sent"],
    ["Application protocol (ALPN)", env.SSL_ALPN ?? "none"],
    ["Session", env.SSL_SESSION_ID ?? "no id: TLS 1.3 and tickets have none"],
    ["Client fingerprint (JA4)", env.SSL_JA4],
  ]);
}

/** Numbers of extensions that have a list of their own. */
const GROUPS = 10;
const SIGNATURES = 13;
const ALPN = 16;
const VERSIONS = 43;

function offers(hello: MessageView, env: WwwFacts["environment"]): string {
  const values = (type: number): readonly string[] =>
    hello.extensions.find((extension) => extension.type === type)?.values ?? [];
  const suites = hello.fields.find(({ name }) => name === "cipher_suites")?.values ?? [];
  const chosen = suiteKey(env.SSL_CIPHER ?? "");
  const version = (env.SSL_PROTOCOL ?? "").replace("TLSv", "TLS ");
  const cards = [
    card("Versions", values(VERSIONS), (value) => value.startsWith(`${version} `)),
    card("Cipher suites", suites, (value) => suiteKey(value) === chosen),
    card("Groups", values(GROUPS)),
    card("Signature algorithms", values(SIGNATURES)),
    card("Application protocols", values(ALPN), (value) => value === env.SSL_ALPN),
  ].join("\n");
  return `<section><h2>You offered</h2>
<p class="note">Best first. What was chosen is marked; the TLS library does not tell which group and signature were.</p>
<div class="cards">
${cards}
</div></section>
${extensions(hello)}`;
}

/** A suite's name reduced to what IANA's and OpenSSL's names have in common. Suites of TLS 1.3 have one
 *  name. */
function suiteKey(shown: string): string {
  const name = shown.replace(/ \(.*$/, "");
  if (/^TLS_(?!.*_WITH_)/.test(name)) return name;
  return name.replace(/^TLS_(?:RSA_WITH_)?/, "")
    .replace(/CHACHA20_POLY1305_SHA256$/, "CHACHA20_POLY1305")
    .replaceAll(/_WITH_|_CBC_|[_-]/g, "");
}

function card(
  title: string,
  values: readonly string[],
  chosen: (value: string) => boolean = () => false,
): string {
  if (values.length === 0) return "";
  const items = values.slice(0, MAX_VALUES).map((value) => {
    const [, name = value, number = ""] = /^(.*) (\([^()]*\))$/.exec(value) ?? [];
    // Long names break after an underscore.
    const text = `${escaped(name).replaceAll("_", "_<wbr>")}${
      number && ` <small>${escaped(number)}</small>`
    }`;
    return chosen(value)
      ? `<li class="chosen"><b>${text}</b> <em>chosen</em></li>`
      : `<li>${text}</li>`;
  });
  const left = values.length - items.length;
  if (left > 0) items.push(`<li>and ${left} more</li>`);
  return `<div class="card"><h3>${escaped(title)} <small>${values.length}</small></h3>
<ol>${items.join("\n")}</ol></div>`;
}

function extensions({ extensions: list }: MessageView): string {
  const shown = list.slice(0, MAX_EXTENSIONS).map(extensionRow);
  const left = list.length - shown.length;
  if (left > 0) shown.push(`<tr><td colspan="2">and ${left} more</td></tr>`);
  return section(
    `Your ${list.length} extensions`,
    `<table><thead><tr><th>Name</th><th>Content</th></tr></thead>
<tbody>${shown.join("\n")}</tbody></table>`,
  );
}

function extensionRow({ name, length, values, malformed }: ExtensionView): string {
  const left = values.length - MAX_SHOWN;
  const text = values.slice(0, MAX_SHOWN).join(", ") + (left > 0 ? `, and ${left} more` : "");
  const content = malformed === undefined ? text : `malformed: ${malformed}`;
  return `<tr><th scope="row">${escaped(name)}</th><td>${
    escaped(content || (length === 0 ? "present" : `${length} bytes`))
  }</td></tr>`;
}

function certificate(title: string, side: string, env: WwwFacts["environment"]): string {
  const part = (name: string): string | undefined => env[`${side}_${name}`];
  if (part("S_DN") === undefined) return "";
  const pem = part("CERT");
  const names = Object.entries(env).filter(([name]) => name.startsWith(`${side}_SAN_`))
    .map(([, value]) => value);
  return section(
    title,
    rows([
      ["Subject", part("S_DN")],
      ["Issuer", part("I_DN")],
      ["Names", names.length > 0 ? names.join(", ") : undefined],
      ["Valid from", part("V_START")],
      ["Valid until", part("V_END")],
      ["Key", part("A_KEY")],
      ["Signature", part("A_SIG")],
      ["Serial number", part("M_SERIAL")],
      ["SHA-256", part("FINGERPRINT_SHA256")],
    ]) + (pem ? `<details><summary>PEM</summary><pre>${escaped(pem)}</pre></details>` : ""),
  );
}

function clientCertificate(env: WwwFacts["environment"]): string {
  const verdict = env.SSL_CLIENT_VERIFY ?? "NONE";
  if (verdict === "NONE") return "";
  return `${certificate("Your certificate", "SSL_CLIENT", env)}
${section("Verification of your certificate", rows([["Result", verdict]]))}`;
}

function section(title: string, content: string): string {
  return content === "" ? "" : `<section><h2>${escaped(title)}</h2>\n${content}</section>`;
}

/** A list of facts; those without a value are left out. */
function rows(list: readonly (readonly [string, string | undefined])[]): string {
  const known = list.filter(([, value]) => value !== undefined && value !== "");
  if (known.length === 0) return "";
  return `<dl>${
    known.map(([name, value]) =>
      `<div><dt>${escaped(name)}</dt><dd>${escaped(value ?? "")}</dd></div>`
    )
      .join("\n")
  }</dl>`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text for HTML. Control characters become question marks. Our own texts have none. */
export function escaped(text: string): string {
  return text
    // deno-lint-ignore no-control-regex
    .replaceAll(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, "?")
    .replaceAll(/[&<>"']/g, (character) => ENTITIES[character] as string);
}

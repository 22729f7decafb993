/** What `openssl s_server -trace` says of a ClientHello, and what our lines say, in one form. */

import { spawn } from "node:child_process";
import { connect } from "node:net";
import { EXTENSIONS } from "../../src/codec/tls/registry.ts";
import type { Pair } from "./certificates.ts";
import { LIMIT, within } from "./harness.ts";

/** What a hello offers. */
export interface Offer {
  /** Numbers, in order. */
  suites: number[];
  extensions: {
    name: string;
    type: number;
    length: number;
    /** The values in it that have numbers, and texts; not those that are only bytes. */
    values: string[];
  }[];
}

/** OpenSSL's names, where they differ from IANA's. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  extended_master_secret: "extended_main_secret",
  psk: "pre_shared_key",
  renegotiate: "renegotiation_info",
  next_proto_neg: "next_protocol_negotiation",
  signed_certificate_timestamps: "signed_certificate_timestamp",
};

/** Numbers in decimal, whatever the form: `(0x0403)` and `(1027)` are the same. */
const numbersIn = (line: string): string[] =>
  [...line.matchAll(/\((0x[0-9a-fA-F]+|\d+)\)$/g)].map(([, number = ""]) => String(Number(number)));

/** Reads the ClientHello in the output of `openssl s_server -trace`. */
export function offerOfOpenssl(output: string): Offer {
  const [, text = ""] = /ClientHello, Length[^\n]*\n([^]*?)\n\n/.exec(output) ?? [];
  const suites = [...text.matchAll(/\{0x(..), 0x(..)\}/g)]
    .map(([, high, low]) => parseInt(`${high}${low}`, 16));
  const extensions: Offer["extensions"] = [];
  for (const line of text.split("\n")) {
    const head = /extension_type=(.*)\((\d+)\), length=(\d+)/.exec(line);
    const current = extensions.at(-1);
    if (head) {
      const [, name = "", type, length] = head;
      extensions.push({
        name: OTHER_NAMES[name] ?? name,
        type: Number(type),
        length: Number(length),
        values: [],
      });
    } else if (current) current.values.push(...valuesOf(current.type, line));
  }
  return { suites, extensions: extensions.map(named) };
}

/** OpenSSL 3.0 does not know the newer extensions. */
const named = (one: Offer["extensions"][number]): Offer["extensions"][number] =>
  one.name === "UNKNOWN" ? { ...one, name: EXTENSIONS[one.type] ?? "GREASE" } : one;

/** Extensions that openssl 3.0 prints value by value. */
const [ALPN, KEY_SHARE] = [16, 51];
const BY_VALUE = [10, 11, 13, 43, 45, KEY_SHARE];

function valuesOf(type: number, line: string): string[] {
  if (type === ALPN) return [line.trim()];
  if (type === KEY_SHARE) {
    const length = /\(len=(\d+)\)/.exec(line)?.[1];
    return length === undefined ? numbersIn(line) : [`${length} bytes`];
  }
  return BY_VALUE.includes(type) ? numbersIn(line) : [];
}

/** Reads the first ClientHello in our trace. `lines` have no prefix. */
export function offerOfTrace(lines: readonly string[]): Offer {
  const offer: Offer = { suites: [], extensions: [] };
  let inSuites = false;
  for (const line of lines) {
    const [, blanks = "", text = ""] = /^( *)(.*)$/.exec(line) ?? [];
    if (blanks.length <= 2 && offer.extensions.length > 0) break;
    const head = /^extension ([^ ]*) \((\d+)\), (\d+) bytes?(?:: (.*)|:)?$/.exec(text);
    const current = offer.extensions.at(-1);
    if (text === "cipher_suites:") inSuites = true;
    else if (head) {
      const [, name = "", number, length, value] = head;
      const type = Number(number);
      const values = value === undefined ? [] : traceValues(type, value);
      offer.extensions.push({ name, type, length: Number(length), values });
    } else if (current) current.values.push(...traceValues(current.type, text));
    else if (inSuites && blanks.length === 6) offer.suites.push(...numbersIn(text).map(Number));
    else inSuites = false;
  }
  return offer;
}

function traceValues(type: number, text: string): string[] {
  if (type === ALPN) return [text];
  if (type !== KEY_SHARE) return BY_VALUE.includes(type) ? numbersIn(text) : [];
  const [, group, length] = /\((\d+)\), (\d+) bytes?/.exec(text) ?? [];
  return [`${group}`, `${length} bytes`];
}

/** Sends these bytes to `openssl s_server -trace`, and returns what it printed about them. */
export async function traceOfOpenssl(
  { certificate, key }: Pair,
  hello: Uint8Array,
): Promise<string> {
  const options = ["-accept", "127.0.0.1:0", "-naccept", "1", "-cert", certificate, "-key", key];
  const child = spawn("openssl", ["s_server", ...options, "-trace"]);
  let output = "";
  child.stdout.setEncoding("latin1").on("data", (text) => output += text);
  try {
    const port = await within(
      new Promise<number>((resolve) => {
        child.stdout.on("data", () => {
          const found = /ACCEPT \S+:(\d+)\n/.exec(output)?.[1];
          if (found) resolve(Number(found));
        });
      }),
      LIMIT,
      "openssl s_server does not listen",
    );
    const closed = new Promise((resolve) => child.once("close", resolve));
    const client = connect(port, "127.0.0.1", () => client.end(hello));
    client.on("data", () => {}).on("error", () => {});
    await within(closed, LIMIT, "openssl s_server does not end");
    client.destroy();
    return output;
  } finally {
    child.kill();
  }
}

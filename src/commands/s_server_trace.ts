/** -state, -msg, -trace and -debug of `s_server`: what passes in the clear on each connection, as lines
 *  of text. Of encrypted records there are type and length. */

import type { RecordEvent, TlsEvent } from "../codec/tls/conversation.ts";
import { TlsConversation, type TlsSide } from "../codec/tls/conversation.ts";
import { eventLines } from "../codec/tls/format.ts";
import { CONTENT_TYPES, TLS_VERSIONS } from "../codec/tls/registry.ts";
import type { Trace } from "../tls/trace.ts";
import { dump as dumped } from "./s_server_report.ts";
import type { ServerSettings } from "./s_server_settings.ts";

/** Where lines go; each call has lines that belong together. */
export interface TraceOutput {
  /** -msg, -trace. */
  messages(lines: readonly string[]): void;
  /** -debug. */
  dump(lines: readonly string[]): void;
  /** -state. */
  state(lines: readonly string[]): void;
}

type Switches = Pick<ServerSettings, "state" | "messages" | "decoded" | "dump">;

/** Makes the trace that the options ask for; undefined if they ask for none. */
export function traceFor(switches: Switches, output: TraceOutput): Trace | undefined {
  const { state, messages, decoded, dump } = switches;
  if (!state && !messages && !decoded && !dump) return undefined;
  return () => {
    if (state) output.state(["SSL_accept:before SSL initialization"]);
    const conversation = new TlsConversation((event) => {
      if (messages) output.messages(headingLines(event));
      if (decoded) output.messages(eventLines(event));
      if (state) output.state(stateLines(event));
    });
    const feed = (from: TlsSide, bytes: Uint8Array): void => {
      if (dump) {
        const heading = from === "client" ? "read from" : "write to";
        output.dump([`${heading} the client (${bytes.length} bytes)`, ...dumped(bytes)]);
      }
      conversation.feed(from, bytes);
    };
    return {
      received: (bytes) => feed("client", bytes),
      sent: (bytes) => feed("server", bytes),
    };
  };
}

/** Lines in the form of OpenSSL's -msg, without the bytes: `<<< TLS 1.2, Handshake [length 0136],
 *  ClientHello`. */
export function headingLines(event: TlsEvent): string[] {
  const arrow = event.from === "client" ? "<<<" : ">>>";
  if (event.is === "not TLS") return [`${arrow} ???`];
  const heading = (what: string, length: number, name?: string): string =>
    `${arrow} ${versionOf(event)}, ${what} [length ${length.toString(16).padStart(4, "0")}]${
      name === undefined ? "" : `, ${name}`
    }`;
  const lines = event.messages.map(({ name, length }) =>
    heading("Handshake", length + MESSAGE_HEADER, camelCase(name))
  );
  if (lines.length > 0) return lines;
  const type = camelCase(CONTENT_TYPES[event.type] ?? "unknown");
  return [heading(type, event.length, event.alert ?? (event.encrypted ? "encrypted" : undefined))];
}

const MESSAGE_HEADER = 4;

const versionOf = ({ version }: RecordEvent): string =>
  (TLS_VERSIONS[version] ?? "TLS ?").replace("TLSv", "TLS ");

/** `client_hello` as `ClientHello`. */
function camelCase(name: string): string {
  return name.replaceAll(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** The steps of the handshake that can be seen. Those of TLS 1.3 after the ServerHello are
 *  encrypted. */
export function stateLines(event: TlsEvent): string[] {
  if (event.is === "not TLS") return ["SSL_accept:error in error"];
  const verb = event.from === "client" ? "read" : "write";
  const steps = event.messages.map(({ name }) => name.replaceAll("_", " "));
  if (event.type === CHANGE_CIPHER_SPEC) steps.push("change cipher spec");
  if (event.alert !== undefined) return [`SSL3 alert ${verb}:${event.alert}`];
  return steps.map((step) => `SSL_accept:SSLv3/TLS ${verb} ${step}`);
}

const CHANGE_CIPHER_SPEC = 20;

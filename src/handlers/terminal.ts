/** The terminal mode of s_server: what the client sends goes to the output, and typed lines go to the
 *  client. One client at a time: typed input is for the client that is connected, and waits while
 *  there is none. Letters alone on a line are commands. */

import { concat } from "../codec/bytes.ts";
import { CrAdder } from "../codec/line_ends.ts";
import {
  type ConnectionHandler,
  type HandlerConnection,
  type HandlerFacts,
  startHandler,
} from "../program/handler.ts";

/** What typed input means. */
export type TerminalCommand = "quit" | "close" | "statistics" | "plain text" | {
  readonly refused: string;
};

/** What the terminal needs of its surroundings. */
export interface TerminalSurroundings {
  /** What is typed. Read only while a client is connected. */
  readonly input: AsyncIterable<Uint8Array>;
  /** Writes what the client sends. */
  output(bytes: Uint8Array): Promise<void>;
  /** A client is connected. */
  begun(facts: HandlerFacts): void;
  /** Its session is over. */
  over(): void;
  /** Acts on a command; the terminal itself does `close` and `quit` for the client. */
  command(command: TerminalCommand): void;
}

export interface TerminalOptions {
  /** A line feed is sent as CR LF. */
  readonly crlf: boolean;
  /** Letters alone on a line are commands. */
  readonly commands: boolean;
  /** The end of the input is not that of the server. */
  readonly ignoresEnd: boolean;
}

const RENEGOTIATION = "the TLS library has no renegotiation in a server";
const TLS13 = "neither Bun nor Deno lets a program send this message of TLS 1.3";

/** The commands by their letters. */
const COMMANDS: Readonly<Record<string, TerminalCommand>> = {
  Q: "quit",
  q: "close",
  S: "statistics",
  P: "plain text",
  r: { refused: `r: ${RENEGOTIATION}` },
  R: { refused: `R: ${RENEGOTIATION}` },
  k: { refused: `k (key update): ${TLS13}` },
  K: { refused: `K (key update with request): ${TLS13}` },
  c: { refused: `c (certificate request): ${TLS13}` },
  B: { refused: "B (heartbeat): the TLS library has no heartbeat" },
};

const LF = 10;

/** Divides typed bytes into commands and data. A command is complete with its line; data go on at
 *  once. */
export class TypedLines {
  #held: Uint8Array = new Uint8Array(0);
  /** The next byte begins a line. */
  #atStart = true;

  constructor(readonly commands: boolean) {}

  /** Returns what the bytes are, in order. */
  push(bytes: Uint8Array): (TerminalCommand | Uint8Array)[] {
    if (!this.commands) return bytes.length === 0 ? [] : [bytes];
    const found: (TerminalCommand | Uint8Array)[] = [];
    let rest = concat([this.#held, bytes]);
    this.#held = new Uint8Array(0);
    while (rest.length > 0) {
      const at = rest.indexOf(LF);
      const line = at < 0 ? rest : rest.subarray(0, at + 1);
      const command = this.#atStart ? commandOf(line) : undefined;
      if (command === "incomplete") {
        this.#held = line;
        break;
      }
      found.push(command ?? line);
      this.#atStart = at >= 0;
      rest = rest.subarray(line.length);
    }
    return found;
  }

  /** The input has ended: returns what was held back. */
  end(): Uint8Array {
    const rest = this.#held;
    this.#held = new Uint8Array(0);
    return rest;
  }
}

/** The command of a line, or of its beginning. */
function commandOf(line: Uint8Array): TerminalCommand | "incomplete" | undefined {
  const letter = String.fromCharCode(line[0] ?? 0);
  const command = Object.hasOwn(COMMANDS, letter) ? COMMANDS[letter] : undefined;
  if (command === undefined) return undefined;
  const rest = new TextDecoder("latin1").decode(line.subarray(1, 4));
  if (rest === "\n" || rest === "\r\n") return command;
  return rest === "" || rest === "\r" ? "incomplete" : undefined;
}

/** A connected client. */
interface Session {
  readonly writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly end: () => void;
}

export class Terminal implements ConnectionHandler {
  readonly needs = "hello";
  readonly #lines: TypedLines;
  readonly #cr: CrAdder | undefined;
  #session: Session | undefined;
  /** Called when a client is connected. */
  #connected: (() => void)[] = [];
  #reading = false;

  constructor(
    readonly surroundings: TerminalSurroundings,
    readonly options: TerminalOptions,
  ) {
    this.#lines = new TypedLines(options.commands);
    this.#cr = options.crlf ? new CrAdder() : undefined;
  }

  /** See `ConnectionHandler`. */
  start(facts: HandlerFacts): ReturnType<typeof startHandler> {
    return startHandler((conn) => this.#serve(conn, facts), facts);
  }

  async #serve(conn: HandlerConnection, facts: HandlerFacts): Promise<void> {
    const { readable, writable } = conn;
    const reader = readable.getReader();
    const writer = writable.getWriter();
    writer.closed.catch(() => {}); // `write` reports it
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    this.surroundings.begun(facts);
    this.#session = { writer, end };
    for (const connected of this.#connected.splice(0)) connected();
    if (!this.#reading) void this.#read();
    try {
      for (;;) {
        const read = await Promise.race([reader.read(), ended]);
        if (!read || read.done) break;
        await this.surroundings.output(read.value);
      }
    } finally {
      this.#session = undefined;
      this.surroundings.over();
      void reader.cancel().catch(() => {});
    }
    await writer.close();
  }

  /** Reads the input to its end. */
  async #read(): Promise<void> {
    this.#reading = true;
    try {
      for await (const bytes of this.surroundings.input) {
        for (const one of this.#lines.push(bytes)) await this.#typed(one);
      }
      const rest = this.#lines.end();
      if (rest.length > 0) await this.#typed(rest);
    } catch {
      // An input that cannot be read has ended.
    }
    if (!this.options.ignoresEnd) await this.#typed("quit");
  }

  async #typed(typed: TerminalCommand | Uint8Array): Promise<void> {
    const session = await this.#client();
    if (typed instanceof Uint8Array) {
      await session.writer.write(this.#cr?.push(typed) ?? typed).catch(() => {});
      return;
    }
    this.surroundings.command(typed);
    if (typed === "close" || typed === "quit") {
      if (this.#session === session) this.#session = undefined;
      session.end();
    }
  }

  /** Waits for a client. */
  async #client(): Promise<Session> {
    while (!this.#session) {
      await new Promise<void>((resolve) => this.#connected.push(resolve));
    }
    return this.#session;
  }
}

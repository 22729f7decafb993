/** A running `s_server`: its handler, its output, its commands, and its end. */

import fs from "node:fs";
import type { Connection, ConnectionObserver, Stage } from "../connection.ts";
import { EXIT, FatalError } from "../errors.ts";
import { reverseHandler } from "../handlers/reverse.ts";
import { Terminal, type TerminalCommand } from "../handlers/terminal.ts";
import { endAfter, type Server } from "../lifecycle.ts";
import { type ConnectionHandler, type HandlerFacts, startHandler } from "../program/handler.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { systemReason } from "../runtime/system_reason.ts";
import type { CommandCall } from "./command.ts";
import type { ServerExtras } from "./extras.ts";
import {
  briefLines,
  extensionLines,
  sessionLines,
  statisticsLines,
  verdictLines,
} from "./s_server_report.ts";
import type { ServerSettings } from "./s_server_settings.ts";
import { traceFor } from "./s_server_trace.ts";

/** Seconds that a client may take to close when the server ends. */
const LAST = 1;
/** No limit for the handshake of the last connections: the longest wait of a timer. */
const PATIENCE = 2_147_483_647;
const PLAIN_TEXT = new TextEncoder().encode("Lets print some clear text\n");

type Output = Pick<CommandCall, "stdin" | "stdout" | "stderr" | "write">;

export class SServer implements ServerExtras, ConnectionObserver {
  readonly #counted = { accepted: 0, finished: 0 };
  #server: Server | undefined;
  /** The connection of the terminal. */
  #current: Connection | undefined;
  /** The terminal has a client, or still ends its session. */
  #inSession = false;
  /** A connection is over, and ACCEPT is to be printed after the lines of its session. */
  #acceptsLater = false;
  /** `Q` was typed. */
  #quit = false;
  readonly overrides: ServerExtras["overrides"];

  constructor(
    readonly settings: ServerSettings,
    readonly call: Output,
    readonly runtime: Pick<Runtime, "libc" | "name">,
    password: string | undefined,
  ) {
    const handler = this.#handler();
    const trace = traceFor(settings, this.#traceOutput());
    this.overrides = {
      observers: [this],
      ...(password === undefined ? {} : { password }),
      ...(handler ? { handler } : {}),
      ...(trace ? { trace } : {}),
    };
  }

  /** See `ServerExtras`. */
  begun(server: Server): void {
    this.#server = server;
    const { asks, depth } = this.settings;
    if (asks !== "no") {
      const must = asks === "requires" ? ", must return a certificate" : "";
      this.#tell([`verify depth is ${depth ?? "unlimited"}${must}`]);
    }
    this.#print(["ACCEPT"]);
  }

  /** The lines at the end of the server. */
  finished(): void {
    if (this.#server) this.#print(statisticsLines(this.#counted));
  }

  /** See `ConnectionObserver`. */
  entered(conn: Connection, before: Stage): void {
    switch (conn.stage) {
      case "accepted":
        return this.#accepted(conn);
      case "conversing":
        this.#counted.finished++;
        this.#current = conn;
        return;
      case "lingering":
      case "over":
        if (before === "lingering" || before === "finishing") return;
        return this.#over();
      case "finishing":
        return this.#over();
    }
  }

  /** See `ConnectionObserver`. */
  failed(): void {
    this.#tell(["ERROR"]);
  }

  #accepted(conn: Connection): void {
    const { connections } = this.settings;
    const count = ++this.#counted.accepted;
    if (connections === undefined || count < connections) return;
    if (count > connections) conn.giveUp({ kind: "shut down" });
    else this.#server?.drain(PATIENCE, false);
  }

  #over(): void {
    const { connections } = this.settings;
    const last = this.#quit ||
      (connections !== undefined && this.#counted.accepted >= connections);
    if (!last && this.#inSession) this.#acceptsLater = true;
    else if (!last) this.#print(["ACCEPT"]);
    else endAfter(LAST, () => this.#server?.end());
  }

  #handler(): ConnectionHandler | undefined {
    const { mode, quiet, brief, crlf, ignoresEnd } = this.settings;
    if (mode === "terminal") {
      return new Terminal({
        input: this.call.stdin,
        output: (bytes) => this.call.write(bytes),
        begun: (facts) => {
          this.#inSession = true;
          this.#begun(facts, brief);
        },
        over: () => {
          this.#inSession = false;
          this.#print(["DONE", "shutting down SSL", "CONNECTION CLOSED"]);
          if (this.#acceptsLater) this.#print(["ACCEPT"]);
          this.#acceptsLater = false;
        },
        command: (command) => this.#command(command),
      }, { crlf, commands: !quiet, ignoresEnd: ignoresEnd ?? quiet });
    }
    if (mode !== "rev") return undefined;
    return {
      needs: "hello",
      start: (facts) =>
        startHandler(
          async (conn) => {
            this.#tell(["CONNECTION ESTABLISHED"]);
            this.#begun(facts, true);
            try {
              await reverseHandler(conn);
            } finally {
              this.#tell(["CONNECTION CLOSED"]);
            }
          },
          facts,
        ),
    };
  }

  #begun(facts: HandlerFacts, brief: boolean): void {
    if (this.settings.extensions) this.#write(extensionLines(facts));
    this.#tell(verdictLines(facts));
    if (brief) this.#tell(briefLines(facts));
    else this.#print(sessionLines(facts, this.settings));
  }

  #command(command: TerminalCommand): void {
    if (typeof command === "object") return this.#write([`unable to do ${command.refused}`]);
    switch (command) {
      case "statistics":
        return this.#write(statisticsLines(this.#counted));
      case "plain text":
        return this.#sendPlain();
      case "quit": {
        const server = this.#server;
        this.#quit = true;
        server?.drain(PATIENCE, false);
        return endAfter(LAST, () => server?.end());
      }
      case "close":
        return;
    }
  }

  /** `P`: writes below TLS, which breaks the connection. */
  #sendPlain(): void {
    const { libc, name } = this.runtime;
    const fd = this.#current?.socket.fd;
    if (!libc || fd === undefined) {
      return this.#write([`unable to do P: ${name} without FFI shows no socket below TLS`]);
    }
    try {
      libc.send(fd, PLAIN_TEXT);
    } catch (error) {
      this.#write([`unable to do P: ${systemReason(error)}`]);
    }
  }

  #traceOutput() {
    const file = this.settings.messageFile;
    const fd = file === undefined ? undefined : openOutput(file);
    return {
      messages: (lines: readonly string[]): void => {
        if (fd === undefined) this.#write(lines);
        else fs.writeSync(fd, text(lines));
      },
      dump: (lines: readonly string[]): void => this.#write(lines),
      state: (lines: readonly string[]): void => this.#tell(lines),
    };
  }

  /** To stdout, unless -quiet. */
  #print(lines: readonly string[]): void {
    if (!this.settings.quiet) this.#write(lines);
  }

  #write(lines: readonly string[]): void {
    if (lines.length > 0) this.call.stdout(text(lines));
  }

  #tell(lines: readonly string[]): void {
    if (lines.length > 0) this.call.stderr(text(lines));
  }
}

const text = (lines: readonly string[]): string => `${lines.join("\n")}\n`;

function openOutput(file: string): number {
  try {
    return fs.openSync(file, "w", 0o600);
  } catch (error) {
    throw new FatalError(
      `unable to write ${file}: ${systemReason(error)}`,
      EXIT.system,
      "-msgfile must name a file that this user can write",
    );
  }
}

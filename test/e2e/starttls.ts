/** A client that begins in plaintext: it waits for the greeting, requests TLS, and continues in TLS. */

import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";
import { LIMIT, within } from "./harness.ts";

/** What the client received in plaintext, and in TLS until the server closed. */
export interface Heard {
  clear: string;
  secret: string;
}

const DIALOGUES = {
  smtp: ["EHLO client\r\n", "STARTTLS\r\n"],
  line: ["STARTTLS\n"],
} as const;

/** Sends `input` and then close_notify inside TLS. In plaintext, an answer is complete with a line that
 *  has no `-` after its code. */
export async function startTls(
  port: number,
  kind: keyof typeof DIALOGUES,
  input: string,
): Promise<Heard> {
  const socket = connectTcp({ port, host: "127.0.0.1" });
  let clear = "";
  let wake = (): void => {};
  const listen = (chunk: Uint8Array): void => {
    clear += new TextDecoder().decode(chunk);
    wake();
  };
  socket.on("data", listen);
  const answer = async (): Promise<void> => {
    const from = clear.length;
    while (!/^(?:[0-9]{3} |[^0-9])[^\n]*\n$/m.test(clear.slice(from))) {
      await new Promise<void>((resolve, reject) => {
        wake = resolve;
        socket.once("close", () => reject(new Error(`closed after: ${clear}`)));
      });
    }
  };
  await within(answer(), LIMIT, "no greeting");
  for (const line of DIALOGUES[kind]) {
    socket.write(line);
    await within(answer(), LIMIT, `no answer to ${line.trim()}`);
  }
  socket.off("data", listen);
  const tls = connectTls({ socket, rejectUnauthorized: false });
  let secret = "";
  tls.on("data", (chunk: Uint8Array) => secret += new TextDecoder().decode(chunk));
  const ended = new Promise<void>((resolve, reject) => tls.on("end", resolve).on("error", reject));
  tls.end(input);
  await within(ended, LIMIT, `no end after: ${secret}`);
  return { clear, secret };
}

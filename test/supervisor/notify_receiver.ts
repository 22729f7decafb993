/** Acts as systemd at the other end of $NOTIFY_SOCKET. A script for Debian's python3 binds the Unix datagram
 *  socket, because neither runtime supports these. */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";

export const PYTHON = "/usr/bin/python3";

const RECEIVE = `import socket, sys, json
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
n = sys.argv[1]
s.bind("\\0" + n[1:] if n[0] == "@" else n)
print("bound", flush=True)
for i in range(int(sys.argv[2])):
    print(json.dumps(s.recv(4096).decode()), flush=True)`;

/** The datagrams that the socket has received. */
export interface Receiver {
  /** Waits for `count` datagrams. Rejects if the receiver ends before. */
  words(count: number): Promise<string[]>;
  readonly child: ChildProcess;
}

/** Starts a receiver on `name`, a path or `@name`. It ends after `limit` datagrams. */
export async function notifyReceiver(name: string, limit: number): Promise<Receiver> {
  if (!existsSync(PYTHON)) throw new Error("python3 is missing: install Debian's python3");
  const child: ChildProcess = spawn(PYTHON, ["-c", RECEIVE, name, String(limit)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  let over = false;
  let changed = (): void => {};
  child.stdout?.on("data", (data: Uint8Array) => {
    text += new TextDecoder().decode(data);
    changed();
  });
  child.once("close", () => {
    over = true;
    changed();
  });
  const lines = (count: number): Promise<string[]> =>
    new Promise((resolve, reject) => {
      changed = () => {
        const whole = text.split("\n").slice(0, -1);
        if (whole.length >= count) resolve(whole.slice(0, count));
        else if (over) reject(new Error(`python3 ended after: ${text}`));
      };
      changed();
    });
  await lines(1);
  return {
    child,
    words: async (count) =>
      (await lines(1 + count)).slice(1).map((line) => JSON.parse(line) as string),
  };
}

/** Another process reads the log. A reader that stops reading blocks no connection, a flood does not fill
 *  the disk, and the lines of draining workers arrive after the monitor has ended. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import { once } from "node:events";
import process from "node:process";
import { Conversation } from "../interop/supervisors.ts";
import { refused, talk } from "./clients.ts";
import { claim, LIMIT, settled, type StartOptions, type Trial, within } from "./harness.ts";
import {
  alive,
  childrenOf,
  descriptorsOf,
  gone,
  guest,
  split,
  words,
  workerOf,
} from "./privsep.ts";

const STAY = ["sh", "-c", "echo in; exec cat"];

/** A process that reads what the server writes to its stderr. */
class Reader {
  text = "";
  readonly ended: Promise<unknown>;

  constructor(
    readonly start: StartOptions,
    readonly child: ReturnType<Trial["spawn"]>,
  ) {
    child.stdout?.on("data", (bytes: Uint8Array) => this.text += new TextDecoder().decode(bytes));
    this.ended = once(child, "exit");
  }

  /** Stops reading until `goOn`. */
  stop(): void {
    process.kill(this.child.pid as number, "SIGSTOP");
  }

  goOn(): void {
    process.kill(this.child.pid as number, "SIGCONT");
  }

  async saw(pattern: RegExp): Promise<void> {
    await settled(() => pattern.test(this.text), (seen) => seen);
    assertMatch(this.text, pattern);
  }
}

async function pipe(t: Trial): Promise<Reader> {
  const path = join(t.dir, "log.fifo");
  await t.run("mkfifo", [path]);
  return new Reader({ prelude: `exec 2>'${path}'` }, t.spawn("cat", [path]));
}

/** A stream socket, like the one of journald for services, with a small buffer. */
async function socket(t: Trial): Promise<Reader> {
  const path = join(t.dir, "log.socket");
  const connect = [
    "import os, socket, sys",
    "s = socket.socket(socket.AF_UNIX)",
    "s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)",
    `s.connect("${path}")`,
    "os.dup2(s.fileno(), 2)",
    "os.execvp(sys.argv[1], sys.argv[1:])",
  ].join("; ");
  const read = [
    "import os, socket",
    "s = socket.socket(socket.AF_UNIX)",
    `s.bind("${path}")`,
    "s.listen()",
    "os.write(1, b'ready\\n')",
    "c = s.accept()[0]",
    "while d := c.recv(65536): os.write(1, d)",
  ].join("\n");
  const reader = new Reader(
    { prelude: `set -- python3 -c '${connect}' "$@"` },
    t.spawn("python3", ["-c", read]),
  );
  await reader.saw(/^ready\n/);
  return reader;
}

for (const [what, make] of Object.entries({ pipe, socket })) {
  claim(
    `a reader of the log that stops (${what}) delays no connection, no relay and no exit`,
    async (t) => {
      const reader = await make(t);
      const server = await t.start({ ...reader.start, options: ["-vHRl0"] });
      const open = await Conversation.open(server.port);
      await open.echo("hello\n");
      await reader.saw(/: ok /);
      reader.stop();
      if (what === "pipe") {
        // Fills the pipe. dd ends with EAGAIN.
        const of = `of=${join(t.dir, "log.fifo")}`;
        await t.run("dd", ["if=/dev/zero", "bs=4096", of, "oflag=nonblock", "conv=notrunc"]);
      }
      for (let i = 0; i < 10; i++) {
        const start = performance.now();
        assertStrictEquals((await talk(t, server, "x\n")).text, "x\n");
        assert(performance.now() - start < 5000);
        await open.echo(`still ${i}\n`);
      }
      server.signal("SIGTERM");
      const start = performance.now();
      if (t.alone) await open.end();
      const { status } = await within(server.exited, 5000, "the server did not end");
      assertStrictEquals(status, 0);
      assert(performance.now() - start < 4000);
      reader.goOn();
      if (!t.alone) {
        await open.echo("after the monitor\n");
        await open.end();
        await reader.saw(
          /lines lost: the log is not read\n(?:.*\n)*.*ended by [0-9]+ status unknown\n/,
        );
      }
      await within(reader.ended, LIMIT, "somebody still has the log");
    },
  );
}

claim("lines for a slow reader arrive later, in order", async (t) => {
  const reader = await socket(t);
  const server = await t.start({ ...reader.start, options: ["-vHRl0"] });
  reader.stop();
  for (let i = 0; i < 12; i++) await talk(t, server, "x\n");
  reader.goOn();
  const pids = (name: string): string[] =>
    [...reader.text.matchAll(new RegExp(`: ${name} ([0-9]+)`, "g"))].map(([, pid]) => pid ?? "");
  await settled(() => pids("ended by"), ({ length }) => length === 12);
  assertStrictEquals(pids("ok").length, 12);
  assertEquals(pids("ok"), pids("pid"));
  server.signal("SIGTERM");
  await within(reader.ended, LIMIT, "somebody still has the log");
});

claim(
  "a flood of connections that fail is summarised, those that are served are not",
  async (t) => {
    const server = await t.start({ options: ["-vHRl0", ...t.oneSpeaker] });
    for (let i = 0; i < 120; i++) await refused(server.port, "GET / HTTP/1.0\r\n\r\n");
    for (let i = 0; i < 12; i++) await talk(t, server, "x");
    await server.waitFor(/^sslserver: ended by/, 12);
    server.signal("SIGTERM");
    await within(server.exited, LIMIT, "the server did not end");
    const summaries = await server.waitFor(
      /^sslserver: error: \.\.\. and [0-9]+ more like it in [0-9]+ s: unable to accept TLS from: 127/,
    );
    const summed = summaries.reduce((sum, line) => sum + Number(/and ([0-9]+)/.exec(line)?.[1]), 0);
    const printed = server.lines(/^sslserver: error: unable to accept TLS/).length;
    assertStrictEquals(printed + summed, 120);
    assert(
      printed <= 50 * (summaries.length + 1),
      `${printed} lines, ${summaries.length} summaries`,
    );
    assertStrictEquals(server.lines(/^sslserver: ok /).length, 12);
  },
);

split("a worker has a log of its own, and never the server's stderr", async (t) => {
  const server = await t.start({ options: ["-vHRl0", "--workers", "1"], program: STAY });
  const worker = await workerOf(server);
  const descriptors = descriptorsOf(worker);
  assertMatch(descriptors.get(2) ?? "", /^socket:/);
  assert([...descriptors.values()].every((target) => target !== server.logFile));
  const client = await guest(server);
  const [program = 0] = server.children();
  assertStrictEquals(descriptorsOf(program).get(2), server.logFile);
  client.leave();
});

split("lines of a worker that drains come after the monitor has gone", async (t) => {
  const server = await t.start({ options: ["-vHRl0", "--workers", "2"], program: STAY });
  const copiers = (): number[] =>
    childrenOf(1).filter((pid) => words(pid, "cmdline").includes("sslserver-log"));
  const before = copiers();
  const client = await guest(server);
  server.signal("SIGTERM");
  await within(server.exited, LIMIT, "the monitor did not end");
  assertEquals(server.lines(/ended by/), []);
  client.leave();
  await server.waitFor(/^sslserver: ended by [0-9]+ status unknown$/);
  for (const pid of copiers()) if (!before.includes(pid) && alive(pid)) await gone(pid);
});

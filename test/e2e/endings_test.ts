/** Every row of ENDINGS in sslserver(1): what the client sees, what the program sees, what the log says,
 *  and which counter increases. One server gets them one after the other. The ending that only the monitor
 *  can see (a worker that dies) is in privsep_crash_test.ts. */

import { assert, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import { createConnection } from "node:net";
import { talk } from "./clients.ts";
import { ALONE, claim, type Server, settled, type Trial, within } from "./harness.ts";
import { counted, curl, where } from "./metrics.ts";

/** Does what the first line of input says. For any other line it reads to the end and answers. */
const PROGRAM = `read -r how
case $how in
  exit) exit 3 ;;
  kill) kill -9 $$ ;;
  stay) exec sleep 60 ;;
  *) cat >/dev/null; echo "program: end of file" >&2; echo answer ;;
esac`;

interface Row {
  /** Acts as the client. Resolves with the end that the client sees. */
  act: (t: Trial, server: Server) => Promise<string>;
  sees: RegExp;
  program: "end of file" | "something else" | "none";
  /** The log line expected in addition to those of -v. */
  log?: RegExp;
  counts: Record<string, number>;
}

const PEER = "127\\.0\\.0\\.1 for pid: [0-9]+";
const accept = (why: string, level = "error"): RegExp =>
  new RegExp(`^sslserver: ${level}: unable to accept TLS from: ${PEER} ${why}$`);
const speak = (why: string): RegExp =>
  new RegExp(`^sslserver: error: unable to speak TLS from: ${PEER} ${why}$`);

const program = (result: string): string => `programs_total{result="${result}"}`;
const breaks = (how: string): string => `tls_breaks_total{how="${how}"}`;
const failures = (why: string): string => `handshake_failures_total{reason="${why}"}`;

/** A client that completes its handshake. `options` are those of the compiled client. */
const client = (input: string, ...options: string[]): Row["act"] => async (t, server) => {
  const { text, end } = await talk(t, server, input, options);
  return `${text.trim()} ${end}`.trim();
};

/** A client without a handshake: sends `text`, and FIN if `end`. Resolves with "alert", "bytes" or
 *  "nothing" for what it receives. */
const raw =
  (text: string, { end = false, from = "127.0.0.1" } = {}): Row["act"] => async (_, { port }) => {
    const socket = createConnection({ port, host: "127.0.0.1", localAddress: from });
    let got = "";
    socket.on("data", (chunk: Uint8Array) => got += chunk[0] === 21 ? "alert" : "bytes");
    socket.on("error", () => {});
    socket.write(text);
    if (end) socket.end();
    await within(new Promise<void>((done) => socket.on("close", () => done())), 10_000, "no end");
    return got || "nothing";
  };

const ROWS: Record<string, Row> = {
  "the program exits with 3": {
    act: client("exit\n", "-e", "stay"),
    sees: /^close_notify$/,
    program: "something else",
    counts: { [program("failed")]: 1 },
  },
  "the program is killed": {
    act: client("kill\n", "-e", "stay"),
    sees: /^close_notify$/,
    program: "something else",
    counts: { [program("signal")]: 1 },
  },
  "nobody says a word for -w": {
    act: client("stay\n", "-e", "stay"),
    sees: /^close_notify$/,
    program: "something else",
    counts: { [program("signal")]: 1 },
  },
  "the client goes without a word": {
    act: raw("", { end: true }),
    sees: /^nothing$/,
    program: "none",
    log: accept("connection closed by the peer", "info"),
    counts: { [failures("closed_by_client")]: 1 },
  },
  "the client goes within its hello": {
    act: raw("\x16\x03\x01\x02\x00\x01", { end: true }),
    sees: /^nothing$/,
    program: "none",
    log: accept("connection closed by the peer after 6 bytes"),
    counts: { [failures("closed_by_client")]: 1 },
  },
  "what comes is no TLS": {
    act: raw("GET / HTTP/1.1\r\n\r\n"),
    sees: /^(alert|nothing)$/,
    program: "none",
    log: accept("http request"),
    counts: { [failures("http_request")]: 1 },
  },
  "-T runs out": {
    act: raw(""),
    sees: /^nothing$/,
    program: "none",
    log: accept("timed out after 1 s"),
    counts: { [failures("timed_out")]: 1 },
  },
  "a rule denies it": {
    act: raw("", { from: "127.0.0.9" }),
    sees: /^nothing$/,
    program: "none",
    log: /^sslserver: deny [0-9]+ \S+ :127\.0\.0\.9::[0-9]+$/,
    counts: { 'denials_total{by="rule_address"}': 1 },
  },
};

for (const version of ["-2", "-3"]) {
  const name = version === "-2" ? "TLS 1.2" : "TLS 1.3";
  // Wait until the program runs: a reset can overtake everything that was sent before.
  const late = [version, "-w", "500", "-e"];
  ROWS[`the client sends close_notify, ${name}`] = {
    act: client("go\nsome", version, "-e", "half"),
    sees: /^answer close_notify$/,
    program: "end of file",
    counts: { [program("ok")]: 1 },
  };
  ROWS[`the client sends FIN alone, ${name}`] = {
    act: client("go\nsome", version, "-e", "fin"),
    sees: /^answer close_notify$/,
    program: "end of file",
    log: new RegExp(`^sslserver: info: end of data without close_notify from: ${PEER}$`),
    counts: { [program("ok")]: 1, [breaks("no_close_notify")]: 1 },
  };
  ROWS[`the client resets, ${name}`] = {
    act: client("", ...late, "reset"),
    sees: /^reset by us$/,
    program: "end of file",
    log: speak("connection reset by the peer"),
    // No result of the program: its answer has no reader, so its exit status varies.
    counts: { [breaks("reset")]: 1 },
  };
  ROWS[`the client sends a forged record, ${name}`] = {
    act: client("", ...late, "forge"),
    sees: /alert bad record mac$/,
    program: "end of file",
    log: speak("bad record mac"),
    counts: { [breaks("breach")]: 1 },
  };
}

/** The current values of the counters that `ROWS` names. */
async function counters(t: Trial, url: string): Promise<Record<string, number>> {
  const all = Object.entries(counted(await curl(t, url)));
  return Object.fromEntries(
    all.filter(([name]) => /^(programs|tls_breaks|handshake_failures|denials)_total/.test(name)),
  );
}

claim("every ending: the other side, the program, the log and the counter", async (t) => {
  const rules = join(t.dir, "rules.cdb");
  const made = await t.run("tcprules", [rules, `${rules}.tmp`], {
    input: "127.0.0.9:deny\n:allow\n",
  });
  assertStrictEquals(made.status, 0, made.stderr);
  const server = await t.start({
    options: ["-VHRl0", "-T", "1", "-w", "2", "-x", rules, "--metrics", ":0"],
    program: ["sh", "-c", PROGRAM],
  });
  const url = await where(server);
  const other = /: (error|deny|info: (end|unable))/;
  for (const [name, row] of Object.entries(ROWS)) {
    const [logged, ended] = [server.lines(other), server.lines(/^sslserver: ended by/)];
    const read = server.lines(/^program: end of file$/).length;
    const before = await counters(t, url);
    assertMatch(await row.act(t, server), row.sees, name);
    if (row.log) await server.waitFor(other, logged.length + 1);
    if (row.program !== "none") await server.waitFor(/^sslserver: ended by/, ended.length + 1);
    const lines = server.lines(other).slice(logged.length);
    assertStrictEquals(lines.length, row.log ? 1 : 0, `${name}: ${lines.join("\n")}`);
    if (row.log) assertMatch(lines[0] as string, row.log, name);
    const ends = server.lines(/^program: end of file$/).length - read;
    assertStrictEquals(ends, row.program === "end of file" ? 1 : 0, name);
    const expected = { ...before };
    for (const [key, more] of Object.entries(row.counts)) expected[key] = (before[key] ?? 0) + more;
    const same = (now: Record<string, number>): boolean =>
      Object.keys({ ...now, ...expected }).every((key) =>
        now[key] === expected[key] || (key.startsWith("programs") && !(program("ok") in row.counts))
      );
    const now = await settled(() => counters(t, url), same);
    assert(same(now), `${name}: ${JSON.stringify({ now, expected })}`);
  }
  await server.noChildren();
});

claim("the server ends: the client gets an end, the program SIGTERM", async (t) => {
  const server = await t.start({ options: ["-v", ...ALONE], program: ["sh", "-c", PROGRAM] });
  const talking = talk(t, server, "stay\n", ["-e", "stay"]);
  await server.waitFor(/^sslserver: ok /);
  await settled(() => server.children(), (pids) => pids.length > 0);
  server.signal("SIGQUIT");
  const { end } = await talking;
  assertMatch(end, /^(eof|reset)$/);
  await server.waitFor(/^sslserver: ended by [0-9]+ status 15$/);
});

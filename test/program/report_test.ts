import { assertEquals, assertNotStrictEquals, assertStrictEquals } from "@std/assert";
import process from "node:process";
import { test } from "node:test";
import { Connection, type Stage } from "../../src/connection.ts";
import { FatalError } from "../../src/errors.ts";
import { Log } from "../../src/log.ts";
import { report, Reporter, reportLost, type ReportServices } from "../../src/program/report.ts";
import { ConnectionError, type Reason } from "../../src/reason.ts";
import { HandshakeError, type Program, type Socket, TlsError } from "../../src/runtime/runtime.ts";

/** A connection in this stage, and the log lines about it. */
function reported(stage: Stage, more: Partial<Connection> = {}) {
  let text = "";
  const write = (lines: string): void => void (text += lines);
  const lost: boolean[] = [];
  const services: ReportServices = {
    log: new Log({ verbosity: 2, form: "text", name: "x", write }),
    options: { concurrency: 40, proxyFrom: undefined },
    programs: { running: 3 },
    admission: { limits: { perAddress: 2 } },
    metrics: { lost: (failed) => void lost.push(failed) },
  };
  const address = { ip: "192.0.2.7", port: 1 };
  const socket = { local: address, remote: address, destroy() {} } as unknown as Socket;
  const conn = new Connection(socket, undefined, undefined, [new Reporter(services)]);
  Object.assign(conn, { stage, ...more });
  const lines = (): string => {
    services.log.flush();
    return text.replaceAll(` ${process.pid} `, " OWN ");
  };
  return { conn, services, lost, lines };
}

const PROGRAM = { pid: 5 } as Program;
const GONE: Reason = { kind: "client gone", how: "closed" };
const SILENT: Reason = { ...GONE, sent: 0 };
const FAILED = "unable to accept TLS from: 192.0.2.7 for pid:";

test("an error of each stage has its own form of line", () => {
  const rows: [Stage, unknown, string, Partial<Connection>?][] = [
    ["accepted", new HandshakeError(SILENT), `info: ${FAILED} OWN connection closed by the peer`],
    [
      "accepted",
      new ConnectionError({ kind: "proxy header", cause: GONE }),
      "error: unable to read the PROXY header: connection closed by the peer (connection from 192.0.2.7)",
    ],
    [
      "admission",
      new TypeError("x is undefined"),
      "error: x is undefined (connection from 192.0.2.7)",
    ],
    ["hello", new HandshakeError(SILENT), `info: ${FAILED} OWN connection closed by the peer`],
    ["hello", new HandshakeError(GONE), `error: ${FAILED} OWN connection closed by the peer`],
    [
      "hello",
      new FatalError("unable to read certificate"),
      "error: unable to read certificate (connection from 192.0.2.7)",
    ],
    [
      "handshake",
      new HandshakeError({ kind: "shut down" }),
      `error: ${FAILED} OWN the server is shutting down`,
    ],
    [
      "handshake",
      new ConnectionError({ kind: "not run", text: "unable to run x" }),
      "error: unable to run x (connection from 192.0.2.7)",
    ],
    [
      "starting",
      new ConnectionError({ kind: "shut down" }),
      "error: the server is shutting down (connection from 192.0.2.7)",
    ],
    [
      "starting",
      new TlsError({ kind: "client gone", how: "reset" }),
      "error: unable to speak TLS from: 192.0.2.7 for pid: OWN connection reset by the peer",
    ],
    [
      "conversing",
      new TlsError({ kind: "client gone", how: "reset" }),
      "error: unable to speak TLS from: 192.0.2.7 for pid: 5 connection reset by the peer",
      { program: PROGRAM },
    ],
    // UCSPI-TLS: the client has sent plaintext, and is gone before TLS begins.
    [
      "finishing",
      new HandshakeError(SILENT),
      `error: ${FAILED} 5 connection closed by the peer`,
      { program: PROGRAM },
    ],
    [
      "conversing",
      new ConnectionError({ kind: "unexpected proxy header" }),
      "error: a PROXY header that --proxy-from does not allow (connection from 192.0.2.7)",
      { program: PROGRAM },
    ],
  ];
  for (const [stage, error, line, more] of rows) {
    const { conn, lines } = reported(stage, more);
    report(conn, error);
    assertStrictEquals(lines(), `x: ${line}\n`, stage);
  }
});

test("a denial has its line, and a proxy's health check has none", () => {
  const denied = reported("admission");
  denied.conn.fail({ kind: "limit", by: "rate", count: 5 });
  assertStrictEquals(
    denied.lines(),
    "x: deny OWN :192.0.2.7:1 :192.0.2.7::1 ip rate limit:5 exceeded\n",
  );
  const proxy = { ip: "192.0.2.7", port: 1, variables: new Map(), own: true };
  const health = reported("hello", { proxy });
  report(health.conn, new HandshakeError(SILENT));
  assertStrictEquals(health.lines(), "");
  assertStrictEquals(health.conn.endedBy, undefined);
  report(health.conn, new HandshakeError(GONE));
  assertNotStrictEquals(health.lines(), "");
});

test("the start and end of a program are logged with the number of running programs", () => {
  const { conn, lines } = reported("starting", { program: { ...PROGRAM, running: 4 } });
  conn.enter("conversing");
  conn.enter("hello"); // UCSPI-TLS
  conn.enter("handshake");
  conn.enter("conversing");
  conn.programEnded(PROGRAM, 256);
  conn.finish();
  assertStrictEquals(
    lines(),
    "x: status: 4/40/2\nx: pid 5 from 192.0.2.7\nx: ok 5 :192.0.2.7:1 :192.0.2.7::1\n" +
      "x: ended by 5 status 256\nx: status: 3/40/2\n",
  );
});

test("a connection reset before accept is logged, except for a proxy's health check", () => {
  const { services, lost, lines } = reported("accepted");
  reportLost({ ...services, options: { concurrency: 40, proxyFrom: [] } });
  assertStrictEquals(lines(), "");
  reportLost(services);
  assertStrictEquals(
    lines(),
    "x: info: unable to accept TLS from: unknown for pid: OWN connection reset by the peer\n",
  );
  assertEquals(lost, [false, true]);
});

test("a broken connection is logged when the process id of its program is known", async () => {
  const cause: Reason = { kind: "client gone", how: "reset" };
  const line = (pid: string) =>
    `x: error: unable to speak TLS from: 192.0.2.7 for pid: ${pid} connection reset by the peer\n`;
  for (const [known, pid] of [[true, "7"], [false, "OWN"]] as const) {
    const identity = Promise.withResolvers<void>();
    const program = { ...PROGRAM, pid: 0, identified: () => identity.promise };
    const { conn, lines } = reported("conversing", { program });
    conn.fail({ kind: "broken", cause });
    assertStrictEquals(lines(), "");
    program.pid = known ? 7 : 0;
    if (known) identity.resolve();
    else identity.reject(new Error("it was not started"));
    await new Promise((resolve) => setImmediate(resolve));
    assertStrictEquals(lines(), line(pid));
  }
});

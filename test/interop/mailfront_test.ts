/** UCSPI-TLS with a program made for it: Debian's mailfront (smtpfront-echo with its plugin
 *  starttls-ucspi), with openssl, swaks and many simultaneous clients. The program reports how many bytes
 *  of a message it received. */

import { assertEquals, assertMatch, assertNotMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import { existsSync, writeFileSync } from "node:fs";
import process from "node:process";
import { claim, type Outcome, type Server, settled, type Trial, WITH_FFI } from "../e2e/harness.ts";
import { stdout } from "../e2e/clients.ts";
import { converse, data, nothingLeft, start } from "../e2e/ucspi_tls.ts";

const FFI = { forms: WITH_FFI, timeout: 180_000 };
/** Sessions at once. The default is for runs at every change; set 100 for acceptance. */
const AT_ONCE = Number(process.env["MAILFRONT_SESSIONS"] ?? 25);

function smtp(t: Trial, options: string[] = []): Promise<Server> {
  const program = "/usr/sbin/smtpfront-echo";
  if (!existsSync(program)) throw new Error(`${program} is missing: install Debian's mailfront`);
  const env = { UCSPITLS: "1", PLUGINS: "starttls-ucspi:accept" };
  return start(t, [program], { env, options });
}

function swaks(t: Trial, server: Server, ...args: string[]): Promise<Outcome> {
  const to = ["--server", `127.0.0.1:${server.port}`, "--to", "a@example.org"];
  return t.run("swaks", [...to, "--from", "b@example.org", "--ehlo", "client", ...args], {
    limit: 60_000,
  });
}

claim("mailfront: openssl s_client -starttls smtp, with TLS 1.2 and 1.3", async (t) => {
  const server = await smtp(t, ["-V"]);
  for (const version of ["-tls1_2", "-tls1_3"]) {
    const where = ["-connect", `127.0.0.1:${server.port}`, "-servername", "localhost", version];
    const outcome = await t.run("openssl", ["s_client", "-quiet", "-starttls", "smtp", ...where], {
      input: "EHLO client\r\nQUIT\r\n",
    });
    assertStrictEquals(outcome.status, 0, outcome.stderr);
    assertMatch(stdout(outcome), /221 2\.0\.0 Good bye\.\r\n$/);
    assertNotMatch(stdout(outcome).replace(/^.*\r\n/, ""), /STARTTLS/, "offered once only");
  }
  assertStrictEquals((await server.waitFor(/tls \d+ accept TLSv1\.2:/)).length, 1);
  assertStrictEquals((await server.waitFor(/tls \d+ accept TLSv1\.3:/)).length, 1);
}, FFI);

for (const [how, options] of [["with", ["--tls"]], ["without", []]] as const) {
  claim(`mailfront: swaks ${how} --tls delivers messages up to 20 MB whole`, async (t) => {
    const server = await smtp(t);
    const before = server.descriptors().length;
    for (const lines of [1, 60, 1_000, 15_000, 320_000]) {
      const file = join(t.dir, `message-${lines}`);
      writeFileSync(file, `${"x".repeat(62)}\n`.repeat(lines));
      const sent = await swaks(t, server, ...options, "--data", `@${file}`, "--suppress-data");
      assertStrictEquals(sent.status, 0, `${lines} lines: ${stdout(sent)}${sent.stderr}`);
      const received = Number(/Received (\d+) bytes/.exec(stdout(sent))?.[1]);
      assertStrictEquals(received, 63 * lines + 2, "mailfront counts LF alone; swaks adds two");
    }
    await nothingLeft(server, before + 8);
  }, FFI);
}

claim(
  "mailfront: a message of 0 B and commands sent in one go, in the clear and within TLS",
  async (t) => {
    const server = await smtp(t);
    const envelope = "EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n";
    const input = `${envelope}DATA\r\n.\r\nQUIT\r\n`;
    const told = await converse(t, server, { plain: input, tls: "no" });
    assertMatch(told.plain, /\r\n250 Received 0 bytes\.\r\n221 [^\n]+\n$/);
    const where = ["-connect", `127.0.0.1:${server.port}`, "-servername", "localhost"];
    const outcome = await t.run("openssl", ["s_client", "-quiet", "-starttls", "smtp", ...where], {
      input,
    });
    assertMatch(stdout(outcome), /\r\n250 Received 0 bytes\.\r\n221 [^\n]+\n$/);
  },
  FFI,
);

claim(`mailfront: ${AT_ONCE} sessions at once, each message whole`, async (t) => {
  const server = await smtp(t, ["-c", String(AT_ONCE)]);
  const client = [data("smtp_many.py"), String(server.port), String(AT_ONCE)];
  const run = t.run("python3", client, { limit: 120_000 });
  const { status, stderr } = await run;
  assertStrictEquals(status, 0, stderr);
  await server.waitFor(/ended by \d+ status 0/, AT_ONCE);
  assertEquals(server.lines(/sslserver: error/), []);
  await server.noChildren();
  const left = await settled(() => server.lines(/ended by/).length, (n) => n === AT_ONCE);
  assertStrictEquals(left, AT_ONCE);
}, FFI);

/** UCSPI-TLS: POP3 and IMAP servers of a few lines of sh, against openssl's own STARTTLS clients. */

import { assertMatch, assertStrictEquals } from "@std/assert";
import { stdout } from "./clients.ts";
import { claim, type Outcome, type Server, type Trial, WITH_FFI } from "./harness.ts";
import { converse, data, nothingLeft, start } from "./ucspi_tls.ts";

const FFI = { forms: WITH_FFI };

/** Runs openssl's own STARTTLS client. It stays until the server ends. */
function starttls(t: Trial, server: Server, protocol: string, input: string): Promise<Outcome> {
  const where = ["-connect", `127.0.0.1:${server.port}`, "-servername", "localhost"];
  return t.run("openssl", ["s_client", "-quiet", "-starttls", protocol, ...where], { input });
}

claim("openssl s_client -starttls pop3 talks to a POP3 server in sh", async (t) => {
  const server = await start(t, ["/bin/sh", data("pop3.sh")]);
  const before = server.descriptors().length;
  for (let i = 0; i < 5; i++) {
    const outcome = await starttls(t, server, "pop3", "CAPA\r\nSTAT\r\nQUIT\r\n");
    assertStrictEquals(outcome.status, 0, outcome.stderr);
    assertMatch(stdout(outcome), /\+OK\r\nUSER\r\n\.\r\n\+OK 0 0 tls=yes\r\n\+OK bye\r\n$/);
  }
  await nothingLeft(server, before + 2);
}, FFI);

claim(
  "openssl s_client -starttls imap talks to an IMAP server in sh, which asks by Y",
  async (t) => {
    const server = await start(t, ["/bin/sh", data("imap.sh")]);
    const input = "a CAPABILITY\r\nb NOOP\r\nc LOGOUT\r\n";
    const outcome = await starttls(t, server, "imap", input);
    assertStrictEquals(outcome.status, 0, outcome.stderr);
    const text = stdout(outcome);
    assertMatch(
      text,
      /\* CAPABILITY IMAP4rev1\r\na OK\r\nb OK tls=TLSv1\.3\r\n\* BYE\r\nc OK\r\n$/,
    );
  },
  FFI,
);

claim("clients without TLS are served in the clear", async (t) => {
  const server = await start(t, ["/bin/sh", data("pop3.sh")]);
  const told = await converse(t, server, { plain: "STAT\r\nQUIT\r\n", tls: "no" });
  assertStrictEquals(told.plain, "+OK ready\r\n+OK 0 0 tls=no\r\n+OK bye\r\n");
}, FFI);

/** UCSPI-TLS: correct and incorrect use of a program's six descriptors. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import { readFileSync } from "node:fs";
import { claim, settled, WITH_FFI } from "./harness.ts";
import { converse, nothingLeft, startScript } from "./ucspi_tls.ts";

const FFI = { forms: WITH_FFI };
const ASK = "printf y >&$SSLCTLFD";
const ECHO = "cat <&$SSLREADFD >&$SSLWRITEFD";

claim("-n without libc is refused at start, with the remedy", async (t) => {
  const { status, stderr } = await t.fails({ options: ["-n"] });
  assertStrictEquals(status, 111);
  assertMatch(stderr, /-n.*Deno without FFI/s);
  assertMatch(stderr, /--allow-ffi/);
}, { forms: ["deno-noffi"] });

claim("a program that never asks is served in the clear", async (t) => {
  const server = await startScript(t, `read a; echo "got $a"`);
  const before = server.descriptors().length;
  for (let i = 0; i < 5; i++) {
    const told = await converse(t, server, { plain: "hello\n", tls: "no" });
    assertEquals(told, { plain: "got hello\n", tls: "", end: "eof" });
  }
  await server.waitFor(/ended by \d+ status 0/, 5);
  assertEquals(server.lines(/error|tls \d/), []);
  await nothingLeft(server, before + 2);
}, FFI);

claim("a banner goes out in the clear, at once", async (t) => {
  const server = await startScript(t, `read a; echo go; ${ASK}; echo in >&$SSLWRITEFD`, {
    options: ["-B", "welcome\n"],
  });
  const told = await converse(t, server, { plain: "x\n" });
  assertEquals(told, { plain: "welcome\ngo\n", tls: "in\n", end: "close_notify" });
}, FFI);

claim("the end of the client's data within TLS is an end of file on SSLREADFD", async (t) => {
  const server = await startScript(
    t,
    `echo go; ${ASK}; read a <&$SSLREADFD; echo "$a" >&$SSLWRITEFD`,
  );
  const told = await converse(t, server, { input: "ping\n" });
  assertEquals(told, { plain: "go\n", tls: "ping\n", end: "close_notify" });
}, FFI);

claim(
  "output before the request comes whole and before TLS, however slow the client",
  async (t) => {
    const server = await startScript(
      t,
      `head -c 3000000 /dev/zero | tr '\\0' x; echo; echo go; ${ASK}; echo in >&$SSLWRITEFD`,
    );
    const told = await converse(t, server, { until: "\ngo\n", rate: 3_000_000 });
    assertStrictEquals(told.plain.length, 3_000_004);
    assertEquals([told.tls, told.end], ["in\n", "close_notify"]);
  },
  FFI,
);

claim("a second request of a program is ignored, and gets no environment", async (t) => {
  const server = await startScript(
    t,
    `echo go; ${ASK}; printf Y >&$SSLCTLFD; read a <&$SSLREADFD; printf Y >&$SSLCTLFD
     echo "$a" >&$SSLWRITEFD; cat <&$SSLCTLFD >&$SSLWRITEFD`,
  );
  const told = await converse(t, server, { input: "ping\n" });
  assertEquals(told, { plain: "go\n", tls: "ping\n", end: "close_notify" });
}, FFI);

claim("a program that dies after asking leaves a client with an end", async (t) => {
  const server = await startScript(t, `echo go; ${ASK}; exit 3`);
  const before = server.descriptors().length;
  for (let i = 0; i < 10; i++) {
    const told = await converse(t, server);
    assertEquals(told, { plain: "go\n", tls: "", end: "close_notify" });
  }
  await server.waitFor(/ended by \d+ status 768/, 10);
  await nothingLeft(server, before + 2);
}, FFI);

claim("a program that is killed between answer and request leaves a plain end", async (t) => {
  const server = await startScript(t, "echo go; kill -9 $$");
  const told = await converse(t, server, { tls: "no" });
  assertEquals(told, { plain: "go\n", tls: "", end: "eof" });
  await server.waitFor(/ended by \d+ status 9/);
}, FFI);

claim("output on descriptor 1 after the start of TLS is discarded", async (t) => {
  const server = await startScript(
    t,
    `echo go; ${ASK}; read a <&$SSLREADFD; echo LEAK; head -c 300000 /dev/zero
     echo "tls $a" >&$SSLWRITEFD`,
  );
  const told = await converse(t, server, { input: "ping\n" });
  assertEquals(told, { plain: "go\n", tls: "tls ping\n", end: "close_notify" });
}, FFI);

for (
  const [when, script] of [
    ["closes its plain descriptors after asking", `echo go; ${ASK}; exec <&- >&-; ${ECHO}`],
    [
      "puts the TLS descriptors over 0 and 1 after asking",
      `echo go; ${ASK}; exec <&$SSLREADFD >&$SSLWRITEFD; read a; echo "$a"`,
    ],
    [
      "puts the TLS descriptors over 0 and 1 before asking",
      `echo go; exec <&$SSLREADFD >&$SSLWRITEFD; sleep 0.1; ${ASK}; read a; echo "$a"`,
    ],
    [
      "closes SSLCTLFD after asking",
      `echo go; ${ASK}; exec 3>&-; read a <&$SSLREADFD; echo "$a" >&$SSLWRITEFD`,
    ],
    [
      "asks in a child and goes on there",
      `echo go; (${ASK}; read a <&$SSLREADFD; echo "$a" >&$SSLWRITEFD) & exit 0`,
    ],
  ] as const
) {
  claim(`a program that ${when} is served within TLS`, async (t) => {
    const once = script.replace(ECHO, `read a <&$SSLREADFD; echo "$a" >&$SSLWRITEFD`);
    const server = await startScript(t, once);
    for (let i = 0; i < 5; i++) {
      const told = await converse(t, server, { input: "ping\n" });
      assertEquals(told, { plain: "go\n", tls: "ping\n", end: "close_notify" });
    }
  }, FFI);
}

claim("a program that closes SSLCTLFD without asking is served in the clear", async (t) => {
  const server = await startScript(t, `exec 3>&- 4<&- 5>&-; read a; echo "got $a"`);
  const told = await converse(t, server, { plain: "hello\n", tls: "no" });
  assertEquals(told, { plain: "got hello\n", tls: "", end: "eof" });
}, FFI);

/** Reads every descriptor to its end, and reports that. */
const WATCH = `exec 2>$OUT
  { cat; cat <&3; cat <&4; } | wc -c >&2
  trap '' PIPE; echo x >&5 || echo "no reader"  >&2; echo over >&2`;

for (
  const [tls, why, options] of [
    ["bad", /unable to accept TLS from: 127\.0\.0\.1 for pid: \d+ ./, []],
    ["half", /unable to accept TLS from: .* closed by the peer/, []],
    ["leave", /unable to accept TLS from: .* closed by the peer/, []],
    ["silent", /unable to accept TLS from: .* timed out after 1 s/, ["-T", "1"]],
  ] as const
) {
  claim(
    `a handshake that fails (${tls}) is an end on all descriptors and one log line`,
    async (t) => {
      const out = join(t.dir, "out");
      const server = await startScript(t, `echo go; printf Y >&3; ${WATCH}`, {
        options,
        env: { OUT: out },
      });
      const before = server.descriptors().length;
      const told = await converse(t, server, { tls });
      await server.waitFor(/ended by/);
      const text = await settled(
        () => readFileSync(out, "utf8"),
        (seen) => seen.includes("over"),
        5000,
      );
      assertMatch(text, /^0\n/, "nothing came over any of them");
      assertMatch(text, /no reader\nover\n$/);
      assertStrictEquals(server.lines(/error/).length, 1);
      assertMatch(server.lines(/error/)[0] ?? "", why);
      if (tls === "bad") {
        assert(told.tls.startsWith("\x15\x03"), "the client gets an alert");
      }
      await nothingLeft(server, before + 2);
    },
    FFI,
  );
}

claim("an idle connection in the clear ends, and its program", async (t) => {
  const server = await startScript(t, "echo go; cat; exec sleep 60", { options: ["-w", "1"] });
  const told = await converse(t, server, { tls: "no" });
  assertEquals([told.plain, told.tls], ["go\n", ""]);
  await server.waitFor(/ended by \d+ status 15/);
  await server.noChildren();
}, FFI);

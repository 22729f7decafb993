/** The client's end of data is end of file for the program, and the program's whole answer arrives. */

import { assertNotStrictEquals, assertStrictEquals } from "@std/assert";
import { talk } from "./clients.ts";
import { claim, settled } from "./harness.ts";

/** Reads to the end, then answers with much more than any buffer holds. */
const COUNT_THEN_ANSWER = ["sh", "-c", "wc -c; head -c 3000000 /dev/zero"];
const ANSWER = 3_000_000 + "5\n".length;

for (const version of ["-2", "-3"]) {
  const name = version === "-2" ? "TLS 1.2" : "TLS 1.3";

  claim(`after close_notify of the client its answer comes whole, ${name}`, async (t) => {
    const server = await t.start({ program: COUNT_THEN_ANSWER });
    const { bytes, end } = await talk(t, server, "12345", [version, "-e", "half"]);
    assertStrictEquals(bytes.length, ANSWER);
    assertStrictEquals(end, "close_notify");
  });

  claim(`after a FIN without close_notify the answer comes whole, ${name}`, async (t) => {
    const server = await t.start({ program: COUNT_THEN_ANSWER });
    const { bytes, end } = await talk(t, server, "12345", [version, "-e", "fin"]);
    assertStrictEquals(bytes.length, ANSWER);
    assertStrictEquals(end, "close_notify");
  });

  claim(`a program that ends first: its output, then close_notify, ${name}`, async (t) => {
    const server = await t.start({ program: ["sh", "-c", "head -c 2000000 /dev/zero"] });
    const { bytes, end } = await talk(t, server, "", [version, "-e", "stay"]);
    assertStrictEquals(bytes.length, 2_000_000);
    assertStrictEquals(end, "close_notify");
  });
}

claim("a program that closes stdin early still answers", async (t) => {
  const server = await t.start({ program: ["sh", "-c", "exec 0<&-; sleep 0.2; echo done"] });
  const { text, end } = await talk(t, server, new Uint8Array(500_000));
  assertStrictEquals(text, "done\n");
  assertStrictEquals(end, "close_notify");
});

claim("a program that ignores its stdin still answers", async (t) => {
  const server = await t.start({ program: ["sh", "-c", "sleep 0.2; echo done"] });
  const { text, end } = await talk(t, server, new Uint8Array(500_000));
  assertStrictEquals(text, "done\n");
  assertStrictEquals(end, "close_notify");
});

claim("the program can open /dev/stdin and /dev/stdout", async (t) => {
  const server = await t.start({ program: ["sh", "-c", "cat /dev/stdin >/dev/stdout"] });
  const { text } = await talk(t, server, "through the names\n");
  assertStrictEquals(text, "through the names\n");
});

claim("--no-close-notify: the whole answer, then FIN alone", async (t) => {
  const server = await t.start({
    options: ["--no-close-notify"],
    program: COUNT_THEN_ANSWER,
  });
  const { bytes, end } = await talk(t, server, "12345", ["-e", "half"]);
  assertStrictEquals(bytes.length, ANSWER);
  assertStrictEquals(end, "eof");
}, { together: true });

claim("--enforce-close-notify: FIN alone breaks TLS, close_notify does not", async (t) => {
  const server = await t.start({
    options: ["--enforce-close-notify"],
    program: ["sh", "-c", "wc -c; sleep 0.2; echo done"],
  });
  const { text } = await talk(t, server, "12345", ["-e", "half"]);
  assertStrictEquals(text, "5\ndone\n");
  const cut = await talk(t, server, "12345", ["-e", "fin"]);
  assertNotStrictEquals(cut.text, "5\ndone\n");
  const lines = (): string[] => server.lines(/unable to speak TLS .*end of data without close_not/);
  assertStrictEquals((await settled(lines, (found) => found.length > 0)).length, 1);
}, { together: true });

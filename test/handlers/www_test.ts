/** --www: the page shows what was offered and chosen, and nothing from the client is markup. */

import { assert, assertMatch, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { CLIENT_HELLO, viewMessage } from "../../src/codec/tls/messages.ts";
import { wwwPage } from "../../src/handlers/www_page.ts";
import { bodyOf, RECORDED } from "../codec/tls/samples.ts";

const EVIL = `<script>alert(1)</script>"'&\u0000\u0007`;

function evilPage(): string {
  return wwwPage({
    remote: { ip: "192.0.2.1", port: 1, host: EVIL },
    environment: {
      SSL_PROTOCOL: EVIL,
      SSL_CIPHER: EVIL,
      SSL_TLS_SNI: EVIL,
      SSL_ALPN: EVIL,
      SSL_JA4: EVIL,
      SSL_SERVER_S_DN: EVIL,
      SSL_SERVER_SAN_DNS_0: EVIL,
      SSL_SERVER_CERT: EVIL,
      SSL_CLIENT_S_DN: EVIL,
      SSL_CLIENT_VERIFY: EVIL,
      SSL_VERSION_LIBRARY: EVIL,
    },
    hello: {
      name: EVIL,
      length: 1,
      fields: [{ name: "cipher_suites", values: [EVIL] }],
      extensions: [10, 13, 16, 43, 9999].map((type) => ({
        type,
        name: EVIL,
        length: 3,
        values: [EVIL],
        ...(type === 9999 ? { malformed: EVIL } : {}),
      })),
    },
    request: { target: EVIL, agent: EVIL },
  });
}

test("text of the client cannot become markup", () => {
  const page = evilPage();
  assert(!page.includes("<script"));
  assert(!page.includes("alert(1)</"));
  // deno-lint-ignore no-control-regex
  assert(!/[\x00\x07]/.test(page));
  const tags = new Set([...page.matchAll(/<\/?([a-zA-Z!]+)/g)].map(([, tag]) => tag));
  for (const tag of ["script", "img", "iframe", "object", "form"]) assert(!tags.has(tag), tag);
  assertStrictEquals([...page.matchAll(/="[^"]*&quot;/g)].length, 0, "no attribute has such text");
});

test("what the client offered is on the page, and the choice is marked", () => {
  assert(RECORDED.size > 3);
  for (const [what, record] of RECORDED) {
    const hello = viewMessage(CLIENT_HELLO, bodyOf(record));
    if (hello.malformed !== undefined) continue; // a message of a server
    const suites = hello.fields.find(({ name }) => name === "cipher_suites")?.values ?? [];
    const page = wwwPage({
      remote: { ip: "192.0.2.1", port: 1 },
      environment: {
        SSL_PROTOCOL: "TLSv1.2",
        SSL_CIPHER: "ECDHE-RSA-CHACHA20-POLY1305",
      },
      hello,
      request: { target: "/", agent: undefined },
    });
    const text = page.replaceAll("<wbr>", "");
    for (const suite of suites.slice(0, 100)) {
      assert(
        text.includes(suite.replace(/ \(.*/, "").replaceAll("&", "&amp;")),
        `${what} ${suite}`,
      );
    }
    const chosen = [...text.matchAll(/<li class="chosen"><b>(TLS_[A-Z0-9_]+) /g)].map(([, name]) =>
      name
    );
    const has = suites.some((suite) =>
      suite.startsWith("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256")
    );
    assertStrictEquals(
      chosen.join(),
      has ? "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256" : "",
      what,
    );
    assertMatch(text, /Your [0-9]+ extensions/);
  }
});

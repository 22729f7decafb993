/** --www: the page shows what was offered and chosen, and nothing from the client is markup. */

import { assert, assertMatch, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { CLIENT_HELLO, viewMessage } from "../../src/codec/tls/messages.ts";
import { wwwPage } from "../../src/handlers/www_page.ts";
import { bodyOf, clientHello, clientHelloBody, RECORDED } from "../codec/tls/samples.ts";

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

test("one suite is marked, of TLS 1.3 and of TLS 1.2 without forward secrecy", () => {
  const suites = { 0x1301: "TLS_AES_128_GCM_SHA256", 0x009c: "TLS_RSA_WITH_AES_128_GCM_SHA256" };
  const offer = clientHello({ cipherSuites: Object.keys(suites).map(Number) });
  const hello = viewMessage(CLIENT_HELLO, clientHelloBody(offer));
  for (
    const [cipher, name] of [[suites[0x1301], suites[0x1301]], [
      "AES128-GCM-SHA256",
      suites[0x009c],
    ]]
  ) {
    const environment = { SSL_PROTOCOL: "", SSL_CIPHER: cipher ?? "" };
    const remote = { ip: "192.0.2.1", port: 1 };
    const page = wwwPage({
      remote,
      environment,
      hello,
      request: { target: "/", agent: undefined },
    });
    const text = page.replaceAll("<wbr>", "");
    const marked = [...text.matchAll(/<li class="chosen"><b>(TLS_[A-Z0-9_]+) /g)];
    assertStrictEquals(marked.map(([, one]) => one).join(), name);
  }
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

import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { DecodeError, hex } from "../../src/codec/bytes.ts";
import { TAG } from "../../src/codec/der.ts";
import { readCertificate } from "../../src/codec/x509/certificate.ts";
import { encodePem } from "../../src/codec/x509/pem.ts";
import { type ConnectionVariable, isConnectionVariable } from "../../src/config/variables.ts";
import { sentChain } from "../../src/tls/sent_chain.ts";
import {
  clientVariables,
  serverVariables,
  type TlsFacts,
  tlsVariables,
} from "../../src/tls/variables.ts";
import {
  alternativeNames,
  certificate,
  cn,
  dn,
  richCertificate,
  type SampleAttribute,
} from "../codec/x509/samples.ts";

const server = certificate({ subject: cn("server.example"), issuer: cn("issuer") });

const FACTS: TlsFacts = {
  protocol: "TLSv1.3",
  cipher: { name: "TLS_AES_256_GCM_SHA384" },
  server: serverVariables(readCertificate(server)),
  clientChain: [],
  clientVerify: "NONE",
  versionInterface: "sslserver/0.2.0",
  versionLibrary: "BoringSSL/1",
};

test("a connection without a client certificate has these variables and no others", () => {
  const variables = tlsVariables({
    ...FACTS,
    sessionId: Uint8Array.of(0, 0xab),
    sni: "server.example",
    alpn: "h2",
    ja4: "t13d1516h2_8daaf6152771_e5627efa2ab1",
  });
  assertEquals(Object.fromEntries(variables), {
    SSL_PROTOCOL: "TLSv1.3",
    SSL_SESSION_ID: "00ab",
    SSL_CIPHER: "TLS_AES_256_GCM_SHA384",
    SSL_CIPHER_USEKEYSIZE: "256",
    SSL_CIPHER_ALGKEYSIZE: "256",
    SSL_CIPHER_EXPORT: "false",
    SSL_VERSION_INTERFACE: "sslserver/0.2.0",
    SSL_VERSION_LIBRARY: "BoringSSL/1",
    SSL_TLS_SNI: "server.example",
    SSL_ALPN: "h2",
    SSL_JA4: "t13d1516h2_8daaf6152771_e5627efa2ab1",
    SSL_CLIENT_VERIFY: "NONE",
    SSL_SERVER_M_VERSION: "3",
    SSL_SERVER_M_SERIAL: "1",
    SSL_SERVER_V_START: "Jan  2 00:00:00 2024 GMT",
    SSL_SERVER_V_END: "Jan  1 00:00:00 2050 GMT",
    SSL_SERVER_A_SIG: "ecdsa-with-SHA256",
    SSL_SERVER_A_KEY: "ED25519",
    SSL_SERVER_S_DN: "/CN=server.example",
    SSL_SERVER_S_DN_CN: "server.example",
    SSL_SERVER_I_DN: "/CN=issuer",
    SSL_SERVER_I_DN_CN: "issuer",
    SSL_SERVER_CERT: encodePem("CERTIFICATE", server),
  });
});

test("a client's chain gives its variables, its issuers after it", () => {
  const client = richCertificate();
  const variables = tlsVariables({
    ...FACTS,
    clientChain: sentChain([client, server]),
    clientVerify: "SUCCESS",
  });
  const expected = {
    SSL_CLIENT_VERIFY: "SUCCESS",
    SSL_CLIENT_M_SERIAL: String(0xff010203),
    SSL_CLIENT_S_DN: "/C=US/ST=New York+L=Z\\xFCrich/CN=\\x00x+emailAddress=a@b.example",
    SSL_CLIENT_S_DN_L: "Zürich",
    SSL_CLIENT_S_DN_Email: "a@b.example",
    SSL_CLIENT_I_DN: "/C=US/CN=issuer",
    SSL_CLIENT_CERT: encodePem("CERTIFICATE", client),
    SSL_CLIENT_CERT_CHAIN_0: encodePem("CERTIFICATE", server),
    SSL_CLIENT_CERT_CHAIN_1: undefined,
    SSL_CLIENT_FINGERPRINT_SHA256: createHash("sha256").update(client).digest("hex"),
    SSL_CLIENT_SAN_DNS_0: "a.example",
    SSL_CLIENT_SAN_DNS_1: "*.b.example",
    SSL_CLIENT_SAN_EMAIL_0: "root@b.example",
  };
  for (const [name, value] of Object.entries(expected)) {
    assertStrictEquals(variables.get(name as ConnectionVariable), value);
  }
});

test("texts of the peer are escaped: reason, server name, protocol, alternative names", () => {
  const client = certificate({
    extensions: [alternativeNames([0x82, "good\0.evil"], [0x81, "a\nb@c"])],
  });
  const variables = tlsVariables({
    ...FACTS,
    sni: "a\nb",
    alpn: "\x00",
    clientChain: sentChain([client]),
    clientVerify: "FAILED:no\ngood",
  });
  assertStrictEquals(variables.get("SSL_TLS_SNI"), "a\\0Ab");
  assertStrictEquals(variables.get("SSL_ALPN"), "\\00");
  assertStrictEquals(variables.get("SSL_CLIENT_VERIFY"), "FAILED:no\\0Agood");
  assertStrictEquals(variables.get("SSL_CLIENT_SAN_DNS_0"), "good\\00.evil");
  assertStrictEquals(variables.get("SSL_CLIENT_SAN_EMAIL_0"), "a\\0Ab@c");
});

test("an unknown value is unset", () => {
  const variables = tlsVariables({
    ...FACTS,
    cipher: { name: "UNKNOWN" },
    sni: "",
    alpn: undefined,
  });
  for (
    const name of ["SSL_SESSION_ID", "SSL_TLS_SNI", "SSL_ALPN", "SSL_CIPHER_USEKEYSIZE"] as const
  ) {
    assertStrictEquals(variables.has(name), false);
  }
});

test("a serialized session in place of the id is not passed on", () => {
  const variables = tlsVariables({ ...FACTS, sessionId: new Uint8Array(33) });
  assertStrictEquals(variables.has("SSL_SESSION_ID"), false);
});

test("a certificate that cannot be read is an error", () => {
  const broken = server.slice(0, -1);
  const clientVerify = "FAILED:unreadable certificate";
  const variables = tlsVariables({ ...FACTS, clientChain: sentChain([broken]), clientVerify });
  assertEquals(
    [...variables].filter(([name]) => name.startsWith("SSL_CLIENT_")),
    [["SSL_CLIENT_VERIFY", clientVerify]],
  );
  assertThrows(() => clientVariables(sentChain([broken])), DecodeError);
});

/** The number of characters in all names and values. */
function size(variables: ReadonlyMap<string, string>): number {
  return [...variables].reduce((sum, [name, value]) => sum + name.length + value.length + 2, 0);
}

test("the variables of a client are limited in size", () => {
  const field: SampleAttribute = ["2.5.4.3", TAG.utf8, "\n".repeat(15_000)];
  const subject = dn([field], [field]);
  const client = certificate({ subject });
  const variables = clientVariables(sentChain([client, ...Array<Uint8Array>(40).fill(server)]));
  assert(size(variables) <= 131_072, `${size(variables)}`);
  assertStrictEquals(variables.get("SSL_CLIENT_S_DN")?.length, 16_384);
  assert(variables.get("SSL_CLIENT_S_DN_CN")?.endsWith("..."));
  assertStrictEquals(variables.get("SSL_CLIENT_FINGERPRINT_SHA256")?.length, 64);

  const short = clientVariables(sentChain([server, ...Array<Uint8Array>(40).fill(server)]));
  assert(short.has("SSL_CLIENT_CERT_CHAIN_15"));
  assert(!short.has("SSL_CLIENT_CERT_CHAIN_16"));
});

test("the maximum number of attributes does not fill the environment", () => {
  const long = "abcde".repeat(45);
  const rdns = Array.from({ length: 256 }, () => [["2.5.4.3", TAG.utf8, long] as const]);
  const variables = clientVariables(
    sentChain([certificate({ subject: dn(...rdns), issuer: cn("x") })]),
  );
  assert(size(variables) <= 131_072);
  assertStrictEquals(variables.get("SSL_CLIENT_S_DN_CN"), long);
});

test("alternative names are at most 64 and one too long is left out, not cut", () => {
  const names = Array.from({ length: 70 }, (_, i) => [0x82, `${i}.example`] as const);
  const variables = clientVariables(sentChain([
    certificate({ extensions: [alternativeNames([0x82, "a".repeat(321)], ...names)] }),
  ]));
  assertStrictEquals(variables.get("SSL_CLIENT_SAN_DNS_0"), "0.example");
  assertStrictEquals(variables.get("SSL_CLIENT_SAN_DNS_63"), "63.example");
  assert(!variables.has("SSL_CLIENT_SAN_DNS_64"));
});

test("inherited variables of every name that is set are removed", () => {
  const client = richCertificate();
  const facts = {
    ...FACTS,
    sni: "a",
    alpn: "b",
    sessionId: Uint8Array.of(1),
    clientChain: sentChain([client, server]),
  };
  for (const name of tlsVariables(facts).keys()) assert(isConnectionVariable(name), name);
});

test("the session id is lower-case hex", () => {
  const id = Uint8Array.from({ length: 32 }, (_, i) => i + 200);
  assertStrictEquals(tlsVariables({ ...FACTS, sessionId: id }).get("SSL_SESSION_ID"), hex(id));
});

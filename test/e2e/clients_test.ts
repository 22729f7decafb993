/** The server works with the usual clients: openssl s_client, curl, Python's ssl, node:tls. */

import { assertMatch, assertNotStrictEquals, assertStrictEquals } from "@std/assert";
import * as tls from "node:tls";
import { sClient, stdout, talk } from "./clients.ts";
import { environmentOf, selfSigned } from "./certificates.ts";
import { claim, LIMIT, ON_BUN, within } from "./harness.ts";

const GREETING = ["sh", "-c", 'read line; echo "you said $line"; echo "$SSL_PROTOCOL $SSL_CIPHER"'];

for (const [option, protocol] of [["-tls1_2", "TLSv1.2"], ["-tls1_3", "TLSv1.3"]] as const) {
  claim(`openssl s_client ${option}`, async (t) => {
    const server = await t.start({ options: ["-s"], program: GREETING });
    const outcome = await sClient(t, server, "hello\n", [option]);
    const [said, facts] = stdout(outcome).split("\n");
    assertStrictEquals(said, "you said hello");
    assertMatch(facts ?? "", new RegExp(`^${protocol.replace(".", "\\.")} \\S+$`));
  });
}

claim("openssl s_client -cipher", async (t) => {
  const pair = await selfSigned(t, "rsa", { type: "rsa" });
  const server = await t.start({ options: ["-s"], program: GREETING, env: environmentOf(pair) });
  for (const cipher of ["ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"]) {
    const outcome = await sClient(t, server, "hello\n", ["-tls1_2", "-cipher", cipher]);
    assertMatch(stdout(outcome), new RegExp(`\nTLSv1\\.2 ${cipher}\n`));
  }
});

claim("openssl s_client -servername reaches SSL_TLS_SNI", async (t) => {
  const server = await t.start({ options: ["-s"], program: ["sh", "-c", 'echo "$SSL_TLS_SNI"'] });
  const named = await sClient(t, server, "", ["-servername", "mail.example"]);
  assertStrictEquals(stdout(named), "mail.example\n");
  const unnamed = await sClient(t, server, "", ["-noservername"]);
  assertStrictEquals(stdout(unnamed), "\n");
});

claim("s_client with half-close gets the whole answer", async (t) => {
  const server = await t.start({ program: ["sh", "-c", "cat; echo; echo end"] });
  const outcome = await sClient(t, server, "x", ["-no_ign_eof"]);
  assertMatch(stdout(outcome), /^x?/);
  const { text } = await talk(t, server, "x");
  assertStrictEquals(text, "x\nend\n");
});

const HTTP = [
  "sh",
  "-c",
  `while read line; do [ "$line" = "$(printf '\\r')" ] && break; done
printf 'HTTP/1.1 200 OK\\r\\nContent-Length: 6\\r\\nConnection: close\\r\\n\\r\\nhello\\n'`,
];

for (const option of ["--tlsv1.2", "--tlsv1.3"]) {
  claim(`curl -k ${option}`, async (t) => {
    const server = await t.start({ program: HTTP });
    const outcome = await t.run("curl", ["-skS", option, `https://127.0.0.1:${server.port}/`]);
    assertStrictEquals(stdout(outcome), "hello\n", outcome.stderr);
    assertStrictEquals(outcome.status, 0);
  });
}

claim("curl verifies the certificate by its authority and name", async (t) => {
  const pair = await selfSigned(t, "localhost");
  const server = await t.start({ program: HTTP, env: environmentOf(pair) });
  const url = `https://localhost:${server.port}/`;
  const outcome = await t.run("curl", ["-sS", "--cacert", pair.certificate, "-4", url]);
  assertStrictEquals(stdout(outcome), "hello\n", outcome.stderr);
});

const PYTHON = `
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20) as plain:
    with context.wrap_socket(plain, server_hostname="localhost") as secure:
        data = bytes(range(256)) * 4000
        got = b""
        secure.settimeout(20)
        for at in range(0, len(data), 50000):
            secure.sendall(data[at:at + 50000])
            while len(got) < min(at + 50000, len(data)):
                got += secure.recv(65536)
        assert got == data
        print(secure.version())
        secure.unwrap()
print("done")
`;

claim("Python's ssl echoes a megabyte and closes in order", async (t) => {
  const pair = await selfSigned(t, "localhost");
  const server = await t.start({ options: ["-v"], env: environmentOf(pair) });
  const args = ["-c", PYTHON, String(server.port), pair.certificate];
  const outcome = await t.run("python3", args);
  assertStrictEquals(stdout(outcome), "TLSv1.3\ndone\n", outcome.stderr);
  await server.waitFor(/^sslserver: ended by [0-9]+ status 0$/);
});

claim("node:tls, as a browser-grade client, with ALPN and SNI", async (t) => {
  const server = await t.start({ options: ["-s"], program: GREETING, env: {} });
  const socket = tls.connect({
    port: server.port,
    host: "127.0.0.1",
    servername: "localhost",
    rejectUnauthorized: false,
  });
  const answer = new Promise<string>((resolve, reject) => {
    let text = "";
    socket.on("data", (chunk: Uint8Array) => text += new TextDecoder().decode(chunk));
    socket.on("end", () => resolve(text));
    socket.on("error", reject);
  });
  socket.write("hello\n");
  const text = await within(answer, LIMIT, "no answer");
  socket.destroy();
  assertMatch(text, /^you said hello\nTLSv1\.3 TLS_\w+\n$/);
});

claim("ALPN chooses the first of the server's protocols that the client offers", async (t) => {
  const server = await t.start({
    options: ["-s"],
    program: ["sh", "-c", 'echo "$SSL_ALPN"'],
    env: { ALPN: "h2,http/1.1" },
  });
  const chosen = await talk(t, server, "", ["-a", "http/1.1"]);
  assertStrictEquals(chosen.text, "http/1.1\n");
  assertStrictEquals(chosen.facts["alpn"], "http/1.1");
  const none = await talk(t, server, "");
  assertStrictEquals(none.text, "\n");
});

claim("CIPHERS limits what TLS 1.2 may use", async (t) => {
  const cipher = "ECDHE-ECDSA-AES256-GCM-SHA384";
  const server = await t.start({ env: { CIPHERS: cipher } });
  const { facts } = await talk(t, server, "", ["-2"]);
  assertStrictEquals(facts["cipher"], cipher);
  const other = ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"];
  const refused = await sClient(t, server, "", other);
  assertNotStrictEquals(refused.status, 0);
}, { forms: ON_BUN });

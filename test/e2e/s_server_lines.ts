/** Command lines of `openssl s_server` as test suites and how-tos use them, each with a client and what is
 *  seen of it. `$PORT` is the port, `$KIND` the server; files are in the working directory. Data for s_server_test.ts. */

/** What of a run is compared: the first match of each pattern; `-`: there is none. */
export interface Look {
  readonly client?: RegExp;
  readonly server?: RegExp;
  /** The server's stderr. */
  readonly errors?: RegExp;
}

export interface Line {
  readonly server: string;
  readonly client: string;
  readonly look: Look;
  readonly seen: readonly string[];
  /** What OpenSSL's server shows, where it differs, and why ours does. */
  readonly openssl?: readonly string[];
  readonly why?: string;
  /** How many connections the client makes; default: 1. */
  readonly connections?: number;
  /** The line also runs under Deno. */
  readonly deno?: true;
}

const CERT = "-cert srv.pem -key srv.key";
const CLIENT = "openssl s_client -connect 127.0.0.1:$PORT -CAfile ca.pem";
/** Sends a line and closes. */
const HELLO = `echo hello | ${CLIENT} -quiet -no_ign_eof`;
const SHOW = `${CLIENT} </dev/null`;
const CURL = "curl -sS --cacert ca.pem";
const URL = "https://localhost:$PORT";
const OWN = "-cert cli.pem -key cli.key";
const FOREIGN = "-cert foreign.pem -key foreign.key";
const REVOKED = "-cert bad.pem -key bad.key";
const ORDER = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384";
const REVERSE = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256";
const hello: Look = { server: /^hello$/m };
const CIPHER: Look = { server: /^CIPHER is \S+$/m };
const SUBJECT: Look = { client: /^subject=.*?[a-z]+\.example/m };

export const LINES: readonly Line[] = [
  {
    server: `${CERT} -WWW`,
    client: `${CURL} ${URL}/page.html`,
    look: { client: /A page/ },
    seen: ["A page"],
    deno: true,
  },
  {
    server: `${CERT} -WWW`,
    client: `wget -qO- --ca-certificate=ca.pem ${URL}/page.html`,
    look: { client: /A page/ },
    seen: ["A page"],
  },
  {
    server: `${CERT} -WWW`,
    client: `${CURL} -o /dev/null -w '%{http_code}' ${URL}/absent.html`,
    look: { client: /^[0-9]+/ },
    seen: ["404"],
    openssl: ["200"],
    why: "OpenSSL answers 200 before it opens the file",
  },
  {
    server: `${CERT} -WWW`,
    client: `${CURL} --path-as-is ${URL}/../secret`,
    look: { client: /The secret/ },
    seen: ["-"],
  },
  {
    server: `${CERT} -HTTP`,
    client: `${CURL} -i ${URL}/answer`,
    look: {
      client: /^HTTP\/1\.0 200 OK\r\nContent-Length: 9\r\nX-Answer: whole\r\n\r\nIts body\n$/,
    },
    seen: ["HTTP/1.0 200 OK"],
    deno: true,
  },
  {
    server: `${CERT} -www`,
    client: `${CURL} --tls-max 1.2 ${URL}/`,
    look: { client: /ECDHE-ECDSA-AES(256|128)-GCM/ },
    seen: ["ECDHE-ECDSA-AES256-GCM"],
    deno: true,
  },
  {
    server: `${CERT} -rev`,
    client: `printf 'hello\\nCLOSE\\n' | ${CLIENT} -quiet`,
    look: { client: /olleh/, errors: /CONNECTION ESTABLISHED\nProtocol version: TLSv1\.3\n/ },
    seen: ["olleh", "CONNECTION ESTABLISHED"],
    deno: true,
  },
  { server: CERT, client: HELLO, look: hello, seen: ["hello"], deno: true },
  { server: `--cert srv.pem --key srv.key`, client: HELLO, look: hello, seen: ["hello"] },
  {
    server: `${CERT} -accept 127.0.0.1:$PORT`,
    client: HELLO,
    look: { server: /ACCEPT[^]*CIPHER is \S+[^]*hello[^]*DONE/ },
    seen: ["ACCEPT"],
  },
  {
    server: `${CERT} -4 -quiet`,
    client: HELLO,
    look: { server: /^[^]+$/ },
    seen: ["hello\n"],
  },
  {
    server: `${CERT} -tls1_2`,
    client: HELLO,
    look: CIPHER,
    seen: ["CIPHER is ECDHE-ECDSA-AES256-GCM-SHA384"],
    deno: true,
  },
  { server: `${CERT} -tls1_3`, client: `${HELLO} -tls1_2`, look: hello, seen: ["-"] },
  {
    server: `${CERT} -no_tls1_3`,
    client: SHOW,
    look: { client: /^New, TLSv1\.[0-9]/m },
    seen: ["New, TLSv1.2"],
  },
  {
    server: `${CERT} -min_protocol TLSv1.3`,
    client: SHOW,
    look: { client: /^New, TLSv1\.[0-9]/m },
    seen: ["New, TLSv1.3"],
  },
  {
    server: `${CERT} -tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256`,
    client: HELLO,
    look: CIPHER,
    seen: ["CIPHER is ECDHE-ECDSA-AES128-GCM-SHA256"],
  },
  {
    server: `${CERT} -tls1_2 -cipher ${ORDER} -serverpref`,
    client: `${HELLO} -cipher ${REVERSE}`,
    look: CIPHER,
    seen: ["CIPHER is ECDHE-ECDSA-AES128-GCM-SHA256"],
  },
  {
    server: `${CERT} -tls1_2 -cipher ${ORDER}`,
    client: `${HELLO} -cipher ${REVERSE}`,
    look: CIPHER,
    seen: ["CIPHER is ECDHE-ECDSA-AES256-GCM-SHA384"],
  },
  {
    server: `-cert rsa.pem -key rsa.key -tls1_2`,
    client: `${HELLO} -cipher AES128-SHA`,
    look: CIPHER,
    seen: ["CIPHER is AES128-SHA"],
  },
  {
    server: `${CERT} -groups P-384`,
    client: SHOW,
    look: { client: /Server Temp Key: .* bits/ },
    seen: ["Server Temp Key: ECDH, secp384r1, 384 bits"],
  },
  {
    server: `${CERT} -alpn h2,http/1.1`,
    client: `${SHOW} -alpn http/1.1`,
    look: { client: /ALPN protocol: \S+/ },
    seen: ["ALPN protocol: http/1.1"],
    deno: true,
  },
  {
    server: `${CERT} -servername second.example -cert2 second.pem -key2 second.key`,
    client: `${SHOW} -servername second.example`,
    look: { ...SUBJECT, server: /Switching server context\./ },
    seen: ["subject=CN = second.example", "Switching server context."],
    deno: true,
  },
  {
    server: `${CERT} -servername second.example -cert2 second.pem -key2 second.key`,
    client: `${SHOW} -servername other.example`,
    look: SUBJECT,
    seen: ["subject=CN = srv.example"],
  },
  {
    server: `${CERT} -alpn h2,http/1.1`,
    client: `${SHOW} -alpn http/1.1,x`,
    look: { server: /^ALPN protocols advertised.*\nALPN protocols selected.*$/m },
    seen: [
      "ALPN protocols advertised by the client: http/1.1, x\nALPN protocols selected: http/1.1",
    ],
    deno: true,
  },
  {
    server: CERT,
    client: `${SHOW} -groups P-256:X25519`,
    look: { server: /^Supported groups: .*$/m },
    seen: ["Supported groups: secp256r1:x25519"],
    deno: true,
  },
  {
    server: CERT,
    client: `${SHOW} -sigalgs ECDSA+SHA256:RSA-PSS+SHA256`,
    look: { server: /^Signature Algorithms: .*$/m },
    seen: ["Signature Algorithms: ECDSA+SHA256:RSA-PSS+SHA256"],
  },
  {
    server: CERT,
    client: `${SHOW} -tls1_2 -sess_out $KIND.session >&2; ${SHOW} -tls1_2 -sess_in $KIND.session`,
    connections: 2,
    look: { server: /^Reused session-id$/m },
    seen: ["Reused session-id"],
  },
  {
    server: `${CERT} -msg -msgfile $KIND.msg`,
    client: `${HELLO}; cat $KIND.msg`,
    look: { client: /^<<< .*ClientHello$/m, server: /^<<< /m },
    seen: ["<<< TLS 1.", "-"],
  },
  {
    server: `${CERT} -debug`,
    client: HELLO,
    look: { server: /^0000 - 16 03 01 /m },
    seen: ["0000 - 16 03 01 "],
  },
  {
    server: `${CERT} -trace`,
    client: `${HELLO} -servername srv.example`,
    look: { server: /supported_groups/ },
    seen: ["supported_groups"],
  },
  {
    server: `${CERT} -tlsextdebug`,
    client: HELLO,
    look: { server: /^TLS client extension "supported_groups" \(id=10\), len=\d+$/m },
    seen: ['TLS client extension "supported_groups" (id=10), len='],
    deno: true,
  },
  {
    server: `${CERT} -4 -brief`,
    client: HELLO,
    look: { server: /^hello$/m, errors: /(?<!ESTABLISHED\n)^Protocol version: TLSv1\.3\n/m },
    seen: ["hello", "Protocol version: TLSv1.3"],
    deno: true,
  },
  {
    server: `${CERT} -4 -brief -verify 1 -CAfile ca.pem`,
    client: `${HELLO} ${OWN}`,
    look: {
      server: /^hello$/m,
      errors: /^Peer certificate: .*cli\.example$[^]*^Verification: OK$/m,
    },
    seen: ["hello", "Peer certificate: "],
  },
  { server: `${CERT} -verify 1 -CAfile ca.pem`, client: HELLO, look: hello, seen: ["hello"] },
  {
    server: `${CERT} -Verify 1 -CAfile ca.pem`,
    client: `${HELLO} ${OWN}`,
    look: { server: /subject=.*cli\.example[^]*^hello$/m, errors: /verify return:1/ },
    seen: ["subject=", "verify return:1"],
    deno: true,
  },
  { server: `${CERT} -Verify 1 -CAfile ca.pem`, client: HELLO, look: hello, seen: ["-"] },
  {
    server: `${CERT} -Verify 1 -CAfile ca.pem`,
    client: `${HELLO} ${FOREIGN}`,
    look: { ...hello, errors: /^verify error:.*$/m },
    seen: ["hello", "verify error:num=20:unable to get local issuer certificate"],
    deno: true,
  },
  {
    server: `${CERT} -Verify 1 -CAfile ca.pem -verify_return_error`,
    client: `${HELLO} ${FOREIGN}`,
    look: hello,
    seen: ["-"],
  },
  {
    server: `${CERT} -verify 1 -CAfile ca.pem -CRL ca.crl -crl_check -verify_return_error`,
    client: `${HELLO} ${REVOKED}`,
    look: hello,
    seen: ["-"],
    deno: true,
  },
  {
    server: `${CERT} -verify 1 -CAfile ca.pem -CRL ca.crl -crl_check_all -verify_return_error`,
    client: `${HELLO} ${OWN}`,
    look: hello,
    seen: ["hello"],
  },
  {
    server: `${CERT} -verify 1 -CAfile ca.pem -crl_check -verify_return_error`,
    client: `${HELLO} ${OWN}`,
    look: hello,
    seen: ["-"],
  },
  {
    server: "-cert srv.pem -key locked.key -pass pass:secret",
    client: HELLO,
    look: hello,
    seen: ["hello"],
  },
  {
    server: "-cert srv.pem -key locked.key -pass file:password",
    client: HELLO,
    look: hello,
    seen: ["hello"],
    deno: true,
  },
  {
    server: "-cert srv.der -certform DER -key srvkey.der -keyform DER",
    client: HELLO,
    look: hello,
    seen: ["hello"],
  },
  {
    server: `${CERT} -dcert rsa.pem -dkey rsa.key -tls1_2`,
    client: `${SHOW} -cipher ECDHE-RSA-AES128-GCM-SHA256`,
    look: SUBJECT,
    seen: ["subject=CN = rsa.example"],
  },
  {
    server: "-cert deep.pem -key deep.key -cert_chain between.pem",
    client: SHOW,
    look: { client: /Verify return code: 0 \(ok\)/ },
    seen: ["Verify return code: 0 (ok)"],
  },
  {
    server: `${CERT} -no_ticket -tls1_2`,
    client: SHOW,
    look: { client: /TLS session ticket:/ },
    seen: ["-"],
  },
  {
    server: `${CERT} -tls1_2 -keylogfile keys-$KIND`,
    client: `${HELLO}; grep -c CLIENT_RANDOM keys-$KIND`,
    look: { client: /^[0-9]+$/m },
    seen: ["1"],
  },
  {
    server: `${CERT} -msg -tls1_2`,
    client: HELLO,
    look: { server: /^<<< TLS 1\.[0-9], Handshake \[length [0-9a-f]{4}\], ClientHello/m },
    seen: ["<<<"],
  },
  {
    server: `${CERT} -state`,
    client: HELLO,
    look: { errors: /SSL_accept:SSLv3\/TLS read client hello/ },
    seen: ["SSL_accept:SSLv3/TLS read client hello"],
  },
  {
    server: `${CERT} -www`,
    client: `${CURL} -o /dev/null -o /dev/null -w '%{http_code}' ${URL}/ ${URL}/again`,
    look: { client: /^200[^]*200$/ },
    seen: ["200200"],
    connections: 2,
  },
];

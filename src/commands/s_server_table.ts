/** Every option of `openssl s_server`, and what becomes of it: it is translated, it describes what is
 *  true anyway, or it is refused with the reason. s_server_options.ts reads command lines by it. */

import { already, refused, row, type SServerGroup } from "./s_server_kinds.ts";
import { accept, atMost, form, only, versionNamed } from "./s_server_values.ts";

/** The largest VERIFYDEPTH. */
const MAX_DEPTH = 100;
const MAX_CONNECTIONS = 1_000_000;

const SIGALGS = "BoringSSL (Bun) and rustls (Deno) are not told which signature algorithms to use";
const PSK = "neither Bun nor Deno hands pre-shared keys to its TLS library";
const SRP = "BoringSSL and rustls have no SRP";
const OCSP = "neither Bun nor Deno lets a server staple OCSP answers";
const ENGINE = "BoringSSL and rustls have no engines or providers of OpenSSL";
const EARLY = "neither Bun nor Deno accepts early data";
const DTLS = "this is a server for TLS over TCP, without datagrams";
const RECORDS = "neither Bun nor Deno lets a program choose the sizes of records";
const CHECKS = "the verifier of sslserver has no such setting";
const RENEGOTIATION = "BoringSSL and rustls have no renegotiation in a server";
const STORE = "authorities are read from files and folders";
const EXTENDED = "-dcert and -dkey name the second certificate";

export const S_SERVER_OPTIONS: readonly SServerGroup[] = [
  {
    title: "Network",
    options: [
      ...row("-port n", "listen on this port (4433)", (s, v) => s.port = v),
      ...row("-accept [host:]port", "listen on this address and port (*:4433)", accept),
      ...row("-4", "use IPv4 only", (s) => s.options.family = 4),
      ...row("-6", "use IPv6 only", (s) => s.options.family = 6),
      ...row("-naccept n", "end after n connections", (s, v) => {
        s.connections = atMost("-naccept", v, MAX_CONNECTIONS, 1);
      }),
      ...refused("-unix path | -unlink", "this server listens on TCP only"),
    ],
  },
  {
    title: "Certificate and key",
    options: [
      ...row("-cert file", "the certificate (server.pem)", (s, v) => s.identity.certificate = v),
      ...row(
        "-key file",
        "private key of -cert (default: in the file of -cert)",
        (s, v) => s.identity.key = v,
      ),
      ...row(
        "-cert_chain file",
        "certificates to send after that of -cert",
        (s, v) => s.identity.chain = v,
      ),
      ...row(
        "-pass source",
        "password of the key: pass:TEXT, env:NAME, file:PATH ...",
        (s, v) => s.identity.password = v,
      ),
      ...row("-certform PEM|DER", "no effect: the form is detected", form("-certform")),
      ...row("-keyform PEM|DER", "no effect: the form is detected", form("-keyform")),
      ...row("-dcert file", "a second certificate, with another type of key", (s, v) => {
        s.second.certificate = v;
      }),
      ...row("-dkey file", "private key of -dcert", (s, v) => s.second.key = v),
      ...row(
        "-dcert_chain file",
        "certificates to send after that of -dcert",
        (s, v) => s.second.chain = v,
      ),
      ...row("-dpass source", "password of -dkey", (s, v) => s.second.password = v),
      ...row("-dcertform PEM|DER", "no effect: the form is detected", form("-dcertform")),
      ...row("-dkeyform PEM|DER", "no effect: the form is detected", form("-dkeyform")),
      ...row(
        "-servername name",
        "use -cert2 for clients that ask for this name",
        (s, v) => s.serverName = v,
      ),
      ...row("-cert2 file", "the certificate for -servername (server2.pem)", (s, v) => {
        s.named.certificate = v;
      }),
      ...row("-key2 file", "private key of -cert2", (s, v) => s.named.key = v),
      ...row("-chainCAfile file", "more certificates for building the chain", (s, v) => {
        s.chainFile = v;
      }),
      ...already("-build_chain", "the chain is always made of the certificates in the files"),
      ...refused("-chainCApath folder | -chainCAstore uri", "name a file with -chainCAfile"),
      ...refused(
        "-nocert",
        "BoringSSL and rustls have no cipher suites without a certificate",
      ),
      ...refused(
        "-servername_fatal",
        "SNI_STRICT of sslserver also refuses clients that ask for no name",
      ),
      ...refused("-serverinfo file", "neither Bun nor Deno sends extensions of a program's own"),
      ...refused(
        "-xkey file | -xcert file | -xchain file | -xchain_build | -xcertform form | -xkeyform form",
        EXTENDED,
      ),
    ],
  },
  {
    title: "Client certificates",
    options: [
      ...row("-verify n", "ask for a certificate; maximum n intermediates", (s, v) => {
        s.depth = atMost("-verify", v, MAX_DEPTH);
        s.asks = "asks";
      }),
      ...row("-Verify n", "require a certificate; maximum n intermediates", (s, v) => {
        s.depth = atMost("-Verify", v, MAX_DEPTH);
        s.asks = "requires";
      }),
      ...row("-verify_depth n", "maximum intermediates of a client certificate", (s, v) => {
        s.depth = atMost("-verify_depth", v, MAX_DEPTH);
      }),
      ...row("-verify_return_error", "refuse an invalid certificate", (s) => {
        s.refusesInvalid = true;
      }),
      ...row(
        "-CAfile file",
        "trust the authorities in this file",
        (s, v) => s.authorities.file = v,
      ),
      ...row(
        "-CApath folder",
        "trust the authorities in this folder",
        (s, v) => s.authorities.folder = v,
      ),
      ...row("-no-CAfile", "do not trust the system's file", (s) => {
        s.authorities.systemFile = false;
      }),
      ...row("-no-CApath", "do not trust the system's folder", (s) => {
        s.authorities.systemFolder = false;
      }),
      ...row(
        "-verifyCAfile file",
        "trust this file in place of -CAfile",
        (s, v) => s.verifyFile = v,
      ),
      ...row(
        "-verifyCApath folder",
        "trust this folder in place of -CApath",
        (s, v) => s.verifyFolder = v,
      ),
      ...row(
        "-no_ca_names",
        "do not send the names of authorities to clients",
        (s) => s.caNames = false,
      ),
      ...row("-CRL file", "read revocation lists from this file", (s, v) => s.crl = v),
      ...row("-CRLform PEM|DER", "no effect: the form is detected", form("-CRLform")),
      ...row("-crl_check", "check whether the client certificate is revoked", (s) => {
        if (s.options.revocation !== "all") s.options.revocation = "leaf";
      }),
      ...row(
        "-crl_check_all",
        "check whether any certificate of the chain is revoked",
        (s) => s.options.revocation = "all",
      ),
      ...already("-no-CAstore", "no store is ever read"),
      ...already("-verify_quiet", "only errors of verification are printed"),
      ...already("-trusted_first", "trusted certificates are always tried first"),
      ...already("-no_alt_chains", "every chain is tried, and -no_alt_chains is deprecated"),
      ...already("-issuer_checks", "it is deprecated"),
      ...already("-x509_strict | -check_ss_sig", "the verifier has no lenient mode"),
      ...refused("-CAstore uri | -verifyCAstore uri", STORE),
      ...refused("-crl_download", "the server makes no connections of its own"),
      ...refused("-extended_crl | -use_deltas", "only complete revocation lists are read"),
      ...refused(
        "-policy oid | -policy_check | -explicit_policy | -inhibit_any | -inhibit_map | -policy_print",
        "certificate policies are not evaluated",
      ),
      ...refused(
        "-purpose name | -verify_name name | -auth_level n | -attime n | -verify_hostname name | -verify_email address | -verify_ip address | -ignore_critical | -suiteB_128_only | -suiteB_128 | -suiteB_192 | -partial_chain | -no_check_time | -allow_proxy_certs",
        CHECKS,
      ),
      ...refused("-nameopt form", "names are printed in one form"),
    ],
  },
  {
    title: "Protocol",
    options: [
      ...row("-tls1", "use only TLS 1.0", only("TLSv1")),
      ...row("-tls1_1", "use only TLS 1.1", only("TLSv1.1")),
      ...row("-tls1_2", "use only TLS 1.2", only("TLSv1.2")),
      ...row("-tls1_3", "use only TLS 1.3", only("TLSv1.3")),
      ...row("-no_tls1", "do not use TLS 1.0", (s) => s.versions.delete("TLSv1")),
      ...row("-no_tls1_1", "do not use TLS 1.1", (s) => s.versions.delete("TLSv1.1")),
      ...row("-no_tls1_2", "do not use TLS 1.2", (s) => s.versions.delete("TLSv1.2")),
      ...row("-no_tls1_3", "do not use TLS 1.3", (s) => s.versions.delete("TLSv1.3")),
      ...row("-min_protocol version", "lowest version of TLS", (s, v) => {
        s.minVersion = versionNamed("-min_protocol", v);
      }),
      ...row("-max_protocol version", "highest version of TLS", (s, v) => {
        s.maxVersion = versionNamed("-max_protocol", v);
      }),
      ...row("-cipher list", "cipher suites up to TLS 1.2", (s, v) => s.ciphers = v),
      ...row("-serverpref", "choose cipher suites by the server's order", (s) => {
        s.options.cipherOrder = "server";
      }),
      ...row(
        "-groups list | -curves list | -named_curve name",
        "groups for the key exchange",
        (s, v) => s.groups = v,
      ),
      ...row("-alpn names", "application protocols, best first", (s, v) => s.alpn = v),
      ...row("-no_ticket", "issue no session tickets", (s) => s.options.tickets = false),
      ...already("-no_ssl2 | -no_ssl3", "BoringSSL and rustls have no SSL 2 and 3"),
      ...already("-bugs | -hack", "no library has these workarounds any more"),
      ...already("-no_comp", "BoringSSL and rustls have no compression"),
      ...already("-no_tmp_rsa", "BoringSSL and rustls have no export ciphers"),
      ...already("-no_dhe", "BoringSSL and rustls have no finite-field Diffie-Hellman"),
      ...already("-no_resumption_on_reneg | -no_renegotiation", RENEGOTIATION),
      ...already("-legacy_server_connect | -no_legacy_server_connect", "it is for clients"),
      ...already("-no_anti_replay | -anti_replay", "there is no early data to replay"),
      ...already("-allow_no_dhe_kex", "the libraries do not resume without key exchange"),
      ...already("-no_cache", "sessions resume by tickets, not from a cache"),
      ...refused(
        "-ciphersuites list",
        "BoringSSL (Bun) and rustls (Deno) always offer all suites of TLS 1.3",
      ),
      ...refused("-sigalgs list | -client_sigalgs list", SIGALGS),
      ...refused("-ssl2 | -ssl3", "BoringSSL and rustls have no SSL 2 and 3"),
      ...refused("-dhparam file", "BoringSSL and rustls have no finite-field Diffie-Hellman"),
      ...refused("-comp", "BoringSSL and rustls have no compression"),
      ...refused("-legacy_renegotiation | -client_renegotiation", RENEGOTIATION),
      ...refused("-prioritize_chacha", "BoringSSL decides by the client's hardware"),
      ...refused("-nextprotoneg names", "no current client has NPN; -alpn took its place"),
      ...refused("-context id | -id_prefix text", "session ids are the library's own business"),
      ...refused("-num_tickets n", "the libraries choose how many tickets they send"),
      ...refused("-ext_cache | -no_resume_ephemeral", "there is no session cache to configure"),
      ...refused("-max_early_data n | -recv_max_early_data n | -early_data", EARLY),
      ...refused("-stateless", "BoringSSL and rustls have no cookies of TLS 1.3 over TCP"),
      ...refused("-no_middlebox | -no_etm | -strict | -debug_broken_protocol", RECORDS),
      ...refused("-record_padding n", RECORDS),
      ...refused("-ssl_config name", "OpenSSL's configuration files are not read"),
      ...refused("-psk_identity name | -psk_hint name | -psk key | -psk_session file", PSK),
      ...refused("-srpvfile file | -srpuserseed text", SRP),
      ...refused(
        "-status | -status_verbose | -status_timeout n | -status_url url | -status_file file | -proxy url | -no_proxy list",
        OCSP,
      ),
      ...refused("-dtls | -dtls1 | -dtls1_2 | -listen | -timeout | -mtu n | -use_srtp list", DTLS),
      ...refused("-keymatexport label | -keymatexportlen n", "keying material is not exported"),
    ],
  },
  {
    title: "What serves a connection",
    options: [
      ...row("-www", "answer HTTP with a page about the connection", (s) => s.mode = "www"),
      ...row("-WWW", "serve the files below the working directory by HTTP", (s) => s.mode = "WWW"),
      ...row("-HTTP", "serve files that contain complete HTTP responses", (s) => s.mode = "HTTP"),
      ...row("-rev", "send back each line reversed", (s) => s.mode = "rev"),
      ...row("-crlf", "send LF from the terminal as CR LF", (s) => s.crlf = true),
      ...row("-ign_eof", "go on when standard input ends", (s) => s.ignoresEnd = true),
      ...row(
        "-no_ign_eof",
        "end when standard input ends, also with -quiet",
        (s) => s.ignoresEnd = false,
      ),
      ...already("-http_server_binmode", "files are always sent as they are"),
      ...already("-ignore_unexpected_eof", "a client may end without close_notify"),
      ...already("-sendfile", "without kernel TLS it is not faster"),
    ],
  },
  {
    title: "What is printed",
    options: [
      ...row("-quiet", "print only the client's data; read no commands", (s) => s.quiet = true),
      ...row("-brief", "print a short summary of each connection", (s) => s.brief = s.quiet = true),
      ...row("-state", "print the steps of the handshake", (s) => s.state = true),
      ...row("-msg", "print handshake messages that are not encrypted", (s) => s.messages = true),
      ...row("-trace", "print the messages of -msg decoded", (s) => s.decoded = true),
      ...row("-debug", "print a hex dump of every byte", (s) => s.dump = true),
      ...row(
        "-tlsextdebug",
        "print the client's extensions as hex dumps",
        (s) => s.extensions = true,
      ),
      ...row(
        "-msgfile file",
        "write the output of -msg and -trace to this file",
        (s, v) => s.messageFile = v,
      ),
      ...row("-keylogfile file", "append the TLS secrets to this file", (s, v) => {
        s.options.keylog = v;
      }),
      ...refused(
        "-security_debug | -security_debug_verbose",
        "BoringSSL and rustls have no security levels",
      ),
    ],
  },
  {
    title: "Process",
    options: [
      ...already("-nbio", "input and output never block"),
      ...already("-rand file | -writerand file", "the system's generator is used"),
      ...already("-async", "there are no engines that work asynchronously"),
      ...already("-max_pipelines n | -split_send_frag n | -read_buf n", "it changes speed alone"),
      ...refused("-max_send_frag n", RECORDS),
      ...refused("-nbio_test", "the runtimes have no such test mode"),
      ...refused("-engine name | -provider-path path | -provider name | -propquery text", ENGINE),
    ],
  },
];

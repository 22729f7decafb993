/** Errors and findings about certificates and TLS settings. */

import { row, type Section } from "./table.ts";

const CERTIFICATES: Section = {
  title: "Certificates and TLS settings",
  text: "",
  rows: [
    row(
      [
        "unable to find a certificate: neither CERTFILE nor CERTCHAINFILE is set",
        "unable to find a certificate: no CERTFILE:name is set",
      ],
      "no variable names a certificate, or a shell has removed one with a colon in its name",
      "set CERTFILE and KEYFILE (for server names with `exec env CERTFILE:name=…`), or try `--self-signed`",
    ),
    row(
      [
        "unable to read certificate FILE: REASON",
        "unable to read key FILE: REASON",
        "unable to read CCAFILE FILE: REASON",
        "unable to read the key's password from descriptor 3: REASON",
      ],
      "the file does not exist, is a pipe, or cannot be read by the user who starts the server",
      "use the full path of a regular file. With `-3`, open descriptor 3: `3<password`",
    ),
    row(
      ["unable to use certificate FILE: REASON", "unable to use key FILE: REASON"],
      "the file is not PEM, is damaged, or the password of the key is wrong",
      "`openssl x509 -in FILE -noout -text` and `openssl pkey -in FILE -noout` must succeed",
    ),
    row(
      [
        "unable to use key FILE: it belongs to no certificate in FILE",
        "unable to use certificate FILE: its private key is not in it",
      ],
      "key and certificate do not belong together, or KEYFILE is not set",
      "set KEYFILE to the key for which the certificate was issued",
    ),
    row(
      "unable to use certificate FILE: it is a private key, and FILE is a certificate: these are swapped",
      "CERTFILE and KEYFILE are exchanged",
      "exchange them",
    ),
    row(
      "unable to use certificate FILE: its key is of the kind KIND, which the TLS library does not support",
      "the key is not one of RSA 2048 to 8192, P-256, P-384, P-521, Ed25519",
      "make a key of one of these kinds",
    ),
    row(
      [
        "unable to use CERTFILE:NAME: 'NAME' is not a host name",
        "unable to use CERTFILE:NAME: the name is set twice, in two spellings",
        "unable to use KEYFILE:NAME: there is no CERTFILE:NAME",
      ],
      "the variables for server names are inconsistent",
      "set one CERTFILE:name and KEYFILE:name for each name, in lower case, and with `xn--` for other alphabets",
    ),
    row(
      [
        "unable to use TLS_MIN_VERSION: TLSv1.3 is above TLS_MAX_VERSION TLSv1.2",
        "unable to use TLS_MIN_VERSION: 'X' is not one of TLSv1, TLSv1.1, TLSv1.2, TLSv1.3",
      ],
      "the versions are misspelled or contradict each other",
      "unset the variables for TLS 1.2 and 1.3",
    ),
    row(
      [
        "unable to use CIPHERS X: the suites of TLS 1.3 cannot be chosen",
        "unable to use CIPHERS X: REASON",
        "unable to use CIPHERS: longer than 4096 characters",
      ],
      "CIPHERS has suites of TLS 1.3, or no suite that the library knows",
      "list suites of TLS 1.2 (`ECDHE+AESGCM:ECDHE+CHACHA20`), or unset CIPHERS",
    ),
    row(
      [
        "unable to use CURVES: no runtime supports the group X",
        "unable to use CURVES: P-256 is there twice",
      ],
      "CURVES has an unknown group, or a group twice",
      "use X25519MLKEM768, MLKEM1024, X25519, P-256, P-384, P-521, or unset CURVES",
    ),
    row(
      "unable to use ALPN: 'X' is not a protocol name",
      "ALPN has a name that is empty or too long",
      "separate the names by commas: `h2,http/1.1`",
    ),
    row(
      [
        "unable to require client certificates: there is nothing to verify them against",
        "unable to use CA folder FOLDER: no certificate in it",
        "unable to use CA FILE: REASON",
        "unable to read CA FILE: REASON",
        "unable to read CA folder FOLDER: REASON",
        "unable to use CA folder FOLDER: above 4096 files",
        "unable to use CA folder FOLDER: no file in it is named like a certificate",
        "unable to use CA file FILE: above 4096 certificates with it",
      ],
      "clients are asked for certificates, but no trusted authority can be read",
      "set CAFILE or CADIR to PEM files of the authorities",
    ),
    row(
      "unable to ask for client certificates: the names of 2000 authorities have 200000 bytes, and the request holds 65400",
      "the names of the authorities do not fit into the request for a certificate",
      "set CCAFILE to the few authorities that clients must know, or to /dev/null",
    ),
    row(
      "unable to use VERIFYDEPTH: 'X' is not a number from 0 to 100",
      "the value of VERIFYDEPTH is wrong",
      "set the maximum number of intermediate certificates, or unset it for 1",
    ),
    row(
      [
        "unable to use CIPHERS: Deno cannot",
        "unable to use CURVES: Deno cannot",
        "unable to speak TLSv1.1: Deno cannot",
        "unable to use several certificates in one context: Deno cannot",
        "unable to choose cipher suites: Deno cannot",
        "unable to issue no tickets: Deno cannot",
        "unable to choose by the server's order: Deno cannot",
        "unable to log the secrets of connections (--keylog): Deno cannot",
        "unable to start 2 workers: Deno cannot",
        "unable to set the variables of a rule for USER: Deno cannot",
        "unable to call libc: Bun cannot",
        "unable to use sockets and pipes by their descriptors: Deno 2.0.0 cannot",
      ],
      "the runtime or its TLS library does not support the setting",
      "the second line names the remedy: another setting, a permission, or the compiled file ([deno.md](deno.md))",
    ),
  ],
};

const CHECKS_CERTIFICATES: Section = {
  title: "Findings about certificates",
  text:
    "The server prints these findings as `warning:` at start. `--check` prints them as `warning:`, `error:` or `info:`. " +
    "The remedy follows after `--`.",
  rows: [
    row(
      [
        "certificate FILE expired on DATE",
        "certificate FILE ends in 3 days, on DATE",
        "certificate FILE expires in 3 days, on DATE",
        "certificate FILE: not valid before DATE",
      ],
      "clients refuse the certificate now or soon, or the clock is wrong",
      "renew it: the server uses a new file within two seconds. Look at the timer of the renewal, and at `date`",
    ),
    row(
      [
        "certificate FILE: the chain is not complete; missing: NAME",
        "certificate FILE: the chain ends before an authority that this system knows; missing: NAME",
        "certificate FILE: NAME is not part of the chain and is not sent",
      ],
      "clients cannot build a path to an authority. Browsers may know the missing certificate; other clients fail with `unable to get local issuer certificate`",
      "CERTFILE must have the whole chain: `fullchain.pem`, not `cert.pem`",
    ),
    row(
      "certificate FILE: not in order: sslserver sorts it, other programs do not",
      "sslserver accepts any order, but other programs do not",
      "nothing for sslserver. For other programs put the server's certificate first, then its issuer, and so on",
    ),
    row(
      [
        "certificate FILE: self-signed",
        "certificate FILE: issued by NAME, an authority that this system does not know",
      ],
      "clients must trust this certificate or authority explicitly",
      "nothing, if your clients do",
    ),
    row(
      [
        "certificate FILE: is used for NAME, but issued for OTHER",
        "certificate FILE: no subjectAltName, so it matches no host name (RFC 9110 4.3.4)",
      ],
      "clients that check the name refuse the certificate",
      "get a certificate for the name that clients connect to",
    ),
    row(
      [
        "certificate FILE: belongs to a certificate authority",
        "certificate FILE: not for servers (no serverAuth)",
        "certificate FILE: signed with SHA1, which clients refuse",
      ],
      "the certificate is not for a server, or is old",
      "get a certificate for a server, signed with SHA-256",
    ),
    row(
      [
        "key FILE: all users can read it",
        "key FILE: programs can read it, as user 1000",
        "key FILE: group 7 can read it",
      ],
      "programs, or other users, can copy the key",
      "`chmod 600 FILE`, owned by root",
    ),
    row(
      [
        "key FILE: REASON, so a renewed one is used only after a restart",
        "certificate FILE: REASON, so a renewed one is used only after a restart",
        "authorities FILE: REASON, so a change has effect only after a restart",
      ],
      "the server is a single process, which has switched to a user who cannot read the file",
      "let this user read the file, or use workers. A module cannot have workers",
    ),
    row(
      [
        "TLS_MIN_VERSION TLSv1 lets clients use a broken protocol (RFC 8996)",
        "CIPHERS: permits RC4",
        "CIPHERS: does nothing, because TLS_MIN_VERSION is TLSv1.3",
        "CIPHERS: 'X' is not the name of a suite",
        "CIPHERS: no TLS 1.2 client can connect with this certificate",
        "CIPHERS: the TLS library has none of these suites",
      ],
      "the settings allow weak protocols or ciphers, or have no effect",
      "unset TLS_MIN_VERSION and CIPHERS",
    ),
    row(
      "DHFILE is ignored: the TLS library has no finite-field Diffie-Hellman",
      "an old run script sets it",
      "unset DHFILE",
    ),
    row(
      [
        "CAFILE FILE: none is self-signed, so no client's chain can end there",
        "CAFILE FILE: NAME expired on DATE: every client is refused",
        "CAFILE FILE: 2 of 3 expired: NAMES",
        "CAFILE FILE: NAME ends on DATE",
        "CAFILE FILE: NAME is not an authority (basic constraints), so certificates that it issued are refused",
      ],
      "the trusted authorities cannot verify some or all clients",
      "put the root certificates of the authorities into CAFILE",
    ),
    row(
      [
        "CRLFILE FILE: none from NAME, so certificates that it issued are refused",
        "CRLFILE FILE: the list of NAME expired on DATE: its clients are refused",
        "CRLFILE FILE: the list of NAME ends on DATE",
        "CRLFILE FILE: NAME from an issuer that is not among the authorities",
      ],
      "if CRLFILE is set, each authority needs a valid list",
      "fetch the current lists regularly; the server reads the new file by itself",
    ),
    row(
      "99 more files of authorities have problems",
      "only the first problems are printed one by one",
      "look at the lines before",
    ),
  ],
};

export const ABOUT_CERTIFICATES: readonly Section[] = [CERTIFICATES, CHECKS_CERTIFICATES];

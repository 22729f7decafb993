/** The messages of a running server: about single connections, and about the server. */

import { row, type Section } from "./table.ts";

const ACCEPT = "unable to accept TLS from: ADDRESS for pid: PID ";

const HANDSHAKES: Section = {
  title: "A connection that is not admitted, or whose handshake fails",
  text:
    "`error: unable to accept TLS from: ADDRESS for pid: PID REASON`, or with `-v` `deny PID … REASON`. No program was " +
    "started. The table has the reasons.",
  rows: [
    row(
      [
        `${ACCEPT}connection closed by the peer`,
        `${ACCEPT}connection reset by the peer`,
        "connection closed by the peer after 7 bytes",
      ],
      "the client gave up: it does not like our certificate or version and says nothing, or it is a port scan or a health check (`info:` with `-v` if it sent nothing)",
      "look at the client's message; `--trace` shows the handshake",
    ),
    row(
      "alert from the client: unknown ca",
      "the client refuses our certificate, or our choice; the name of its alert says why",
      "see [My client says …](#my-client-says-)",
    ),
    row(
      "timed out after 26 s",
      "the client sent no complete handshake within `-T`; it may wait for a greeting in the clear (STARTTLS)",
      "nothing for scans; for STARTTLS use `-n` with a program that speaks UCSPI-TLS, or the client's implicit TLS",
    ),
    row(
      ["http request", "unexpected record", "unexpected message"],
      "the client does not speak TLS: plain HTTP, SMTP without TLS, or another protocol",
      "use `https:`, or implicit TLS in the client",
    ),
    row(
      [
        "no shared protocol version",
        "no shared cipher",
        "no shared group",
        "no shared signature algorithm",
      ],
      "client and server have nothing in common, often an old client, or a strict CIPHERS, CURVES or TLS_MIN_VERSION",
      "update the client, or unset the variable. `--trace` shows what the client offers",
    ),
    row(
      "no shared application protocol",
      "the client offers protocols by ALPN, and none of them is in ALPN",
      "add the protocol to ALPN, or unset it",
    ),
    row(
      [
        "malformed client hello",
        "handshake failed",
        "malformed message",
        "bad record mac",
        "record too long",
        "message too long",
      ],
      "damaged or hostile data, or something in between that changes them",
      "nothing for scans; otherwise look at proxies and middleboxes",
    ),
    row(
      "peer did not return a certificate",
      "a certificate is required (`-m`, `-z`, CCAVERIFY), and the client has none to show",
      "install one in the client. It must be from an authority that the request names: CAFILE, CCAFILE",
    ),
    row(
      [
        "client certificate: certificate has expired",
        "client certificate: unsuitable certificate purpose",
      ],
      "the client's certificate was refused for this reason of OpenSSL's verify",
      "`unable to get local issuer certificate`: the authority is not in CAFILE, or the client does not send its intermediate. `certificate revoked`: it is in CRLFILE. `unable to get certificate CRL`: a list is missing. `self-signed certificate`: the authority is not trusted",
    ),
    row(
      "no server name (SNI_STRICT)",
      "the client asked for no name, as it does for an address",
      "connect by name, or unset SNI_STRICT",
    ),
    row(
      "no certificate for the server name 'NAME' (SNI_STRICT)",
      "the client asked for a name without a certificate",
      "set CERTFILE:name and KEYFILE:name, or unset SNI_STRICT",
    ),
    row(
      "the server name cannot be read: the client hello has more than 16 records or 16,384 bytes, or comes behind an empty record or an alert",
      "no usual client does this",
      "unset SNI_STRICT if it must be served",
    ),
    row(
      [
        "too many connections are pending and this one was silent longest",
        "too many connections are pending and this one took longest",
      ],
      "more clients than `--pending` are in their handshake: a flood, or a slow machine",
      "MAXCONIP and MAXCONRATE; raise `--pending`",
    ),
    row(
      "descriptors are running low and this one was silent longest",
      "the limit of open files is too low for the load",
      "`ulimit -n 65536`, LimitNOFILE=",
    ),
    row(
      [
        "ip connection limit:5 exceeded",
        "ip rate limit:5 exceeded",
        "network connection limit:5 exceeded",
        "ip connection limit of 5 exceeded for: ADDRESS",
      ],
      "MAXCONIP, MAXCONRATE or MAXCONNET",
      "raise the limit, or set another one for these clients by a rule",
    ),
    row("rules cannot be read", "the rules file is missing or damaged", "see [Rules](#rules)"),
    row(
      [
        "the DNS does not answer",
        "the ident server does not answer",
        "the name does not resolve to the address",
        "the look-ups took too long",
      ],
      "`--strict-resolution`, `-p` or `--lookup-timeout` denies the client",
      "correct DNS (DNSCACHEIP), or leave the option out",
    ),
    row(
      [
        "unable to read the PROXY header: REASON",
        "a PROXY header that --proxy-from does not allow",
      ],
      "a listed proxy sends no header, or a client that is not listed sends one",
      "enable `send-proxy-v2` in the balancer, and list its address in `--proxy-from`",
    ),
    row("the server is shutting down", "it was stopped meanwhile", "nothing"),
  ],
};

const CONNECTIONS: Section = {
  title: "A connection that ends early",
  text: "`error:` lines. A program that runs reads end of file.",
  rows: [
    row(
      "unable to run PROG: REASON (connection from ADDRESS)",
      "the program does not exist, is not executable for the user of `-u`, or the process limit is reached. The client sees the connection end",
      "try it as that user: `setpriv --reuid=1000 --regid=1000 --clear-groups PROG`; `ulimit -u`",
    ),
    row(
      "unable to speak TLS from: ADDRESS for pid: PID REASON",
      "the client reset the connection, or sent something that is not valid TLS (`bad record mac`), or, with `--enforce-close-notify`, ended without close_notify",
      "a reset is often a client that closes before it has read everything. Otherwise look at the network",
    ),
    row(
      [
        "unable to start a program: too many connections are waiting for one",
        "unable to start a program: the server is ending",
      ],
      "overload, or a stop",
      "raise `-c`, or set MAXCONIP",
    ),
    row(
      [
        "unable to run: no monitor",
        "unable to run: the monitor has ended",
        "unable to continue: REASON",
      ],
      "the monitor was killed. Open connections continue, and the worker exits with the last",
      "start the server again; let a supervisor do it",
    ),
    row(
      [
        "unable to ask for a program: REASON",
        "unable to take the pipes of program PID: REASON",
        "unable to take files, trying again: REASON",
        "unable to hand files to the workers, trying again: REASON",
        "unable to answer worker PID: REASON",
      ],
      "the system lacks descriptors or memory for a moment",
      "raise the limit of open files (`fs.file-max` for the whole system)",
    ),
    row(
      "the handler failed: REASON (connection from ADDRESS)",
      "the function of `--handler` or of the library has thrown, or a file of `--files` could not be read",
      "handle the error in the function",
    ),
    row(
      "unable to trace a connection: REASON",
      "`--trace` has failed, and the connection continues",
      "report it",
    ),
  ],
};

const SERVER: Section = {
  title: "The running server",
  text: "`error:`, `warning:` and `info:` lines about the server itself.",
  rows: [
    row(
      [
        "unable to use certificate FILE: REASON; the old certificate stays in use",
        "unable to use key FILE: REASON; the old certificate stays in use",
        "unable to use CA FILE: REASON; the old authorities stay in use",
        "unable to read FILE: REASON; it is ignored",
        "unable to use CRL FILE: REASON; revocation is checked without it",
        "no authority remains in FOLDER",
        "unable to read FILE: REASON; its old settings stay in use",
        "unable to read FILE: REASON; its old names stay in use",
      ],
      "a changed file is broken or half written; or only one of certificate and key has been replaced yet",
      "nothing if `certificate renewed` follows. Otherwise write it again: to another name in the same folder, then rename it. The server reads it by itself",
    ),
    row(
      [
        "certificate renewed: FILE",
        "certificate good again: FILE",
        "authorities good again: FILE",
        "resolver settings good again: FILE",
        "names good again: FILE",
        "loaded FILE again",
      ],
      "a changed file is in use",
      "nothing",
    ),
    row(
      "unable to load FILE: REASON: the old one stays in use",
      "the module of `--handler` has a mistake after SIGHUP",
      "correct it, and send SIGHUP again",
    ),
    row(
      "4,211 lines lost: the log is not read",
      "the reader of stderr is too slow or has stopped",
      "start the log's reader again (multilog, s6-log, journald), or use `-Q`",
    ),
    row(
      "... and 4,211 more like it in 10 s",
      "many lines of one kind, for example by a scan",
      "look at the last one, which follows; set MAXCONRATE",
    ),
    row(
      ["worker PID ended by signal 9: 2 programs have lost the client", "worker PID ended: REASON"],
      "a worker was killed, for example by the kernel when memory ran out (`dmesg`)",
      "raise MemoryMax=; report it if it was signal 6 or 11",
    ),
    row(
      [
        "worker PID was ended: REASON",
        "a worker shut down the listening socket: it listens again",
        "unable to listen again: REASON",
      ],
      "a worker did what none may do: a bug, or an attacker has taken it over",
      "report it ([SECURITY.md](../SECURITY.md)); replace the keys if you find no other reason",
    ),
    row(
      "unable to start a worker: REASON",
      "a worker ends before it serves; the reason is in the lines before. After a minute the server exits with 111",
      "`--check`; the process limit; the rights of SSL_CHROOT",
    ),
    row(
      ["unable to answer with metrics: REASON", "unable to remove the socket of --metrics: REASON"],
      "one scrape failed, or the folder of the socket cannot be written any more",
      "nothing, or remove the socket",
    ),
    row(
      "unable to copy the log of workers that drain: REASON",
      "after a stop, the lines of connections that continue are lost",
      "nothing",
    ),
    row(
      "unable to signal pid PID: it now runs as another user",
      "the program is set-user-ID, and the server is not root",
      "end the program by other means",
    ),
    row(
      "program PID still runs a minute after SIGTERM",
      "the program ignores SIGTERM after `-w`",
      "`--kill-after 10`",
    ),
    row(
      [
        "unable to write to $NOTIFY_SOCKET: REASON",
        "unable to write to $NOTIFY_SOCKET: its queue is full",
        "unable to write to descriptor 3 (--notify-fd): REASON",
      ],
      "the supervisor has exited, or does not listen",
      "nothing, if it was stopped",
    ),
    row(
      "the event loop was blocked for 1.5 s: no connection was served meanwhile",
      "the module of `--handler` computes for long, or waits synchronously",
      "compute in a Worker; use asynchronous calls",
    ),
    row(
      [
        "internal error, please report it: REASON",
        "uncaught exception or unhandled rejection in the module: REASON",
      ],
      "a bug in this program, or in the module",
      "report the first; in the module, await every promise and catch exceptions",
    ),
    row(
      [
        "listening on ADDRESS port PORT",
        "serving with 1 worker as user 7, programs as user 1000; pid 4711",
        "serving in one process, as user 7",
        "metrics at WHERE",
        "self-signed certificate, SHA-256 fingerprint HEX",
      ],
      "the server is ready (with `-v`)",
      "nothing",
    ),
  ],
};

export const RUNNING: readonly Section[] = [HANDSHAKES, CONNECTIONS, SERVER];

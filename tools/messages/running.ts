/** The messages of a running server: about single connections, and about the server. */

import { row, type Section } from "./table.ts";

const ACCEPT = "unable to accept TLS from: ADDRESS for pid: PID ";

const HANDSHAKES: Section = {
  title: "A connection that is not admitted, or whose handshake fails",
  text:
    "`error: unable to accept TLS from: ADDRESS for pid: PID REASON`, or with `-v` `deny PID … REASON`. No program was " +
    "started. The table lists the values of REASON.",
  rows: [
    row(
      [
        `${ACCEPT}connection closed by the peer`,
        `${ACCEPT}connection reset by the peer`,
        "connection closed by the peer after 7 bytes",
      ],
      "the client closed the connection without an alert. It may reject the certificate or the version, or be a port scan or a health check (`info:` with `-v` if it sent nothing)",
      "look at the message of the client; `--trace` shows the handshake",
    ),
    row(
      "alert from the client: unknown ca",
      "the client refuses the server's certificate, version or cipher suite. The name of the alert is the reason",
      "see [My client says …](#my-client-says-)",
    ),
    row(
      "timed out after 26 s",
      "the client did not complete the handshake within `-T`. A client with STARTTLS, for example, waits for a greeting without TLS",
      "nothing for scans. For STARTTLS use `-n` and a program that speaks UCSPI-TLS, or set the client to implicit TLS",
    ),
    row(
      ["http request", "unexpected record", "unexpected message"],
      "the client does not speak TLS: plain HTTP, SMTP without TLS, or another protocol",
      "use `https:`, or set the client to implicit TLS",
    ),
    row(
      [
        "no shared protocol version",
        "no shared cipher",
        "no shared group",
        "no shared signature algorithm",
      ],
      "client and server have no version, suite, group or signature algorithm in common. Often the client is old, or CIPHERS, CURVES or TLS_MIN_VERSION is too strict",
      "update the client, or unset the variable. `--trace` shows what the client offers",
    ),
    row(
      "no shared application protocol",
      "the client offers protocols by ALPN, and none of them is in the variable ALPN",
      "add the protocol to the variable ALPN, or unset the variable",
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
      "the client sent damaged or hostile data, or a device on the way changed the data",
      "nothing for scans. Otherwise look for proxies and other devices between client and server",
    ),
    row(
      "peer did not return a certificate",
      "a certificate is required (`-m`, `-z`, CCAVERIFY), and the client sent none",
      "install a certificate in the client. It must be from an authority that the server names in its request (CAFILE, CCAFILE)",
    ),
    row(
      [
        "client certificate: certificate has expired",
        "client certificate: unsuitable certificate purpose",
      ],
      "the client's certificate is not valid. The reasons have the same names as those of OpenSSL",
      "`unable to get local issuer certificate`: the authority is not in CAFILE, or the client does not send its intermediate. `certificate revoked`: the certificate is in a list of CRLFILE. `unable to get certificate CRL`: the list of the authority is missing. `self-signed certificate`: the authority is not trusted",
    ),
    row(
      "no server name (SNI_STRICT)",
      "the client asked for no name. Clients do this if they connect to an IP address",
      "connect by a name, or unset SNI_STRICT",
    ),
    row(
      "no certificate for the server name 'NAME' (SNI_STRICT)",
      "the client asked for a name that has no certificate",
      "set CERTFILE:name and KEYFILE:name, or unset SNI_STRICT",
    ),
    row(
      "the server name cannot be read: the client hello has more than 16 records or 16,384 bytes, or comes behind an empty record or an alert",
      "the ClientHello is unusual. Common clients do not send such a message",
      "unset SNI_STRICT if this client must be served",
    ),
    row(
      [
        "too many connections are pending and this one was silent longest",
        "too many connections are pending and this one took longest",
      ],
      "more connections are before or in their handshake than `--pending` allows: a flood, or a slow machine",
      "set MAXCONIP and MAXCONRATE, or raise `--pending`",
    ),
    row(
      "descriptors are running low and this one was silent longest",
      "the limit of open files is too low for the load",
      "raise the limit: `ulimit -n 65536`, LimitNOFILE=",
    ),
    row(
      [
        "ip connection limit:5 exceeded",
        "ip rate limit:5 exceeded",
        "network connection limit:5 exceeded",
        "ip connection limit of 5 exceeded for: ADDRESS",
      ],
      "the client exceeds MAXCONIP, MAXCONRATE or MAXCONNET",
      "raise the limit, or set a higher limit for these clients by a rule",
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
      "an address in `--proxy-from` sent no header, or an address that is not in it sent one",
      "enable `send-proxy-v2` in the balancer, and list its address in `--proxy-from`",
    ),
    row("the server is shutting down", "the server was stopped during the handshake", "nothing"),
  ],
};

const CONNECTIONS: Section = {
  title: "A connection that ends early",
  text: "These lines begin with `error:`. If the program runs already, it reads end of file.",
  rows: [
    row(
      "unable to run PROG: REASON (connection from ADDRESS)",
      "the program does not exist, is not executable for the user of `-u`, or the process limit is reached. The client sees the connection end",
      "run the program as that user: `setpriv --reuid=1000 --regid=1000 --clear-groups PROG`. Look at the process limit: `ulimit -u`",
    ),
    row(
      "unable to speak TLS from: ADDRESS for pid: PID REASON",
      "the client reset the connection or sent an invalid record (`bad record mac`). With `--enforce-close-notify` this is also the end of data without close_notify",
      "a client often causes a reset when it closes before it has read everything. Otherwise look at the network",
    ),
    row(
      [
        "unable to start a program: too many connections are waiting for one",
        "unable to start a program: the server is ending",
      ],
      "the server is overloaded, or is being stopped",
      "raise `-c`, or set MAXCONIP",
    ),
    row(
      [
        "unable to run: no monitor",
        "unable to run: the monitor has ended",
        "unable to continue: REASON",
      ],
      "the monitor was killed. Open connections continue, and the worker exits with the last",
      "start the server again, best under a supervisor",
    ),
    row(
      [
        "unable to ask for a program: REASON",
        "unable to take the pipes of program PID: REASON",
        "unable to take files, trying again: REASON",
        "unable to hand files to the workers, trying again: REASON",
        "unable to answer worker PID: REASON",
      ],
      "the system briefly has no free descriptor or memory",
      "raise the limit of open files (`fs.file-max` for the whole system)",
    ),
    row(
      "the handler failed: REASON (connection from ADDRESS)",
      "the handler function (`--handler` or library) has thrown an error, or a file of `--files` could not be read",
      "handle the error in the function, or look at the file",
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
  text: "These `error:`, `warning:` and `info:` lines are about the server itself.",
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
      "a changed file is broken or half written, or only one of certificate and key has been replaced so far",
      "nothing if `certificate renewed` follows. Otherwise write the file again: to another name in the same folder, and then rename it. The server notices it",
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
      "SIGHUP was sent, and the changed module of `--handler` has a mistake",
      "correct the module, and send SIGHUP again",
    ),
    row(
      "still loading FILE: then it is loaded again",
      "SIGHUP was sent again while the module of `--handler` was loading",
      "if the message stays the last one, look for an `await` at the top of the module that waits too long",
    ),
    row(
      "4,211 lines lost: the log is not read",
      "the reader of stderr is too slow or has stopped",
      "start the log's reader again (multilog, s6-log, journald), or use `-Q`",
    ),
    row(
      "... and 4,211 more like it in 10 s",
      "there were many lines of one kind, for example because of a scan. The first fifty and the last one are printed",
      "look at these lines; set MAXCONRATE against scans",
    ),
    row(
      ["worker PID ended by signal 9: 2 programs have lost the client", "worker PID ended: REASON"],
      "a worker was killed, for example by the kernel when memory ran out (`dmesg`)",
      "raise MemoryMax= if memory ran out. Report signals 6 and 11",
    ),
    row(
      [
        "worker PID was ended: REASON",
        "a worker shut down the listening socket: it listens again",
        "unable to listen again: REASON",
      ],
      "the worker did something that no worker may do. The cause is a bug, or an attacker who controls the worker",
      "report it ([SECURITY.md](../SECURITY.md)). Replace the keys unless you find a harmless cause",
    ),
    row(
      "unable to start a worker: REASON",
      "a worker ends before it serves. The lines before have the reason. After a minute the server exits with 111",
      "run `--check`. Look at the process limit and the permissions of SSL_CHROOT",
    ),
    row(
      ["unable to answer with metrics: REASON", "unable to remove the socket of --metrics: REASON"],
      "one scrape failed, or the folder of the socket is not writable any more",
      "nothing for a scrape; otherwise remove the socket",
    ),
    row(
      "unable to copy the log of workers that drain: REASON",
      "the server was stopped, and further log lines of its open connections are lost",
      "nothing",
    ),
    row(
      "unable to signal pid PID: it now runs as another user",
      "the program is set-user-ID, and the server does not run as root",
      "end the program yourself",
    ),
    row(
      "program PID still runs a minute after SIGTERM",
      "the program ignores SIGTERM after `-w`",
      "use `--kill-after 10`",
    ),
    row(
      [
        "unable to write to $NOTIFY_SOCKET: REASON",
        "unable to write to $NOTIFY_SOCKET: its queue is full",
        "unable to write to descriptor 3 (--notify-fd): REASON",
      ],
      "the supervisor has exited, or does not read",
      "nothing, if the supervisor was stopped",
    ),
    row(
      "the event loop was blocked for 1.5 s: no connection was served meanwhile",
      "the module of `--handler` has made a long computation or a synchronous call",
      "compute in a Worker, and use asynchronous calls",
    ),
    row(
      [
        "internal error, please report it: REASON",
        "uncaught exception or unhandled rejection in the module: REASON",
      ],
      "a bug in this program, or in the module",
      "report an internal error. In the module, await every promise and catch exceptions",
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

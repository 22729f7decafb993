/** The errors that end a start, except those about certificates. */

import { row, type Section } from "./table.ts";

const USAGE: Section = {
  title: "Wrong usage",
  text: "The start ends with `fatal:`, the usage line and exit code 100.",
  rows: [
    row(
      [
        "unknown option -K",
        "option -c needs a value",
        "option -q takes no value",
        "option -c needs a number from 1 to 1000000, not 'X'",
      ],
      "an option is misspelled, or its value is missing or out of range",
      "`sslserver --help` lists the options. The message suggests a similar name if there is one",
    ),
    row(
      [
        "host, port and prog are missing",
        "host, port and module are missing",
        "host and port are missing",
        "port and prog are missing",
        "port and module are missing",
        "port is missing",
        "prog is missing",
        "module is missing",
        "host and port are one word: '0:443'",
      ],
      "the words after the options are not `host port prog`",
      "write host and port as two words, followed by the program and its arguments: `sslserver 0 443 cat`",
    ),
    row(
      [
        "--check and --version exclude each other",
        "--keylog needs one process, and there are 2 workers",
        "-n is for programs, not for --echo",
        "--echo serves in place of a program, and there is one: 'cat'",
        "--echo serves in place of a module",
        "a module serves in one process, and not in 2 workers",
      ],
      "two options contradict each other",
      "leave out the option that the second line of the message names",
    ),
    row(
      [
        "$SSL_UID needs a number from 1 to 4294967294, not 'X'",
        "option -u needs another uid than root's, not '0'",
        "$SSL_CHROOT needs a path from the root folder, not 'jail'",
      ],
      "the value for a user, a group or the jail has the wrong form",
      "use numbers, or SSL_USER and SSL_GROUP for names. SSL_CHROOT must be an absolute path",
    ),
    row(
      [
        "$SSL_UID needs a worker process, but there is none (--workers 0)",
        "$SSL_UID needs a worker process, but a module serves in one process",
      ],
      "the user of workers is set, but there are no workers",
      "use `-u` and `-g`, or `--workers 1`. Under Deno workers need `--allow-ffi` and `--allow-run`",
    ),
    row(
      "$TICKETKEYFILE is not supported by sslserver/VERSION",
      "neither TLS library accepts ticket keys",
      "unset TICKETKEYFILE",
    ),
  ],
};

const NETWORK: Section = {
  title: "Address and port",
  text: "The start ends with `fatal:` and exit code 111, here and in the next two sections.",
  rows: [
    row(
      "unable to listen on HOST port PORT: REASON",
      "the port is in use (`address already in use`), only root may use it (below 1024, `permission denied`), or this machine does not have the address (`address not available`)",
      "end the other server (`ss -ltnp`), start as root, or use another host or port. A link-local address needs `-I`",
    ),
    row(
      "unable to listen on HOST: the name leads to ADDRESS, every address",
      "DNS has an address for host that means all addresses of this machine",
      "use an address in place of the name",
    ),
    row(
      [
        "unable to use port PORT: above 65535",
        "unable to find port PORT: no such tcp service in /etc/services",
        "unable to find port PORT: REASON",
      ],
      "port is neither a number up to 65535 nor the name of a TCP service",
      "use a number from 0 to 65535, or a name in /etc/services",
    ),
    row(
      "unable to find address of HOST: REASON",
      "host is a name, and DNS has no answer for it",
      "use an address, or correct /etc/resolv.conf or DNSCACHEIP",
    ),
    row(
      [
        "unable to use $DNSCACHEIP: REASON",
        "unable to read FILE: REASON",
        "unable to read FILE: no such file",
      ],
      "a file of the resolver or of the rules, or DNSCACHEIP, cannot be used",
      "correct the file, or unset the variable. For rules see [Rules](#rules)",
    ),
    row(
      [
        "unable to use $LISTEN_FDS: 'X' is not a number",
        "unable to use $LISTEN_FDS: 2 descriptors, but only one is supported",
        "unable to use the socket of $LISTEN_FDS: REASON",
        "unable to listen on HOST: the socket of $LISTEN_FDS is on OTHER",
      ],
      "systemd passes another socket than the command line names, or more than one",
      "use one `ListenStream=` with the same host and port, and `Accept=no`",
    ),
    row(
      "unable to read the key's password from descriptor 3: the socket of $LISTEN_FDS is there",
      "`-3` and socket activation use the same descriptor",
      "start without the `.socket` unit, or store the key without a password",
    ),
    row(
      [
        "unable to use $NOTIFY_SOCKET: REASON",
        "unable to use descriptor 3 for --notify-fd: REASON",
      ],
      "the descriptor or socket of the supervisor does not exist",
      "let the supervisor make it: `Type=notify` in systemd, the file notification-fd in s6. Without a supervisor, unset the variable and leave out the option",
    ),
    row(
      [
        "unable to listen for --metrics on WHERE: REASON",
        "unable to protect the socket of --metrics: REASON",
      ],
      "the address of `--metrics` is in use, or the folder of its socket does not exist",
      "use a free address, or a path in a folder that the user can write",
    ),
  ],
};

const SYSTEM: Section = {
  title: "Users, files and the system",
  text: "",
  rows: [
    row(
      [
        "unable to find SSL_USER NAME: not in /etc/passwd",
        "unable to find SSL_USER NAME: /etc/passwd: REASON",
        "unable to find SSL_USER NAME: its line in /etc/passwd has no numbers",
      ],
      "this machine has no user or group with this name",
      "create the user or group, or use a number",
    ),
    row(
      [
        "unable to switch user or group: the ids are not those requested",
        "unable to switch user: the process can become root again",
        "unable to switch to user 7: REASON",
        "unable to give up privileges: REASON",
      ],
      "the process may not change its user, because it is not root or lacks CAP_SETUID and CAP_SETGID",
      "start as root; in a container or unit keep CAP_SETUID, CAP_SETGID, CAP_SYS_CHROOT and CAP_KILL",
    ),
    row(
      "unable to open /dev/null: REASON",
      "workers need this device",
      "create it (`mknod /dev/null c 1 3`), or use `--workers 0`",
    ),
    row(
      "unable to serve: 8 open files are too few",
      "the limit of open files leaves nothing for a connection",
      "raise the limit: `ulimit -n 65536`, LimitNOFILE= in systemd",
    ),
    row(
      [
        "unable to call the C library: the limit on address space is 400 MB, and Bun needs 4096 MB",
        "unable to call the C library: REASON",
      ],
      "`softlimit`, `ulimit -v`, LimitAS= or LimitDATA= limits memory, or memory cannot be made executable",
      "remove the limit, and limit memory by a cgroup (MemoryMax=). Remove MemoryDenyWriteExecute=",
    ),
    row(
      "unable to serve --files FOLDER: REASON",
      "the folder does not exist, or the workers' user cannot read it",
      "use `chmod -R a+rX FOLDER`, or another folder",
    ),
    row(
      ["unable to load FILE: its default export is no function", "unable to load FILE: REASON"],
      "the module of `--handler` has a mistake",
      "the message names the line if it is known. The module must have `export default async (conn) => { … }`",
    ),
    row(
      "unable to append to FILE: REASON",
      "the file of `--keylog` cannot be written",
      "use a file in a folder that the user can write",
    ),
    row(
      "unable to run on Node vVERSION: sslserver runs on Bun and Deno",
      "Node has loaded the library",
      "run the script with `bun` or `deno run`",
    ),
    row(
      "unable to serve: sslserver VERSION is installed, but VERSION runs",
      "the package was upgraded while the old server was running (npm, `deno run`)",
      "restart the server",
    ),
    row(
      "unable to disable V8's inspector: SIGUSR1 is not ignored",
      "under Deno, other processes could read the memory of a worker, so the worker does not serve",
      "report it; the compiled file has no inspector",
    ),
  ],
};

export const START: readonly Section[] = [USAGE, NETWORK, SYSTEM];

/** What --check and a start report about users, the program, limits and rules. */

import { row, type Section } from "./table.ts";

const CHECKS_OTHERS: Section = {
  title: "Findings about users, program and limits",
  text: "",
  rows: [
    row(
      [
        "program NAME: not found in PATH",
        "program FILE: REASON",
        "program FILE: neither an executable of this system nor a script with #!",
        "program FILE: its lines end with CR, so no interpreter is found",
        "program FILE: REASON, as its interpreter must",
        "program -V: it looks like an option",
      ],
      "the program cannot be started as the user of `-u`, so every connection would be closed",
      "use the full path of the program, and `chmod a+rx`. A script must begin with `#!/bin/sh`, for example. The user needs access to the folders",
    ),
    row(
      [
        "workers and programs run as root",
        "one process does everything, because it is not permitted to start itself again",
        "SSL_UID 7 makes workers user 7: programs are the same",
        "workers are user 1000: programs run as the same user",
        "programs run as user 7 in root's group",
      ],
      "processes that should have different users have the same user",
      "start as root with SSL_USER, SSL_CHROOT, `-u` and `-g`",
    ),
    row(
      [
        "SSL_UID: only root can do that",
        "-u 7: only root can switch user",
        "-g 7: only root can switch group",
      ],
      "the server was not started as root",
      "start the server as root, or leave the option out",
    ),
    row(
      ["-u 7: not in /etc/passwd"],
      "no user of this machine has this number",
      "nothing, if it is the right number",
    ),
    row(
      [
        "SSL_CHROOT FOLDER: REASON",
        "SSL_CHROOT FOLDER: not a folder",
        "SSL_CHROOT FOLDER: user 7 can write there",
      ],
      "the folder does not exist, or a worker could write in it",
      "`mkdir -m 755 FOLDER`, owned by root",
    ),
    row(
      ["--files FOLDER: REASON", "module FILE: REASON"],
      "the folder or the module does not exist, or the user who must read it cannot",
      "use `chmod a+r` (`a+rx` for a folder), or another folder or module",
    ),
    row(
      ["open files: -c 1000 and --pending 1000 may need 5000, but the limit is 1024"],
      "under load the server stops accepting connections before it reaches `-c`",
      "raise the limit: `ulimit -n 65536`, LimitNOFILE=",
    ),
    row(
      [
        "-b 9999: the system allows 4096",
        "--workers 9: this machine has 2 CPU cores",
        "MAXCONIP 99 is above -c 40",
      ],
      "a number above this limit has no effect or no use",
      "lower the number, or raise the limit (`-c`, or for `-b` `sysctl net.core.somaxconn`)",
    ),
    row(
      [
        "-X does nothing without -x or -y",
        "-p does nothing with -H",
        "-z has no name to match with -H",
        "-I IF does nothing: host HOST is not a link-local address",
        "MAXCONNET does nothing without rules for networks",
        "SSL_UID is set and not used: REASON",
        "SNI_STRICT=0 enables it, as every value does",
      ],
      "the setting has no effect, or another effect than expected",
      "remove the setting, or change the other setting that the message names",
    ),
    row(
      [
        "ALPN=h2: --www and --files do not speak HTTP/2",
        "unable to use ALPN h2: --www and --files do not speak HTTP/2",
      ],
      "ALPN, in the environment or in a rule, has h2 or h2c, but `--www` and `--files` speak only HTTP/1.1",
      "set `ALPN=http/1.1`, or unset ALPN",
    ),
    row(
      "TLS_MIN_VERSON is not read by sslserver",
      "the name of a variable looks misspelled",
      "correct the name, or unset the variable",
    ),
    row(
      "host HOST: a link-local address needs an interface",
      "a link-local address (fe80) is valid only on one interface",
      "add `-I INTERFACE`",
    ),
    row(
      [
        "a server on port 53 that uses DNS can query itself",
        "-r on port 113 can make two servers query each other without end",
      ],
      "queries can go round in a loop",
      "add `-H` and `-l name`; leave out `-r`",
    ),
    row(
      "--proxy-from 0.0.0.0/0 lets every client choose its own address",
      "PROXY headers are accepted from every address",
      "list only the addresses of the load balancers",
    ),
    row(
      "--metrics on ADDRESS answers every client that can reach it",
      "everyone who can reach the address can read the metrics",
      "use `--metrics :9100` or a unix socket",
    ),
    row(
      "resolver ADDRESS: REASON, and each connection waits for it",
      "a DNS server does not answer",
      "correct /etc/resolv.conf, or use `-H` and `-l name`",
    ),
    row(
      "5 more warnings",
      "the server prints at most 30 warnings at start",
      "`sslserver --check …` prints all",
    ),
    row(
      ["this system has no IPv6: host :0 means all IPv4 addresses"],
      "the kernel has no IPv6",
      "nothing",
    ),
    row(
      [
        "programs inherit the ambient capabilities: Deno without FFI cannot clear them",
        "Deno without FFI opens its debugger at SIGUSR1: programs can read the key; use --allow-ffi",
        "Deno without FFI leaves orphans as zombies: use --allow-ffi, or an init (docker --init)",
      ],
      "without FFI, Deno cannot make the necessary system calls",
      "add `--allow-ffi`, or use the compiled file",
    ),
    row(
      "programs will not ignore SIGHUP, which this server was started to ignore: no env(1) with --ignore-signal was found",
      "the server runs under nohup, and env(1) of GNU coreutils is missing",
      "install coreutils, or start without nohup",
    ),
    row(
      "the module shares a process with the TLS keys, and can read them",
      "`--handler` and sslhandle serve in one process",
      "use only modules that you trust",
    ),
    row(
      "the secrets of all connections are written to FILE",
      "`--keylog` is set",
      "remove the option as soon as you do not need the secrets",
    ),
    row(
      "sandbox: REASON",
      "the kernel has no seccomp or no Landlock, or a container forbids them",
      "use a newer kernel. In a container, allow the calls of seccomp and Landlock. Separate users and SSL_CHROOT still protect the system",
    ),
  ],
};

const RULES: Section = {
  title: "Rules",
  text: "",
  rows: [
    row(
      [
        "rules FILE: no such file: every connection is denied",
        "rules FILE: REASON: every connection is denied",
      ],
      "the rules file is missing or damaged",
      "compile the file: `tcprules FILE tmp < source`. With `-X` a missing file allows all clients",
    ),
    row(
      "rules FILE: no client is allowed",
      "no rule allows clients",
      "add a rule with `allow`",
    ),
    row(
      "rules FILE: older than its source FILE",
      "the source was changed, but not compiled",
      "run tcprules again",
    ),
    row(
      ["rule 'KEY': TLS_MIN_VERSION X: REASON", "rule 'KEY': CADIR does nothing in a rule"],
      "a rule sets a wrong value, or a variable that only the server's environment can set",
      "correct the rule; sslserver-environment(7) lists what rules can set",
    ),
    row(
      [
        "access rules FILE: no such file or directory: every connection is denied",
        "access rules FILE: REASON: every connection is denied",
        "rule ip4/ADDRESS: nobody is allowed in by it",
        "access rules FILE: REASON: no rule for any client",
        "access rules FILE: nobody is allowed in",
        "access rules FILE: -H: rules in reversedns do nothing",
        "unable to use access rules: REASON",
        "unable to use access rules: the monitor is gone",
      ],
      "the folder of `--access-dir`, or the file of `--access-cdb`, allows no client or cannot be read",
      "add a rule, which is a folder with a file `allow`: `ip4/0.0.0.0_0/allow` allows all IPv4 clients",
    ),
    row(
      [
        "unable to parse MAXCONIP: not a number from 0 to 999999999",
        "unable to parse MAXCONRATE: not of the form n/s, for n connections in s seconds",
        "unable to parse MAXCONIP: REASON in the rules",
      ],
      "a limit has the wrong form. In the environment this is fatal; in a rule the connection is denied",
      "write numbers: `MAXCONIP=20`, `MAXCONRATE=10/60`",
    ),
    row(
      "the rules deny this connection",
      "the rules have changed between admission and the start of the program",
      "nothing: the new rules apply",
    ),
  ],
};

export const FINDINGS: readonly Section[] = [CHECKS_OTHERS, RULES];

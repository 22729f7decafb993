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
      "give its full path, `chmod a+rx` it, begin a script with `#!/bin/sh`, and let the user enter its folders",
    ),
    row(
      [
        "workers and programs run as root",
        "one process does everything, because it is not permitted to start itself again",
        "SSL_UID 7 makes workers user 7: programs are the same",
        "workers are user 1000: programs run as the same user",
        "programs run as user 7 in root's group",
      ],
      "processes that should be separated have the same user",
      "start as root with SSL_USER, SSL_CHROOT, `-u` and `-g`",
    ),
    row(
      [
        "SSL_UID: only root can do that",
        "-u 7: only root can switch user",
        "-g 7: only root can switch group",
      ],
      "the server was not started as root",
      "start it as root, or leave the option out",
    ),
    row(
      ["-u 7: not in /etc/passwd"],
      "the number has no name on this machine",
      "nothing, if it is the right number",
    ),
    row(
      [
        "SSL_CHROOT FOLDER: REASON",
        "SSL_CHROOT FOLDER: not a folder",
        "SSL_CHROOT FOLDER: user 7 can write there",
      ],
      "the jail is missing, or a worker could change it",
      "`mkdir -m 755 FOLDER`, owned by root",
    ),
    row(
      ["--files FOLDER: REASON", "module FILE: REASON"],
      "the folder or the module does not exist, or cannot be read as the user who will read it",
      "`chmod a+r` it, or name another one",
    ),
    row(
      ["open files: -c 1000 and --pending 1000 may need 5000, but the limit is 1024"],
      "under load the server stops accepting before `-c` is reached",
      "`ulimit -n 65536`, LimitNOFILE=",
    ),
    row(
      [
        "-b 9999: the system allows 4096",
        "--workers 9: this machine has 2 CPU cores",
        "MAXCONIP 99 is above -c 40",
      ],
      "a number has no effect beyond a limit",
      "lower it, or raise the other limit (`sysctl net.core.somaxconn`)",
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
      "the setting has not the effect that its user expects",
      "remove it, or what contradicts it",
    ),
    row(
      "ALPN=h2: --www and --files do not speak HTTP/2",
      "ALPN has h2 or h2c, and `--www` or `--files` answers HTTP/1.1",
      "`ALPN=http/1.1`, or unset it",
    ),
    row(
      "TLS_MIN_VERSON is not read by sslserver",
      "a variable looks misspelled",
      "correct it, or unset it",
    ),
    row(
      "host HOST: a link-local address needs an interface",
      "fe80 addresses belong to an interface",
      "add `-I INTERFACE`",
    ),
    row(
      [
        "a server on port 53 that uses DNS can query itself",
        "-r on port 113 can make two servers query each other without end",
      ],
      "a loop of queries",
      "add `-H` and `-l name`; leave out `-r`",
    ),
    row(
      "--proxy-from 0.0.0.0/0 lets every client choose its own address",
      "PROXY headers are believed from everywhere",
      "name the addresses of the load balancers only",
    ),
    row(
      "--metrics on ADDRESS answers every client that can reach it",
      "the metrics are public",
      "`--metrics :9100` or a unix socket",
    ),
    row(
      "resolver ADDRESS: REASON, and each connection waits for it",
      "a DNS server does not answer",
      "correct /etc/resolv.conf, or give `-H` and `-l name`",
    ),
    row("5 more warnings", "a start prints 30", "`sslserver --check …` shows all"),
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
      "Deno without FFI cannot do what a server should",
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
      "only load modules that you trust",
    ),
    row(
      "the secrets of all connections are written to FILE",
      "`--keylog` is set",
      "remove it when you have found what you look for",
    ),
    row(
      "sandbox: REASON",
      "the kernel has no seccomp or no Landlock, or a container forbids them",
      "a newer kernel; in a container allow the calls of seccomp and Landlock. Users and jail protect meanwhile",
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
      "compile it: `tcprules FILE tmp < source`. With `-X` a missing file admits everyone",
    ),
    row(
      "rules FILE: no client is allowed",
      "every rule denies, or the last one denies everyone and no other allows",
      "add a rule with `allow`",
    ),
    row(
      "rules FILE: older than its source FILE",
      "the source was changed and not compiled",
      "run tcprules again",
    ),
    row(
      ["rule 'KEY': TLS_MIN_VERSION X: REASON", "rule 'KEY': CADIR does nothing in a rule"],
      "a rule sets a variable that is wrong, or that only the server's environment can set",
      "correct the rule; sslserver-environment(7) says what rules can set",
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
      "the folder of `--access-dir`, or the file of `--access-cdb`, admits nobody or cannot be read",
      "a rule is a folder with a file `allow`: `ip4/0.0.0.0_0/allow` admits all IPv4 clients",
    ),
    row(
      [
        "unable to parse MAXCONIP: not a number from 0 to 999999999",
        "unable to parse MAXCONRATE: not of the form n/s, for n connections in s seconds",
        "unable to parse MAXCONIP: REASON in the rules",
      ],
      "a limit in the environment (fatal) or in a rule (the connection is denied) is wrong",
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

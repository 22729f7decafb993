/** The servers that are compared, and the variants of ours: how each is started for a port and a program.
 *  Servers that are not installed are left out and reported. */

import { join } from "@std/path";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import process from "node:process";
import { executable, type Form, formCommand } from "../e2e/harness.ts";
import { rulesFile, type Tools } from "./prepare.ts";

export interface Command {
  command: string[];
  env?: Record<string, string>;
}

export interface Subject {
  name: string;
  /** The command that starts it on 127.0.0.1. `program` is a full path and arguments without spaces. */
  at(port: number, program: readonly string[]): Command;
  /** The version that it reports. */
  version: string;
  /** True: also measured with thousands of connections. Other servers have a process or a thread for each
   *  connection, so more than a thousand would show nothing new. */
  many: boolean;
  /** True: prints its port on stdout, with -1 or always. */
  printsPort: boolean;
  /** True: compiles its code while it runs, so it is faster after thousands of connections. */
  compiles?: boolean;
  /** True: its stderr is read and dropped. Otherwise it goes to a file. */
  logs?: boolean;
}

/** The limit of programs at once for servers that have one: more than any measurement needs. */
const MOST = 10_000;
const BACKLOG = 1024;

/** Our server in one of its forms, with options. */
export function ours(tools: Tools, name: string, form: Form, options: string[] = []): Subject {
  const env = { CERTFILE: tools.certificate, KEYFILE: tools.key };
  const fixed = ["-1", "-H", "-l", "localhost", "-c", String(MOST), "-b", String(BACKLOG)];
  const file = form === "binary" ? tools.binary : executable(form);
  const [command = "", ...args] = formCommand(form, "", file);
  const version = firstLine(command, ["--version"], /\w+ [\d.]+/);
  return {
    name,
    at: (port, program) => ({
      command: [
        ...formCommand(form, program[0] ?? "", file),
        ...fixed,
        ...options,
        "127.0.0.1",
        String(port),
        ...program,
      ],
      env,
    }),
    version: form === "binary" ? version : `${version}, with ${args.find((one) => /v8/.test(one))}`,
    many: true,
    printsPort: true,
    compiles: true,
  };
}

/** The compiled file of an earlier tree, started as `now` is. */
function earlier(now: Subject, file: string): Subject {
  return {
    ...now,
    name: "base",
    at: (port, program) => {
      const { command: [, ...args], ...rest } = now.at(port, program);
      return { ...rest, command: [file, ...args] };
    },
    version: firstLine(file, ["--version"], /\w+ [\d.]+/),
  };
}

/** All servers that are installed, `base` (the compiled file of an earlier tree) and the reference first,
 *  and the names of those that are not. */
export function servers(
  tools: Tools,
  base: string | undefined,
): { subjects: Subject[]; missing: string[] } {
  const { certificate, key, scratch } = tools;
  const env = { CERTFILE: certificate, KEYFILE: key };
  const other = { many: false, printsPort: false };
  const subjects: Subject[] = [
    {
      name: "ref-epoll",
      at: (port, program) => ({
        command: [tools.reference, String(port), certificate, key, ...program],
      }),
      version: `test/bench/ref_epoll.c, ${firstLine("openssl", ["version"], /OpenSSL [\d.]+/)}`,
      many: true,
      printsPort: true,
    },
    ours(tools, "ours", "binary"),
    ours(tools, "deno", "deno"),
  ];
  if (base !== undefined) subjects.unshift(earlier(subjects[1] as Subject, base));
  const missing: string[] = [];
  const add = (path: string | undefined, name: string, from: string, make: () => Subject): void => {
    if (path === undefined) missing.push(`${name} (${from})`);
    else subjects.push(make());
  };

  const stunnel = which("stunnel4") ?? which("stunnel");
  add(stunnel, "stunnel", "Debian's stunnel4", () => ({
    ...other,
    name: "stunnel",
    at: (port, [program = "", ...args]) => {
      const file = join(scratch, `stunnel-${port}.conf`);
      fs.writeFileSync(
        file,
        `foreground = quiet\npid =\nsyslog = no\ndebug = 0\noutput = /dev/null\nTIMEOUTclose = 0
[exec]\naccept = 127.0.0.1:${port}\ncert = ${certificate}\nkey = ${key}\nsslVersionMin = TLSv1.2
exec = ${program}\nexecArgs = ${[program, ...args].join(" ")}\n`,
      );
      return { command: [stunnel as string, file] };
    },
    version: firstLine(stunnel as string, ["-version"], /stunnel [\d.]+/),
  }));

  const socat = which("socat");
  add(socat, "socat", "Debian's socat", () => ({
    ...other,
    name: "socat",
    at: (port, program) => {
      const listen = `OPENSSL-LISTEN:${port},bind=127.0.0.1,reuseaddr,fork,backlog=${BACKLOG}` +
        `,cert=${certificate},key=${key},verify=0,nodelay`;
      return { command: [socat as string, "-b", "8192", listen, `EXEC:${program.join(" ")}`] };
    },
    version: firstLine(socat as string, ["-V"], /socat version [\d.]+/),
  }));

  const ucspi = which("sslserver");
  add(
    ucspi !== undefined && !isOurs(ucspi) ? ucspi : undefined,
    "ucspi-ssl",
    "no Debian package",
    () => ({
      ...other,
      name: "ucspi-ssl",
      at: (port, program) => ({
        command: [ucspi as string, "-q", "-H", "-R", "-l", "localhost", "-c", String(MOST), "-b"]
          .concat(String(BACKLOG), "127.0.0.1", String(port), program),
        env,
      }),
      version: "sslserver of ucspi-ssl",
    }),
  );

  const s6 = which("s6-tlsserver");
  add(s6, "s6", "Debian's s6-networking, from trixie on", () => ({
    ...other,
    name: "s6",
    at: (port, program) => ({
      command: [s6 as string, "-q", "-H", "-l", "localhost", "-c", "1000", "-C", "1000", "-b"]
        .concat(String(BACKLOG), "--", "127.0.0.1", String(port), program),
      env,
    }),
    version: "s6-tlsserver",
  }));
  return { subjects, missing };
}

/** Variants of the compiled server, by section, those that are `chosen` by their names. The first of each
 *  section is the unchanged server. */
export function variants(
  tools: Tools,
  section: string,
  chosen: (name: string) => boolean,
): Subject[] {
  const server = tools.binary;
  const table: Record<string, () => [name: string, options: string[]][]> = {
    log: () => [["-v", ["-v"]]],
    rules: () => [
      ["-x, 10 entries", ["-x", rulesFile(server, 10)]],
      ["-x, 1000000 entries", ["-x", rulesFile(server, 1_000_000)]],
    ],
    workers: () =>
      knows(server, "--workers")
        ? [["--workers 0", ["--workers", "0"]], ["--workers 2", ["--workers", "2"]]]
        : [],
  };
  const made = (table[section]?.() ?? [])
    .filter(([name]) => chosen(name))
    .map(([name, options]) => ours(tools, name, "binary", options));
  for (const subject of made) subject.logs = section === "log";
  return made.length === 0 ? [] : [ours(tools, "ours", "binary"), ...made];
}

function knows(server: string, option: string): boolean {
  return spawnSync(server, ["--help"], { encoding: "utf8" }).stdout.includes(option);
}

/** True if the file is our server: ucspi-ssl's server of the same name has no --help. */
function isOurs(path: string): boolean {
  return spawnSync(path, ["--help"], { stdio: "ignore" }).status === 0;
}

function which(name: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/sbin"];
  return folders.map((folder) => join(folder, name)).find((path) => fs.existsSync(path));
}

function firstLine(command: string, args: string[], pattern = /.+/): string {
  const { stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  return pattern.exec(`${stdout}${stderr}`)?.[0] ?? "unknown";
}

/** Servers of other projects that run a program for each TLS connection. Those that are not in PATH are
 *  left out and reported. */

import { join } from "@std/path";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import process from "node:process";
import type { Tools } from "./prepare.ts";
import { BACKLOG, firstLine, MOST, type Subject } from "./servers.ts";

interface Peer {
  /** Its commands. All of them must be installed. */
  commands: readonly string[];
  /** The Debian package. */
  from: string;
  make(tools: Tools, ...paths: string[]): Pick<Subject, "at" | "version">;
}

const PEERS: Readonly<Record<string, Peer>> = {
  "ucspi-ssl": {
    commands: ["sslserver"],
    from: "no Debian package",
    // DHFILE: without it a file must exist that only an installation makes.
    make: (tools, sslserver = "") => ({
      at: (port, program) => ({
        command: [sslserver, "-q", "-H", "-R", "-l", "localhost", "-c", String(MOST), "-b"]
          .concat(String(BACKLOG), "127.0.0.1", String(port), program),
        env: { CERTFILE: tools.certificate, KEYFILE: tools.key, DHFILE: "" },
      }),
      // Only the folder in which it was built, and usually stays, tells its version.
      version: /ucspi-ssl-[\w.]+/.exec(fs.realpathSync(sslserver))?.[0] ?? "ucspi-ssl",
    }),
  },
  s6: {
    commands: ["s6-tlsserver", "s6-tlsd-io"],
    from: "s6-networking, no Debian package",
    // -D: without it the server does not set TCP_NODELAY.
    make: (tools, s6 = "", io = "") => ({
      at: (port, program) => ({
        command: [s6, "-q", "-D", "-H", "-l", "localhost", "-c", String(MOST), "-C", String(MOST)]
          .concat("-b", String(BACKLOG), "--", "127.0.0.1", String(port), program),
        env: { CERTFILE: tools.certificate, KEYFILE: tools.key },
      }),
      version: `s6-tlsserver, ${firstLine("ldd", [io], /lib(?:tls|bearssl)/)}`,
    }),
  },
  stunnel: {
    commands: ["stunnel4"],
    from: "Debian's stunnel4",
    make: ({ certificate, key, scratch }, stunnel = "") => ({
      at: (port, [program = "", ...args]) => {
        const file = join(scratch, `stunnel-${port}.conf`);
        fs.writeFileSync(
          file,
          `foreground = quiet\npid =\nsyslog = no\ndebug = 0\noutput = /dev/null\nTIMEOUTclose = 0
[exec]\naccept = 127.0.0.1:${port}\ncert = ${certificate}\nkey = ${key}\nsslVersionMin = TLSv1.2
exec = ${program}\nexecArgs = ${[program, ...args].join(" ")}\n`,
        );
        return { command: [stunnel, file] };
      },
      version: firstLine(stunnel, ["-version"], /stunnel [\d.]+/),
    }),
  },
  socat: {
    commands: ["socat"],
    from: "Debian's socat",
    make: ({ certificate, key }, socat = "") => ({
      at: (port, program) => {
        const listen = `OPENSSL-LISTEN:${port},bind=127.0.0.1,reuseaddr,fork,backlog=${BACKLOG}` +
          `,cert=${certificate},key=${key},verify=0,nodelay`;
        return { command: [socat, "-b", "8192", listen, `EXEC:${program.join(" ")}`] };
      },
      version: firstLine(socat, ["-V"], /socat version [\d.]+/),
    }),
  },
  hitch: {
    commands: ["hitch", "tcpserver"],
    from: "Debian's hitch and ucspi-tcp",
    make: ({ certificate, key, scratch }, hitch = "", tcpserver = "") => {
      const pem = join(scratch, "hitch.pem");
      fs.writeFileSync(pem, fs.readFileSync(key, "utf8") + fs.readFileSync(certificate, "utf8"));
      const inner = `${tcpserver} -q -D -H -R -l0 -c ${MOST} -b ${BACKLOG} 127.0.0.2`;
      // As root hitch wants another user for its worker.
      const user = process.getuid?.() === 0 ? "-u nobody" : "";
      return {
        // tcpserver has the same port on another address.
        at: (port, program) => ({
          command: [
            "/bin/sh",
            "-c",
            `${inner} ${port} ${program.join(" ")} & exec ${hitch} -L 0 -B ${BACKLOG} ${user} \
--frontend='[127.0.0.1]:${port}' --backend='[127.0.0.2]:${port}' ${pem}`,
          ],
        }),
        version: `${firstLine(hitch, ["-V"], /hitch [\d.]+/)} before tcpserver`,
      };
    },
  },
};

/** The servers that are installed, and the names of those that are not. */
export function peers(tools: Tools): { subjects: Subject[]; missing: string[] } {
  const subjects: Subject[] = [];
  const missing: string[] = [];
  for (const [name, { commands, from, make }] of Object.entries(PEERS)) {
    const paths = commands.map(which);
    if (!paths.every((path) => path !== undefined)) missing.push(`${name} (${from})`);
    else subjects.push({ name, peer: true, ...make(tools, ...paths) });
  }
  return { subjects, missing };
}

/** The path of a command. Our own sslserver and s6-tlsserver do not count. */
export function which(name: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/sbin"];
  return folders.map((folder) => join(folder, name))
    .find((path) => fs.existsSync(path) && !isOurs(path));
}

/** True if the file is our server under one of its names: it knows --version, and says its own name. Their
 *  namesakes have no such option. */
function isOurs(path: string): boolean {
  const { stdout } = spawnSync(path, ["--version"], { encoding: "utf8", input: "", timeout: 5000 });
  return /^(?:sslserver|s6-tlsserver) [\d.]+/.test(stdout ?? "");
}

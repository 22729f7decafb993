/** --check finds each planted mistake and no other, names the remedy, and finds nothing in sound
 *  configurations. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import { once } from "node:events";
import * as fs from "node:fs";
import * as net from "node:net";
import { makeRules } from "./admission.ts";
import { agedSelfSigned, concatenated } from "./certificates.ts";
import {
  authority,
  check,
  complaints,
  issue,
  NOBODY,
  type Plan,
  readableBy,
  revocationList,
  sound,
  soundStatus,
} from "./checks.ts";
import { claim, type Form, isRoot, needsRoot, ON_BUN, type Trial, WITH_FFI } from "./harness.ts";
import { mounted } from "./mounts.ts";

/** The forms with FFI. The form without FFI has its own claims below. */
const BOTH: readonly Form[] = WITH_FFI;

interface Mistake {
  name: string;
  /** Plants the mistake in a sound plan. A returned function is called after the check. */
  plant(plan: Plan, t: Trial): Promise<void | (() => void)> | void;
  level: "warning" | "error";
  text: RegExp;
  remedy: RegExp;
  forms?: readonly Form[];
  /** True if planting the mistake, or making it, needs root. */
  root?: boolean;
  skip?: string | false;
}

const MISTAKES: readonly Mistake[] = [
  // Certificates of the server.
  {
    name: "an expired certificate",
    async plant(plan, t) {
      const { certificate, key } = await issue(t, "old", { days: -1 });
      Object.assign(plan.env, { CERTFILE: certificate, KEYFILE: key });
    },
    level: "error",
    text: /certificate \S+old\.pem: expired on /,
    remedy: /renewed/,
  },
  {
    name: "a certificate that ends within 30 days",
    async plant(plan, t) {
      const { certificate, key } = await agedSelfSigned(t, "soon", 20);
      Object.assign(plan.env, { CERTFILE: certificate, KEYFILE: key });
    },
    level: "warning",
    text: /certificate \S+soon\.pem: ends in 19 days, on /,
    remedy: /renewed/,
  },
  {
    name: "an intermediate left out that lies beside the certificate",
    async plant(plan, t) {
      const middle = await authority(t, "middle", { by: await authority(t, "top") });
      const { certificate, key } = await issue(t, "short", { by: middle });
      Object.assign(plan.env, { CERTFILE: certificate, KEYFILE: key });
    },
    level: "warning",
    text: /certificate \S+short\.pem: the chain is not complete; missing: \/CN=middle/,
    remedy: /append \S+middle\.pem/,
  },
  {
    name: "an intermediate left out of a chain that a public authority issued",
    async plant(plan, t) {
      const { certificate, key } = await issue(t, "public", {
        by: await authority(t, "ca"),
        extensions: ["authorityInfoAccess=caIssuers;URI:http://ca.example/r3.der"],
      });
      fs.renameSync(join(t.dir, "ca.pem"), join(t.dir, "elsewhere"));
      Object.assign(plan.env, { CERTFILE: certificate, KEYFILE: key });
    },
    level: "warning",
    text:
      /public\.pem: the chain ends before an authority that this system knows; missing: \/CN=ca/,
    remedy: /append the certificate of that issuer to CERTFILE/,
  },
  {
    name: "a chain out of order",
    async plant(plan, t) {
      const top = await authority(t, "top");
      const middle = await authority(t, "middle", { by: top });
      const { certificate, key } = await issue(t, "mixed", { by: middle });
      const file = concatenated(t, "chain.pem", top.certificate, certificate, middle.certificate);
      Object.assign(plan.env, { CERTFILE: file, KEYFILE: key });
    },
    level: "warning",
    text: /certificate \S+chain\.pem: not in order/,
    remedy: /own certificate first/,
  },
  {
    name: "an expired intermediate",
    async plant(plan, t) {
      const middle = await authority(t, "middle", { by: await authority(t, "top"), days: -1 });
      const { certificate, key } = await issue(t, "late", { by: middle });
      const file = concatenated(t, "chain.pem", certificate, middle.certificate);
      fs.renameSync(join(t.dir, "top.pem"), join(t.dir, "elsewhere"));
      Object.assign(plan.env, { CERTFILE: file, KEYFILE: key });
    },
    level: "error",
    text: /chain\.pem: \/CN=middle of its chain expired on /,
    remedy: /current chain/,
  },
  {
    name: "a stranger's certificate in the chain file",
    async plant(plan, t) {
      const stranger = await authority(t, "stranger");
      const { certificate, key } = await issue(t, "own", { by: await authority(t, "ca") });
      const file = concatenated(t, "chain.pem", certificate, stranger.certificate);
      Object.assign(plan.env, { CERTFILE: file, KEYFILE: key });
    },
    level: "warning",
    text: /chain\.pem: \/CN=stranger is not part of the chain and is not sent/,
    remedy: /remove it/,
  },
  {
    name: "the key of another certificate",
    async plant(plan, t) {
      plan.env["KEYFILE"] = (await issue(t, "other")).key;
    },
    level: "error",
    text: /unable to use key \S+other\.key: it belongs to no certificate in /,
    remedy: /set KEYFILE/,
  },
  {
    name: "no certificate file there",
    plant(plan) {
      plan.env["CERTFILE"] = "/nonexistent/cert.pem";
    },
    level: "error",
    text: /unable to read certificate \/nonexistent\/cert\.pem: no such file/i,
    remedy: /PEM file/,
  },
  {
    name: "a certificate without names",
    async plant(plan, t) {
      const { certificate, key } = await issue(t, "bare", { names: [] });
      Object.assign(plan.env, { CERTFILE: certificate, KEYFILE: key });
    },
    level: "warning",
    text: /bare\.pem: no subjectAltName/,
    remedy: /names of the host/,
  },
  {
    name: "a certificate for clients",
    async plant(plan, t) {
      const extensions = ["extendedKeyUsage=clientAuth"];
      const { certificate, key } = await issue(t, "user", { extensions });
      Object.assign(plan.env, { CERTFILE: certificate, KEYFILE: key });
    },
    level: "error",
    text: /user\.pem: not for servers/,
    remedy: /issued for a server/,
  },
  {
    name: "a short RSA key",
    async plant(plan, t) {
      const { certificate, key } = await issue(t, "weak", { key: "rsa1024" });
      Object.assign(plan.env, { CERTFILE: certificate, KEYFILE: key });
    },
    level: "error",
    text: /weak\.pem: RSA key of 1024 bits/,
    remedy: /2048 bits/,
    forms: ON_BUN, // rustls itself refuses it at the start
  },
  {
    name: "a SHA-1 signature",
    async plant(plan, t) {
      const { certificate, key } = await issue(t, "sha1", { digest: "sha1" });
      Object.assign(plan.env, { CERTFILE: certificate, KEYFILE: key });
    },
    level: "error",
    text: /sha1\.pem: signed with \S+, which clients refuse/,
    remedy: /SHA-256/,
  },
  {
    name: "a key that everybody can read",
    plant(plan) {
      fs.chmodSync(plan.env["KEYFILE"] ?? "", 0o644);
    },
    level: "warning",
    text: /key \S+leaf\.key: all users can read it/,
    remedy: /chmod o-r \S+leaf\.key/,
  },
  {
    name: "a key that programs can read",
    plant(plan) {
      readableBy(plan.env["KEYFILE"] ?? "", NOBODY);
    },
    level: "warning",
    text: /key \S+leaf\.key: programs can read it, as user 65534/,
    remedy: /chown root:root \S+leaf\.key; chmod 600/,
    root: true,
  },
  {
    name: "a key that the one process of --workers 0 cannot read again",
    plant(plan) {
      plan.options.push("--workers", "0");
    },
    level: "warning",
    text: /key \S+leaf\.key: user 65534 cannot read it/,
    remedy: /leave out --workers 0/,
    root: true,
  },
  {
    name: "a key that the process of a module cannot read again",
    plant(plan, t) {
      const module = join(t.dir, "module.ts");
      fs.writeFileSync(module, "export default () => {};\n");
      plan.options.push("--handler", module);
      plan.program = [];
    },
    level: "warning",
    text: /key \S+leaf\.key: user 65534 cannot read it/,
    remedy: /^let the group of -g read it, or restart/,
    root: true,
  },
  // By server name.
  {
    name: "an expired certificate of one server name",
    async plant(plan, t) {
      const { certificate, key } = await issue(t, "old", { names: ["a.example"], days: -1 });
      Object.assign(plan.env, {
        "CERTFILE:a.example": certificate,
        "KEYFILE:a.example": key,
      });
      plan.prelude = named(plan.env);
    },
    level: "error",
    text: /certificate \S+old\.pem: expired on /,
    remedy: /renewed/,
  },
  {
    name: "a certificate of one server name that names another",
    async plant(plan, t) {
      const { certificate, key } = await issue(t, "b", { names: ["b.example"] });
      Object.assign(plan.env, {
        "CERTFILE:a.example": certificate,
        "KEYFILE:a.example": key,
      });
      plan.prelude = named(plan.env);
    },
    level: "warning",
    text: /b\.pem: is used for a\.example, but issued for b\.example/,
    remedy: /CERTFILE:a\.example/,
  },
  {
    name: "SNI_STRICT=0",
    plant(plan) {
      plan.env["SNI_STRICT"] = "0";
    },
    level: "warning",
    text: /SNI_STRICT=0 enables it/,
    remedy: /unset it/,
  },
  // TLS settings.
  {
    name: "a cipher list that leaves weak suites",
    plant(plan) {
      plan.env["CIPHERS"] = "HIGH";
    },
    level: "warning",
    text: /CIPHERS HIGH: permits .*ECDHE-ECDSA-AES128-GCM-SHA256.* ECDHE-ECDSA-AES128-SHA/,
    remedy: /CIPHERS=ECDHE\+AESGCM/,
    forms: ON_BUN,
  },
  {
    name: "a cipher list for another kind of key",
    plant(plan) {
      plan.env["CIPHERS"] = "ECDHE-RSA-AES128-GCM-SHA256";
    },
    level: "error",
    text: /CIPHERS \S+: no TLS 1\.2 client can connect/,
    remedy: /kind of key/,
    forms: ON_BUN,
  },
  {
    name: "a misspelled word in a cipher list",
    plant(plan) {
      plan.env["CIPHERS"] = "ECDHE+AESGCM:ECDHE+CHACHA02";
    },
    level: "warning",
    text: /CIPHERS \S+: 'ECDHE\+CHACHA02' is not the name of a suite/,
    remedy: /spelling/,
    forms: ON_BUN,
  },
  {
    name: "a broken protocol allowed",
    plant(plan) {
      plan.env["TLS_MIN_VERSION"] = "TLSv1";
    },
    level: "warning",
    text: /TLS_MIN_VERSION TLSv1 lets clients use a broken protocol/,
    remedy: /TLS_MIN_VERSION=TLSv1\.2/,
    forms: ON_BUN,
  },
  {
    name: "DHFILE",
    plant(plan) {
      plan.env["DHFILE"] = "/etc/ssl/dh.pem";
    },
    level: "warning",
    text: /DHFILE is ignored/,
    remedy: /unset DHFILE/,
  },
  {
    name: "a setting that no runtime supports",
    plant(plan) {
      plan.env["TICKETKEYFILE"] = "/etc/ssl/tickets";
    },
    level: "error",
    text: /\$TICKETKEYFILE is not supported by sslserver/,
    remedy: /unset TICKETKEYFILE/,
  },
  {
    name: "a misspelled variable",
    plant(plan) {
      plan.env["TLS_MIN_VERSON"] = "TLSv1.3";
    },
    level: "warning",
    text: /TLS_MIN_VERSON is not read/,
    remedy: /did you mean TLS_MIN_VERSION/,
  },
  // Clients' certificates.
  {
    name: "an expired authority",
    async plant(plan, t) {
      plan.env["CAFILE"] = (await authority(t, "gone", { days: -1 })).certificate;
      plan.options.push("-m");
    },
    level: "error",
    text: /authorities \S+gone\.pem: \/CN=gone expired on .*: every client is refused/,
    remedy: /current certificate/,
  },
  {
    name: "an intermediate in place of the root",
    async plant(plan, t) {
      const top = await authority(t, "top");
      plan.env["CAFILE"] = (await authority(t, "middle", { by: top })).certificate;
      plan.options.push("-m");
    },
    level: "error",
    text: /authorities \S+middle\.pem: none is self-signed/,
    remedy: /root/,
  },
  {
    name: "an expired revocation list",
    async plant(plan, t) {
      const ca = await authority(t, "ca");
      plan.env["CAFILE"] = ca.certificate;
      plan.env["CRLFILE"] = await revocationList(t, ca, "list", { ended: true });
      plan.options.push("-m");
    },
    level: "error",
    text: /revocation lists \S+list\.crl: the list of \/CN=ca expired on /,
    remedy: /current list/,
  },
  {
    name: "an authority without a revocation list where there are some",
    async plant(plan, t) {
      const [ca, other] = [await authority(t, "ca"), await authority(t, "other")];
      plan.env["CAFILE"] = concatenated(t, "both.pem", ca.certificate, other.certificate);
      plan.env["CRLFILE"] = await revocationList(t, ca, "list");
      plan.options.push("-m");
    },
    level: "warning",
    text: /revocation lists \S+list\.crl: none from \/CN=other/,
    remedy: /CRLFILE/,
  },
  {
    name: "-m with nothing to verify against",
    plant(plan) {
      plan.options.push("-m");
    },
    level: "error",
    text: /unable to require client certificates/,
    remedy: /set CAFILE or CADIR/,
  },
  {
    name: "CAFILE without anybody asking for a certificate",
    async plant(plan, t) {
      plan.env["CAFILE"] = (await authority(t, "ca")).certificate;
    },
    level: "warning",
    text: /CAFILE is set and not used/,
    remedy: /-m/,
  },
  // Rules and limits.
  {
    name: "no rules file there",
    plant(plan) {
      plan.options.push("-x", "/nonexistent/rules.cdb");
    },
    level: "error",
    text: /rules \/nonexistent\/rules\.cdb: no such file: every connection is denied/,
    remedy: /tcprules/,
  },
  {
    name: "the source of the rules in place of the database",
    plant(plan, t) {
      const source = join(t.dir, "tcp.smtp");
      fs.writeFileSync(source, "127.:allow\n:deny\n");
      plan.options.push("-x", source);
    },
    level: "error",
    text: /rules \S+tcp\.smtp: .*: every connection is denied/,
    remedy: /tcprules/,
  },
  {
    name: "rules that the one process of --workers 0 cannot read",
    async plant(plan, t) {
      const rules = await makeRules(t, ":allow\n");
      fs.chmodSync(rules, 0o600);
      readableBy(plan.env["KEYFILE"] ?? "", NOBODY);
      plan.options.push("--workers", "0", "-x", rules);
    },
    level: "error",
    text: /rules \S+rules\.cdb: user 65534 cannot read it/,
    remedy: /chmod a\+r/,
    root: true,
  },
  {
    name: "rules older than their source",
    async plant(plan, t) {
      const rules = await makeRules(t, ":allow\n", "tcprules", "tcp.smtp.cdb");
      fs.writeFileSync(join(t.dir, "tcp.smtp"), ":deny\n");
      fs.utimesSync(rules, 1_700_000_000, 1_700_000_000);
      plan.options.push("-x", rules);
    },
    level: "warning",
    text: /tcp\.smtp\.cdb: older than its source \S+tcp\.smtp/,
    remedy: /tcprules \S+cdb \S+ <\S+tcp\.smtp/,
  },
  {
    name: "a rule that names a certificate that is not there",
    async plant(plan, t) {
      const rules = '10.:allow,CERTFILE="/nonexistent.pem",KEYFILE="/nonexistent.key"\n:allow\n';
      plan.options.push("-x", await makeRules(t, rules));
    },
    level: "error",
    text: /rules \S+: rule 10\.: unable to read certificate \/nonexistent\.pem/,
    remedy: /PEM file/,
  },
  {
    name: "a rule with a limit that is none",
    async plant(plan, t) {
      plan.options.push("-x", await makeRules(t, '10.:allow,MAXCONIP="many"\n:allow\n'));
    },
    level: "error",
    text: /rules \S+: rule 10\.: unable to parse MAXCONIP/,
    remedy: /MAXCONIP=5/,
  },
  {
    name: "MAXCONIP that is no number",
    plant(plan) {
      plan.env["MAXCONIP"] = "five";
    },
    level: "error",
    text: /unable to parse MAXCONIP/,
    remedy: /MAXCONIP=5/,
  },
  {
    name: "MAXCONRATE without seconds",
    plant(plan) {
      plan.env["MAXCONRATE"] = "10";
    },
    level: "error",
    text: /unable to parse MAXCONRATE/,
    remedy: /n is at most/,
  },
  {
    name: "MAXCONIP above -c",
    plant(plan) {
      plan.env["MAXCONIP"] = "50";
    },
    level: "warning",
    text: /MAXCONIP 50 is above -c 40/,
    remedy: /raise -c/,
  },
  {
    name: "too few descriptors for -c",
    plant(plan) {
      plan.prelude = "ulimit -n 300";
      plan.options.push("-c", "200");
    },
    level: "warning",
    text: /open files: -c 200 and --pending 1000 may need \d+, but the limit is 300/,
    remedy: /ulimit/,
    forms: ON_BUN, // Deno itself raises the soft limit to the hard one, and so does our code
  },
  // Network.
  {
    name: "a port that is taken",
    async plant(plan) {
      const { port, close } = await taken();
      plan.port = String(port);
      return close;
    },
    level: "error",
    text: /unable to listen on 127\.0\.0\.1 port \d+: /,
    remedy: /ss -ltnp/,
  },
  {
    name: "an address of another machine",
    plant(plan) {
      plan.host = "192.0.2.1";
    },
    level: "error",
    text: /unable to listen on 192\.0\.2\.1 port 0: /,
    remedy: /address of this machine/,
  },
  {
    name: "an interface that is not there",
    plant(plan) {
      plan.host = "fe80::1";
      plan.options.push("-I", "nosuch0");
    },
    level: "error",
    text: /unable to listen on fe80::1 port 0: /,
    remedy: /-I/,
  },
  {
    name: "a service name that nobody knows",
    plant(plan) {
      plan.port = "smpts";
    },
    level: "error",
    text: /unable to find port smpts/,
    remedy: /number/,
  },
  {
    name: "the metrics on a port that is taken",
    async plant(plan) {
      const { port, close } = await taken();
      plan.options.push("--metrics", `127.0.0.1:${port}`);
      return close;
    },
    level: "error",
    text: /unable to listen for --metrics on 127\.0\.0\.1:\d+: /,
    remedy: /free address/,
  },
  {
    name: "the metrics for everybody",
    plant(plan) {
      plan.options.push("--metrics", "0:0");
    },
    level: "warning",
    text: /--metrics on 0\.0\.0\.0 answers every client that can reach it/,
    remedy: /loopback/,
  },
  {
    name: "PROXY headers from everybody",
    plant(plan) {
      plan.options.push("--proxy-from", "0.0.0.0/0");
    },
    level: "warning",
    text: /--proxy-from 0\.0\.0\.0\/0 lets every client choose/,
    remedy: /addresses of the proxies/,
  },
  {
    name: "a resolver that is not there",
    plant(plan) {
      plan.options = plan.options.filter((option) => option !== "-H");
      plan.env["DNSCACHEIP"] = "127.0.0.1:9";
    },
    level: "warning",
    text: /resolver 127\.0\.0\.1: refuses/,
    remedy: /DNSCACHEIP/,
  },
  {
    name: "a port that wants root",
    plant(plan) {
      plan.port = "1";
      asNobody(plan);
    },
    level: "error",
    text: /unable to listen on 127\.0\.0\.1 port 1: .*permission denied/i,
    remedy: /below 1024 need root/,
    forms: ON_BUN, // Deno needs a cache that its user can write
    root: true,
    skip: !guardsPorts() && "everybody may have every port",
  },
  // Users and processes.
  {
    name: "everything runs as root",
    plant(plan) {
      plan.options = plan.options.slice(4);
    },
    level: "warning",
    text: /^workers and programs run as root/,
    remedy: /-u UID and -g GID, and set SSL_UID/,
    root: true,
  },
  {
    name: "programs run as root, workers do not",
    plant(plan) {
      plan.options = plan.options.slice(4);
      Object.assign(plan.env, { SSL_UID: "65534", SSL_GID: "65534" });
    },
    level: "warning",
    text: /^programs run as root/,
    remedy: /-u UID and -g GID/,
    root: true,
  },
  {
    name: "SSL_USER=root",
    plant(plan) {
      plan.env["SSL_USER"] = "root";
    },
    level: "warning",
    text: /^workers run as root/,
    remedy: /SSL_UID and SSL_GID/,
    root: true,
  },
  {
    name: "SSL_UID is that of -u",
    plant(plan) {
      Object.assign(plan.env, { SSL_UID: "65534", SSL_GID: "65534" });
    },
    level: "warning",
    text: /SSL_UID makes workers user 65534: programs run as the same user, and can end workers/,
    remedy: /runs nothing else/,
    root: true,
  },
  {
    name: "SSL_UID is no number",
    plant(plan) {
      plan.env["SSL_UID"] = "nobody";
    },
    level: "error",
    text: /\$SSL_UID needs a number from 1 to \d+, not 'nobody'/,
    remedy: /SSL_USER/,
  },
  {
    name: "SSL_USER that nobody is",
    plant(plan) {
      plan.env["SSL_USER"] = "nosuchuser";
    },
    level: "error",
    text: /unable to find SSL_USER nosuchuser: not in \/etc\/passwd/,
    remedy: /SSL_UID and SSL_GID to numbers/,
  },
  {
    name: "SSL_UID without root",
    plant(plan) {
      plan.env["SSL_UID"] = "1";
      asNobody(plan);
    },
    level: "error",
    text: /SSL_UID switches to user 1: only root can do that/,
    remedy: /start as root/,
    forms: ON_BUN,
    root: true,
  },
  {
    name: "SSL_CHROOT with --workers 0",
    plant(plan) {
      plan.env["SSL_CHROOT"] = "/var/empty";
      plan.options.push("--workers", "0");
      readableBy(plan.env["KEYFILE"] ?? "", NOBODY);
    },
    level: "error",
    text: /\$SSL_CHROOT needs a worker process, but there is none/,
    remedy: /--workers 1/,
  },
  {
    name: "SSL_CHROOT that is not there",
    plant(plan, t) {
      plan.env["SSL_CHROOT"] = join(t.dir, "jail");
    },
    level: "error",
    text: /SSL_CHROOT \S+jail: no such file or directory/i,
    remedy: /mkdir -m 755 \S+jail/,
    root: true,
  },
  {
    name: "SSL_CHROOT that is a file",
    plant(plan) {
      plan.env["SSL_CHROOT"] = plan.env["CERTFILE"] ?? "";
    },
    level: "error",
    text: /SSL_CHROOT \S+leaf\.pem: not a folder/,
    remedy: /empty folder/,
    root: true,
  },
  {
    name: "SSL_CHROOT that the workers can write in",
    plant(plan, t) {
      plan.env["SSL_CHROOT"] = jail(t);
      fs.chownSync(jail(t), 1, 1);
      Object.assign(plan.env, { SSL_UID: "1", SSL_GID: "1" });
    },
    level: "warning",
    text: /SSL_CHROOT \S+jail: user 1 can write there/,
    remedy: /chown root:root \S+jail; chmod 755/,
    root: true,
  },
  {
    name: "SSL_CHROOT that programs can write in",
    plant(plan, t) {
      plan.env["SSL_CHROOT"] = jail(t);
      fs.chownSync(jail(t), NOBODY, NOBODY);
      Object.assign(plan.env, { SSL_UID: "1", SSL_GID: "1" });
    },
    level: "warning",
    text: /SSL_CHROOT \S+jail: user 65534 can write there/,
    remedy: /chown root:root/,
    root: true,
  },
  {
    name: "a rule that names a certificate that is not in SSL_CHROOT",
    async plant(plan, t) {
      const own = await issue(t, "own");
      const pair = fs.readFileSync(own.certificate, "utf8") + fs.readFileSync(own.key, "utf8");
      fs.writeFileSync(own.certificate, pair);
      plan.env["SSL_CHROOT"] = jail(t);
      plan.options.push(
        "-x",
        await makeRules(t, `10.:allow,CERTFILE="${own.certificate}",KEYFILE=""\n:deny\n`),
      );
    },
    level: "error",
    text: /rule 10\.: CERTFILE \S+own\.pem: no such file or directory in \S+jail \(SSL_CHROOT\)/i,
    remedy: /put it at \S+jail\/\S+own\.pem, for user 65534 to read/,
    root: true,
  },
  {
    name: "a rule that names a key that workers cannot read",
    async plant(plan, t) {
      const own = await issue(t, "own");
      plan.options.push(
        "-x",
        await makeRules(t, `10.:allow,CERTFILE="${own.certificate}",KEYFILE="${own.key}"\n:deny\n`),
      );
    },
    level: "error",
    text: /rule 10\.: KEYFILE \S+own\.key: user 65534 cannot read it/,
    remedy: /let user 65534 read \S+own\.key/,
    root: true,
  },
  {
    name: "no setpriv where programs need it to change user",
    plant(plan, t) {
      const cat = join(t.dir, "cat");
      fs.copyFileSync("/usr/bin/cat", cat);
      plan.program = [cat];
      plan.options.push("--workers", "1");
      plan.prelude = mounted("mount -t tmpfs none /usr/bin");
    },
    level: "error",
    text: /unable to switch user or group \(-u, -g\): Deno without setpriv cannot/,
    remedy: /util-linux/,
    forms: ["deno"],
    root: true,
  },
  {
    name: "-u without -g",
    plant(plan) {
      plan.options.splice(2, 2);
    },
    level: "warning",
    text: /^programs run as user 65534 in root's group/,
    remedy: /use -g as well as -u/,
    root: true,
  },
  {
    name: "no such program",
    plant(plan) {
      plan.program = ["smtpd-that-is-nowhere"];
    },
    level: "error",
    text: /program smtpd-that-is-nowhere: not found in PATH/,
    remedy: /full path/,
  },
  {
    name: "a program in a folder that the user of -u cannot enter",
    plant(plan, t) {
      const folder = join(t.dir, "private");
      fs.mkdirSync(folder, { mode: 0o700 });
      plan.program = [script(folder, "serve", "#!/bin/sh\ncat\n")];
    },
    level: "error",
    text: /program \S+serve: user 65534 cannot enter \S+private/,
    remedy: /a\+x the folder/,
    root: true,
  },
  {
    name: "a program that is not executable",
    plant(plan, t) {
      plan.program = [script(t.dir, "serve", "#!/bin/sh\ncat\n", 0o644)];
    },
    level: "error",
    text: /program \S+serve: (user 65534 cannot execute it|permission denied)/i,
    remedy: /chmod a\+x|path of a program/,
  },
  {
    name: "a script without an interpreter",
    plant(plan, t) {
      plan.program = [script(t.dir, "serve", "cat\n")];
    },
    level: "error",
    text: /program \S+serve: neither an executable of this system nor a script/,
    remedy: /#!\/bin\/sh/,
  },
  {
    name: "an interpreter that is not installed",
    plant(plan, t) {
      plan.program = [script(t.dir, "serve", "#!/usr/bin/env python9\n")];
    },
    level: "error",
    text: /program \S+serve: its interpreter python9: not found/,
    remedy: /install it/,
  },
  {
    name: "a script with the line ends of Windows",
    plant(plan, t) {
      plan.program = [script(t.dir, "serve", "#!/bin/sh\r\ncat\r\n")];
    },
    level: "error",
    text: /program \S+serve: its lines end with CR/,
    remedy: /sed/,
  },
  // Options that do nothing.
  {
    name: "-X without rules",
    plant(plan) {
      plan.options.push("-X");
    },
    level: "warning",
    text: /-X does nothing/,
    remedy: /-x FILE/,
  },
  {
    name: "a backlog above the system's limit",
    plant(plan) {
      plan.options.push("-b", "65535");
    },
    level: "warning",
    text: /-b 65535: the system allows \d+/,
    remedy: /somaxconn/,
    forms: ON_BUN, // Deno reads /proc only with all permissions
  },
];

/** A prelude: env(1) sets the variables whose names the shell drops. */
function named(env: Record<string, string>): string {
  const words = Object.entries(env).filter(([name]) => name.includes(":"));
  return `set -- env ${words.map(([name, value]) => `'${name}=${value}'`).join(" ")} "$@"`;
}

function script(folder: string, name: string, text: string, mode = 0o755): string {
  const path = join(folder, name);
  fs.writeFileSync(path, text);
  fs.chmodSync(path, mode);
  return path;
}

function jail(t: Trial): string {
  const path = join(t.dir, "jail");
  fs.mkdirSync(path, { recursive: true, mode: 0o755 });
  return path;
}

/** Changes the plan: the user nobody starts the server and owns the key. */
function asNobody(plan: Plan): void {
  fs.chownSync(plan.env["KEYFILE"] ?? "", NOBODY, NOBODY);
  plan.options = plan.options.slice(4);
  const who = `--reuid ${NOBODY} --regid ${NOBODY} --clear-groups`;
  plan.prelude = `set -- setpriv ${who} "$@"`;
}

/** False if unprivileged users may bind every port, as in some containers. */
function guardsPorts(): boolean {
  return Number(fs.readFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start", "latin1")) > 1;
}

async function taken(): Promise<{ port: number; close: () => void }> {
  const server = net.createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: (server.address() as net.AddressInfo).port, close: () => server.close() };
}

for (const { name, plant, level, text, remedy, forms, root, skip } of MISTAKES) {
  claim(`a mistake is found, and only that: ${name}`, async (t) => {
    const plan = await sound(t);
    const undo = await plant(plan, t);
    const checked = await check(t, plan);
    undo?.();
    const found = complaints(checked);
    assertStrictEquals(found.length, 1, checked.stdout + checked.stderr);
    const [finding] = found;
    assertStrictEquals(finding?.level, level);
    assertMatch(finding?.text ?? "", text);
    assertMatch(finding?.remedy ?? "", remedy);
    assertStrictEquals(checked.status, level === "error" ? 111 : 1);
  }, { forms: forms ?? BOTH, skip: skip || (root ? needsRoot : false) });
}

/** Plans without mistakes. */
const SOUND: Record<string, (plan: Plan, t: Trial) => Promise<void> | void> = {
  "a certificate of a private authority": () => {},
  "--self-signed"(plan) {
    plan.env = {};
    plan.options.push("--self-signed");
  },
  async "a self-signed certificate, key and certificate in one file"(plan, t) {
    const { certificate, key } = await issue(t, "own");
    const file = concatenated(t, "both.pem", key, certificate);
    fs.chmodSync(file, 0o600);
    plan.env = { CERTFILE: file };
  },
  async "a whole chain in order"(plan, t) {
    const top = await authority(t, "top");
    const middle = await authority(t, "middle", { by: top });
    const { certificate, key } = await issue(t, "mx", { by: middle });
    const file = concatenated(t, "chain.pem", certificate, middle.certificate, top.certificate);
    plan.env = { CERTFILE: file, KEYFILE: key };
  },
  async "CERTCHAINFILE in ucspi-ssl's order, the root first"(plan, t) {
    const top = await authority(t, "top");
    const middle = await authority(t, "middle", { by: top });
    const { certificate, key } = await issue(t, "mx", { by: middle });
    const file = concatenated(t, "chain.pem", top.certificate, middle.certificate, certificate);
    plan.env = { CERTCHAINFILE: file, KEYFILE: key };
  },
  async "certificates by name, a wildcard too, and SNI_STRICT"(plan, t) {
    const [a, wild] = [
      await issue(t, "a", { names: ["a.example"] }),
      await issue(t, "wild", { names: ["*.wild.example"] }),
    ];
    Object.assign(plan.env, {
      "CERTFILE:A.example": a.certificate,
      "KEYFILE:A.example": a.key,
      "CERTFILE:*.wild.example": wild.certificate,
      "KEYFILE:*.wild.example": wild.key,
      SNI_STRICT: "1",
      ALPN: "h2,http/1.1",
    });
    plan.prelude = named(plan.env);
  },
  async "client certificates with a revocation list"(plan, t) {
    const ca = await authority(t, "ca");
    plan.env["CAFILE"] = ca.certificate;
    plan.env["CRLFILE"] = await revocationList(t, ca, "list");
    plan.options.push("-m", "-s");
  },
  "any client certificate, as a Gemini server asks"(plan) {
    plan.env["CCAFILE"] = "/dev/null";
    plan.options.push("-s");
  },
  async "rules, limits, a rule with a certificate of its own"(plan, t) {
    const own = await issue(t, "own");
    readableBy(own.key, NOBODY);
    plan.options.push(
      "-x",
      await makeRules(
        t,
        `10.:allow,CERTFILE="${own.certificate}",KEYFILE="${own.key}",MAXCONIP="2"\n:deny\n`,
      ),
    );
    Object.assign(plan.env, { MAXCONIP: "10", MAXCONRATE: "20/60", MAXCONNET: "30" });
  },
  async "workers that are somebody else, in a jail that has what rules name"(plan, t) {
    const own = await issue(t, "own");
    for (const file of [own.certificate, own.key]) {
      fs.mkdirSync(join(jail(t), t.dir), { recursive: true });
      fs.renameSync(file, join(jail(t), file));
      fs.chmodSync(join(jail(t), file), 0o644);
    }
    plan.env["SSL_CHROOT"] = jail(t);
    Object.assign(plan.env, { SSL_USER: "daemon", SSL_CHROOT: jail(t) });
    const rules = `10.:allow,CERTFILE="${own.certificate}",KEYFILE="${own.key}"\n` +
      `11.:allow,CAFILE="${plan.env["CERTFILE"]}"\n:deny\n`;
    plan.options.push("-x", await makeRules(t, rules), "--workers", "auto");
  },
  "metrics and proxies"(plan) {
    plan.options.push("--metrics", ":0", "--proxy-from", "10.0.0.0/8,127.0.0.1");
  },
  "a script"(plan, t) {
    plan.program = [script(t.dir, "serve", "#!/usr/bin/env -S sh -e\ncat\n")];
  },
};

for (const [name, change] of Object.entries(SOUND)) {
  claim(`nothing is found in ${name}`, async (t) => {
    const plan = await sound(t);
    await change(plan, t);
    const checked = await check(t, plan);
    assertEquals(complaints(checked), [], checked.stdout + checked.stderr);
    assertStrictEquals(checked.status, soundStatus(checked));
    assertStrictEquals(checked.stderr, "");
    assert(checked.findings.some(({ text }) => /^program .*: executable/.test(text)));
  }, { forms: BOTH, skip: name.startsWith("workers that are somebody else") && needsRoot });
}

claim("nothing is found on Deno without FFI, where nothing needs it", async (t) => {
  const plan = await sound(t);
  plan.options = ["-H", "-l", "mx"];
  const checked = await check(t, plan);
  assertEquals(
    complaints(checked).map(({ text }) => text),
    isRoot ? ["programs run as root"] : [],
  );
}, { forms: ["deno-noffi"] });

claim("doubtful settings are reported, but not as errors", async (t) => {
  const plan = await sound(t);
  plan.options.push("--workers", "200");
  fs.chownSync(plan.env["KEYFILE"] ?? "", 0, 1);
  fs.chmodSync(plan.env["KEYFILE"] ?? "", 0o640);
  const checked = await check(t, plan);
  assertEquals(complaints(checked), [], checked.stdout);
  const told = checked.findings.filter(({ level }) => level === "info");
  const has = (text: RegExp, remedy: RegExp): void => {
    const found = told.some((one) => text.test(one.text) && remedy.test(one.remedy ?? ""));
    assert(found, `${text} in: ${checked.stdout}`);
  };
  has(/--workers 200: this machine has \d+ CPU cores/, /--workers auto/);
  if (!t.onDeno) {
    has(/workers are user 65534: programs run as the same user, and can end/, /SSL_UID/);
  }
  has(/key \S+leaf\.key: group 1 can read it/, /chmod g-r/);
}, { forms: BOTH, skip: needsRoot });

claim("root's group is found where programs keep it; workers do not", async (t) => {
  const plan = await sound(t);
  plan.options.splice(2, 2);
  plan.env["SSL_UID"] = "1";
  const texts = complaints(await check(t, plan)).map(({ text }) => text);
  assertStrictEquals(texts.length, 1, texts.join("\n"));
  assertMatch(texts[0] ?? "", /^programs run as user 65534 in root's group/);
}, { forms: BOTH, skip: needsRoot });

claim("a missing permission of deno run to start itself is reported", async (t) => {
  const plan = await sound(t);
  plan.options = ["-H", "-l", "mx"];
  const shell = `set -- $(printf '%s\\n' "$@" | sed 's/^--allow-run=.*/--allow-run=cat/')`;
  const { findings } = await check(t, { ...plan, prelude: shell });
  assert(
    findings.some(({ level, text, remedy }) =>
      level === "info" && /^one process does everything/.test(text) &&
      /--allow-run for itself/.test(remedy ?? "")
    ),
  );
}, { forms: ["deno"] });

claim("settings that Deno without FFI lacks are found", async (t) => {
  const plan = { ...await sound(t), host: "::" };
  plan.options = ["-u", "65534", "-g", "65534", "-H", "-l", "mx"];
  const checked = await check(t, plan);
  const found = complaints(checked).map(({ text, remedy }) => `${text} -- ${remedy}`);
  assert(found.some((line) => /switch user or group.*allow FFI/.test(line)), checked.stdout);
  assert(found.some((line) => /listen on IPv6 alone.*allow FFI/.test(line)), checked.stdout);
  assertStrictEquals(checked.status, 111);
}, { forms: ["deno-noffi"] });

claim("one mistake does not hide the others", async (t) => {
  const plan = await sound(t);
  const { port, close } = await taken();
  plan.port = String(port);
  plan.env["CERTFILE"] = "/nonexistent/cert.pem";
  plan.env["MAXCONIP"] = "five";
  plan.options.push("-x", "/nonexistent/rules.cdb", "--metrics", "0:0");
  plan.program = ["smtpd-that-is-nowhere"];
  const checked = await check(t, plan);
  close();
  const texts = complaints(checked).map(({ text }) => text);
  for (const what of [/certificate/, /MAXCONIP/, /rules/, /--metrics/, /program/, /listen on/]) {
    assertStrictEquals(texts.filter((text) => what.test(text)).length, 1, checked.stdout);
  }
  assertStrictEquals(checked.status, 111);
}, { forms: BOTH });

claim("--log=json says the same, one object a line", async (t) => {
  const plan = await sound(t);
  plan.options.push("-X");
  const [text, json] = [await check(t, plan), await check(t, plan, "--log=json")];
  const bare = json.findings.map(({ level, text, remedy }) => ({
    level,
    text,
    ...(remedy === undefined ? {} : { remedy }),
  }));
  assertEquals(bare, text.findings);
  assertStrictEquals(json.status, 1);
}, { forms: BOTH });

claim("the summary comes before the findings", async (t) => {
  const { stdout } = await check(t, await sound(t));
  const [head = ""] = stdout.split("\n\n");
  const [verdict, ...lines] = head.split("\n");
  assertMatch(verdict ?? "", /^The server would work/);
  const expected = [
    /^ {2}program {6}cat \(at most 40 at once\)$/,
    /^ {2}address {6}127\.0\.0\.1, any free port$/,
    /^ {2}users {8}(monitor|one process)/,
    /^ {2}certificate {2}\S+leaf\.pem, mx\.example, until .* \(199 days\)$/,
    /^ {2}clients {6}need no certificate$/,
  ];
  for (const [at, line] of expected.entries()) assertMatch(lines[at] ?? "", line, stdout);
}, { forms: BOTH });

claim("with -q only the exit code reports the result", async (t) => {
  const plan = await sound(t);
  plan.options.push("-X");
  const { status, stdout, stderr } = await check(t, plan, "-q");
  assertEquals({ status, stdout, stderr }, { status: 1, stdout: "", stderr: "" });
}, { forms: BOTH });

claim("wrong usage is exit code 100, with --check too", async (t) => {
  const plan = await sound(t);
  plan.options.push("-c", "many");
  const { status, stdout, stderr } = await check(t, plan);
  assertStrictEquals(status, 100);
  assertStrictEquals(stdout, "");
  assertMatch(stderr, /option -c needs a number/);
}, { forms: BOTH });

claim("an authority's name cannot forge a line", async (t) => {
  const ca = await issue(t, "evil", {
    subject: "/CN=a\\nerror: forged",
    names: [],
    extensions: ["basicConstraints=critical,CA:true"],
  });
  const { certificate, key } = await issue(t, "own", { by: ca });
  fs.rmSync(ca.certificate);
  const plan = { ...await sound(t), env: { CERTFILE: certificate, KEYFILE: key } };
  const checked = await check(t, plan);
  assertStrictEquals(checked.status, soundStatus(checked), checked.stdout);
  assert(!/^error/m.test(checked.stdout));
}, { forms: BOTH });

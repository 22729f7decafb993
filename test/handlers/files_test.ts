/** --files: a hundred paths that must not leave the folder, conditions and ranges, in a folder opened by
 *  descriptor and in one opened by path. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "@std/path";
import process from "node:process";
import { test } from "node:test";
import type { HttpRequest } from "../../src/codec/http_request.ts";
import { concat } from "../../src/codec/bytes.ts";
import { answerFile } from "../../src/handlers/files.ts";
import { type Folder, openFolder } from "../../src/handlers/folder.ts";
import { currentRuntime } from "../../src/runtime/current.ts";
import { until } from "../runtime/tools.ts";

const SECRET = "not for clients";

/** A folder beside a secret, with everything that may lead to it. */
function makeFolder(): { root: string; www: string } {
  const root = fs.mkdtempSync(join(tmpdir(), "files-"));
  const www = join(root, "www");
  fs.mkdirSync(join(www, "sub/empty"), { recursive: true });
  fs.mkdirSync(join(www, ".git"));
  fs.mkdirSync(join(www, ".well-known"));
  fs.writeFileSync(join(root, "secret"), SECRET);
  fs.writeFileSync(join(root, "www-secret"), SECRET);
  const files: Record<string, string> = {
    "index.html": "<p>index",
    "a b.txt": "0123456789",
    "sub/index.html": "<p>sub",
    ".git/config": SECRET,
    ".well-known/x": "known",
    "empty.bin": "",
    "%2e%2e": "a name with percents",
  };
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(join(www, name), text);
  const links: Record<string, string> = {
    inside: "sub/index.html",
    "sub/up": "../index.html",
    "link-out": "../secret",
    "link-absolute": join(root, "secret"),
    "link-folder": "..",
    "link-root": "/",
    "link-proc": "/proc/self/environ",
    "link-long": `${"sub/../".repeat(20)}../secret`,
    loop: "loop",
    "sub/back": "../../secret",
    "device-link": "/dev/zero",
  };
  for (const [name, to] of Object.entries(links)) fs.symlinkSync(to, join(www, name));
  execFileSync("mkfifo", [join(www, "fifo")]);
  execFileSync("mkfifo", [join(www, "sub/fifo.html")]);
  return { root, www };
}

const HOSTILE = [
  ..."../secret ..%2fsecret %2e%2e/secret %2e%2e%2fsecret %252e%252e/secret %252e%252e%252fsecret"
    .split(" "),
  ..."..%252fsecret .%2e/secret %2e./secret ..%c0%afsecret %c0%ae%c0%ae/secret ..%5csecret ..\\secret"
    .split(" "),
  ..."....//secret ..;/secret ..%00/secret ../secret%00.html secret%00 ..%0a/secret ..%09/secret"
    .split(" "),
  ...[
    "%2e%2e%5csecret",
    "%5c..%5csecret",
    "C:\\secret",
    "c:/secret",
    "\\\\host\\share",
    "//secret",
  ],
  ...[
    "/etc/passwd",
    "//etc/passwd",
    "etc/passwd",
    "%2fetc%2fpasswd",
    "%2f%2fetc/passwd",
    "./secret",
  ],
  ...["sub/../../secret", "sub/..%2f..%2fsecret", "sub/./../../secret", "sub//../secret"],
  ...["sub/%2e%2e/%2e%2e/secret", "sub/...", "...", "....", "sub/.../secret", "~root/secret"],
  ...["www-secret", "../www-secret", "..www-secret", "%2e%2ewww-secret", "-secret", "secret"],
  ...[
    "link-out",
    "link-absolute",
    "link-folder/secret",
    "link-folder/www-secret",
    "link-root/etc/passwd",
  ],
  ...["link-root", "link-proc", "link-long", "loop", "loop/x", "sub/back", "device-link"],
  ...[
    "link-folder/www/../secret",
    "link-folder/./secret",
    "sub/up/../secret",
    "link-out/",
    "link-root/",
  ],
  ...[
    "fifo",
    "sub/fifo.html",
    "fifo/",
    "fifo/x",
    "sub/empty",
    "sub/empty/",
    "empty",
    "index.html/",
  ],
  ...["a%20b.txt/", "a%20b.txt/x", "index.html/../../secret", "index.html/.", "index.html/.."],
  ...[".git/config", ".git", ".git/", "%2egit/config", "sub/.well-known/x", ".", "..", "./", "../"],
  ...["%", "%2", "%zz", "%%", "a%", "%u002e%u002e/secret", "%ff%fe", "\xff", "%ed%b3%bf"],
  ...["?/../secret", "#/../secret", "x?../secret", ";", "a:b", "..%3fsecret", "%3f/../secret", "*"],
  ...["x".repeat(255), "x".repeat(256), "x/".repeat(3000), "%78".repeat(2000), "../".repeat(2000)],
  ...["x".repeat(65_536), `${"sub/../".repeat(9000)}secret`],
];

const request = (
  target: string,
  fields: Record<string, string> = {},
  method = "GET",
): HttpRequest => ({ method, target, fields: new Map(Object.entries(fields)) });

interface Got {
  status: number;
  fields: Readonly<Record<string, string>>;
  length: number;
  text: string;
}

async function get(folder: Folder, one: HttpRequest): Promise<Got> {
  const { status, fields, length, body, close } = await answerFile(folder, one);
  const pieces: Uint8Array[] = [];
  for await (const piece of body()) pieces.push(piece);
  close?.();
  return { status, fields, length, text: new TextDecoder().decode(concat(pieces)) };
}

const runtime = await currentRuntime();

for (const how of ["descriptor", "path"] as const) {
  const libc = how === "descriptor" ? runtime.libc : undefined;

  test(`no hostile path leaves the folder (by ${how})`, async () => {
    assert(HOSTILE.length >= 100, String(HOSTILE.length));
    const { root, www } = makeFolder();
    const folder = openFolder(www, { libc });
    const open = (): number =>
      process.platform === "linux" ? fs.readdirSync("/proc/self/fd").length : 0;
    const before = open();
    for (const path of HOSTILE) {
      const { status, text } = await get(folder, request(`/${path}`));
      assert(!text.includes(SECRET) && !text.includes("root:"), path);
      const harmless = /^(?:[?#]|%252e%252e$)/.test(path); // the index
      const moved = path === "sub/empty" || path === "..;";
      assert(
        harmless || moved ? status < 400 : status === 404 || status === 403,
        `${path} ${status}`,
      );
    }
    await until(() => open() <= before + 1, "descriptors are closed");
    fs.rmSync(root, { recursive: true });
  });

  test(`files, folders, links inside, and what is hidden (by ${how})`, async () => {
    const { root, www } = makeFolder();
    const folder = openFolder(www, { libc });
    const rows: [string, number, string, string?][] = [
      ["/", 200, "<p>index", "text/html; charset=utf-8"],
      ["/?x", 200, "<p>index"],
      ["/a%20b.txt", 200, "0123456789", "text/plain; charset=utf-8"],
      ["/sub/", 200, "<p>sub", "text/html; charset=utf-8"],
      ["/sub", 301, "301 Moved Permanently\n"],
      ["/inside", 200, "<p>sub", "application/octet-stream"],
      ["/sub/up", 200, "<p>index"],
      ["/.well-known/x", 200, "known"],
      ["/%252e%252e", 200, "a name with percents"],
      ["/empty.bin", 200, ""],
    ];
    for (const [target, status, text, type] of rows) {
      const got = await get(folder, request(target));
      assertEquals([got.status, got.text, got.length], [status, text, text.length], target);
      if (type) assertStrictEquals(got.fields["Content-Type"], type);
    }
    const { fields } = await get(folder, request("/sub?a=b"));
    assertStrictEquals(fields["Location"], "/sub/?a=b");
    fs.rmSync(root, { recursive: true });
  });

  test(`ranges, HEAD and conditions (by ${how})`, async () => {
    const { root, www } = makeFolder();
    const folder = openFolder(www, { libc });
    const file = "/a%20b.txt";
    const { fields: known } = await get(folder, request(file));
    const tag = known["ETag"] as string;
    const date = known["Last-Modified"] as string;
    const old = "Sun, 06 Nov 1994 08:49:37 GMT";
    const rows: [Record<string, string>, number, string, string?][] = [
      [{ range: "bytes=2-4" }, 206, "234", "bytes 2-4/10"],
      [{ range: "bytes=-3" }, 206, "789", "bytes 7-9/10"],
      [{ range: "bytes=0-1,4-5" }, 200, "0123456789"],
      [{ range: "bytes=10-" }, 416, "416 Range Not Satisfiable\n", "bytes */10"],
      [{ range: "bytes=2-4", "if-range": tag }, 206, "234"],
      [{ range: "bytes=2-4", "if-range": '"old"' }, 200, "0123456789"],
      [{ range: "bytes=2-4", "if-range": date }, 206, "234"],
      [{ range: "bytes=2-4", "if-range": old }, 200, "0123456789"],
      [{ "if-none-match": tag }, 304, ""],
      [{ "if-none-match": `"x", W/${tag}` }, 304, ""],
      [{ "if-none-match": '"x"', "if-modified-since": date }, 200, "0123456789"],
      [{ "if-modified-since": date }, 304, ""],
      [{ "if-modified-since": old }, 200, "0123456789"],
      [{ "if-modified-since": "yesterday" }, 200, "0123456789"],
      [{ "if-match": '"x"' }, 412, "412 Precondition Failed\n"],
      [{ "if-match": "*" }, 200, "0123456789"],
      [{ "if-unmodified-since": old }, 412, "412 Precondition Failed\n"],
    ];
    for (const [fields, status, text, range] of rows) {
      const got = await get(folder, request(file, fields));
      assertEquals([got.status, got.text], [status, text], JSON.stringify(fields));
      if (range) assertStrictEquals(got.fields["Content-Range"], range);
    }
    const head = await answerFile(folder, request(file, { range: "bytes=0-1" }, "HEAD"));
    head.close?.();
    assertEquals([head.status, head.length], [200, 10]);
    fs.rmSync(root, { recursive: true });
  });
}

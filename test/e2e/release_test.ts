/** release.sh makes the same files each time and in each folder, with correct checksums and SBOM. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import process from "node:process";
import { checkout } from "./checkout.ts";
import { claim, npmEnvironment, ROOT, type Trial } from "./harness.ts";

const TARGET = "linux-x64";
const ONCE = { forms: ["binary"], timeout: 240_000 } as const;
const LONG = 200_000;

interface Component {
  name: string;
  version?: string;
  purl?: string;
  hashes?: { alg: string; content: string }[];
  components?: Component[];
}

interface Bom {
  bomFormat: string;
  specVersion: string;
  metadata: { component: Component };
  components: Component[];
  dependencies: { ref: string; dependsOn?: string[] }[];
}

const read = (path: string): string => fs.readFileSync(path, "utf8");
const json = (path: string): unknown => JSON.parse(read(path));
const sha256 = (path: string): string =>
  createHash("sha256").update(fs.readFileSync(path)).digest("hex");

async function release(t: Trial, place: string, ...targets: string[]): Promise<string> {
  const { PATH = "/usr/bin:/bin", HOME = "" } = process.env;
  const outcome = await t.run(join(place, "release.sh"), targets, {
    env: { PATH, HOME, ...npmEnvironment() },
    limit: LONG,
  });
  assertStrictEquals(outcome.status, 0, outcome.stderr);
  return join(place, "dist/release");
}

claim(
  "two releases of the same sources, made in different places, are the same bytes",
  async (t) => {
    const [here, there] = [
      checkout(t, ["test"], "here"),
      checkout(t, ["test"], "some", "where", "else"),
    ];
    const folders = [await release(t, here, TARGET), await release(t, there, TARGET)];
    const [first = [], second = []] = folders.map((folder) =>
      fs.readdirSync(folder).sort().map((name) => `${name} ${sha256(join(folder, name))}`)
    );
    assertEquals(first, second);
    const [folder = ""] = folders;
    const { version, devDependencies } = json(join(here, "package.json")) as {
      version: string;
      devDependencies: { bun: string };
    };
    const name = `sslserver-${version}-${TARGET}`;
    const binary = join(folder, name);
    assertEquals(first.map((line) => line.split(" ")[0]), [
      "SHA256SUMS",
      name,
      `${name}.files`,
      `${name}.tar.gz`,
      `sslserver-${version}.cdx.json`,
      `sslserver_${version}_amd64.deb`,
    ]);

    // The executable runs, and does not contain the path of its build folder.
    const shown = await t.run(binary, ["--version"]);
    assertStrictEquals(new TextDecoder().decode(shown.stdout), `sslserver ${version}\n`);
    assertStrictEquals(fs.readFileSync(binary).includes(here), false);

    // The archive and the Debian package have every file of the list, at its place.
    const prefix = join(t.dir, "prefix");
    const root = join(t.dir, "root");
    for (const place of [prefix, root]) fs.mkdirSync(place);
    const unpacked = await t.run("sh", [
      "-c",
      'tar -xzf "$0.tar.gz" -C "$1" --strip-components=1 && dpkg-deb -x "$2" "$3"',
      binary,
      prefix,
      join(folder, `sslserver_${version}_amd64.deb`),
      root,
    ]);
    assertStrictEquals(unpacked.status, 0, unpacked.stderr);
    const listed = read(`${binary}.files`).trim().split("\n").map((line) => line.split(" "));
    for (const [mode = "", path = "", target] of listed) {
      const file = join(prefix, path);
      if (mode === "link") assertStrictEquals(fs.readlinkSync(file), target);
      else assertStrictEquals((fs.statSync(file).mode & 0o777).toString(8), mode, path);
    }
    const paths = listed.map(([, path]) => path);
    for (
      const path of [
        "bin/sslcat",
        "share/bash-completion/completions/sslcat", // bash and fish look for the command's name
        "share/fish/vendor_completions.d/sslcat.fish",
        "share/man/man1/sslserver.1",
        "share/doc/sslserver/LICENSE",
        "share/doc/sslserver/man/text/sslserver.1.txt", // README has a link to it
      ]
    ) {
      assert(paths.includes(path), path);
    }
    assertEquals(fs.readFileSync(join(root, "usr/bin/sslserver")), fs.readFileSync(binary));
    const man = join(root, "usr/share/man/man1/sslserver.1.gz");
    assert(fs.existsSync(man) && fs.existsSync(join(root, "usr/share/doc/sslserver/copyright")));
    assertStrictEquals(fs.existsSync(join(root, "usr/bin/tcprules")), false); // of ucspi-tcp

    // sha256sum accepts the sums.
    const checked = await t.run("sh", ["-c", 'cd "$0" && sha256sum -c SHA256SUMS', folder]);
    assertStrictEquals(checked.status, 0, checked.stderr);

    // The SBOM names the executable, Bun as in package-lock.json, and the components of Bun.
    const bom = json(join(folder, `sslserver-${version}.cdx.json`)) as Bom;
    assertEquals([bom.bomFormat, bom.specVersion], ["CycloneDX", "1.5"]);
    const [file] = bom.metadata.component.components ?? [];
    assertEquals(file?.hashes, [{ alg: "SHA-256", content: sha256(binary) }]);
    const lock = json(join(here, "package-lock.json")) as {
      packages: Record<string, { version: string; integrity: string }>;
    };
    const locked = lock.packages[`node_modules/@oven/bun-${TARGET}`];
    const base = bom.components.find(({ name }) => name === `bun-${TARGET}`);
    assertStrictEquals(base?.version, devDependencies.bun);
    assertStrictEquals(base?.purl, `pkg:npm/%40oven/bun-${TARGET}@${devDependencies.bun}`);
    const content = Buffer.from(locked?.integrity.replace("sha512-", "") ?? "", "base64").toString(
      "hex",
    );
    assertEquals(base?.hashes, [{ alg: "SHA-512", content }]);
    for (const part of ["boringssl", "webkit"]) {
      const found = bom.components.find(({ name }) => name === part);
      assertMatch(found?.version ?? "", /^[0-9a-f]{40}$/, part);
    }
    const refs = bom.dependencies.map(({ ref }) => ref);
    const named = bom.dependencies.flatMap(({ dependsOn = [] }) => dependsOn);
    assertEquals(named.filter((ref) => !refs.includes(ref)), []);
  },
  ONCE,
);

claim("every link in the pages of an archive leads to a file in it", async (t) => {
  const packed = await t.run(join(ROOT, "tools/package.sh"), [
    ...["/bin/true", "sslserver-x", "1", "darwin-arm64", t.dir],
  ], { env: { SOURCE_DATE_EPOCH: "0" } });
  assertStrictEquals(packed.status, 0, packed.stderr);
  assertStrictEquals((await t.run("tar", ["-xzf", "sslserver-x.tar.gz"])).status, 0);
  const folder = join(t.dir, "sslserver-x/share/doc/sslserver");
  const pages = fs.readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"));
  const links = pages.flatMap((page) =>
    [...read(join(folder, page)).matchAll(/\]\(([^)#\s]+)/g)].map(([, to = ""]) => ({ page, to }))
  ).filter(({ to }) => !to.includes(":"));
  assert(links.length > 50, String(links.length));
  assertEquals(links.filter(({ page, to }) => !fs.existsSync(join(folder, page, "..", to))), []);
  // The page still has the text of a link that it lost.
  assertMatch(read(join(folder, "README.md")), /(?<!\[)CONTRIBUTING(?!\.md\))/);
}, ONCE);

claim("a release is refused if files have different versions", async (t) => {
  const place = checkout(t, ["test"], "wrong");
  const file = join(place, "src/version.ts");
  fs.writeFileSync(file, read(file).replace(/VERSION = "[^"]+"/, 'VERSION = "99.0.0"'));
  const outcome = await t.run(join(place, "release.sh"), [TARGET]);
  assertStrictEquals(outcome.status, 1);
  assertMatch(outcome.stderr, /unable to release .*: src\/version\.ts says 99\.0\.0/);
  assertStrictEquals(fs.existsSync(join(place, "dist/release")), false);
}, ONCE);

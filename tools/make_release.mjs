/** The parts of release.sh that need more than a shell:
 *
 *    node tools/make_release.mjs version           prints the version, once all files agree on it
 *    node tools/make_release.mjs time              prints the date of the newest version in CHANGELOG.md,
 *                                                  in seconds since 1970: the time of all packed files
 *    node tools/make_release.mjs sbom DIR VERSION  writes the SBOM of the executables in DIR
 *    node tools/make_release.mjs sums DIR          writes SHA256SUMS for all files in DIR
 *
 *  The SBOM (CycloneDX 1.5, ECMA-424) lists the parts of an executable: our sources, Bun for that
 *  target as in package-lock.json, and the libraries that Bun reports it was built with. It has no
 *  date and no random number, so that it is reproducible like the executables. */

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const read = (name) => readFileSync(ROOT + name, "utf8");

/** Entries of `process.versions` that are no libraries inside Bun: interfaces that Bun imitates, and
 *  Bun itself. */
const NO_PARTS = new Set(["bun", "node", "modules", "napi", "openssl", "v8", "uv", "unicode"]);

function fail(text) {
  console.error(`make_release: unable to ${text}`);
  process.exit(1);
}

function version() {
  const found = new Map([
    ["package.json", JSON.parse(read("package.json")).version],
    ["package-lock.json", JSON.parse(read("package-lock.json")).version],
    ["deno.json", JSON.parse(read("deno.json")).version],
    ["src/version.ts", /VERSION = "([^"]+)"/.exec(read("src/version.ts"))?.[1]],
  ]);
  const [own] = found.values();
  if (!/^\d+\.\d+\.\d+/.test(own ?? "")) fail(`use version '${own}' of package.json`);
  for (const [file, other] of found) {
    if (other !== own) fail(`release ${own}: ${file} says ${other}`);
  }
  return own;
}

/** Returns the libraries inside Bun, as reported by the pinned Bun for this machine. All targets of
 *  one version are built from the same sources. */
function partsOfBun(pinned) {
  const bun = `${ROOT}node_modules/bun/bin/bun.exe`;
  const text = execFileSync(bun, ["--no-install", "-p", "JSON.stringify(process.versions)"], {
    cwd: "/",
    env: {},
    encoding: "utf8",
  });
  const versions = JSON.parse(text);
  if (versions.bun !== pinned) fail(`use ${bun}: version ${versions.bun}, not ${pinned}`);
  return Object.entries(versions).filter(([name]) => !NO_PARTS.has(name)).sort();
}

function sbom(version, files) {
  const lock = JSON.parse(read("package-lock.json")).packages;
  const pinned = JSON.parse(read("package.json")).devDependencies.bun;
  const own = `pkg:npm/sslserver@${version}`;
  const parts = partsOfBun(pinned).map(([name, version]) => ({
    type: "library",
    "bom-ref": `bun:${name}`,
    name,
    version,
    purl: `pkg:generic/${name}@${version}`,
  }));
  const bases = files.map(({ name }) => {
    // npm's names say aarch64 where Bun's targets say arm64.
    const target = name.slice(`sslserver-${version}-`.length).replace("arm64", "aarch64");
    const entry = lock[`node_modules/@oven/bun-${target}`];
    if (!entry?.integrity?.startsWith("sha512-")) fail(`find bun-${target} in package-lock.json`);
    return {
      type: "framework",
      "bom-ref": `bun-${target}`,
      group: "@oven",
      name: `bun-${target}`,
      version: entry.version,
      licenses: [{ license: { id: "MIT" } }],
      hashes: [{
        alg: "SHA-512",
        content: Buffer.from(entry.integrity.slice(7), "base64").toString("hex"),
      }],
      purl: `pkg:npm/%40oven/bun-${target}@${entry.version}`,
    };
  });
  const executables = files.map(({ name, sha256 }) => ({
    type: "file",
    "bom-ref": name,
    name,
    hashes: [{ alg: "SHA-256", content: sha256 }],
  }));
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
      component: {
        type: "application",
        "bom-ref": own,
        name: "sslserver",
        version,
        licenses: [{ license: { id: "MIT" } }],
        purl: own,
        components: executables,
      },
    },
    components: [...bases, ...parts],
    dependencies: [
      { ref: own, dependsOn: bases.map((base) => base["bom-ref"]) },
      ...files.map(({ name }, i) => ({ ref: name, dependsOn: [bases[i]["bom-ref"]] })),
      ...bases.map((base) => ({
        ref: base["bom-ref"],
        dependsOn: parts.map((part) => part["bom-ref"]),
      })),
      ...parts.map((part) => ({ ref: part["bom-ref"] })),
    ],
  };
}

/** Returns the time of the newest version in CHANGELOG.md, in seconds since 1970. */
function time() {
  const date = /^## \d+\.\d+\.\d+ \((\d{4}-\d{2}-\d{2})\)$/m.exec(read("CHANGELOG.md"))?.[1];
  if (date === undefined) fail("release: CHANGELOG.md has no version with a date");
  return Date.parse(`${date}T00:00:00Z`) / 1000;
}

/** Returns the files of a folder with their checksums. */
function hashed(folder) {
  return readdirSync(folder).sort().map((name) => ({
    name,
    sha256: createHash("sha256").update(readFileSync(`${folder}/${name}`)).digest("hex"),
  }));
}

const [job, folder, named] = process.argv.slice(2);
if (job === "version") console.log(version());
else if (job === "time") console.log(time());
else if (job === "sbom" && folder && named) {
  const bom = `${JSON.stringify(sbom(named, hashed(folder)), null, 2)}\n`;
  writeFileSync(`${folder}/sslserver-${named}.cdx.json`, bom);
} else if (job === "sums" && folder) {
  const lines = hashed(folder).map(({ name, sha256 }) => `${sha256}  ${name}\n`);
  writeFileSync(`${folder}/SHA256SUMS`, lines.join(""));
} else fail("tell what is wanted: version, time, sbom DIR VERSION or sums DIR");

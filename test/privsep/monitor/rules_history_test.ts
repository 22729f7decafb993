import { assert, assertStrictEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { concat, fromLatin1 } from "../../../src/codec/bytes.ts";
import { CdbWriter } from "../../../src/codec/cdb_write.ts";
import { defaults } from "../../../src/config/options.ts";
import { FileWatcher } from "../../../src/privsep/monitor/file_watcher.ts";
import { RulesHistory } from "../../../src/privsep/monitor/rules_history.ts";
import { libcHere } from "../../runtime/libc/here.ts";

const PEER = { ip: "192.0.2.1", host: "", info: "" };

function setUp(t: { after(f: () => void): void }) {
  const dir = mkdtempSync(join(tmpdir(), "history-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const path = join(dir, "rules.cdb");
  const write = (value: string): void => {
    const writer = new CdbWriter();
    writer.add(fromLatin1(""), fromLatin1(value));
    writeFileSync(`${path}.new`, concat(writer.finish()));
    renameSync(`${path}.new`, path);
  };
  return { path, write };
}

test("a connection admitted under earlier rules gets their variables, for a limited time", async (t) => {
  const libc = await libcHere();
  const { path, write } = setUp(t);
  const clock = { ms: 0 };
  write("+V=one\0");
  const options = { ...defaults(), rules: path, host: "0", port: "0", command: ["cat"] };
  const files = new FileWatcher(libc, [{ path, kind: "rules" }]);
  const history = new RulesHistory({ libc, files, options, now: () => clock.ms });
  assertStrictEquals(history.variables(PEER).get("V"), "one");
  write("+V=two\0");
  assertStrictEquals(history.variables(PEER).get("V"), "one", "not before the workers have it");
  history.renew();
  assertStrictEquals(history.variables(PEER).get("V"), "two");
  write("D\0");
  history.renew();
  assertStrictEquals(history.variables(PEER).get("V"), "two");
  clock.ms += 200_000;
  assertThrows(() => history.variables(PEER), Error, /the rules deny this connection/);
  rmSync(path);
  history.renew();
  clock.ms += 200_000;
  assertThrows(() => history.variables(PEER), Error, /no such file/);
});

test("old rules are closed", async (t) => {
  const libc = await libcHere();
  const { path, write } = setUp(t);
  write("+V=one\0");
  const options = { ...defaults(), rules: path, host: "0", port: "0", command: ["cat"] };
  const files = new FileWatcher(libc, [{ path, kind: "rules" }]);
  const history = new RulesHistory({ libc, files, options, now: () => 0 });
  const open = (): number => readdirSync("/proc/self/fd").length;
  const change = (i: number): void => {
    history.variables(PEER);
    write(`+V=${i}\0`);
    history.renew();
  };
  for (let i = 0; i < 70; i++) change(i);
  const before = open();
  for (let i = 0; i < 100; i++) change(i);
  assert(open() <= before + 1, `${open()} descriptors, ${before} before`);
});

test("rules that have not changed are not kept again", async (t) => {
  const libc = await libcHere();
  const { path, write } = setUp(t);
  write("+V=one\0");
  const options = { ...defaults(), rules: path, host: "0", port: "0", command: ["cat"] };
  const files = new FileWatcher(libc, [{ path, kind: "rules" }]);
  const history = new RulesHistory({ libc, files, options, now: () => 0 });
  history.variables(PEER);
  const before = readdirSync("/proc/self/fd").length;
  for (let i = 0; i < 20; i++) history.renew();
  assertStrictEquals(readdirSync("/proc/self/fd").length, before);
  assertStrictEquals(history.variables(PEER).get("V"), "one");
  rmSync(path);
  for (let i = 0; i < 20; i++) history.renew();
  assertStrictEquals(readdirSync("/proc/self/fd").length, before);
});

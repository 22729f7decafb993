/** DHFILE has no effect. A warning says so once, wherever it is set. */

import { assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { Log } from "../../src/log.ts";
import { Contexts, DHFILE_IGNORED } from "../../src/tls/context.ts";
import { makeSelfSigned } from "../../src/tls/self_signed.ts";
import { thisRuntime } from "../runtime/kits.ts";

/** The log of `act`. */
async function said(
  env: Record<string, string>,
  act: (contexts: Contexts) => void,
): Promise<string> {
  let text = "";
  const write = (lines: string): string => text += lines;
  const log = new Log({ verbosity: 1, form: "text", name: "test", write });
  const { certPem: chain, keyPem: key } = makeSelfSigned(["localhost"]);
  const contexts = new Contexts({
    runtime: await thisRuntime(),
    log,
    env: (name) => env[name],
    keyPair: { chain, key },
  });
  act(contexts);
  log.flush();
  return text;
}

const ONE_LINE = `test: warning: ${DHFILE_IGNORED}`;
const rule = new Map([["DHFILE", "/etc/ssl/dh.pem"]]);

test("of a rule", async () => {
  const text = await said({}, (contexts) => {
    for (let n = 0; n < 3; n++) contexts.get(rule);
  });
  assertStrictEquals(text.split(ONE_LINE).length, 2, text);
});

test("of the environment, and of a rule as well", async () => {
  const text = await said({ DHFILE: "dh.pem" }, (contexts) => {
    contexts.warnOfDhFile();
    contexts.get(rule);
  });
  assertStrictEquals(text.split(ONE_LINE).length, 2, text);
});

test("not when nobody sets it, or a rule empties it", async () => {
  const text = await said({}, (contexts) => {
    contexts.warnOfDhFile();
    contexts.get(new Map([["DHFILE", ""], ["LOOP", "1"]]));
  });
  assertStrictEquals(text, "");
});

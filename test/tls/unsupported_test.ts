/** Settings that no runtime supports are refused, never ignored, wherever they are set. */

import { assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { UNSUPPORTED_VARIABLES } from "../../src/config/variables.ts";
import { UsageError } from "../../src/errors.ts";
import { serve } from "../../src/library.ts";
import type { ServeOptions } from "../../src/library_options.ts";
import { Log } from "../../src/log.ts";
import { Contexts } from "../../src/tls/context.ts";
import { makeSelfSigned } from "../../src/tls/self_signed.ts";
import { thisRuntime } from "../runtime/kits.ts";

const REFUSED = /^\$\w+ is not supported by sslserver\//;

test("an unsupported variable of the server stops the start", async () => {
  for (const name of UNSUPPORTED_VARIABLES) {
    const options: ServeOptions = { port: 0, selfSigned: true, verbosity: 0, env: { [name]: "x" } };
    const error = await assertRejects(() => serve(options, () => {}), UsageError, REFUSED);
    assertStrictEquals(error.hint, `unset ${name}`);
  }
});

test("an unsupported variable of a rule refuses the connection", async () => {
  const { certPem: chain, keyPem: key } = makeSelfSigned(["localhost"]);
  const contexts = new Contexts({
    runtime: await thisRuntime(),
    log: new Log({ verbosity: 0, form: "text", name: "test" }),
    env: () => undefined,
    keyPair: { chain, key },
  });
  contexts.get();
  for (const name of UNSUPPORTED_VARIABLES) {
    assertThrows(() => contexts.get(new Map([[name, "x"]])), Error, REFUSED);
    contexts.get(new Map([[name, ""]]));
  }
});

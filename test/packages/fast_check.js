// @ts-self-types="./fast_check.d.ts"
import { createRequire } from "node:module";

// As CommonJS, so that Node's rules find pure-rand, which it needs.
export default createRequire(import.meta.url)(
  "../../node_modules/fast-check/lib/cjs/fast-check.js",
);

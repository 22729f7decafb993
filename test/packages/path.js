// @ts-self-types="./path.d.ts"
export * from "../../node_modules/deno-std/path/mod.js";

// @ts-self-types="./cli.d.ts"
export * from "../../node_modules/deno-std/cli/parse_args.js";

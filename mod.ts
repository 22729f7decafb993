/** sslserver as a library: the pieces that other programs can use.
 *  The way of one connection is told in `src/serve.ts`. */

export { VERSION } from "./src/version.ts";

/** Name and version, as in package.json and deno.json (a test compares them). */

export const VERSION = "0.2.0";
export const PRODUCT = `sslserver/${VERSION}`;

/** The JA4 fingerprint of a client, from the records that it has sent. codec/tls/ja4.ts has the
 *  algorithm, without the hash. */

import { nodeCrypto } from "../builtins.ts";
import { DecodeError } from "../codec/bytes.ts";
import { gatherHello } from "../codec/client_hello.ts";
import { readClientHello } from "../codec/tls/hello.ts";
import { ja4 } from "../codec/tls/ja4.ts";

/** Bytes of a handshake message before its body. */
const MESSAGE_HEADER = 4;

/** Returns JA4 of the ClientHello in the records `first`; undefined if it cannot be read. */
export function fingerprint(first: Uint8Array): string | undefined {
  const gathered = gatherHello(first);
  if (gathered.is !== "whole") return undefined;
  try {
    return ja4(readClientHello(gathered.message.subarray(MESSAGE_HEADER)), sha256);
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

function sha256(text: string): string {
  return nodeCrypto().hash("sha256", text);
}

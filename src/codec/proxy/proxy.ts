/** The PROXY protocol (HAProxy's proxy-protocol.txt): before the client's first byte, a proxy
 *  sends a header that says who the client is. Pure: no I/O. This file distinguishes the two
 *  versions. The caller decides which proxies to trust. */

import { DecodeError } from "../bytes.ts";
import type { DecodedProxy } from "./header.ts";
import { decodeProxyV1, V1_SIGNATURE } from "./v1.ts";
import { decodeProxyV2, V2_SIGNATURE } from "./v2.ts";

/** Reads the header at the beginning of `bytes`. Undefined: more bytes are needed. Throws
 *  `DecodeError` as soon as they cannot become a header. */
export function decodeProxy(bytes: Uint8Array): DecodedProxy | undefined {
  if (begins(bytes, V2_SIGNATURE) !== "no") return decodeProxyV2(bytes);
  if (begins(bytes, V1_SIGNATURE) !== "no") return decodeProxyV1(bytes);
  throw new DecodeError("proxy: signature: of neither version at byte 0");
}

/** Whether `bytes` begin with the signature of a header. `maybe`: they match it so far. */
export function beginsLikeProxy(bytes: Uint8Array): "yes" | "no" | "maybe" {
  const first = begins(bytes, V1_SIGNATURE);
  return first === "no" ? begins(bytes, V2_SIGNATURE) : first;
}

function begins(bytes: Uint8Array, signature: Uint8Array): "yes" | "no" | "maybe" {
  const common = Math.min(bytes.length, signature.length);
  for (let i = 0; i < common; i++) if (bytes[i] !== signature[i]) return "no";
  return common === signature.length ? "yes" : "maybe";
}

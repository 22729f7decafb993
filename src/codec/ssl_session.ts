/** Reads the id of a serialized session, as `getSession()` returns one with BoringSSL and OpenSSL
 *  (`SSL_SESSION` in DER: version, protocol, cipher, session id, master key, …). Pure: no I/O.
 *  The rest of a session is secret; only the id leaves this file. */

import { DerReader, TAG } from "./der.ts";

/** RFC 5246 7.4.1.2. */
const MAX_SESSION_ID = 32;

/** Returns a copy of the id; undefined if it is empty, as with tickets and in TLS 1.3.
 *  Throws `DecodeError` if the bytes are not a session. */
export function sessionId(session: Uint8Array): Uint8Array | undefined {
  const fields = new DerReader(session, "ssl session").sequence("session");
  fields.integer("version", 2);
  fields.integer("protocol", 3);
  fields.expect(TAG.octetString, "cipher");
  const { content, start } = fields.expect(TAG.octetString, "id");
  if (content.length > MAX_SESSION_ID) fields.fail("id", `above ${MAX_SESSION_ID} bytes`, start);
  return content.length === 0 ? undefined : content.slice();
}

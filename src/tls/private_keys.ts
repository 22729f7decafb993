/** Reads the private keys of a file, in PEM or DER, encrypted or not. No I/O: the caller passes the
 *  bytes. */

import { Buffer } from "node:buffer";
import type { KeyObject } from "node:crypto";
import { nodeCrypto } from "../builtins.ts";
import { decodePem, encodePem, type PemBlock } from "../codec/x509/pem.ts";
import { EXIT, FatalError, reason } from "../errors.ts";
import { fileKind, isDer, type NamedFile, otherKind } from "./file_kind.ts";

/** Returns the keys of a file. `password` is for encrypted ones. Throws `FatalError` with the file,
 *  the reason and the remedy. */
export function keysOf(
  file: NamedFile,
  password: string | undefined,
): { key: KeyObject; path: string }[] {
  const { path, bytes } = file;
  const fail = (why: string, hint: string): never => {
    throw new FatalError(`unable to use key ${path}: ${why}`, EXIT.system, hint);
  };
  const failAs = (why: string): never => {
    const other = otherKind(file, "key");
    return fail(other?.why ?? why, other?.hint ?? KEY_HINT);
  };
  let blocks: PemBlock[];
  try {
    blocks = isDer(bytes)
      ? []
      : decodePem(bytes).filter(({ label }) => label.endsWith("PRIVATE KEY"));
  } catch (error) {
    return failAs(reason(error));
  }
  if (blocks.length === 0 || blocks.some(({ label }) => label.startsWith("OPENSSH"))) {
    const key = isDer(bytes) ? derKey(bytes, password) : undefined;
    return key ? [{ key, path }] : isEncrypted(bytes) ? refuse() : failAs("no key in it");
  }
  return blocks.map((block) => {
    const encrypted = block.label.startsWith("ENCRYPTED") || block.headers.has("DEK-Info");
    if (encrypted && password === undefined) return refuse();
    try {
      const key = nodeCrypto().createPrivateKey({
        key: withHeaders(block),
        format: "pem",
        ...(encrypted ? { passphrase: password } : {}),
      });
      return { key, path };
    } catch (error) {
      return encrypted ? refuse() : fail(reason(error), KEY_HINT);
    }
  });

  /** Does not use the library's message: if a key cannot be decrypted, it explains nothing and
   *  differs each time. */
  function refuse(): never {
    return password === undefined
      ? fail(
        "it is encrypted",
        "give its password on descriptor 3, with -3; in a script, as the option passphrase",
      )
      : fail("the password is wrong, or its encryption is not supported", PASSWORD_HINT);
  }
}

/** True for an encrypted key in DER; only the library can decrypt it. */
function isEncrypted(bytes: Uint8Array): boolean {
  return isDer(bytes) && fileKind(bytes)?.is === "an encrypted private key";
}

const KEY_HINT = "KEYFILE must name a key in PEM form: PKCS #8, PKCS #1 or SEC 1";
const PASSWORD_HINT =
  "the password on descriptor 3 ends with a NUL; openssl pkcs8 -topk8 -v2 aes-256-cbc makes a key of the supported kind";

/** Returns the PEM text of a block with its header lines, which say how an old key is encrypted. */
function withHeaders({ label, headers, bytes }: PemBlock): string {
  const pem = encodePem(label, bytes);
  if (headers.size === 0) return pem;
  const lines = [...headers].map(([name, text]) => `${name}: ${text}`).join("\n");
  return pem.replace("\n", `\n${lines}\n\n`);
}

function derKey(bytes: Uint8Array, password: string | undefined): KeyObject | undefined {
  const passphrase = password === undefined ? {} : { passphrase: password };
  for (const type of ["pkcs8", "pkcs1", "sec1"] as const) {
    try {
      const key = Buffer.from(bytes);
      return nodeCrypto().createPrivateKey({ key, format: "der", type, ...passphrase });
    } catch {
      // Try the next form.
    }
  }
  return undefined;
}

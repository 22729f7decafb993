/** A handler for sslhandle: TLS for a TCP service. For each client it opens a connection to the service.
 *
 *      sslhandle -v -H 0 8443 proxy.ts 127.0.0.1 8080
 *
 *  Only a type checker reads "../mod.ts", so the module runs without it. In a project of your own:
 *  import type { HandlerConnection } from "sslserver"; */

import { once } from "node:events";
import { connect } from "node:net";
import process from "node:process";
import type { HandlerConnection } from "../mod.ts";

/** The arguments after the module. */
const [host = "127.0.0.1", port = "8080"] = process.argv.slice(2);

export default async function ({ readable, writable, signal }: HandlerConnection): Promise<void> {
  // Half-open: either side may end its data before it has all data of the other.
  const service = connect({ host, port: Number(port), allowHalfOpen: true });
  // With an error, so that everything that waits for the service fails.
  signal.addEventListener("abort", () => service.destroy(signal.reason));
  const writer = writable.getWriter();

  /** Copies the answer. Resolves at its end, and rejects if the service breaks the connection. */
  const answer = new Promise<void>((resolve, reject) => {
    service.on("data", (bytes) => {
      service.pause();
      writer.write(bytes).then(() => service.resume(), reject);
    });
    service.once("end", () => writer.close().then(resolve, reject));
    service.once("error", reject);
  });

  /** Copies what the client sends, no faster than the service reads it. */
  async function request(): Promise<void> {
    await once(service, "connect");
    for await (const bytes of readable) {
      if (!service.write(bytes)) await once(service, "drain");
    }
    service.end();
  }

  try {
    await Promise.all([request(), answer]);
  } finally {
    service.destroy();
  }
}

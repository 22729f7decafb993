/** `--check`: which suites CIPHERS really leaves. No library tells that, so it is tried: a client
 *  that offers one suite alone, against the server's own settings, over a loopback socket. */

import { once } from "node:events";
import type { AddressInfo } from "node:net";
import tls from "node:tls";

/** The suites of TLS 1.2 that any of the two libraries has, strongest first. */
export const SUITES = [
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-SHA256",
  "ECDHE-ECDSA-AES256-SHA",
  "ECDHE-RSA-AES256-SHA",
  "ECDHE-ECDSA-AES128-SHA",
  "ECDHE-RSA-AES128-SHA",
  "AES256-GCM-SHA384",
  "AES128-GCM-SHA256",
  "AES256-SHA",
  "AES128-SHA",
] as const;

/** Without forward secrecy, or with a cipher mode that has been attacked. */
export function isWeak(suite: string): boolean {
  return !suite.startsWith("ECDHE") || !/GCM|CHACHA20/.test(suite);
}

/** The suites with which a TLS 1.2 client gets through. Rejects when the settings make no context. */
export async function resultingSuites(
  pairs: readonly { chain: string; key: string }[],
  ciphers: string,
): Promise<string[]> {
  const server = tls.createServer({
    cert: pairs.map(({ chain }) => chain),
    key: pairs.map(({ key }) => key),
    ciphers,
    minVersion: "TLSv1.2",
    maxVersion: "TLSv1.2",
  }, (socket) => socket.on("error", () => {}).end());
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const found: string[] = [];
  try {
    for (const suite of SUITES) if (await accepts(port, suite)) found.push(suite);
  } finally {
    server.close();
  }
  return found;
}

function accepts(port: number, suite: string): Promise<boolean> {
  return new Promise((resolve) => {
    const done = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    // Trust is not the question here.
    const socket = tls.connect({
      port,
      host: "127.0.0.1",
      ciphers: suite,
      maxVersion: "TLSv1.2",
      rejectUnauthorized: false,
    }, () => done(true));
    socket.on("error", () => done(false));
    socket.on("close", () => done(false));
  });
}

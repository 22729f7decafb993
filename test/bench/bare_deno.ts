/** A TLS echo on Deno and nothing else: what the handlers of the server are compared with.
 *  Arguments: port, certificate, key. Prints the port when it listens. */

const [port, certificate = "", key = ""] = Deno.args;
const listener = Deno.listenTls({
  hostname: "127.0.0.1",
  port: Number(port),
  cert: Deno.readTextFileSync(certificate),
  key: Deno.readTextFileSync(key),
});
console.log((listener.addr as Deno.NetAddr).port);
for await (const client of listener) {
  client.readable.pipeTo(client.writable).catch(() => {}); // the client has gone
}

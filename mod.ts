/** sslserver as a library. `serve` calls a function of this process, or starts a program, for each
 *  TLS connection, with access rules, limits and client certificates. `connect` makes a TLS
 *  connection to a server that it verifies. Also exported: the codecs for rules files, PROXY headers
 *  and DNS messages.
 *
 *  ```ts
 *  import { serve } from "./mod.ts";
 *
 *  const server = await serve({ port: 8443, selfSigned: true }, async (conn) => {
 *    await conn.readable.pipeTo(conn.writable);
 *  });
 *  console.log(`echo on port ${server.port}`);
 *  ```
 *
 *  The way of a connection: accept → limits → rules, names, ident → TLS handshake → handler or
 *  program → relay → end. `src/serve.ts` shows it stage by stage.
 *
 *  @module */

export { serve, type TlsServer } from "./src/library.ts";
export { connect, type TlsConnection } from "./src/client/library.ts";
export type { ConnectOptions, ProtocolVersion } from "./src/client/library_options.ts";
export { UntrustedServer } from "./src/client/connect.ts";
export type { ProgramCommand, ServeOptions } from "./src/library_options.ts";
export type { Handler, HandlerConnection } from "./src/program/handler.ts";
export type { Peer, RemotePeer } from "./src/connection.ts";
export type { Address } from "./src/runtime/runtime.ts";
export { FatalError, Unsupported, UsageError } from "./src/errors.ts";
export { DecodeError } from "./src/codec/bytes.ts";
export { CdbReader, type ReadAt } from "./src/codec/cdb.ts";
export { CdbWriter } from "./src/codec/cdb_write.ts";
export { decodeRule, encodeRule, findRule, ruleKeys } from "./src/codec/rules.ts";
export type { Rule, RuleHit, RulePeer } from "./src/codec/rules.ts";
export { type CompiledRule, compileRule } from "./src/codec/rules_source.ts";
export { decodeDnsMessage, encodeDnsQuery } from "./src/codec/dns/message.ts";
export type {
  DnsHead,
  DnsMessage,
  DnsQuery,
  DnsQueryType,
  DnsRecord,
} from "./src/codec/dns/message.ts";
export type { Ip } from "./src/codec/ip.ts";
export type { DecodedProxy } from "./src/codec/proxy/header.ts";
export { decodeProxy } from "./src/codec/proxy/proxy.ts";
export type { ProxyEnd, ProxyExtras, ProxyHeader, ProxyTls } from "./src/codec/proxy/header.ts";
export { encodeProxyV1 } from "./src/codec/proxy/v1.ts";
export { encodeProxyV2 } from "./src/codec/proxy/v2.ts";
export { VERSION } from "./src/version.ts";

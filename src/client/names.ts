/** Looks up a server in the DNS: its addresses before the connection, and the names of both ends
 *  after it. Loaded only when the DNS is needed. */

import { hostOperand } from "../accept/host.ts";
import { resolveEnds } from "../admit/lookups.ts";
import type { ClientOptions } from "../config/client_options.ts";
import type { Env } from "../config/variables.ts";
import { DnsConfig } from "../dns/config.ts";
import { QuestionSockets } from "../dns/question_sockets.ts";
import { Resolver } from "../dns/resolver.ts";
import { transportOf } from "../dns/transport.ts";
import type { Peer, RemotePeer } from "../connection.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { asciiHost } from "./host_name.ts";

interface NameServices {
  readonly runtime: Runtime;
  readonly env: Env;
  readonly signal: AbortSignal;
}

/** Resolves with the addresses of a host given by name. Rejects with `FatalError`, or with the
 *  signal's reason. */
export async function serverAddresses(
  host: string,
  family: 0 | 4 | 6,
  services: NameServices,
): Promise<readonly string[]> {
  return await withResolver(services, async (resolver) => {
    const found = await hostOperand(asciiHost(host), family, resolver, HINT);
    services.signal.throwIfAborted();
    return found;
  });
}

const HINT = "host is a name, an address, or 0 for this machine";

/** The ends of a connection whose names are looked up. */
export interface Ends {
  readonly local: Peer;
  readonly remote: RemotePeer;
}

/** Fills in the names of both ends, and the answer of the ident server on the server's machine.
 *  Uses the look-ups that sslserver makes for its clients. Never rejects. */
export async function nameEnds(
  ends: Ends,
  { remoteName, ident, identTimeout }: Pick<ClientOptions, "remoteName" | "ident" | "identTimeout">,
  services: NameServices,
): Promise<void> {
  await withResolver(services, async (resolver) => {
    await resolveEnds({ ...ends, signal: services.signal }, {
      options: {
        ownName: true,
        remoteName,
        paranoid: false,
        deniesMismatch: false,
        strictResolution: false,
        lookupTimeout: undefined,
        ident,
        identTimeout,
      },
      resolver,
      hosts: undefined,
      sockets: new QuestionSockets(),
      asksAboutLoopback: !!services.env.DNSCACHEIP,
      findsOwnName: true,
    });
  });
}

async function withResolver<T>(
  { runtime, env, signal }: NameServices,
  act: (resolver: Resolver) => Promise<T>,
): Promise<T> {
  const { libc } = runtime;
  const resolver = new Resolver({
    config: new DnsConfig({ env, interfaceIndex: libc && ((name) => libc.interfaceIndex(name)) }),
    transport: transportOf(runtime),
  });
  const close = (): void => resolver.close();
  signal.addEventListener("abort", close);
  try {
    return await act(resolver);
  } finally {
    signal.removeEventListener("abort", close);
    close();
  }
}

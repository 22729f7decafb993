/** The C library, typed: what neither runtime offers in its own API. The way of a call: a method
 *  below → call.ts (checks) → bun/load_libc.ts or deno/load_libc.ts (FFI) → the kernel.
 *
 *  - sockets.ts      listen, accept, addresses, socket options
 *  - outgoing.ts     connections that this process makes
 *  - datagrams.ts    UDP
 *  - descriptors.ts  pipes, socket pairs, flags, read and write
 *  - directories.ts  folders by their descriptors
 *  - beneath.ts      files below a folder
 *  - pass.ts         descriptors between processes
 *  - notify.ts       messages to a supervisor, and the socket that it passes
 *  - interfaces.ts   network interfaces
 *  - identity.ts     ids, limits, chroot, signals
 *  - capabilities.ts capabilities
 *  - sandbox.ts      seccomp and Landlock
 *  - code_pages.ts   pages of the executable
 *  - spawn.ts        programs with exact descriptors
 *
 *  Every method throws SystemError (`code` is the errno's name) when the system refuses. */

import { type BeneathCalls, beneathCalls } from "./beneath.ts";
import { type CapabilityCalls, capabilityCalls } from "./capabilities.ts";
import { Caller, type RawLibc } from "./call.ts";
import { type CodePageCalls, codePageCalls } from "./code_pages.ts";
import { type DatagramCalls, datagramCalls } from "./datagrams.ts";
import { type DescriptorCalls, descriptorCalls } from "./descriptors.ts";
import { type DirectoryCalls, directoryCalls } from "./directories.ts";
import { type IdentityCalls, identityCalls } from "./identity.ts";
import { type InterfaceCalls, interfaceCalls } from "./interfaces.ts";
import { type NotifyCalls, notifyCalls } from "./notify.ts";
import { type OutgoingCalls, outgoingCalls } from "./outgoing.ts";
import { type PassCalls, passCalls } from "./pass.ts";
import { type SandboxCalls, sandboxCalls } from "./sandbox.ts";
import { type SocketCalls, socketCalls } from "./sockets.ts";
import { type SpawnCalls, spawnCalls } from "./spawn.ts";

export { SystemError } from "./errno.ts";
export { POLL, type SocketType } from "./descriptors.ts";
export type { BindAddress, SocketEndpoint } from "./sockets.ts";
export type { Ids, Limit } from "./identity.ts";
export type { Received } from "./pass.ts";

/** All calls. One per thread: its buffers are reused from call to call. */
export interface Libc
  extends
    SocketCalls,
    OutgoingCalls,
    DatagramCalls,
    InterfaceCalls,
    DescriptorCalls,
    DirectoryCalls,
    BeneathCalls,
    PassCalls,
    NotifyCalls,
    IdentityCalls,
    CapabilityCalls,
    CodePageCalls,
    SandboxCalls,
    SpawnCalls {}

/** Returns all calls, made through the functions of a loader. */
export function makeLibc(raw: RawLibc): Libc {
  const c = new Caller(raw);
  const descriptors = descriptorCalls(c);
  return {
    ...descriptors,
    ...directoryCalls(c),
    ...socketCalls(c, descriptors),
    ...outgoingCalls(c, descriptors),
    ...datagramCalls(c, descriptors),
    ...interfaceCalls(c),
    ...beneathCalls(c),
    ...passCalls(c, descriptors),
    ...notifyCalls(c, descriptors),
    ...identityCalls(c),
    ...capabilityCalls(c),
    ...codePageCalls(c, descriptors),
    ...sandboxCalls(c),
    ...spawnCalls(c),
  };
}

/** The C library, typed: what neither runtime offers in its own API. The way of a call:
 *  a method below → libc_call.ts (checks) → libc_bun.ts or libc_deno.ts (FFI) → the kernel.
 *
 *  - libc_sockets.ts      listen, accept, addresses, socket options
 *  - libc_datagrams.ts    UDP
 *  - libc_descriptors.ts  pipes, socket pairs, flags, read and write
 *  - libc_pass.ts         descriptors between processes
 *  - libc_notify.ts       words to a supervisor, and the socket it hands over
 *  - libc_interfaces.ts   network interfaces
 *  - libc_identity.ts     ids, limits, chroot, signals
 *  - libc_capabilities.ts capabilities
 *  - libc_sandbox.ts      seccomp and Landlock
 *  - libc_spawn.ts        programs with exact descriptors
 *
 *  Every method throws SystemError (`code` is the errno's name) when the system refuses. */

import { type CapabilityCalls, capabilityCalls } from "./libc_capabilities.ts";
import { Caller, type RawLibc } from "./libc_call.ts";
import { type DatagramCalls, datagramCalls } from "./libc_datagrams.ts";
import { type DescriptorCalls, descriptorCalls } from "./libc_descriptors.ts";
import { type IdentityCalls, identityCalls } from "./libc_identity.ts";
import { type InterfaceCalls, interfaceCalls } from "./libc_interfaces.ts";
import { type NotifyCalls, notifyCalls } from "./libc_notify.ts";
import { type PassCalls, passCalls } from "./libc_pass.ts";
import { type SandboxCalls, sandboxCalls } from "./libc_sandbox.ts";
import { type SocketCalls, socketCalls } from "./libc_sockets.ts";
import { type SpawnCalls, spawnCalls } from "./libc_spawn.ts";

export { SystemError } from "./errno.ts";
export { POLL, type SocketType } from "./libc_descriptors.ts";
export type { Endpoint, ListenAddress } from "./libc_sockets.ts";
export type { Ids, Limit } from "./libc_identity.ts";
export type { Received } from "./libc_pass.ts";

/** All calls. One per thread: its buffers are reused from call to call. */
export interface Libc
  extends
    SocketCalls,
    DatagramCalls,
    InterfaceCalls,
    DescriptorCalls,
    PassCalls,
    NotifyCalls,
    IdentityCalls,
    CapabilityCalls,
    SandboxCalls,
    SpawnCalls {}

/** The calls over what a loader delivers. */
export function makeLibc(raw: RawLibc): Libc {
  const c = new Caller(raw);
  const descriptors = descriptorCalls(c);
  return {
    ...descriptors,
    ...socketCalls(c, descriptors),
    ...datagramCalls(c, descriptors),
    ...interfaceCalls(c),
    ...passCalls(c, descriptors),
    ...notifyCalls(c, descriptors),
    ...identityCalls(c),
    ...capabilityCalls(c),
    ...sandboxCalls(c),
    ...spawnCalls(c),
  };
}

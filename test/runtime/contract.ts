/** The contract of every adapter, as one suite that both runtimes pass.
 *
 *  - contract_tcp.ts      listeners and plain connections, for each way to listen
 *  - contract_owner.ts    which owner gets the events of a stream
 *  - contract_tls.ts      sessions and TLS streams
 *  - contract_endings.ts  how TLS streams end, and which events report it
 *  - contract_refusal.ts  handshakes that fail
 *  - contract_client.ts   connections that this process makes
 *  - contract_program.ts  programs and signals */

import type { Runtime } from "../../src/runtime/runtime.ts";
import { kits } from "./kits.ts";
import { clientContract } from "./contract_client.ts";
import { tcpContract } from "./contract_tcp.ts";
import { programContract } from "./contract_program.ts";
import { endingsContract } from "./contract_endings.ts";
import { ownerContract } from "./contract_owner.ts";
import { tlsContract } from "./contract_tls.ts";
import { contextContract, refusalContract } from "./contract_refusal.ts";

export function contract(runtime: Runtime): void {
  const all = kits(runtime);
  for (const kit of all) {
    tcpContract(kit);
    ownerContract(kit);
    tlsContract(kit);
    endingsContract(kit);
    refusalContract(kit);
  }
  clientContract(all[0]!);
  contextContract(runtime);
  programContract(runtime);
}

/** What every adapter must do, as one suite: both runtimes pass it.
 *
 *  - contract_tcp.ts      listeners and plain connections, for each way to listen
 *  - contract_tls.ts      handshakes, sessions, TLS streams
 *  - contract_program.ts  programs and signals */

import type { Runtime } from "../../src/runtime/runtime.ts";
import { kits } from "./kits.ts";
import { tcpContract } from "./contract_tcp.ts";

export function contract(makeRuntime: () => Runtime | Promise<Runtime>): void {
  for (const [way, makeKit] of Object.entries(kits(makeRuntime))) {
    tcpContract(way, makeKit);
  }
}

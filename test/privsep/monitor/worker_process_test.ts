/** The process of a worker: its sockets to the monitor. */

import { assertEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { defaults } from "../../../src/config/options.ts";
import { WorkerProcesses } from "../../../src/privsep/monitor/worker_process.ts";
import type { Runtime } from "../../../src/runtime/runtime.ts";
import { libcHere, refuses } from "../../runtime/libc/here.ts";

const libc = await libcHere();
const skip = !refuses(libc) && "the system has no SO_PASSRIGHTS";

test("a worker can send no descriptors to the monitor", { skip }, () => {
  const codes: unknown[] = [];
  const process = { kill: () => true };
  const launch = ({ descriptors }: { descriptors: number[] }): typeof process => {
    for (const fd of descriptors.slice(2)) {
      const send = (): unknown => libc.sendDescriptors(fd, Uint8Array.of(1), [fd]);
      codes.push((assertThrows(send) as Error & { code?: string }).code);
    }
    return process;
  };
  const self = { command: ["sslserver"], confine: ["sslserver"], env: {} };
  const options = { ...defaults(), host: "127.0.0.1", port: "0", command: ["cat"] };
  const processes = new WorkerProcesses({ launch } as unknown as Runtime, libc, self, options);
  const worker = processes.start();
  try {
    assertEquals(codes, ["EPERM", "EPERM", "EPERM"]);
  } finally {
    worker.end();
    libc.close(worker.log);
  }
});

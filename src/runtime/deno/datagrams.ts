/** UDP under Deno with libc. `node:dgram` and `Deno.listenDatagram` never connect a socket, so they
 *  do not report that no process listens at the other end. All sockets are in one epoll set; one
 *  thread of Deno's pool waits for it while there are any. */

import { setTimeout } from "node:timers";
import type { DatagramEvents } from "../runtime.ts";
import { EpollSet, RECHECK_MS } from "./ready.ts";
import type { Libc } from "../libc/libc.ts";

/** The longest wait of the thread, in milliseconds. It can delay the exit of the process for as
 *  long. */
const WAIT_MS = 100;

export class Datagrams {
  /** By descriptor: the function that receives what has come. */
  readonly #sockets = new Map<number, () => void>();
  #set: EpollSet | undefined;

  constructor(readonly libc: Libc) {}

  /** See `Runtime.datagram`. */
  exchange(
    to: { address: string; port: number },
    packet: Uint8Array,
    events: DatagramEvents,
  ): () => void {
    let fd: number | undefined;
    let open = true;
    const close = () => {
      open = false;
      if (fd === undefined) return;
      this.#sockets.delete(fd);
      this.libc.close(fd); // this also removes it from the set
      fd = undefined;
    };
    const attempt = (act: () => void) => {
      try {
        act();
      } catch (error) {
        queueMicrotask(() => open && events.failed(error as Error));
      }
    };
    attempt(() => {
      const own = fd = this.libc.connectDatagrams(endpoint(to));
      this.libc.write(own, packet);
      this.#watch(own, () =>
        attempt(() => {
          while (open) {
            const bytes = this.libc.receiveDatagram(own);
            if (bytes === undefined) return;
            events.packet(bytes, to); // the kernel has checked the sender
          }
        }));
    });
    return close;
  }

  #watch(fd: number, ready: () => void): void {
    this.#sockets.set(fd, ready);
    if (Deno.build.os === "linux") {
      const begin = this.#set === undefined;
      const set = this.#set ??= new EpollSet(this.libc);
      if (begin) void this.#run(set);
      set.add(fd);
    } else if (this.#sockets.size === 1) this.#poll();
  }

  async #run(set: EpollSet): Promise<void> {
    while (this.#sockets.size > 0) {
      for (const fd of await set.wait(WAIT_MS)) this.#sockets.get(fd)?.();
    }
    this.#set = undefined;
    set.close();
  }

  /** Polls all sockets, on systems without epoll. */
  #poll(): void {
    setTimeout(() => {
      for (const ready of [...this.#sockets.values()]) ready();
      if (this.#sockets.size > 0) this.#poll();
    }, RECHECK_MS);
  }
}

/** Splits `fe80::1%2` into address and zone, which must be a number. */
function endpoint({ address, port }: { address: string; port: number }) {
  const [ip = "", zone] = address.split("%");
  return { ip, port, ...(zone === undefined ? {} : { scopeId: Number(zone) }) };
}

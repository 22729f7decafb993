/** The listening socket, as the monitor keeps it; workers have copies. After a drain the port is
 *  free when every copy is closed. A worker reports that it has closed its copy, but a compromised
 *  one may lie: it could keep a successor from listening, or take its connections. So the monitor
 *  checks. */

import { readdirSync, readlinkSync } from "node:fs";
import { type TcpListener, tcpListeners } from "../../codec/tcp_table.ts";
import type { Libc, SocketEndpoint } from "../../runtime/libc/libc.ts";

/** How long a worker may take to close its copy after it has said so, in milliseconds. */
const CLOSE_TIMEOUT = 1000;
/** Milliseconds between two checks: the first time, and the longest after doubling. */
const CHECK_DELAYS = { first: 2, last: 50 };
/** Bytes to read at a time from the system's table. */
const PART = 16_384;

/** A process that may have a copy. */
export interface Holder {
  readonly pid: number;
  /** Ends it. */
  giveUp(why: string): void;
  /** Its process has ended. */
  readonly ended: Promise<unknown>;
}

export interface PortOptions {
  readonly libc: Libc;
  /** Makes the listening socket. `ip`: the host's address, if it had to be looked up. */
  readonly listen: (ip: string | undefined) => number;
  readonly backlog: number;
  /** True if a supervisor has that socket too, and keeps it. */
  readonly inherited: boolean;
  /** For tests, instead of /proc/PID/fd: whether a process has a socket; undefined: unknown. */
  readonly has?: (pid: number, inode: number) => boolean | undefined;
}

export class Port {
  #fd: number | undefined;
  /** The address of the socket, and its inode, which identifies it. */
  #at: SocketEndpoint | undefined;
  #inode: number | undefined;

  constructor(readonly o: PortOptions) {}

  get open(): boolean {
    return this.#fd !== undefined;
  }

  /** Listens, if it does not already. Throws what `listen` throws. */
  listen(named?: string): void {
    if (this.#fd !== undefined) return;
    const fd = this.#fd = this.o.listen(named);
    const at = this.#at = this.o.libc.getsockname(fd);
    this.#inode = inodeOf(fd) ?? listenerAt(this.o.libc, at)?.inode;
  }

  /** Undoes what a worker can do to the shared socket. True: the socket had stopped listening.
   *  Throws if it cannot be repaired. */
  repair(): boolean {
    const [fd, at] = [this.#fd, this.#at];
    return fd !== undefined && at !== undefined &&
      this.o.libc.repairListener(fd, this.o.backlog, at);
  }

  /** Returns a copy for a worker. Throws. */
  copy(): number {
    return this.o.libc.dup(this.#fd as number);
  }

  /** Stops new connections from entering the queue. Workers have copies, and accept what is queued.
   *  When the last copy is closed, the kernel resets the rest. */
  drain(): void {
    const { libc, inherited } = this.o;
    const fd = this.#fd;
    if (fd === undefined) return;
    try {
      this.repair(); // `untilFree` finds only listening sockets
    } catch {
      // The socket then does not listen, so a successor can.
    }
    try {
      if (!inherited) libc.dropNewConnections(fd); // a supervisor's queue stays open
    } catch {
      // A kernel without filters: a client may connect between the last accept and the close, and
      // is reset.
    }
    this.close();
  }

  close(): void {
    if (this.#fd !== undefined) this.o.libc.close(this.#fd);
    this.#fd = undefined;
  }

  /** Resolves when no holder has a copy any more. Ends a holder that keeps its copy. */
  async untilFree(holders: () => readonly Holder[]): Promise<void> {
    const until = performance.now() + CLOSE_TIMEOUT;
    for (let wait = CHECK_DELAYS.first;; wait = Math.min(2 * wait, CHECK_DELAYS.last)) {
      const [holder] = this.#possibleHolders(holders());
      if (!holder) return;
      if (performance.now() < until) await new Promise((done) => setTimeout(done, wait));
      else {
        holder.giveUp("it did not close the listening socket");
        await holder.ended;
      }
    }
  }

  /** Returns holders that have a copy, according to /proc/PID/fd. If that cannot be read (only root
   *  may read a worker's), all such holders are suspects while the socket still listens. */
  #possibleHolders(holders: readonly Holder[]): readonly Holder[] {
    const inode = this.#inode;
    if (inode === undefined) return [];
    const unknown: Holder[] = [];
    for (const holder of holders) {
      const has = (this.o.has ?? hasSocket)(holder.pid, inode);
      if (has) return [holder];
      if (has === undefined) unknown.push(holder);
    }
    // A supervisor's socket listens in any case, which proves nothing.
    return unknown.length > 0 && !this.o.inherited && this.#listens(inode) ? unknown : [];
  }

  #listens(inode: number): boolean {
    try {
      return listeners(this.o.libc).some((one) => one.inode === inode);
    } catch {
      return false;
    }
  }
}

/** Whether a process has the socket; undefined: unknown. */
function hasSocket(pid: number, inode: number): boolean | undefined {
  const folder = `/proc/${pid}/fd`;
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    return (error as { code?: string }).code === "ENOENT" ? false : undefined; // it has ended
  }
  return names.some((name) => {
    try {
      return readlinkSync(`${folder}/${name}`) === `socket:[${inode}]`;
    } catch {
      return false; // closed meanwhile
    }
  });
}

/** Returns the inode of our own socket. Undefined: not Linux, or Deno without --allow-all. */
function inodeOf(fd: number): number | undefined {
  try {
    const found = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1];
    return found === undefined ? undefined : Number(found);
  } catch {
    return undefined;
  }
}

/** Finds the same socket by its address, which takes milliseconds: the system goes through all
 *  sockets. Undefined: not Linux, or no /proc; then the monitor relies on the reports of the
 *  workers. */
function listenerAt(libc: Libc, { ip, port }: SocketEndpoint): TcpListener | undefined {
  try {
    return listeners(libc).find((one) => one.ip === ip && one.port === port);
  } catch {
    return undefined;
  }
}

/** Returns all listening TCP sockets of this machine. Throws. */
function listeners(libc: Libc): TcpListener[] {
  return ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((path) => {
    let text = "";
    let fd: number;
    try {
      fd = libc.open(path);
    } catch (error) {
      if (path.endsWith("6")) return []; // a kernel without IPv6
      throw error;
    }
    try {
      for (;;) {
        const part = libc.read(fd, PART);
        text += new TextDecoder("latin1").decode(part);
        const { listeners, more } = tcpListeners(text);
        if (!more || !part || part.length === 0) return listeners;
      }
    } finally {
      libc.close(fd);
    }
  });
}

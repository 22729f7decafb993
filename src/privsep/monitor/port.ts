/** The listening socket, as the monitor keeps it: workers get copies. After a drain the port is free when
 *  every copy is closed. A worker says that it has closed its own, but one that was taken over may lie,
 *  and keep a successor from listening or take its connections. So the monitor looks. */

import { readdirSync, readlinkSync } from "node:fs";
import { type TcpListener, tcpListeners } from "../../codec/tcp_table.ts";
import type { Libc, SocketEndpoint } from "../../runtime/libc/libc.ts";

/** How long a worker may take to close its copy after it has said so, in milliseconds. */
const PATIENCE = 1000;
/** Between two looks, in milliseconds: doubled up to the second of these. */
const LOOK = { first: 2, last: 50 };
/** Bytes of the system's table at a time. */
const PART = 16_384;

/** Who may have a copy. */
export interface Holder {
  readonly pid: number;
  /** Ends it. */
  giveUp(why: string): void;
  /** Its process has ended. */
  readonly ended: Promise<unknown>;
}

export interface PortOptions {
  readonly libc: Libc;
  /** Makes the listening socket; `ip` is the host's, when it had to be looked up. */
  readonly listen: (ip: string | undefined) => number;
  readonly backlog: number;
  /** Somebody else has that socket too, and keeps it. */
  readonly inherited: boolean;
  /** Instead of /proc/PID/fd, for tests: whether a process has a socket. Undefined: nobody tells. */
  readonly has?: (pid: number, inode: number) => boolean | undefined;
}

export class Port {
  #fd: number | undefined;
  /** Where it listens, and which socket it is. */
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

  /** Undoes what a worker can do to the socket that all share. True: it did not listen any more. Throws when
   *  it cannot. */
  repair(): boolean {
    const [fd, at] = [this.#fd, this.#at];
    return fd !== undefined && at !== undefined &&
      this.o.libc.repairListener(fd, this.o.backlog, at);
  }

  /** A copy for a worker. Throws. */
  copy(): number {
    return this.o.libc.dup(this.#fd as number);
  }

  /** After this nobody enters the queue. Workers have copies, and accept who is in it; with the last copy
   *  the queue is reset. */
  drain(): void {
    const { libc, inherited } = this.o;
    const fd = this.#fd;
    if (fd === undefined) return;
    try {
      this.repair(); // one that does not listen would not be found by `proveFree`
    } catch {
      // Then it is not in the way of a successor.
    }
    try {
      if (!inherited) libc.turnAway(fd); // a supervisor's goes on: its queue is for the successor
    } catch {
      // A kernel without filters: between the last accept and the close somebody may come.
    }
    this.close();
  }

  close(): void {
    if (this.#fd !== undefined) this.o.libc.close(this.#fd);
    this.#fd = undefined;
  }

  /** Resolves when none of `holders` has a copy any more. One that keeps its copy is ended. */
  async proveFree(holders: () => readonly Holder[]): Promise<void> {
    const until = performance.now() + PATIENCE;
    for (let wait = LOOK.first;; wait = Math.min(2 * wait, LOOK.last)) {
      const [liar] = this.#suspects(holders());
      if (!liar) return;
      if (performance.now() < until) await new Promise((done) => setTimeout(done, wait));
      else {
        liar.giveUp("it kept the port");
        await liar.ended;
      }
    }
  }

  /** Those that have a copy, as /proc/PID/fd tells. Where that cannot be read (only root may look at a
   *  worker), all of them are suspected while the socket still listens. */
  #suspects(holders: readonly Holder[]): readonly Holder[] {
    const inode = this.#inode;
    if (inode === undefined) return [];
    const unknown: Holder[] = [];
    for (const holder of holders) {
      const has = (this.o.has ?? hasSocket)(holder.pid, inode);
      if (has) return [holder];
      if (has === undefined) unknown.push(holder);
    }
    // A supervisor's socket listens in any case.
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

/** Undefined: nobody tells. */
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

/** That of our own socket. Undefined: not Linux, or Deno without --allow-all. */
function inodeOf(fd: number): number | undefined {
  try {
    const found = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1];
    return found === undefined ? undefined : Number(found);
  } catch {
    return undefined;
  }
}

/** The same socket by its address. It takes the system milliseconds to go through all its sockets.
 *  Undefined: not Linux, or no /proc; then workers are believed. */
function listenerAt(libc: Libc, { ip, port }: SocketEndpoint): TcpListener | undefined {
  try {
    return listeners(libc).find((one) => one.ip === ip && one.port === port);
  } catch {
    return undefined;
  }
}

/** All listening TCP sockets of this machine. Throws. */
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

/** epoll(7), for both adapters, each of which calls it in its own way. Linux. */

import process from "node:process";

/** Flags and operations. */
export const EPOLL = { closeOnExec: 0x80000, add: 1, delete: 2, in: 1, out: 4 } as const;

/** struct epoll_event, packed on x64 alone: its size, and the offset of the descriptor. */
export const EPOLL_EVENT = process.arch === "x64" ? { size: 12, fd: 4 } : { size: 16, fd: 8 };

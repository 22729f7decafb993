/** The system calls that perf trace prints. */

import { assertEquals } from "@std/assert";
import { test } from "node:test";
import { callTable } from "./perf_trace.ts";

const TRACE = `
         ? (         ): sslserver/10  ... [continued]: epoll_pwait2())                           = 0
     1.812 ( 0.061 ms): sslserver/10 openat(dfd: CWD, filename: 0x266ef8)                        = 13
     1.850 ( 4.000 ms): tokio/20 read(fd: 3)                                                     = 1
     1.870 ( 4.000 ms): sslserver/10 clone3(size: 88)                                            = 31205
     1.888 ( 0.019 ms): sslserver/10 openat(dfd: CWD, filename: 0x266ef8)                        = 14
  1893.023 (         ): sslserver/10 epoll_pwait2(epfd: 3<anon_inode:[eventpoll]>, events: 0x4d1)  ...
  1893.019 ( 0.020 ms): Bun Pool 0/21 recvfrom(fd: 3<socket:[27417828]>, flags: DONTWAIT)         = 28
  1893.023 (22.104 ms): sslserver/10  ... [continued]: epoll_pwait2())                            = 1
  1903.387 ( 0.027 ms): sslserver/10  ... [continued]: setsockopt())                              = -1
  1915.206 (         ): sslserver/10 rt_sigreturn()                                              ...
  1920.000 ( 5.000 ms): other/99 openat(dfd: CWD)                                                 = 13
`;

test("calls are counted by process, and the time of those that wait is left out", () => {
  const own = new Map([[10, "monitor"], [20, "worker"], [21, "worker"]]);
  assertEquals(callTable(TRACE, own, ["monitor", "worker"], 2).trimEnd().split("\n"), [
    "| call | monitor | µs | worker | µs |",
    "| --- | ---: | ---: | ---: | ---: |",
    "| clone3 | 0.5 | 2000 |  |  |",
    "| openat | 1.0 | 40.0 |  |  |",
    "| recvfrom |  |  | 0.5 | 10.0 |",
    "| read |  |  | 0.5 | waits |",
    "| epoll_pwait2 | 0.5 | waits |  |  |",
    "| all that do not wait | 1.5 | 2040 | 0.5 | 10.0 |",
  ]);
});

test("rare calls are left out of the rows, not of the sum", () => {
  const own = new Map([[10, "monitor"]]);
  assertEquals(callTable(TRACE, own, ["monitor"], 100).trimEnd().split("\n").slice(2), [
    "| all that do not wait | 0.0 | 40.8 |",
  ]);
});

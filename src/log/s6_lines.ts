/** The lines about connections and programs in the words of s6-tcpserverd and s6-tcpserver-access
 *  (--log s6). These lines replace several lines of sslserver. log.ts decides when a line is
 *  written. */

import type { Denial } from "../reason.ts";

/** A log line in the form of another program. */
export interface ForeignLine {
  /** The beginning of the line. */
  readonly name: string;
  /** As in `LogOptions`. The levels 2 and 3 are s6's levels 1 and 2. */
  readonly verbosity: 2 | 3;
  readonly text: string;
}

/** The client's address and port. */
type Client = { readonly ip: string; readonly port: number };

const server = (verbosity: 2 | 3, text: string): ForeignLine => ({
  name: "s6-tcpserverd",
  verbosity,
  text,
});

const access = (verbosity: 2 | 3, pid: number, what: string, ip: string): ForeignLine => ({
  name: `s6-tcpserver-access: pid ${pid}`,
  verbosity,
  text: `${what} pid ${pid} ip ${ip}`,
});

export const S6_LINES = {
  listening: (ip: string, port: number): ForeignLine =>
    server(3, `starting - bound to ip ${ip} port ${port}`),

  status: (running: number, limit: number): ForeignLine => server(3, `status: ${running}/${limit}`),

  /** `count`: connections of the address, this one included; undefined: not known. */
  accepted: (
    pid: number,
    { ip, port }: Client,
    count: number | undefined,
    limit: number,
  ): ForeignLine => server(3, `accept ${ip}_${port} pid ${pid}${ofLimit(count, limit)}`),

  admitted: (pid: number, { ip }: Client): ForeignLine => access(2, pid, "allow", ip),

  denied: (pid: number, { ip, port }: Client, denial: Denial): ForeignLine =>
    denial.kind === "limit"
      ? server(2, `reject ${ip}_${port}${ofLimit(denial.count, denial.count)}`)
      : access(3, pid, "deny", ip),

  /** `status`: the wait status. `count`: as in `accepted`, without this one. */
  ended(
    pid: number,
    status: number | undefined,
    count: number | undefined,
    limit: number,
  ): ForeignLine {
    const how = status === undefined
      ? "status unknown"
      : status > 0 && status < 256
      ? `signal ${status & 127}`
      : `exitcode ${status >> 8}`;
    return server(3, `end pid ${pid} ${how}${ofLimit(count, limit)}`);
  },
} as const;

function ofLimit(count: number | undefined, limit: number): string {
  return count === undefined ? "" : ` count ${count}/${limit}`;
}

/** Network interfaces by libc. Both calls need a socket that a worker's sandbox forbids, so they
 *  fail there. */

import { type Caller, cString, memory } from "./call.ts";

/** Calls on interfaces. */
export interface InterfaceCalls {
  /** The number of a network interface, for `scopeId`. Throws SystemError. */
  interfaceIndex(name: string): number;
  /** Its name; undefined when there is no such interface. */
  interfaceName(index: number): string | undefined;
}

const IF_NAMESIZE = 16;

/** The calls, made through `c`. */
export function interfaceCalls(c: Caller): InterfaceCalls {
  return {
    interfaceIndex(name) {
      const index = c.once("if_nametoindex", cString(name));
      if (index === 0) throw c.error("if_nametoindex");
      return index;
    },

    interfaceName(index) {
      const name = memory(IF_NAMESIZE);
      if (c.once("if_indextoname", index, name) === 0) return undefined;
      return new TextDecoder().decode(name.subarray(0, name.indexOf(0)));
    },
  };
}

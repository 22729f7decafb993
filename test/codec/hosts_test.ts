/** /etc/hosts: the first name of each address, whatever else is in the file. */

import { assertEquals, assertMatch } from "@std/assert";
import { test } from "node:test";
import { parseHosts } from "../../src/codec/hosts.ts";

const FILE = `# comment
127.0.0.1\tlocalhost loopback
192.0.2.1   first.test  alias.test # the rest is a comment
192.0.2.1   second.test
::1         ip6-localhost
2001:DB8:0::1 six.test
::ffff:192.0.2.4 mapped.test
fe80::1%lo0 link.test
192.0.2.5
192.0.2.6   192.0.2.7
192.0.2.8   bad\x1bname.test good.test
192.0.2.9   ${"a".repeat(64)}.test
192.0.2.10  ${"long.".repeat(60)}test
999.0.0.1   none.test
  192.0.2.11 indented.test\r
0x7f.1      hex.test`;

test("the first name of an address counts, and its first line", () => {
  assertEquals(
    [...parseHosts(FILE)],
    [
      ["127.0.0.1", "localhost"],
      ["192.0.2.1", "first.test"],
      ["::1", "ip6-localhost"],
      ["2001:db8::1", "six.test"],
      ["192.0.2.4", "mapped.test"],
      ["192.0.2.11", "indented.test"],
    ],
  );
});

test("every truncation gives only valid host names", () => {
  for (let end = 0; end < FILE.length; end++) {
    for (const name of parseHosts(FILE.slice(0, end)).values()) assertMatch(name, /^[\w.-]+$/);
  }
});

/** The manual pages inside the program: the mdoc sources of man/, and mandoc's plain text of them.
 *  A page is loaded when it is asked for; no file is read. */

import process from "node:process";
import { nodeChildProcess } from "../builtins.ts";
import type { Page } from "../config/options.ts";

type Text = Promise<{ default: string }>;

/** File name, source and plain text of each page. */
export const MANUAL: Readonly<Record<Page, { file: string; source(): Text; text(): Text }>> = {
  "sslserver": {
    file: "sslserver.1",
    source: () => import("../../man/sslserver.1", { with: { type: "text" } }),
    text: () => import("../../man/text/sslserver.1.txt", { with: { type: "text" } }),
  },
  "s6-tlsserver": {
    file: "s6-tlsserver.1",
    source: () => import("../../man/s6-tlsserver.1", { with: { type: "text" } }),
    text: () => import("../../man/text/s6-tlsserver.1.txt", { with: { type: "text" } }),
  },
  "sslhandle": {
    file: "sslhandle.1",
    source: () => import("../../man/sslhandle.1", { with: { type: "text" } }),
    text: () => import("../../man/text/sslhandle.1.txt", { with: { type: "text" } }),
  },
  "s_server": {
    file: "s_server.1",
    source: () => import("../../man/s_server.1", { with: { type: "text" } }),
    text: () => import("../../man/text/s_server.1.txt", { with: { type: "text" } }),
  },
  "sslclient": {
    file: "sslclient.1",
    source: () => import("../../man/sslclient.1", { with: { type: "text" } }),
    text: () => import("../../man/text/sslclient.1.txt", { with: { type: "text" } }),
  },
  "sslcat": {
    file: "sslcat.1",
    source: () => import("../../man/sslcat.1", { with: { type: "text" } }),
    text: () => import("../../man/text/sslcat.1.txt", { with: { type: "text" } }),
  },
  "sslconnect": {
    file: "sslconnect.1",
    source: () => import("../../man/sslconnect.1", { with: { type: "text" } }),
    text: () => import("../../man/text/sslconnect.1.txt", { with: { type: "text" } }),
  },
  "https@": {
    file: "https@.1",
    source: () => import("../../man/https@.1", { with: { type: "text" } }),
    text: () => import("../../man/text/https@.1.txt", { with: { type: "text" } }),
  },
  "tcprules": {
    file: "tcprules.1",
    source: () => import("../../man/tcprules.1", { with: { type: "text" } }),
    text: () => import("../../man/text/tcprules.1.txt", { with: { type: "text" } }),
  },
  "tcprulescheck": {
    file: "tcprulescheck.1",
    source: () => import("../../man/tcprulescheck.1", { with: { type: "text" } }),
    text: () => import("../../man/text/tcprulescheck.1.txt", { with: { type: "text" } }),
  },
  "ucspi-tls": {
    file: "ucspi-tls.7",
    source: () => import("../../man/ucspi-tls.7", { with: { type: "text" } }),
    text: () => import("../../man/text/ucspi-tls.7.txt", { with: { type: "text" } }),
  },
  "sslserver-environment": {
    file: "sslserver-environment.7",
    source: () => import("../../man/sslserver-environment.7", { with: { type: "text" } }),
    text: () => import("../../man/text/sslserver-environment.7.txt", { with: { type: "text" } }),
  },
};

/** Commands that show a page from stdin in a pager, best first. */
const VIEWERS: readonly (readonly [string, ...string[]])[] = [["mandoc", "-a"], ["man", "-l", "-"]];

/** Shows a page. On a terminal it runs mandoc or man, if one is installed and may be run, and
 *  returns an empty text. Otherwise returns the plain text, for the caller to print. */
export async function manual(page: Page): Promise<string> {
  const { source, text } = MANUAL[page];
  if (process.stdout.isTTY) {
    const input = (await source()).default;
    for (const [viewer, ...options] of VIEWERS) {
      if (shown(viewer, options, input)) return "";
    }
  }
  return (await text()).default;
}

function shown(viewer: string, options: readonly string[], input: string): boolean {
  try {
    const stdio = ["pipe", "inherit", "ignore"] as const;
    return nodeChildProcess().spawnSync(viewer, [...options], { input, stdio: [...stdio] })
      .status === 0;
  } catch {
    return false; // Deno without --allow-run for the viewer
  }
}

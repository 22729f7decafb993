/** What a name of the server adds to a server in one process. */

import type { Overrides } from "../assemble.ts";
import type { Server } from "../lifecycle.ts";

export interface ServerExtras {
  /** In place of what is made from options and environment. */
  readonly overrides: Overrides;
  /** The server listens; it has announced that. */
  begun(server: Server): void;
}

#!/usr/bin/env -S bun --no-install --no-env-file --config=/dev/null
/** The command `s_server` of the npm package, on Bun. cli.ts chooses the command by this file's
 *  name. */

import "../cli.ts";

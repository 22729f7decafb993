#!/usr/bin/env -S bun --no-install --no-env-file --config=/dev/null
/** The command `sslhandle` of the npm package, on Bun. cli.ts chooses the command by this file's
 *  name. */

import "../cli.ts";

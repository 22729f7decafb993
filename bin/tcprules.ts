#!/usr/bin/env -S bun --no-install --no-env-file --config=/dev/null
/** The command `tcprules` of the npm package, on Bun. cli.ts sees by the name of this file what it is. */

import "../cli.ts";

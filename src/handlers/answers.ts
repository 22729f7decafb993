/** -HTTP of s_server: serves the regular files below one folder. Each file is a complete HTTP
 *  response (status line, header fields and body), and is sent as it is. A request that matches no
 *  file gets the same response as with --files. */

import type { Handler } from "../program/handler.ts";
import { answerFrom, pieces } from "./files.ts";
import type { Folder } from "./folder.ts";
import { serveHttp } from "./http.ts";

/** Returns the handler for a folder. */
export function answersHandler(folder: Folder): Handler {
  return (conn) =>
    serveHttp(conn, ({ target }) =>
      answerFrom(folder, target, (file) => ({
        status: 200,
        fields: {},
        length: file.size,
        whole: true,
        body: () => pieces(file, 0, file.size - 1),
        close: () => file.close(),
      })));
}

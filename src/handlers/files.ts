/** --files: serves the regular files below one folder by HTTP, without directory listings.
 *  folder.ts opens the files. */

import {
  decodePath,
  hasTag,
  httpDate,
  type HttpRequest,
  readHttpDate,
  readRange,
} from "../codec/http_request.ts";
import { decodeOsText } from "../codec/os_text.ts";
import type { Handler } from "../program/handler.ts";
import { contentType } from "./content_types.ts";
import type { Folder, OpenedFile } from "./folder.ts";
import { type HttpAnswer, page, serveHttp, statusPage } from "./http.ts";

const INDEX = "index.html";
/** Bytes read at a time. */
const PIECE = 65_536;

/** Returns the handler for a folder. */
export function filesHandler(folder: Folder): Handler {
  return (conn) => serveHttp(conn, (request) => answerFile(folder, request));
}

/** Answers a GET or HEAD. */
export function answerFile(
  folder: Folder,
  { method, target, fields }: HttpRequest,
): Promise<HttpAnswer> {
  return answerFrom(
    folder,
    target,
    (file, name, inFolder) => fileAnswer(file, contentType(name), method, fields, inFolder),
  );
}

/** Finds the file of a target, and answers with what `made` makes of it. `made` owns the file. */
export async function answerFrom(
  folder: Folder,
  target: string,
  made: (file: OpenedFile, name: string, inFolder: boolean) => HttpAnswer,
): Promise<HttpAnswer> {
  const path = decodePath(target);
  if (!path) return statusPage(404);
  const names = path.segments.map(decodeOsText);
  if (names.some(isHidden)) return statusPage(404);
  const found = await folder.open(path.folder || names.length === 0 ? [...names, INDEX] : names);
  switch (found) {
    case "absent":
      return statusPage(404);
    case "forbidden":
      return statusPage(403);
    case "folder":
      // A link in index.html is relative to the folder only if the URL ends with a slash.
      return path.folder ? statusPage(404) : moved(target);
  }
  try {
    return made(found, names.at(-1) ?? INDEX, path.folder);
  } catch (error) {
    found.close();
    throw error;
  }
}

/** Files whose name begins with a dot are not served: they are for the owner of the folder (.git,
 *  .htpasswd). The exception is `.well-known` at the top (RFC 8615). */
function isHidden(name: string, at: number): boolean {
  return name.startsWith(".") && !(at === 0 && name === ".well-known");
}

function moved(target: string): HttpAnswer {
  const [path = ""] = target.split(/[?#]/, 1);
  return page(301, "text/plain; charset=utf-8", "301 Moved Permanently\n", {
    Location: `${path}/${target.slice(path.length)}`,
  });
}

function fileAnswer(
  file: OpenedFile,
  type: string,
  method: string,
  fields: ReadonlyMap<string, string>,
  folder: boolean,
): HttpAnswer {
  const { size, modified } = file;
  const tag = `"${file.version}"`;
  const common = {
    "Last-Modified": httpDate(modified),
    "ETag": tag,
    "Accept-Ranges": "bytes",
    "X-Content-Type-Options": "nosniff",
  };
  const none = (status: 304 | 412): HttpAnswer => {
    file.close();
    return status === 412 ? statusPage(412) : { status, fields: common, length: 0, body: () => [] };
  };
  const unmet = precondition(fields, tag, modified);
  if (unmet !== undefined) return none(unmet);
  const range = method === "GET" && rangeApplies(fields.get("if-range"), tag, modified)
    ? readRange(fields.get("range"), size)
    : undefined;
  if (range === "none") {
    file.close();
    return statusPage(416, { "Content-Range": `bytes */${size}` });
  }
  const { first, last } = range ?? { first: 0, last: size - 1 };
  return {
    status: range ? 206 : 200,
    fields: {
      "Content-Type": folder ? contentType(INDEX) : type,
      ...common,
      ...(range ? { "Content-Range": `bytes ${first}-${last}/${size}` } : {}),
    },
    length: last - first + 1,
    body: () => pieces(file, first, last),
    close: () => file.close(),
  };
}

/** Evaluates the conditions of a request in the order of RFC 9110 13.2.2. Returns a status if the
 *  file must not be sent. */
function precondition(
  fields: ReadonlyMap<string, string>,
  tag: string,
  modified: number,
): 304 | 412 | undefined {
  const seconds = Math.floor(modified / 1000) * 1000; // dates have no fractions
  const match = fields.get("if-match");
  const unmodified = readHttpDate(fields.get("if-unmodified-since"));
  if (
    match !== undefined ? !hasTag(match, tag) : unmodified !== undefined && seconds > unmodified
  ) {
    return 412;
  }
  const noneMatch = fields.get("if-none-match");
  if (noneMatch !== undefined) return hasTag(noneMatch, tag) ? 304 : undefined;
  const since = readHttpDate(fields.get("if-modified-since"));
  return since !== undefined && seconds <= since ? 304 : undefined;
}

/** True if the Range field applies: If-Range is absent or names this version of the file. */
function rangeApplies(field: string | undefined, tag: string, modified: number): boolean {
  if (field === undefined) return true;
  return field === tag || readHttpDate(field) === Math.floor(modified / 1000) * 1000;
}

/** The pieces of a file from `first` to `last`, both included. */
export async function* pieces(
  file: OpenedFile,
  first: number,
  last: number,
): AsyncIterable<Uint8Array> {
  for (let at = first; at <= last;) {
    const piece = await file.read(at, Math.min(PIECE, last + 1 - at));
    if (piece.length === 0) throw new Error("the file has become shorter while it was sent");
    yield piece;
    at += piece.length;
  }
}

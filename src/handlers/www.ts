/** --www: answers any path with a page about the connection. www_page.ts makes the page, http.ts
 *  speaks HTTP. */

import { gatherHello } from "../codec/client_hello.ts";
import { CLIENT_HELLO, type MessageView, viewMessage } from "../codec/tls/messages.ts";
import { type ConnectionHandler, startHandler } from "../program/handler.ts";
import { page, serveHttp } from "./http.ts";
import { wwwPage } from "./www_page.ts";

/** Bytes of a handshake message before its body. */
const MESSAGE_HEADER = 4;

/** The page may load nothing from elsewhere, and no script runs. */
const FIELDS = {
  "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
};

export const www: ConnectionHandler = {
  needs: "hello",
  start: (facts) =>
    startHandler(
      (conn) =>
        serveHttp(conn, ({ target, fields }) => {
          const { remote, environment } = conn;
          const request = { target, agent: fields.get("user-agent") };
          const hello = helloView(facts.hello);
          const text = wwwPage({ remote, environment, hello, request });
          return page(200, "text/html; charset=utf-8", text, FIELDS);
        }),
      facts,
    ),
};

/** What the client offered; undefined if its ClientHello was not kept or is incomplete. */
function helloView(records: Uint8Array | undefined): MessageView | undefined {
  const gathered = records && gatherHello(records);
  if (gathered?.is !== "whole") return undefined;
  return viewMessage(CLIENT_HELLO, gathered.message.subarray(MESSAGE_HEADER));
}

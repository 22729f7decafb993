/** --handler: serves connections by the function that the user's module exports. The module is
 *  loaded when the process has its final rights, and again on SIGHUP. It has all rights of the
 *  process, and can read the TLS keys in its memory. */

import { resolve } from "node:path";
import process from "node:process";
import { FatalError } from "../errors.ts";
import type { Log } from "../log.ts";
import {
  type ConnectionHandler,
  type Handler,
  type HandlerConnection,
  startHandler,
} from "../program/handler.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { UserModule } from "../runtime/user_module.ts";

export class ModuleHandler {
  readonly #module: UserModule;
  readonly #loaded = Promise.withResolvers<void>();
  #current: Handler | undefined;
  /** True while the module is loaded again. */
  #loading = false;
  #again = false;

  constructor(
    readonly file: string,
    readonly args: readonly string[],
    runtime: Pick<Runtime, "name">,
  ) {
    this.#module = new UserModule(resolve(file), runtime);
    this.#loaded.promise.catch(() => {}); // no connection may be waiting for it
  }

  readonly handler: ConnectionHandler = {
    needs: "session",
    start: (facts) => startHandler(this.#current ?? this.#whenLoaded, facts),
  };

  /** Serves a connection that came before the module was loaded. */
  readonly #whenLoaded = async (conn: HandlerConnection): Promise<void> => {
    await this.#loaded.promise;
    await this.#current?.(conn);
  };

  /** Loads the module for the first time. Its arguments are in `process.argv`, as for a script.
   *  Rejects with `FatalError`. */
  async load(): Promise<void> {
    process.argv.splice(1, Infinity, this.#module.path, ...this.args);
    try {
      this.#current = await this.#read();
      this.#loaded.resolve();
    } catch (error) {
      this.#loaded.reject(error);
      throw error;
    }
  }

  /** Loads the module again. If that fails, later connections get the old one. */
  async reload(log: Pick<Log, "error" | "notice">): Promise<void> {
    this.#again = true;
    if (this.#loading) return log.notice(`still loading ${this.file}: then it is loaded again`);
    this.#loading = true;
    while (this.#again) {
      this.#again = false;
      try {
        this.#current = await this.#read();
        log.notice(`loaded ${this.file} again`);
      } catch (error) {
        log.error(`${(error as Error).message}: the old one stays in use`);
      }
    }
    this.#loading = false;
  }

  async #read(): Promise<Handler> {
    const { default: handler } = await this.#module.load();
    if (typeof handler === "function") return handler as Handler;
    throw new FatalError(
      `unable to load ${this.#module.path}: its default export is no function`,
      undefined,
      "export default async function (conn) { ... }",
    );
  }
}

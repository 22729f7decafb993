/** The names that make the executable run as another process of the server (cli.ts). They have a
 *  file of their own, so that each process loads only what it runs. */

export const WORKER_COMMAND = "sslserver-worker";
/** See log_copier.ts. */
export const LOG_COMMAND = "sslserver-log";

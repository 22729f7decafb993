/** The names by which the executable is told to run as another process of the server (cli.ts). In a file
 *  of their own, so that each process loads only what it runs. */

export const WORKER_COMMAND = "sslserver-worker";
/** See log_copier.ts. */
export const LOG_COMMAND = "sslserver-log";

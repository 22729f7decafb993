/* A service with UCSPI-TLS, as the interface's authors would write one.
 *
 *   ucspi_tls LETTER [env|all|wait]…
 *
 * Reads lines in the clear and answers `plain LINE`; at `starttls` it answers `go`, asks for TLS
 * with LETTER and goes on over SSLREADFD and SSLWRITEFD, where the answer is `tls LINE`.
 *   env    sends what came over SSLCTLFD, byte for byte, as the first thing within TLS
 *   all    the same, but ends its side of SSLCTLFD and reads to the end, as smtpd-starttls-proxy-io does
 *   wait   asks only when something has come in the clear behind `starttls`: the ClientHello has
 *          overtaken the request */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int number(const char *name) {
  const char *value = getenv(name);
  if (!value) {
    fprintf(stderr, "ucspi_tls: %s is not set\n", name);
    exit(3);
  }
  return atoi(value);
}

static void put(int fd, const char *from, size_t size) {
  while (size > 0) {
    ssize_t n = write(fd, from, size);
    if (n <= 0) exit(0); /* the client is gone */
    from += n;
    size -= (size_t)n;
  }
}

/* Reads one byte at a time, so that it reads nothing after the line. */
static int line(int fd, char *into, size_t size) {
  size_t have = 0;
  while (have < size - 1) {
    ssize_t n = read(fd, into + have, 1);
    if (n <= 0) return 0;
    if (into[have++] == '\n') break;
  }
  into[have] = 0;
  return 1;
}

static void answer(int fd, const char *word, const char *text) {
  char all[4200];
  int size = snprintf(all, sizeof all, "%s %s", word, text);
  put(fd, all, (size_t)size);
}

static void send_environment(int control, int to) {
  char last = 'x', byte;
  while (read(control, &byte, 1) == 1) {
    put(to, &byte, 1);
    if (byte == 0 && last == 0) return;
    last = byte;
  }
  fprintf(stderr, "ucspi_tls: the environment is cut off\n");
  exit(4);
}

static void send_all(int control, int to) {
  char some[256];
  ssize_t n;
  if (shutdown(control, SHUT_WR) != 0) exit(6);
  while ((n = read(control, some, sizeof some)) > 0) put(to, some, (size_t)n);
  if (n < 0) {
    perror("ucspi_tls: control socket");
    exit(6);
  }
  close(control);
}

int main(int argc, char **argv) {
  int control = number("SSLCTLFD"), in = number("SSLREADFD"), out = number("SSLWRITEFD");
  int want_env = 0, want_all = 0, want_wait = 0;
  char text[4096];
  if (argc < 2) return 3;
  for (int i = 2; i < argc; i++) {
    want_env |= !strcmp(argv[i], "env");
    want_all |= !strcmp(argv[i], "all");
    want_wait |= !strcmp(argv[i], "wait");
  }
  for (;;) {
    if (!line(0, text, sizeof text)) return 0;
    if (!strcmp(text, "starttls\n")) break;
    answer(1, "plain", text);
  }
  put(1, "go\n", 3);
  struct pollfd ready = { .fd = 0, .events = POLLIN };
  if (want_wait && poll(&ready, 1, 10000) != 1) return 5;
  put(control, argv[1], 1);
  if (want_env) send_environment(control, out);
  if (want_all) send_all(control, out);
  while (line(in, text, sizeof text)) answer(out, "tls", text);
  return 0;
}

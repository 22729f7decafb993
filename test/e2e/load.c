/* A steady stream of clients, also while the server restarts or fails.
 *
 *   load PORT RATE AT_ONCE [HOLD_MS [ADDRESSES]]
 *
 * RATE connections per second are begun, by at most AT_ONCE threads: each sends a line, expects it back
 * (the program is `cat`, or greets with a line and is `cat` then: GREETED=1), stays for HOLD_MS, ends
 * with close_notify and wants the server's. Connection n comes from 127.0.1.(1 + n % ADDRESSES).
 * Each line on stdin is answered with the counts so far; at the end of stdin the load ends:
 *   ok       complete
 *   refused  connect(2) said ECONNREFUSED: nobody listened
 *   denied   closed by the server, or reset, before a byte of it came
 *   cut      connected, and not served as above
 *   slowest  milliseconds, of the complete ones
 * Prints the first ten that were denied or cut to stderr, with the time.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int port, rate, at_once, hold_ms, addresses, greeted;
static SSL_CTX *context;
static int64_t begin_us;
static atomic_int next, over, ok, refused, denied, cut, slowest, lines;

static int64_t now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void told(int number, const char *stage, SSL *ssl, int result) {
  const char *why = "closed";
  if (ssl) {
    int saved = errno, error = SSL_get_error(ssl, result);
    unsigned long code = ERR_peek_error();
    if (error == SSL_ERROR_SYSCALL && saved) why = strerror(saved);
    else if (code) why = ERR_reason_error_string(code);
  }
  if (atomic_fetch_add(&lines, 1) >= 10) return;
  struct timeval t;
  gettimeofday(&t, NULL);
  fprintf(stderr, "connection %d at %ld.%03ld: %s: %s\n", number, (long)t.tv_sec % 1000,
    (long)t.tv_usec / 1000, stage, why ? why : "?");
}

static void was_cut(int number, const char *stage, SSL *ssl, int result) {
  atomic_fetch_add(&cut, 1);
  told(number, stage, ssl, result);
}

/* Reads up to the end of a line. 1: done; else what SSL_read said. */
static int read_line(SSL *ssl, char *line, size_t room) {
  size_t have = 0;
  while (have == 0 || line[have - 1] != '\n') {
    int n = SSL_read(ssl, line + have, (int)(room - 1 - have));
    if (n <= 0) return n;
    have += (size_t)n;
  }
  line[have] = 0;
  return 1;
}

static void converse(int number, SSL *ssl) {
  char line[64], back[64];
  errno = 0;
  int r = SSL_connect(ssl);
  if (r != 1) {
    if (BIO_number_read(SSL_get_rbio(ssl)) == 0 && SSL_get_error(ssl, r) != SSL_ERROR_WANT_READ) {
      atomic_fetch_add(&denied, 1);
      return told(number, "no handshake", ssl, r);
    }
    return was_cut(number, "handshake", ssl, r);
  }
  if (greeted && (r = read_line(ssl, back, sizeof back)) != 1) return was_cut(number, "greeting", ssl, r);
  int size = snprintf(line, sizeof line, "line %d of this load\n", number);
  if ((r = SSL_write(ssl, line, size)) != size) return was_cut(number, "write", ssl, r);
  if ((r = read_line(ssl, back, sizeof back)) != 1) return was_cut(number, "echo", ssl, r);
  if (strcmp(line, back)) return was_cut(number, "wrong echo", NULL, 0);
  if (hold_ms) poll(NULL, 0, hold_ms);
  SSL_shutdown(ssl);
  r = SSL_read(ssl, back, sizeof back);
  if (SSL_get_error(ssl, r) != SSL_ERROR_ZERO_RETURN) return was_cut(number, "end", ssl, r);
  atomic_fetch_add(&ok, 1);
}

static void one(int number) {
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) }, from = to;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  from.sin_port = 0;
  from.sin_addr.s_addr = htonl(0x7f000101 + (uint32_t)(addresses ? number % addresses : 0));
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
  if (fd < 0) return was_cut(number, "socket", NULL, 0);
  struct timeval patience = { 20, 0 };
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (addresses) bind(fd, (void *)&from, sizeof from);
  int64_t start = now_us();
  if (connect(fd, (void *)&to, sizeof to) < 0) {
    if (errno == ECONNREFUSED) atomic_fetch_add(&refused, 1);
    else was_cut(number, strerror(errno), NULL, 0);
    close(fd);
    return;
  }
  SSL *ssl = SSL_new(context);
  SSL_set_fd(ssl, fd);
  ERR_clear_error();
  int before = atomic_load(&ok);
  converse(number, ssl);
  int took = (int)((now_us() - start) / 1000) - hold_ms, worst = atomic_load(&slowest);
  if (atomic_load(&ok) > before) {
    while (took > worst && !atomic_compare_exchange_weak(&slowest, &worst, took)) {}
  }
  SSL_free(ssl);
  close(fd);
}

static void *client(void *unused) {
  (void)unused;
  while (!over) {
    int number = next++;
    int64_t due = begin_us + (int64_t)number * 1000000 / rate - now_us();
    if (due > 0) usleep((useconds_t)due);
    if (!over) one(number);
  }
  return NULL;
}

static void print_counts(void) {
  printf("ok=%d refused=%d denied=%d cut=%d slowest=%d\n", ok, refused, denied, cut, slowest);
  fflush(stdout);
}

int main(int argc, char **argv) {
  if (argc < 4) return fprintf(stderr, "usage: load PORT RATE AT_ONCE [HOLD_MS [ADDRESSES]]\n"), 2;
  signal(SIGPIPE, SIG_IGN);
  port = atoi(argv[1]);
  rate = atoi(argv[2]);
  at_once = atoi(argv[3]);
  hold_ms = argc > 4 ? atoi(argv[4]) : 0;
  addresses = argc > 5 ? atoi(argv[5]) : 0;
  greeted = getenv("GREETED") != NULL;
  context = SSL_CTX_new(TLS_client_method());
  begin_us = now_us();
  pthread_t threads[512];
  if (at_once < 1 || at_once > 512 || rate < 1) return 2;
  for (int i = 0; i < at_once; i++) pthread_create(&threads[i], NULL, client, NULL);
  for (char line[64]; fgets(line, sizeof line, stdin);) print_counts();
  over = 1;
  for (int i = 0; i < at_once; i++) pthread_join(threads[i], NULL);
  print_counts();
  return 0;
}

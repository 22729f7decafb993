/* The load: one process with epoll makes TLS connections to a server on 127.0.0.1 that runs `cat` (or a
 * program that writes) for each, and prints what it saw as one line of JSON. TLS 1.3, or TLS 1.2 if the
 * server has no other; the line says which.
 *
 *   load conn     -p PORT -n N -c C       N connections, C at once: handshake, a line there and back, end;
 *                 -s SECONDS              none is begun later than that
 *                 -i MS                   begins one connection per interval, not all at once
 *                 -N                      without TCP_NODELAY
 *   load echo     -p PORT -b BYTES -c C   C connections, BYTES there and back on each, compared
 *   load download -p PORT -b BYTES -c C   C connections, BYTES read on each
 *   load hold     -p PORT -n N            opens N, sends a line on each and waits for it, keeps them
 *   load stall    -p PORT -n N            opens N, sends each a ClientHello and reads no answer
 *
 * hold and stall print their line when all are open, and end when stdin does: they cannot outlive who
 * started them. No session is resumed and no chain verified. -T SECONDS bounds the whole run. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum mode { CONN, ECHO, DOWNLOAD, HOLD, STALL };
enum state { FREE, CONNECTING, HANDSHAKE, WAITING, BULK, CLOSING, HELD };

struct conn {
  int fd;
  enum state state;
  uint32_t events; /* those epoll watches */
  SSL *ssl;
  double begun;
  uint64_t sent, received;
  int again; /* stopped in the middle of its work, not for lack of it */
};

/* Seconds for one connection to get through, and for bulk data to move at all. */
#define PATIENCE 20.0
/* hold and stall: how many are opened at once. More would only measure the queue. */
#define OPENING 16

static const char line[16] = "0123456789abcde\n";

static enum mode mode;
static int port, total = 2000, at_once = 1;
static uint64_t bytes = 64 << 20;
static double limit = 120, span = 1e9, interval = 0;
static int nagle;
static char protocol[16]; /* of the last connection whose handshake is done */

static int ep;
static SSL_CTX *ctx;
static struct conn *conns;
static int slots;

static int started, active, ok, failed;
static double *latencies;
static char last_error[200];
static uint64_t received;
static double moved; /* when bulk data moved last */
static unsigned char pattern[2 * 65536], buffer[65536];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static void usage(void) {
  fprintf(stderr, "usage: load conn|echo|download|hold|stall -p port [-n total] [-c at once]"
                  " [-b bytes] [-s seconds] [-i ms] [-N] [-T seconds]\n");
  exit(100);
}

static void watch(struct conn *c, uint32_t events) {
  if (c->events == events) return;
  struct epoll_event event = { .events = events, .data.ptr = c };
  epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &event);
  c->events = events;
}

static void drop(struct conn *c) {
  SSL_free(c->ssl);
  c->ssl = NULL;
  if (c->fd >= 0) close(c->fd);
  c->fd = -1;
  if (c->state != FREE) active--;
  c->state = FREE;
  c->again = 0;
}

static void fail(struct conn *c, const char *what) {
  const char *why = ERR_reason_error_string(ERR_peek_last_error());
  snprintf(last_error, sizeof last_error, "%s: %s", what, why ? why : strerror(errno));
  ERR_clear_error();
  failed++;
  if (c->state == HELD) ok--;
  drop(c);
}

/* Bytes; 0 when it would block; -1 on errors; -2 at the end of the stream. */
static int outcome(SSL *ssl, int result) {
  if (result > 0) return result;
  switch (SSL_get_error(ssl, result)) {
  case SSL_ERROR_WANT_READ:
  case SSL_ERROR_WANT_WRITE: return 0;
  case SSL_ERROR_ZERO_RETURN: return -2;
  default: return -1;
  }
}

static void begin(struct conn *c) {
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
  struct epoll_event event = { .events = EPOLLOUT, .data.ptr = c };
  int one = 1;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  *c = (struct conn){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
                      .state = CONNECTING, .events = EPOLLOUT, .begun = now() };
  started++;
  active++;
  errno = c->fd < 0 ? errno : 0;
  if (c->fd < 0 || (connect(c->fd, (void *)&to, sizeof to) && errno != EINPROGRESS)) {
    fail(c, "unable to connect");
    return;
  }
  if (!nagle) setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &event);
}

static void say_goodbye(struct conn *c) {
  SSL_shutdown(c->ssl);
  ERR_clear_error();
}

/* Moves data in both directions, up to a limit, so that other connections get their turn. */
static void move(struct conn *c) {
  c->again = 0;
  for (int turn = 0; turn < 64; turn++) {
    int progress = 0, full = 0;
    if (mode == ECHO && c->sent < bytes) {
      uint64_t left = bytes - c->sent;
      int n = outcome(c->ssl, SSL_write(c->ssl, pattern + (c->sent & 65535), left < 16384 ? left : 16384));
      if (n < 0) { fail(c, "unable to write"); return; }
      c->sent += n;
      progress = n > 0;
      full = n == 0;
    }
    if (c->received < bytes) {
      uint64_t left = bytes - c->received;
      int n = outcome(c->ssl, SSL_read(c->ssl, buffer, left < sizeof buffer ? left : sizeof buffer));
      if (n < 0) { fail(c, n == -2 ? "the stream ended early" : "unable to read"); return; }
      if (mode == ECHO && memcmp(buffer, pattern + (c->received & 65535), n)) {
        fail(c, "the echo differs");
        return;
      }
      c->received += n;
      received += n;
      progress |= n > 0;
    }
    if (progress) moved = now();
    if (c->received == bytes && (mode == DOWNLOAD || c->sent == bytes)) {
      ok++;
      say_goodbye(c);
      shutdown(c->fd, SHUT_WR);
      c->state = CLOSING;
      watch(c, EPOLLIN);
      return;
    }
    if (!progress) {
      watch(c, full ? EPOLLIN | EPOLLOUT : EPOLLIN);
      return;
    }
  }
  c->again = 1;
}

static void shake_hands(struct conn *c) {
  int r = SSL_do_handshake(c->ssl);
  if (r != 1) {
    int n = outcome(c->ssl, r);
    if (n != 0) fail(c, "unable to do the handshake");
    else if (mode != STALL) watch(c, SSL_want_write(c->ssl) ? EPOLLOUT : EPOLLIN);
    else {
      c->state = HELD;
      ok++;
      watch(c, 0);
    }
    return;
  }
  moved = now();
  snprintf(protocol, sizeof protocol, "%s", SSL_get_version(c->ssl));
  if (mode == ECHO || mode == DOWNLOAD) {
    c->state = BULK;
    move(c);
    return;
  }
  if (SSL_write(c->ssl, line, sizeof line) != sizeof line) {
    fail(c, "unable to write the line");
    return;
  }
  c->state = WAITING;
  watch(c, EPOLLIN);
}

static void await_line(struct conn *c) {
  while (c->received < sizeof line) {
    int n = outcome(c->ssl, SSL_read(c->ssl, buffer, sizeof line - c->received));
    if (n == 0) return;
    if (n < 0) { fail(c, n == -2 ? "the stream ended before the echo" : "unable to read"); return; }
    if (memcmp(buffer, line + c->received, n)) { fail(c, "the echo differs"); return; }
    c->received += n;
  }
  latencies[ok++] = now() - c->begun;
  if (mode == HOLD) {
    c->state = HELD;
    return;
  }
  say_goodbye(c);
  drop(c);
}

static void step(struct conn *c) {
  switch (c->state) {
  case CONNECTING: {
    socklen_t size = sizeof errno;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &errno, &size);
    if (errno) { fail(c, "unable to connect"); return; }
    c->ssl = SSL_new(ctx);
    SSL_set_fd(c->ssl, c->fd);
    if (mode == STALL) SSL_set0_rbio(c->ssl, BIO_new(BIO_s_mem())); /* empty: no answer is read */
    SSL_set_connect_state(c->ssl);
    c->state = HANDSHAKE;
    shake_hands(c);
    return;
  }
  case HANDSHAKE: shake_hands(c); return;
  case WAITING: await_line(c); return;
  case BULK: move(c); return;
  case CLOSING: {
    ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) drop(c);
    return;
  }
  case HELD: {
    int n = mode == STALL ? -1 : outcome(c->ssl, SSL_read(c->ssl, buffer, sizeof buffer));
    if (n < 0) fail(c, "the server closed a connection that is held");
    return;
  }
  case FREE: return;
  }
}

/* Ends connections that wait too long. Called twice a second. */
static void look_for_stuck(double t) {
  static double looked;
  if (t - looked < 0.5) return;
  looked = t;
  for (int i = 0; i < slots; i++) {
    struct conn *c = &conns[i];
    if (c->state == FREE || c->state == HELD || c->state == CLOSING) continue;
    if (t - (c->state == BULK ? moved : c->begun) <= PATIENCE) continue;
    errno = ETIMEDOUT;
    fail(c, c->state == CONNECTING ? "unable to connect"
          : c->state == HANDSHAKE ? "unable to do the handshake" : "unable to read");
  }
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* The time in milliseconds within which the share `p` of the connections was complete. */
static double percentile(double p) {
  return ok ? latencies[(int)(p * (ok - 1) + 0.5)] * 1e3 : 0;
}

static void print_result(double seconds) {
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  double cpu = use.ru_utime.tv_sec + use.ru_stime.tv_sec + (use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1e-6;
  if (mode == CONN) qsort(latencies, ok, sizeof *latencies, ascending);
  for (char *p = last_error; *p; p++) if (*p == '"' || *p == '\\') *p = '\'';
  printf("{\"ok\":%d,\"failed\":%d,\"error\":\"%s\",\"protocol\":\"%s\",\"seconds\":%.6f,\"cpu\":%.6f",
         ok, failed, last_error, protocol, seconds, cpu);
  if (mode == CONN)
    printf(",\"rate\":%.3f,\"p50\":%.4f,\"p99\":%.4f,\"max\":%.4f", ok / seconds, percentile(0.5), percentile(0.99), percentile(1));
  if (mode == ECHO || mode == DOWNLOAD) printf(",\"rate\":%.3f", received / seconds / 1e6);
  printf("}\n");
  fflush(stdout);
}

static void read_arguments(int argc, char **argv) {
  static const char *modes[] = { "conn", "echo", "download", "hold", "stall" };
  int letter, known = 0;
  if (argc < 2) usage();
  for (int i = 0; i < 5; i++) if (!strcmp(argv[1], modes[i])) { mode = i; known = 1; }
  if (!known) usage();
  optind = 2;
  while ((letter = getopt(argc, argv, "p:n:c:b:s:i:NT:")) != -1) switch (letter) {
    case 'p': port = atoi(optarg); break;
    case 'n': total = atoi(optarg); break;
    case 'c': at_once = atoi(optarg); break;
    case 'b': bytes = strtoull(optarg, NULL, 10); break;
    case 's': span = atof(optarg); break;
    case 'i': interval = atof(optarg) / 1e3; break;
    case 'N': nagle = 1; break;
    case 'T': limit = atof(optarg); break;
    default: usage();
  }
  if (mode == ECHO || mode == DOWNLOAD) total = at_once;
  if (port < 1 || port > 65535 || total < 1 || total > 1000000 || at_once < 1) usage();
  if (at_once > total) at_once = total;
}

static void prepare(void) {
  struct rlimit files = { 100000, 100000 };
  struct epoll_event input = { .events = EPOLLIN, .data.ptr = NULL };
  signal(SIGPIPE, SIG_IGN);
  if (setrlimit(RLIMIT_NOFILE, &files)) { /* that is for root; others have their hard limit */
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  ctx = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
  if (mode == ECHO || mode == DOWNLOAD) {
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_default_read_buffer_len(ctx, sizeof buffer);
  }
  uint64_t x = 88172645463325252ull; /* xorshift: the same bytes each time, with no short period */
  for (int i = 0; i < 65536; i += 8) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    memcpy(pattern + i, &x, 8);
  }
  memcpy(pattern + 65536, pattern, 65536);
  latencies = calloc(total, sizeof *latencies);
  slots = mode == HOLD || mode == STALL ? total : at_once;
  conns = calloc(slots, sizeof *conns);
  for (int i = 0; i < slots; i++) conns[i].fd = -1;
  ep = epoll_create1(EPOLL_CLOEXEC);
  if (mode == HOLD || mode == STALL) epoll_ctl(ep, EPOLL_CTL_ADD, 0, &input);
}

/* Fills free places; those that are held keep theirs. `since`: seconds from the begin of the run. */
static void begin_more(double since) {
  if (mode == HOLD || mode == STALL) {
    while (started < total && active - ok < OPENING) begin(&conns[started]);
    return;
  }
  for (int i = 0; i < slots && started < total; i++) {
    if (interval > 0 && started * interval > since) return;
    if (conns[i].state == FREE) begin(&conns[i]);
  }
}

/* Milliseconds until the next connection is due, 200 at most. */
static int pause_before_next(double since) {
  double left = (started * interval - since) * 1e3;
  return interval > 0 && started < total && left < 200 ? (left > 0 ? left + 1 : 0) : 200;
}

int main(int argc, char **argv) {
  read_arguments(argc, argv);
  prepare();
  int holds = mode == HOLD || mode == STALL, announced = 0, ended = 0;
  double begun = now(), finished = 0;
  moved = begun;
  while (!ended && now() - begun < limit) {
    struct epoll_event events[256];
    int again = 0;
    if (now() - begun < span) begin_more(now() - begun);
    else total = started;
    if (holds && !announced && ok + failed == total) {
      announced = 1;
      print_result(now() - begun);
    }
    if (!holds && started == total) {
      int busy = 0;
      for (int i = 0; i < slots; i++) busy += conns[i].state != FREE && conns[i].state != CLOSING;
      if (!busy && !finished) finished = mode == CONN ? now() : moved;
      if (active == 0) break;
    }
    for (int i = 0; i < slots && (mode == ECHO || mode == DOWNLOAD); i++) again |= conns[i].again;
    int n = epoll_wait(ep, events, 256, again ? 0 : pause_before_next(now() - begun));
    for (int i = 0; i < n; i++) {
      struct conn *c = events[i].data.ptr;
      if (c) step(c);
      else if (read(0, buffer, sizeof buffer) <= 0) ended = 1;
    }
    for (int i = 0; again && i < slots; i++) if (conns[i].again && conns[i].state == BULK) move(&conns[i]);
    look_for_stuck(now());
  }
  if (!holds) print_result((finished ? finished : now()) - begun);
  for (int i = 0; i < slots; i++) if (conns[i].state == HELD && mode == HOLD) say_goodbye(&conns[i]);
  return failed > 0;
}

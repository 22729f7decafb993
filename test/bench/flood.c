/* Measures which clients are served during a flood of connections that never complete their ClientHello.
 *
 *   flood PORT HELD BYTES RATE ADDRESSES HONEST RTT
 *
 * Opens HELD connections that send BYTES bytes of a ClientHello and no more, then RATE of them a second,
 * from ADDRESSES addresses in turn (127.1.0.1 and up). Meanwhile HONEST clients connect, the first third
 * of them one by one, the others ten at once. Each has a round trip of RTT milliseconds, emulated before
 * each of its flights, and wants a TLS connection and a line. Prints one line:
 *
 *   held 1000 bytes 1 rate 40 addresses 1: lost 0 of 100, 118 ms median, 140 ms most, 612 attackers
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define AT_ONCE 10
#define LIMIT_S 10

static int port, bytes, addresses, rtt;
static double rate;
static unsigned char hello[517];
static int epoll_fd;
static atomic_long opened;
static atomic_int stop;
static SSL_CTX *context;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void wait_ms(double ms) {
  if (ms <= 0) return;
  struct timespec t = { (time_t)(ms / 1000), (long)(ms * 1e6) % 1000000000L };
  nanosleep(&t, NULL);
}

static void attack(void) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  uint32_t n = (uint32_t)(opened++ % addresses);
  struct sockaddr_in from = { .sin_family = AF_INET };
  from.sin_addr.s_addr = htonl(0x7f010001 + n);
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, (void *)&from, sizeof from) < 0 ||
      (connect(fd, (void *)&to, sizeof to) < 0 && errno != EINPROGRESS)) {
    close(fd);
    return;
  }
  struct epoll_event event = { .events = EPOLLOUT | EPOLLRDHUP, .data.fd = fd };
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* Sends the bytes on new connections, and closes those that the server has closed. */
static void look(int ms) {
  struct epoll_event found[512];
  int count = epoll_wait(epoll_fd, found, 512, ms);
  for (int i = 0; i < count; i++) {
    int fd = found[i].data.fd;
    if (found[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
      close(fd);
      continue;
    }
    if (bytes > 0) send(fd, hello, (size_t)bytes, MSG_NOSIGNAL);
    struct epoll_event event = { .events = EPOLLRDHUP, .data.fd = fd };
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &event);
  }
}

static void *flood(void *unused) {
  double begun = now();
  long sent = 0;
  while (!stop) {
    for (; (double)sent < (now() - begun) * rate && !stop; sent++) {
      attack();
      if (sent % 16 == 0) look(0);
    }
    look(1);
  }
  return unused;
}

/* One round trip before each flight but the first, whose round trip is that of the connection. */
static void flight(int out, int version, int type, const void *data, size_t length, SSL *ssl, void *seen) {
  (void)version, (void)ssl;
  if (type != SSL3_RT_HANDSHAKE || length == 0) return;
  int *waiting = seen;
  if (!out) *waiting = 1;
  else if (*waiting && *(const unsigned char *)data != 1) {
    *waiting = 0;
    wait_ms(rtt);
  }
}

static void *honest(void *result) {
  double begun = now();
  double *took = result;
  *took = -1;
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, waiting = 0;
  struct timeval limit = { LIMIT_S, 0 };
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  SSL *ssl = SSL_new(context);
  if (connect(fd, (void *)&to, sizeof to) == 0) {
    wait_ms(rtt);
    SSL_set_fd(ssl, fd);
    SSL_set_msg_callback(ssl, flight);
    SSL_set_msg_callback_arg(ssl, &waiting);
    char answer[16];
    if (SSL_connect(ssl) == 1 && SSL_read(ssl, answer, sizeof answer) > 0) *took = now() - begun;
  }
  SSL_free(ssl);
  close(fd);
  return NULL;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
  if (argc != 8) {
    fprintf(stderr, "usage: flood PORT HELD BYTES RATE ADDRESSES HONEST RTT\n");
    return 100;
  }
  signal(SIGPIPE, SIG_IGN);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  port = atoi(argv[1]);
  int held = atoi(argv[2]), count = atoi(argv[6]);
  bytes = atoi(argv[3]);
  rate = atof(argv[4]);
  addresses = atoi(argv[5]);
  rtt = atoi(argv[7]);
  if (bytes >= (int)sizeof hello || addresses < 1 || count < 1) return 100;
  /* A record of 512 bytes that holds the beginning of a ClientHello of 508. */
  memcpy(hello, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  context = SSL_CTX_new(TLS_client_method());
  while (opened < held) {
    attack();
    look(0);
    if (opened % 100 == 0) wait_ms(10);
  }
  for (double until = now() + 0.5; now() < until;) look(10);
  pthread_t flooder;
  pthread_create(&flooder, NULL, flood, NULL);
  wait_ms(1000);
  long before = opened;
  double *took = calloc((size_t)count, sizeof *took);
  int done = 0;
  for (; done < count / 3; done++) honest(&took[done]);
  while (done < count) {
    pthread_t all[AT_ONCE];
    int n = 0;
    for (; n < AT_ONCE && done < count; n++, done++) pthread_create(&all[n], NULL, honest, &took[done]);
    while (n > 0) pthread_join(all[--n], NULL);
  }
  long came = opened - before;
  stop = 1;
  pthread_join(flooder, NULL);
  qsort(took, (size_t)count, sizeof *took, compare);
  int lost = 0;
  while (lost < count && took[lost] < 0) lost++;
  double median = lost < count ? took[lost + (count - lost) / 2] * 1000 : 0;
  printf("held %d bytes %d rate %g addresses %d: lost %d of %d, %.0f ms median, %.0f ms most, %ld attackers\n",
         held, bytes, rate, addresses, lost, count, median, took[count - 1] * 1000, came);
  return lost > 0;
}

/* The reference server: the minimal cost of `accept TLS, run a program`. One
 * process with one epoll loop, OpenSSL, posix_spawn after the handshake, a socketpair to the program.
 * No limits, rules, log or environment; not to be used for anything else.
 *
 *   ref_epoll PORT CERT KEY PROGRAM [ARGUMENT…]   on 127.0.0.1; prints the port when it listens */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK 16384
#define DESCRIPTORS (1 << 20)

/* What has been read on one side and not yet written on the other. */
struct pending {
  unsigned char bytes[CHUNK];
  int offset, length;
};

struct conn {
  int net, local; /* local: our end of the socketpair, -1 before the handshake is done */
  SSL *ssl;
  int net_ended, local_ended, local_shut;
  uint32_t net_events, local_events;
  struct pending up, down; /* towards the program, towards the client */
};

extern char **environ;
static int ep;
static SSL_CTX *ctx;
static char **program;
static struct conn *owner[DESCRIPTORS];

static int spawn(int fd) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t defaults;
  pid_t pid;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, fd, 0);
  posix_spawn_file_actions_adddup2(&actions, fd, 1);
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  sigaddset(&defaults, SIGCHLD);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  int error = posix_spawn(&pid, program[0], &actions, &attributes, program, environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return error;
}

static int would_block(SSL *ssl, int result) {
  int error = SSL_get_error(ssl, result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return 1;
  ERR_clear_error();
  return 0;
}

/* Moves what can be moved. Returns 1 when the connection is finished. */
static int pump(struct conn *c) {
  int progress;
  do {
    progress = 0;
    if (!c->net_ended && c->up.length == 0) {
      int n = SSL_read(c->ssl, c->up.bytes, CHUNK);
      if (n > 0) c->up.offset = 0, c->up.length = n, progress = 1;
      else if (!would_block(c->ssl, n)) c->net_ended = 1;
    }
    if (c->up.length && !c->local_shut) {
      ssize_t n = send(c->local, c->up.bytes + c->up.offset, c->up.length, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n > 0) c->up.offset += n, c->up.length -= n, progress = 1;
      else if (n < 0 && errno != EAGAIN) c->local_shut = 1;
    }
    if (c->local_shut) c->up.length = 0;
    if (c->net_ended && !c->up.length && !c->local_shut) shutdown(c->local, SHUT_WR), c->local_shut = 1;
    if (!c->local_ended && c->down.length == 0) {
      ssize_t n = recv(c->local, c->down.bytes, CHUNK, MSG_DONTWAIT);
      if (n > 0) c->down.offset = 0, c->down.length = n, progress = 1;
      else if (n == 0 || errno != EAGAIN) c->local_ended = 1;
    }
    if (c->down.length) {
      int n = SSL_write(c->ssl, c->down.bytes + c->down.offset, c->down.length);
      if (n > 0) c->down.offset += n, c->down.length -= n, progress = 1;
      else if (!would_block(c->ssl, n)) return 1;
    }
  } while (progress);
  if (!c->local_ended || c->down.length) return 0;
  SSL_shutdown(c->ssl);
  ERR_clear_error();
  return 1;
}

static void add(int fd, struct conn *c) {
  struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
  owner[fd] = c;
  epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event);
}

static void watch(int fd, uint32_t events, uint32_t *current) {
  if (events == *current) return;
  struct epoll_event event = { .events = events, .data.fd = fd };
  epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event);
  *current = events;
}

static void finish(struct conn *c) {
  owner[c->net] = NULL;
  if (c->local >= 0) owner[c->local] = NULL, close(c->local);
  SSL_free(c->ssl);
  close(c->net);
  free(c);
}

static void accept_all(int listener) {
  int fd, one = 1;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
    if (fd >= DESCRIPTORS) { close(fd); continue; }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct conn *c = malloc(sizeof *c); /* the buffers are left alone: untouched they cost no memory */
    memset(c, 0, offsetof(struct conn, up));
    c->up.length = c->down.length = 0;
    c->net = fd;
    c->local = -1;
    c->net_events = EPOLLIN;
    c->ssl = SSL_new(ctx);
    SSL_set_fd(c->ssl, fd);
    SSL_set_accept_state(c->ssl);
    add(fd, c);
  }
}

/* Returns 1 when the handshake is done and the program runs. */
static int establish(struct conn *c) {
  int r = SSL_do_handshake(c->ssl), pair[2];
  if (r != 1) {
    if (would_block(c->ssl, r)) watch(c->net, SSL_want_write(c->ssl) ? EPOLLOUT : EPOLLIN, &c->net_events);
    else finish(c);
    return 0;
  }
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) { finish(c); return 0; }
  int failed = pair[0] >= DESCRIPTORS || spawn(pair[1]);
  close(pair[1]);
  if (failed) { close(pair[0]); finish(c); return 0; }
  c->local = pair[0];
  c->local_events = EPOLLIN;
  add(c->local, c);
  return 1;
}

static void serve(int listener) {
  struct epoll_event events[256];
  ep = epoll_create1(EPOLL_CLOEXEC);
  add(listener, NULL);
  for (;;) {
    int n = epoll_wait(ep, events, 256, -1);
    for (int i = 0; i < n; i++) {
      if (events[i].data.fd == listener) { accept_all(listener); continue; }
      struct conn *c = owner[events[i].data.fd];
      if (!c || (c->local < 0 && !establish(c))) continue;
      if (pump(c)) { finish(c); continue; }
      watch(c->net, (!c->net_ended && !c->up.length ? EPOLLIN : 0) | (c->down.length ? EPOLLOUT : 0), &c->net_events);
      watch(c->local, (!c->local_ended && !c->down.length ? EPOLLIN : 0) | (c->up.length ? EPOLLOUT : 0), &c->local_events);
    }
  }
}

int main(int argc, char **argv) {
  if (argc < 5) {
    fprintf(stderr, "usage: ref_epoll port certificate key program [argument…]\n");
    return 100;
  }
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;
  struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(atoi(argv[1])) };
  struct sigaction ignore = { .sa_handler = SIG_IGN, .sa_flags = SA_NOCLDWAIT };
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  ctx = SSL_CTX_new(TLS_server_method());
  SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
  SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  if (SSL_CTX_use_certificate_chain_file(ctx, argv[2]) != 1 || SSL_CTX_use_PrivateKey_file(ctx, argv[3], SSL_FILETYPE_PEM) != 1) {
    ERR_print_errors_fp(stderr);
    return 111;
  }
  program = argv + 4;
  signal(SIGPIPE, SIG_IGN);
  sigaction(SIGCHLD, &ignore, NULL);
  if (bind(listener, (void *)&at, sizeof at) || listen(listener, 1024)) {
    perror("ref_epoll: unable to listen");
    return 111;
  }
  socklen_t size = sizeof at;
  getsockname(listener, (void *)&at, &size);
  printf("%d\n", ntohs(at.sin_port));
  fflush(stdout);
  serve(listener);
}

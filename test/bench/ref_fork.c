/* The second reference server: a process for each connection, as in ucspi-ssl. The parent
 * accepts and forks. The child does the handshake, starts the program on a socketpair, and
 * relays. The certificate is loaded once.
 * No limits, rules, log or environment; not to be used for anything else.
 *
 *   ref_fork PORT CERT KEY PROGRAM [ARGUMENT…]   on 127.0.0.1; prints the port when it listens */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static SSL_CTX *ctx;
static char **program;

/* What has been read on one side and not yet written on the other. */
static struct pending {
  unsigned char bytes[16384];
  int offset, length;
} up, down; /* towards the program, towards the client */

/* Starts the program on a new socketpair. Returns our end, or -1. */
static int start(pid_t *pid) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t defaults;
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) return -1;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pair[1], 0);
  posix_spawn_file_actions_adddup2(&actions, pair[1], 1);
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  if (posix_spawn(pid, program[0], &actions, &attributes, program, environ)) return -1;
  close(pair[1]);
  return pair[0];
}

/* True if the call only has to wait. */
static int would_block(SSL *ssl, int result) {
  int error = SSL_get_error(ssl, result);
  ERR_clear_error();
  return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

/* Relays until the program ends its output or the client is lost. */
static void relay(SSL *ssl, int net, int local) {
  int net_ended = 0, local_shut = 0;
  for (;;) {
    if (!net_ended && !up.length) {
      int n = SSL_read(ssl, up.bytes, sizeof up.bytes);
      if (n > 0) up.offset = 0, up.length = n;
      else if (!would_block(ssl, n)) net_ended = 1;
    }
    if (up.length && !local_shut) {
      ssize_t n = send(local, up.bytes + up.offset, up.length, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n > 0) up.offset += n, up.length -= n;
      else if (n < 0 && errno != EAGAIN) local_shut = 1;
    }
    if (local_shut) up.length = 0;
    if (net_ended && !up.length && !local_shut) shutdown(local, SHUT_WR), local_shut = 1;
    if (!down.length) {
      ssize_t n = recv(local, down.bytes, sizeof down.bytes, MSG_DONTWAIT);
      if (n > 0) down.offset = 0, down.length = n;
      else if (n == 0 || errno != EAGAIN) return;
    }
    if (down.length) {
      int n = SSL_write(ssl, down.bytes + down.offset, down.length);
      if (n > 0) down.offset += n, down.length -= n;
      else if (!would_block(ssl, n)) return;
    }
    int reads = !net_ended && !up.length;
    if (reads && SSL_pending(ssl)) continue;
    struct pollfd both[2] = {
      { .fd = reads || down.length ? net : -1, .events = (reads ? POLLIN : 0) | (down.length ? POLLOUT : 0) },
      { .fd = local, .events = (down.length ? 0 : POLLIN) | (up.length ? POLLOUT : 0) },
    };
    poll(both, 2, -1);
  }
}

static int serve(int net) {
  SSL *ssl = SSL_new(ctx);
  pid_t pid;
  int local;
  signal(SIGCHLD, SIG_DFL);
  SSL_set_fd(ssl, net);
  if (SSL_accept(ssl) != 1 || (local = start(&pid)) < 0) return 1;
  fcntl(net, F_SETFL, O_NONBLOCK);
  relay(ssl, net, local);
  SSL_shutdown(ssl);
  close(net);
  close(local);
  waitpid(pid, NULL, 0);
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 5) {
    fprintf(stderr, "usage: ref_fork port certificate key program [argument…]\n");
    return 100;
  }
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
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
    perror("ref_fork: unable to listen");
    return 111;
  }
  socklen_t size = sizeof at;
  getsockname(listener, (void *)&at, &size);
  printf("%d\n", ntohs(at.sin_port));
  fflush(stdout);
  for (;;) {
    int net = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (net < 0) continue;
    setsockopt(net, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (fork() == 0) {
      close(listener);
      _exit(serve(net));
    }
    close(net);
  }
}

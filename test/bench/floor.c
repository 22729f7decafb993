/* The two parts of a connection that no server can save, each alone: starting the program, and TLS.
 *
 *   floor spawn COUNT PROGRAM [ARGUMENT…]   COUNT times: starts the program on a socketpair, sends it a
 *                                           line, reads the line back, ends its input, and waits for its
 *                                           end; prints milliseconds and CPU milliseconds of one time
 *   floor tls PORT CERT KEY                 a server on 127.0.0.1 that sends back what clients send, with
 *                                           one epoll loop and no program; prints the port */
#define _GNU_SOURCE
#include <arpa/inet.h>
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static const char line[16] = "0123456789abcde\n";

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec * 1e-6;
}

/* CPU milliseconds of this process, or of its children that have ended. */
static double cpu(int who) {
  struct rusage use;
  getrusage(who, &use);
  return (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e3 + (use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1e-3;
}

static int run_once(char **program) {
  posix_spawn_file_actions_t actions;
  char answer[sizeof line];
  int pair[2], status = 0;
  pid_t pid;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) return 0;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pair[1], 0);
  posix_spawn_file_actions_adddup2(&actions, pair[1], 1);
  int error = posix_spawn(&pid, program[0], &actions, NULL, program, environ);
  posix_spawn_file_actions_destroy(&actions);
  close(pair[1]);
  int good = !error && write(pair[0], line, sizeof line) == sizeof line &&
             read(pair[0], answer, sizeof answer) == sizeof answer;
  shutdown(pair[0], SHUT_WR);
  if (!error) waitpid(pid, &status, 0);
  close(pair[0]);
  return good && status == 0;
}

static int spawn(int count, char **program) {
  double begun = now(), used = cpu(RUSAGE_SELF) + cpu(RUSAGE_CHILDREN);
  for (int i = 0; i < count; i++) if (!run_once(program)) {
    fprintf(stderr, "floor: unable to run %s\n", program[0]);
    return 111;
  }
  used = cpu(RUSAGE_SELF) + cpu(RUSAGE_CHILDREN) - used;
  printf("%.4f %.4f\n", (now() - begun) / count, used / count);
  return 0;
}

/* Sends back what has come. Returns 0 when the connection has ended. */
static int echo(SSL *ssl) {
  char bytes[16384];
  int n = 1;
  while (n > 0) {
    if (!SSL_is_init_finished(ssl)) n = SSL_do_handshake(ssl);
    else if ((n = SSL_read(ssl, bytes, sizeof bytes)) > 0) n = SSL_write(ssl, bytes, n);
  }
  int error = SSL_get_error(ssl, n);
  if (error == SSL_ERROR_ZERO_RETURN) SSL_shutdown(ssl);
  ERR_clear_error();
  return error == SSL_ERROR_WANT_READ;
}

static int tls(int port, const char *certificate, const char *key) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;
  int ep = epoll_create1(EPOLL_CLOEXEC);
  struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
  struct epoll_event events[256], event = { .events = EPOLLIN };
  socklen_t size = sizeof at;
  SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
  if (SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1 || SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1) {
    ERR_print_errors_fp(stderr);
    return 111;
  }
  if (bind(listener, (void *)&at, sizeof at) || listen(listener, 1024)) {
    perror("floor: unable to listen");
    return 111;
  }
  getsockname(listener, (void *)&at, &size);
  printf("%d\n", ntohs(at.sin_port));
  fflush(stdout);
  signal(SIGPIPE, SIG_IGN);
  epoll_ctl(ep, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    int n = epoll_wait(ep, events, 256, -1);
    for (int i = 0; i < n; i++) {
      SSL *ssl = events[i].data.ptr;
      int fd;
      if (ssl) {
        if (echo(ssl)) continue;
        fd = SSL_get_fd(ssl);
        SSL_free(ssl);
        close(fd);
        continue;
      }
      while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        event.data.ptr = SSL_new(ctx);
        SSL_set_fd(event.data.ptr, fd);
        SSL_set_accept_state(event.data.ptr);
        epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event);
      }
    }
  }
}

int main(int argc, char **argv) {
  if (argc > 3 && !strcmp(argv[1], "spawn") && atoi(argv[2]) > 0) return spawn(atoi(argv[2]), argv + 3);
  if (argc == 5 && !strcmp(argv[1], "tls")) return tls(atoi(argv[2]), argv[3], argv[4]);
  fprintf(stderr, "usage: floor spawn count program [argument…] | floor tls port certificate key\n");
  return 100;
}

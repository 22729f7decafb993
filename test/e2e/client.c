/* TLS clients for the tests, where openssl s_client and curl are not exact enough.
 *
 *   client talk PORT [option]…      stdin to the server, the answer to stdout, facts to stderr
 *     -2 -3 TLS version   -s name server name   -a name ALPN   -6 ::1   -i address
 *     -e half|fin|stay|reset|forge   after the last byte: close_notify, FIN alone, nothing, RST, a
 *        forged record
 *     -d only count and hash the answer   -p ms wait before reading   -r bytes per second
 *     -n bytes  send so many bytes of a stream instead of stdin   -w ms wait after the handshake
 *     -c file   show this certificate and what follows it in the file   -k file  its key
 *   client many PORT COUNT AT_ONCE SEED    random sizes and endings, against `program talk`
 *   client silent PORT COUNT [BYTES]       holds connections; each line on stdin: prints how many
 *                                          are still open
 *   client cut PORT VERSION STEP           breaks off a handshake after each STEP-th of its bytes
 *
 * Every wait has a limit; a client that hits it says so and fails. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "stream.h"

#define LIMIT_MS 60000

static void die(const char *why) {
  fprintf(stderr, "client: %s: %s\n", why, errno ? strerror(errno) : "failed");
  exit(2);
}

static int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static const char *address = "127.0.0.1";
static int small; /* size of the receive buffer; 0: the system's */

static int dial(int port) {
  struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
  struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
  int v6 = strchr(address, ':') != NULL;
  if (inet_pton(v6 ? AF_INET6 : AF_INET, address, v6 ? (void *)&six.sin6_addr : (void *)&four.sin_addr) != 1)
    die("address");
  int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (small) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  while (connect(fd, v6 ? (void *)&six : (void *)&four, v6 ? sizeof six : sizeof four) < 0) {
    if (errno == EINTR) continue;
    close(fd);
    return -1;
  }
  return fd;
}

static void reset(int fd) {
  struct linger now = { 1, 0 };
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(fd);
}

/* ---- one TLS conversation ---- */

enum ending { HALF, FIN, STAY, RESET, FORGE };

struct talk {
  /* in */
  int fd;
  SSL *ssl;
  size_t (*give)(struct talk *, unsigned char *, size_t); /* next bytes to send; 0: no more */
  int (*take)(struct talk *, const unsigned char *, size_t); /* 0: wrong bytes */
  enum ending ending;
  int64_t pause_ms;  /* nothing is read for so long after `pause_at` bytes */
  int64_t pause_at;
  int64_t rate;      /* bytes per second, 0: no limit */
  int loud;          /* tells about the pause on stderr */
  void *context;
  /* out */
  uint64_t sent, received;
  const char *end;
};

static const char *failure(SSL *ssl, int result) {
  int error = SSL_get_error(ssl, result);
  unsigned long code = ERR_peek_error();
  ERR_clear_error();
  if (error == SSL_ERROR_ZERO_RETURN) return "close_notify";
  if (ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) return "eof";
  if (error == SSL_ERROR_SYSCALL) return errno == ECONNRESET || errno == EPIPE ? "reset" : "eof";
  const char *words = code ? ERR_reason_error_string(code) : NULL;
  return words ? words : "error";
}

/* Does the handshake within the limit. Returns NULL, or the reason of the failure. */
static const char *shake(SSL *ssl, int fd) {
  int64_t limit = now_ms() + LIMIT_MS;
  for (;;) {
    ERR_clear_error();
    errno = 0;
    int r = SSL_connect(ssl);
    if (r == 1) return NULL;
    int error = SSL_get_error(ssl, r);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) return failure(ssl, r);
    struct pollfd p = { fd, error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, 0 };
    int64_t left = limit - now_ms();
    if (left <= 0 || poll(&p, 1, (int)left) == 0) return "timeout";
  }
}

static void nonblocking(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

/* Sends and receives at the same time until the server ends; `end` says how. */
static void converse(struct talk *t) {
  unsigned char out[16384], in[65536];
  size_t have = 0, at = 0;
  int giving = 1, taking = 1, ended = 0;
  int64_t start = now_ms(), last = start, quiet_until = 0, paused = t->pause_ms == 0;
  while (taking) {
    int progress = 0;
    if (giving && at == have) {
      have = t->give(t, out, sizeof out);
      at = 0;
      if (have == 0) giving = 0;
    }
    short want = 0;
    if (giving) {
      ERR_clear_error();
      errno = 0;
      int n = SSL_write(t->ssl, out + at, (int)(have - at));
      if (n > 0) {
        at += (size_t)n;
        t->sent += (uint64_t)n;
        progress = 1;
      } else {
        int e = SSL_get_error(t->ssl, n);
        if (e == SSL_ERROR_WANT_WRITE) want |= POLLOUT;
        else if (e == SSL_ERROR_WANT_READ) want |= POLLIN;
        else giving = 0, ended = 1; /* the server has ended; what it sent is still to be read */
      }
    } else if (!ended) {
      ended = 1;
      if (t->ending == RESET) {
        reset(t->fd);
        t->end = "reset by us";
        return;
      }
      if (t->ending == HALF) SSL_shutdown(t->ssl);
      if (t->ending == FIN) shutdown(t->fd, SHUT_WR);
      if (t->ending == FORGE) {
        unsigned char record[35] = { 23, 3, 3, 0, 30 };
        if (write(t->fd, record, sizeof record) != sizeof record) die("write");
      }
      progress = 1;
    }
    int64_t now = now_ms();
    if (!paused && t->received >= (uint64_t)t->pause_at) {
      paused = 1;
      quiet_until = now + t->pause_ms;
      if (t->loud) fprintf(stderr, "paused\n");
    }
    int64_t due = t->rate ? start + (int64_t)(t->received * 1000 / (uint64_t)t->rate) : 0;
    if (quiet_until > due) due = quiet_until;
    if (now >= due) {
      if (quiet_until && t->loud) fprintf(stderr, "resumed\n"), quiet_until = 0, last = now;
      size_t room = t->rate && t->rate < (int64_t)sizeof in ? (size_t)t->rate / 10 + 1 : sizeof in;
      ERR_clear_error();
      errno = 0;
      int n = SSL_read(t->ssl, in, (int)room);
      if (n > 0) {
        if (!t->take(t, in, (size_t)n)) {
          t->end = "wrong bytes";
          return;
        }
        t->received += (uint64_t)n;
        progress = 1;
      } else {
        int e = SSL_get_error(t->ssl, n);
        if (e == SSL_ERROR_WANT_READ) want |= POLLIN;
        else if (e == SSL_ERROR_WANT_WRITE) want |= POLLOUT;
        else {
          t->end = failure(t->ssl, n);
          return;
        }
      }
    }
    if (progress) {
      last = now;
      continue;
    }
    struct pollfd p = { t->fd, want, 0 };
    int64_t wait = due > now ? due - now : LIMIT_MS - (now - last);
    if (wait <= 0) {
      t->end = "timeout";
      return;
    }
    if (due > now && want == 0) poll(NULL, 0, (int)wait);
    else poll(&p, 1, (int)wait);
  }
}

static SSL_CTX *context_for(int version) {
  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  if (!ctx) die("SSL_CTX_new");
  SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (version == 2) SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
  if (version == 3) SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
  return ctx;
}

/* ---- talk ---- */

struct facts {
  unsigned char *input;
  size_t size, at;
  uint64_t stream, made;
  EVP_MD_CTX *out, *in;
  int discard;
};

static size_t give_input(struct talk *t, unsigned char *to, size_t room) {
  struct facts *f = t->context;
  size_t n;
  if (f->stream) {
    n = f->stream - f->made < room ? (size_t)(f->stream - f->made) : room;
    stream_fill(to, n, 1, f->made);
    f->made += n;
  } else {
    n = f->size - f->at < room ? f->size - f->at : room;
    memcpy(to, f->input + f->at, n);
    f->at += n;
  }
  EVP_DigestUpdate(f->out, to, n);
  return n;
}

static int take_output(struct talk *t, const unsigned char *from, size_t size) {
  struct facts *f = t->context;
  EVP_DigestUpdate(f->in, from, size);
  if (!f->discard && fwrite(from, 1, size, stdout) != size) die("write");
  return 1;
}

static void print_hash(const char *name, EVP_MD_CTX *hash) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size;
  EVP_DigestFinal_ex(hash, digest, &size);
  fprintf(stderr, "%s=", name);
  for (unsigned i = 0; i < size; i++) fprintf(stderr, "%02x", digest[i]);
  fputc('\n', stderr);
}

static int command_talk(int argc, char **argv) {
  struct facts f = { 0 };
  struct talk t = { .give = give_input, .take = take_output, .ending = HALF, .context = &f };
  int version = 0, port = atoi(argv[0]);
  int64_t after_handshake = 0;
  const char *sni = NULL, *alpn = NULL, *chain = NULL, *key = NULL;
  optind = 1;
  for (int o; (o = getopt(argc, argv, "236s:a:i:e:dp:P:r:n:w:c:k:")) != -1;) {
    if (o == '2' || o == '3') version = o - '0';
    else if (o == '6') address = "::1";
    else if (o == 'i') address = optarg;
    else if (o == 's') sni = optarg;
    else if (o == 'a') alpn = optarg;
    else if (o == 'e') t.ending = !strcmp(optarg, "fin") ? FIN : !strcmp(optarg, "stay") ? STAY :
      !strcmp(optarg, "reset") ? RESET : !strcmp(optarg, "forge") ? FORGE : HALF;
    else if (o == 'd') f.discard = 1;
    else if (o == 'p') t.pause_ms = atol(optarg), t.loud = 1;
    else if (o == 'P') t.pause_at = atol(optarg);
    else if (o == 'r') t.rate = atol(optarg);
    else if (o == 'n') f.stream = strtoull(optarg, NULL, 10);
    else if (o == 'w') after_handshake = atol(optarg);
    else if (o == 'c') chain = optarg;
    else if (o == 'k') key = optarg;
    else die("option");
  }
  if (!f.stream) {
    size_t room = 0;
    for (ssize_t n = 1; n > 0; f.size += n > 0 ? (size_t)n : 0) {
      if (f.size + 65536 > room && !(f.input = realloc(f.input, room = room * 2 + 65536))) die("memory");
      n = read(0, f.input + f.size, room - f.size);
    }
  }
  f.out = EVP_MD_CTX_new();
  f.in = EVP_MD_CTX_new();
  EVP_DigestInit_ex(f.out, EVP_sha256(), NULL);
  EVP_DigestInit_ex(f.in, EVP_sha256(), NULL);
  int64_t start = now_ms();
  if (t.rate || t.pause_ms) small = 32768;
  if ((t.fd = dial(port)) < 0) die("connect");
  nonblocking(t.fd);
  SSL_CTX *ctx = context_for(version);
  if (chain) {
    SSL_CTX_set_security_level(ctx, 0); /* shows bad ones too: the server is to refuse them */
    if (SSL_CTX_use_certificate_chain_file(ctx, chain) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
      die("certificate");
  }
  t.ssl = SSL_new(ctx);
  SSL_set_fd(t.ssl, t.fd);
  if (sni) SSL_set_tlsext_host_name(t.ssl, sni);
  if (alpn) {
    unsigned char wire[256];
    wire[0] = (unsigned char)strlen(alpn);
    memcpy(wire + 1, alpn, wire[0]);
    SSL_set_alpn_protos(t.ssl, wire, wire[0] + 1u);
  }
  const char *why = shake(t.ssl, t.fd);
  if (why) {
    fprintf(stderr, "end=no handshake: %s\n", why);
    return 1;
  }
  fprintf(stderr, "handshake_ms=%ld\n", (long)(now_ms() - start));
  if (after_handshake) poll(NULL, 0, (int)after_handshake);
  const unsigned char *chosen;
  unsigned length;
  SSL_get0_alpn_selected(t.ssl, &chosen, &length);
  X509 *certificate = SSL_get0_peer_certificate(t.ssl);
  fprintf(stderr, "protocol=%s\ncipher=%s\nalpn=%.*s\nkey=%s\nchain=%d\n", SSL_get_version(t.ssl),
    SSL_get_cipher(t.ssl), (int)length, chosen ? (const char *)chosen : "",
    certificate ? EVP_PKEY_get0_type_name(X509_get0_pubkey(certificate)) : "",
    sk_X509_num(SSL_get_peer_cert_chain(t.ssl)));
  converse(&t);
  fflush(stdout);
  print_hash("sent_sha256", f.out);
  print_hash("received_sha256", f.in);
  fprintf(stderr, "sent=%llu\nreceived=%llu\nms=%ld\nend=%s\n", (unsigned long long)t.sent,
    (unsigned long long)t.received, (long)(now_ms() - start), t.end);
  return 0;
}

/* ---- many ---- */

static struct {
  int port, count, next, ok, failed, wrong;
  uint64_t seed;
  SSL_CTX *contexts[2];
  pthread_mutex_t lock;
} load = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct plan {
  char mode; /* what the program does: see program.c */
  char what; /* c n f x r s: close_notify, FIN, program first, program at once, reset, sink */
  unsigned up, down, seed;
  int header;
};

static size_t give_plan(struct talk *t, unsigned char *to, size_t room) {
  struct plan *p = t->context;
  if (!p->header) {
    p->header = 1;
    char text[40];
    snprintf(text, sizeof text, "%c %010u %010u %08x\n", p->mode, p->up, p->down, p->seed);
    memcpy(to, text, 33);
    return 33;
  }
  uint64_t at = t->sent - 33;
  size_t limit = p->what == 'r' ? p->down : p->up; /* a reset comes somewhere in the middle */
  size_t n = at >= limit ? 0 : limit - at < room ? (size_t)(limit - at) : room;
  stream_fill(to, n, p->seed, at);
  return n;
}

static int take_plan(struct talk *t, const unsigned char *from, size_t size) {
  struct plan *p = t->context;
  if (p->mode == 's') return t->received + size <= 13 && (t->received || !memcmp(from, "all", 3));
  return stream_same(from, size, p->mode == 'e' ? p->seed : p->seed + 1, t->received);
}

static unsigned under(uint64_t *state, unsigned limit) {
  return (unsigned)(block_of(load.seed, (*state)++) % limit);
}

static void *worker(void *unused) {
  (void)unused;
  for (;;) {
    pthread_mutex_lock(&load.lock);
    int number = load.next < load.count ? load.next++ : -1;
    pthread_mutex_unlock(&load.lock);
    if (number < 0) return NULL;
    uint64_t state = (uint64_t)number * 16;
    struct plan p = { .what = "cnfxrs"[under(&state, 6)] };
    /* Half of them small: sizes around nothing, a record, a pipe. */
    unsigned limit = under(&state, 2) ? 300001 : 2000;
    p.up = under(&state, limit);
    p.down = p.what == 'r' ? under(&state, p.up + 1) : under(&state, limit);
    p.seed = under(&state, 0x7fffffff);
    p.mode = p.what == 'f' || p.what == 'x' || p.what == 's' ? p.what : 'e';
    int version = (int)under(&state, 2);
    uint64_t expected = p.mode == 'e' ? p.up : p.mode == 's' ? 13 : p.down;
    struct talk t = { .give = give_plan, .take = take_plan, .context = &p };
    t.ending = p.what == 'n' ? FIN : p.what == 'r' ? RESET : p.mode == 'e' || p.mode == 's' ? HALF : STAY;
    t.fd = dial(load.port);
    const char *why = t.fd < 0 ? "no connection" : NULL;
    if (!why) {
      nonblocking(t.fd);
      t.ssl = SSL_new(load.contexts[version]);
      SSL_set_fd(t.ssl, t.fd);
      why = shake(t.ssl, t.fd);
      if (!why) {
        converse(&t);
        if (p.what != 'r') {
          if (strcmp(t.end, "close_notify")) why = t.end;
          else if (t.received != expected) why = "bytes are missing";
        }
      }
      SSL_free(t.ssl);
      if (p.what != 'r' || why) close(t.fd);
    }
    pthread_mutex_lock(&load.lock);
    if (why && !strcmp(why, "wrong bytes")) load.wrong++;
    if (!why) load.ok++;
    else if (load.failed++ < 10)
      fprintf(stderr, "connection %d %s %c up %u down %u: received %llu of %llu: %s\n", number,
        version ? "TLS 1.3" : "TLS 1.2", p.what, p.up, p.down, (unsigned long long)t.received,
        (unsigned long long)expected, why);
    pthread_mutex_unlock(&load.lock);
  }
}

static int command_many(char **argv) {
  load.port = atoi(argv[0]);
  load.count = atoi(argv[1]);
  int at_once = atoi(argv[2]);
  load.seed = strtoull(argv[3], NULL, 10);
  load.contexts[0] = context_for(2);
  load.contexts[1] = context_for(3);
  pthread_t threads[256];
  if (at_once < 1 || at_once > 256) die("AT_ONCE");
  for (int i = 0; i < at_once; i++) pthread_create(&threads[i], NULL, worker, NULL);
  for (int i = 0; i < at_once; i++) pthread_join(threads[i], NULL);
  fprintf(stderr, "ok=%d\nfailed=%d\n", load.ok, load.failed);
  if (load.wrong) fprintf(stderr, "wrong=%d\n", load.wrong);
  return load.failed ? 1 : 0;
}

/* ---- silent ---- */

static int command_silent(int argc, char **argv) {
  int port = atoi(argv[0]), count = atoi(argv[1]);
  size_t bytes = argc > 2 ? (size_t)atoi(argv[2]) : 0;
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  int *fds = calloc((size_t)count, sizeof *fds);
  for (int i = 0; i < count; i++) {
    if ((fds[i] = dial(port)) < 0) die("connect");
    /* The start of a handshake record that never gets complete. */
    static const unsigned char hello[] = { 22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3 };
    if (bytes && send(fds[i], hello, bytes < sizeof hello ? bytes : sizeof hello, MSG_NOSIGNAL) < 0) die("send");
  }
  printf("ready\n");
  fflush(stdout);
  for (char line[64]; fgets(line, sizeof line, stdin);) {
    int open = 0;
    for (int i = 0; i < count; i++) {
      char byte;
      ssize_t n = recv(fds[i], &byte, 1, MSG_PEEK | MSG_DONTWAIT);
      if (n > 0 || (n < 0 && errno == EAGAIN)) open++;
    }
    printf("open %d\n", open);
    fflush(stdout);
  }
  return 0;
}

/* ---- cut ---- */

/* Does a handshake through memory, of which at most `limit` bytes reach the server. Returns the number
 * of bytes. */
static size_t handshake_until(int port, SSL_CTX *ctx, size_t limit, int hard) {
  int fd = dial(port);
  if (fd < 0) die("connect");
  struct timeval patience = { 20, 0 };
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  SSL *ssl = SSL_new(ctx);
  BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl, in, out);
  size_t sent = 0;
  int heard = 0;
  char bytes[16384];
  for (;;) {
    int r = SSL_connect(ssl);
    while (BIO_pending(out) > 0 && sent < limit) {
      size_t room = limit - sent < sizeof bytes ? limit - sent : sizeof bytes;
      int n = BIO_read(out, bytes, (int)room);
      if (send(fd, bytes, (size_t)n, MSG_NOSIGNAL) != n) die("send");
      sent += (size_t)n;
    }
    if (r == 1 || sent >= limit) break;
    ssize_t n = recv(fd, bytes, sizeof bytes, 0);
    if (n <= 0) die("recv in a handshake that was not cut yet");
    BIO_write(in, bytes, (int)n);
    heard = 1;
  }
  /* A reset may overtake the accept: then the server has never seen a connection. */
  if (hard && heard) reset(fd);
  else {
    shutdown(fd, SHUT_WR);
    while (recv(fd, bytes, sizeof bytes, 0) > 0) {}
    close(fd);
  }
  SSL_free(ssl);
  return sent;
}

static int command_cut(char **argv) {
  int port = atoi(argv[0]);
  SSL_CTX *ctx = context_for(atoi(argv[1]));
  size_t step = (size_t)atoi(argv[2]), cuts = 0;
  size_t total = handshake_until(port, ctx, SIZE_MAX, 0);
  for (size_t at = 0; at < total; at += step, cuts++) handshake_until(port, ctx, at, (int)(cuts & 1));
  if ((total - 1) % step != 0) handshake_until(port, ctx, total - 1, 0), cuts++;
  printf("total=%zu\ncuts=%zu\n", total, cuts);
  return 0;
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc > 2 && !strcmp(argv[1], "talk")) return command_talk(argc - 2, argv + 2);
  if (argc > 5 && !strcmp(argv[1], "many")) return command_many(argv + 2);
  if (argc > 3 && !strcmp(argv[1], "silent")) return command_silent(argc - 2, argv + 2);
  if (argc > 4 && !strcmp(argv[1], "cut")) return command_cut(argv + 2);
  errno = 0;
  die("usage: client talk|many|silent|cut PORT …");
}

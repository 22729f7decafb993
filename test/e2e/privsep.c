/* Programs for the claims about monitor and workers.
 *
 *   privsep attack MONITOR WORKER FILE   tries what a program must not be able to do to them, with
 *                     each try on a line: what, and `done` or the system's refusal
 *   privsep count FOLDER [each]          says `n`, how many of its kind run at this moment, itself
 *                     included, and is `cat` then. The most there ever were is in FOLDER/peak; with
 *                     `each` in FOLDER/$SSLREMOTEIP. Locks do it, so one that is killed is not counted
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static void told(const char *what, const char *whom, long result) {
  printf("%s%s%s: %s\n", what, *whom ? " " : "", whom, result < 0 ? strerror(errno) : "done");
}

static long read_some(const char *path) {
  char bytes[16];
  int fd = open(path, O_RDONLY);
  if (fd < 0) return -1;
  long n = read(fd, bytes, sizeof bytes);
  /* Memory is read at an address; that it could be opened is enough. */
  if (n < 0 && strstr(path, "/mem")) n = 0;
  close(fd);
  return n;
}

static void attack(const char *whom, pid_t pid) {
  static const char *const files[] = { "mem", "environ", "maps", "fd/0", "root/etc/passwd", "cwd/x" };
  char path[64], what[64], byte;
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, files[i]);
    snprintf(what, sizeof what, "read %s of", files[i]);
    told(what, whom, read_some(path));
  }
  snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
  told("write mem of", whom, open(path, O_WRONLY));
  told("signal", whom, kill(pid, 0));
  told("trace", whom, ptrace(PTRACE_SEIZE, pid, NULL, NULL));
  struct iovec mine = { &byte, 1 }, its = { (void *)0x400000, 1 };
  told("read memory of", whom, process_vm_readv(pid, &mine, 1, &its, 1, 0));
  int handle = (int)syscall(SYS_pidfd_open, pid, 0);
  told("take a descriptor of", whom, handle < 0 ? -1 : syscall(SYS_pidfd_getfd, handle, 3, 0));
  struct rlimit limit;
  told("limit", whom, prlimit(pid, RLIMIT_NOFILE, NULL, &limit));
}

static int number_in(const char *path) {
  int n = 0;
  FILE *file = fopen(path, "r");
  if (!file) return 0;
  if (fscanf(file, "%d", &n) != 1) n = 0;
  fclose(file);
  return n;
}

static int locked(const char *path, int how) {
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0 || flock(fd, how) == 0) return fd;
  close(fd);
  return -1;
}

static void count(const char *folder, const char *whose) {
  char path[512];
  snprintf(path, sizeof path, "%s/gate-%s", folder, whose);
  /* While one counts nobody begins; who ends meanwhile was there when the counting began. */
  int gate = locked(path, LOCK_EX), n = 0;
  if (gate < 0) exit(3);
  /* One lock each, from the first that is free. */
  do snprintf(path, sizeof path, "%s/lock-%s-%d", folder, whose, n++);
  while (locked(path, LOCK_EX | LOCK_NB) < 0 && n < 10000);
  snprintf(path, sizeof path, "%s/%s", folder, whose);
  if (number_in(path) < n) {
    FILE *file = fopen(path, "w");
    if (!file) exit(3);
    fprintf(file, "%d\n", n);
    fclose(file);
  }
  close(gate);
  printf("%d\n", n);
  fflush(stdout);
}

int main(int argc, char **argv) {
  if (argc > 4 && !strcmp(argv[1], "attack")) {
    told("read the key", "", read_some(argv[4]));
    attack("monitor", atoi(argv[2]));
    attack("worker", atoi(argv[3]));
    return 0;
  }
  if (argc > 2 && !strcmp(argv[1], "count")) {
    const char *address = getenv("SSLREMOTEIP");
    count(argv[2], argc > 3 && address ? address : "peak");
    char bytes[4096];
    for (ssize_t n; (n = read(0, bytes, sizeof bytes)) > 0;) {
      if (write(1, bytes, (size_t)n) != n) return 0;
    }
    return 0;
  }
  fprintf(stderr, "usage: privsep attack|count …\n");
  return 2;
}

/* Programs for the claims about monitor and workers.
 *
 *   privsep attack MONITOR WORKER FILE   tries what a program must not be able to do to them. Prints
 *                     each attempt on a line, with `done` or the kernel's error
 *   privsep count FOLDER [each]          prints how many of these programs run now, itself included,
 *                     and then works like `cat`. The maximum is in FOLDER/peak; with `each` in
 *                     FOLDER/$SSLREMOTEIP. It counts locks, so a killed program does not count
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
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
  /* Opening the memory is enough; reading would need an address. */
  if (n < 0 && strstr(path, "/mem")) n = 0;
  close(fd);
  return n;
}

/* Sends what opens the debugger of V8, and waits for it: 9229 is its port. */
static int open_debugger(pid_t pid) {
  struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(9229) };
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (kill(pid, SIGUSR1) < 0) return -1;
  for (int i = 0; i < 20; i++) {
    int s = socket(AF_INET, SOCK_STREAM, 0);
    int result = connect(s, (struct sockaddr *)&at, sizeof at), error = errno;
    close(s);
    errno = error;
    if (result == 0) return 0;
    usleep(20000);
  }
  return -1;
}

static void attack(const char *whom, pid_t pid) {
  static const char *const files[] = {
    "mem", "environ", "maps", "smaps", "pagemap", "auxv", "stack", "syscall", "io", "personality",
    "fd/0", "fd/2", "fd/3", "fdinfo/3", "root/etc/passwd", "cwd/x", "task/%d/mem", "task/%d/environ",
  };
  char path[64], name[32], what[64], byte;
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    snprintf(name, sizeof name, files[i], (int)pid);
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    snprintf(what, sizeof what, "read %s of", strncmp(name, "task", 4) ? name : strrchr(name, '/'));
    told(what, whom, read_some(path));
  }
  static const char *const written[] = { "mem", "oom_score_adj", "clear_refs", "comm" };
  for (size_t i = 0; i < sizeof written / sizeof *written; i++) {
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, written[i]);
    snprintf(what, sizeof what, "write %s of", written[i]);
    told(what, whom, open(path, O_WRONLY));
  }
  told("signal", whom, kill(pid, 0));
  told("signal a thread of", whom, syscall(SYS_tgkill, pid, pid, 0));
  siginfo_t info = { .si_code = SI_QUEUE };
  told("queue a signal for", whom, syscall(SYS_rt_sigqueueinfo, pid, 0, &info));
  told("trace", whom, ptrace(PTRACE_SEIZE, pid, NULL, NULL));
  told("attach to", whom, ptrace(PTRACE_ATTACH, pid, NULL, NULL));
  struct iovec mine = { &byte, 1 }, its = { (void *)0x400000, 1 };
  told("read memory of", whom, process_vm_readv(pid, &mine, 1, &its, 1, 0));
  told("write memory of", whom, process_vm_writev(pid, &mine, 1, &its, 1, 0));
  int handle = (int)syscall(SYS_pidfd_open, pid, 0);
  told("take a descriptor of", whom, handle < 0 ? -1 : syscall(SYS_pidfd_getfd, handle, 3, 0));
  told("compare descriptors with", whom, syscall(SYS_kcmp, getpid(), pid, 0, 0, 0));
  void *head;
  size_t size;
  told("find the locks of", whom, syscall(SYS_get_robust_list, pid, &head, &size));
  told("move pages of", whom, syscall(SYS_move_pages, pid, 0UL, NULL, NULL, NULL, 0));
  struct rlimit limit;
  told("limit", whom, prlimit(pid, RLIMIT_NOFILE, NULL, &limit));
  told("make nice", whom, setpriority(PRIO_PROCESS, (id_t)pid, 0));
  cpu_set_t cpus;
  sched_getaffinity(0, sizeof cpus, &cpus);
  told("bind to a processor", whom, sched_setaffinity(pid, sizeof cpus, &cpus));
  told("open the debugger of", whom, open_debugger(pid));
}

/* The descriptors of this process besides 0, 1 and 2, and what it can do with 2. */
static void holds(void) {
  struct stat file;
  for (int fd = 3; fd < 4096; fd++) {
    if (fcntl(fd, F_GETFD) >= 0) printf("holds %d\n", fd);
  }
  if (fstat(2, &file) == 0 && S_ISREG(file.st_mode)) {
    told("truncate the log", "", ftruncate(2, file.st_size));
  }
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
  /* While one process counts, no other begins. One that ends meanwhile still counts. */
  int gate = locked(path, LOCK_EX), n = 0;
  if (gate < 0) exit(3);
  /* Each process takes the first free lock. */
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
    holds();
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

/* How long a server takes from its start to its first line on stdout, in milliseconds: the median of
 * COUNT starts, after one that only warms up. Each is killed and reaped. For a program that prints
 * nothing and exits 0, it is the time to its end.
 *
 *   start COUNT PROGRAM [ARGUMENT…] */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 15000
#define MOST 1000

extern char **environ;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec * 1e-6;
}

/* Negative when it printed nothing and did not exit 0. */
static double start_once(char **command) {
  posix_spawn_file_actions_t actions;
  int ends[2], status;
  pid_t pid;
  char byte;
  if (pipe2(ends, O_CLOEXEC)) return -1;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  double begun = now();
  int error = posix_spawnp(&pid, command[0], &actions, NULL, command, environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  struct pollfd output = { .fd = ends[0], .events = POLLIN };
  int length = !error && poll(&output, 1, PATIENCE) == 1 ? read(ends[0], &byte, 1) : -1;
  double took = now() - begun;
  close(ends[0]);
  if (error) return -1;
  if (length != 0) kill(pid, SIGKILL);
  waitpid(pid, &status, 0);
  return length == 1 || (length == 0 && status == 0) ? took : -1;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  int count = argc > 2 ? atoi(argv[1]) : 0;
  double times[MOST];
  if (count < 1 || count > MOST) {
    fprintf(stderr, "usage: start count program [argument…]\n");
    return 100;
  }
  for (int i = -1; i < count; i++) {
    double took = start_once(argv + 2);
    if (took < 0) {
      fprintf(stderr, "start: unable to start %s: it printed nothing\n", argv[2]);
      return 111;
    }
    if (i >= 0) times[i] = took;
  }
  qsort(times, count, sizeof *times, ascending);
  printf("%.4f\n", (times[(count - 1) / 2] + times[count / 2]) / 2);
}

/* The program of the server under test, for claims that need more than `cat` and `sh`.
 *
 *   program talk    does what the client's header says, see client.c `many`
 *   program state   prints its descriptors, and its signal state as /proc tells it
 *   program stay    ignores SIGTERM and stays until it is killed
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "stream.h"

static unsigned char buffer[65536];

static void die(const char *why) {
  fprintf(stderr, "program %d: %s\n", (int)getpid(), why);
  exit(3);
}

static void put(const unsigned char *from, size_t size) {
  while (size > 0) {
    ssize_t n = write(1, from, size);
    if (n < 0) exit(0); /* the client is gone: not our fault */
    from += n;
    size -= (size_t)n;
  }
}

/* `mode up down seed\n`, 33 bytes. */
static int talk(void) {
  char header[34] = "";
  for (size_t have = 0; have < 33;) {
    ssize_t n = read(0, header + have, 33 - have);
    if (n <= 0) return 0; /* the client left early */
    have += (size_t)n;
  }
  char mode;
  unsigned up, down, seed;
  if (sscanf(header, "%c %u %u %x", &mode, &up, &down, &seed) != 4) die("no header");
  uint64_t got = 0;
  for (;;) {
    if (mode == 'x' || (mode == 'f' && got >= up)) break;
    ssize_t n = read(0, buffer, sizeof buffer);
    if (n < 0) die("read failed");
    if (n == 0) break;
    if (!stream_same(buffer, (size_t)n, seed, got)) die("wrong bytes came in");
    got += (uint64_t)n;
    if (got > up) die("too many bytes came in");
    if (mode == 'e') put(buffer, (size_t)n);
  }
  if (mode == 's') {
    char verdict[64];
    int size = snprintf(verdict, sizeof verdict, "%s %08x\n", got == up ? "all" : "cut", seed);
    put((unsigned char *)verdict, (size_t)size);
  }
  if (mode == 'x' || mode == 'f') {
    for (uint64_t at = 0; at < down;) {
      size_t size = down - at < sizeof buffer ? (size_t)(down - at) : sizeof buffer;
      stream_fill(buffer, size, seed + 1, at);
      put(buffer, size);
      at += size;
    }
  }
  return 0;
}

static int state(void) {
  DIR *dir = opendir("/proc/self/fd");
  if (!dir) die("no /proc");
  for (struct dirent *entry; (entry = readdir(dir));) {
    char path[300], target[4096];
    if (entry->d_name[0] == '.' || atoi(entry->d_name) == dirfd(dir)) continue;
    snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
    ssize_t n = readlink(path, target, sizeof target - 1);
    target[n < 0 ? 0 : n] = 0;
    printf("fd %s %s\n", entry->d_name, target);
  }
  FILE *status = fopen("/proc/self/status", "r");
  char line[512];
  while (status && fgets(line, sizeof line, status)) {
    if (!strncmp(line, "Sig", 3)) fputs(line, stdout);
  }
  return 0;
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (!strcmp(what, "talk")) return talk();
  if (!strcmp(what, "state")) return state();
  if (!strcmp(what, "stay")) {
    signal(SIGTERM, SIG_IGN);
    put((const unsigned char *)"here\n", 5);
    for (;;) pause();
  }
  die("usage: program talk|state|stay");
}

/* Bytes that both sides of a test can make: byte k of stream `seed` depends on k and seed alone, so
 * that a lost, doubled or moved byte shows. */
#include <stddef.h>
#include <stdint.h>

static uint64_t block_of(uint64_t seed, uint64_t index) {
  uint64_t z = seed * 0x9e3779b97f4a7c15u + index * 0xbf58476d1ce4e5b9u + 1;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/* The `size` bytes from position `at` on. */
static void stream_fill(unsigned char *to, size_t size, uint64_t seed, uint64_t at) {
  uint64_t block = block_of(seed, at / 8);
  for (size_t i = 0; i < size; i++, at++) {
    if (at % 8 == 0) block = block_of(seed, at / 8);
    to[i] = (unsigned char)(block >> (at % 8 * 8));
  }
}

/* True when `from` holds the bytes from position `at` on. */
static int stream_same(const unsigned char *from, size_t size, uint64_t seed, uint64_t at) {
  uint64_t block = block_of(seed, at / 8);
  for (size_t i = 0; i < size; i++, at++) {
    if (at % 8 == 0) block = block_of(seed, at / 8);
    if (from[i] != (unsigned char)(block >> (at % 8 * 8))) return 0;
  }
  return 1;
}

/* Preloaded into the build: the QuickJS snapshot holds a random state and a time origin, so without fixed ones every build differs. */
#include <string.h>
#include <sys/types.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
  (void)clock;
  now->tv_sec = 1000000;
  now->tv_nsec = 0;
  return 0;
}

ssize_t getrandom(void *out, size_t bytes, unsigned flags) {
  (void)flags;
  memset(out, 7, bytes);
  return (ssize_t)bytes;
}

/*
 * A machine that fails on demand, preloaded into a gateway: the k-th write or fsync of a file whose path holds
 * WEIR_FAULT_FILE fails with an errno, and from then on every one, until it is cured; the wall clock is off by as many
 * seconds as it is told. While it hangs, a write or fsync of such a file does not return. The test and the gateway share the file WEIR_FAULT_CONTROL.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* As test/fault/faulty-machine.ts reads and writes it: eight words. */
struct control {
  _Atomic int32_t writes;      /* seen so far */
  _Atomic int32_t syncs;       /* seen so far */
  _Atomic int32_t write_left;  /* this many more succeed; negative: no limit */
  _Atomic int32_t sync_left;
  _Atomic int32_t error;       /* the errno of a fault */
  _Atomic int32_t faults;      /* how many calls have failed */
  _Atomic int32_t clock;       /* seconds */
  _Atomic int32_t hang;        /* not zero: nothing returns */
};

static struct control *control;
static const char *names;

__attribute__((constructor)) static void start(void) {
  const char *path = getenv("WEIR_FAULT_CONTROL");
  names = getenv("WEIR_FAULT_FILE");
  if (path == NULL || names == NULL) return;
  int fd = open(path, O_RDWR);
  if (fd < 0) abort();
  void *shared = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (shared == MAP_FAILED) abort();
  close(fd);
  control = shared;
}

/* Does the path behind a descriptor hold the name? */
static int is_ours(int fd) {
  if (control == NULL) return 0;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return strstr(path, names) != NULL;
}

/* 1: this call fails, with errno set. */
static int fails(_Atomic int32_t *seen, _Atomic int32_t *left) {
  atomic_fetch_add(seen, 1);
  while (atomic_load(&control->hang) != 0) usleep(1000);
  int32_t before = atomic_load(left);
  while (before > 0 && !atomic_compare_exchange_weak(left, &before, before - 1)) {}
  if (before != 0) return 0;
  atomic_fetch_add(&control->faults, 1);
  errno = atomic_load(&control->error);
  return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRITE_FAILS(fd) (is_ours(fd) && fails(&control->writes, &control->write_left))
#define SYNC_FAILS(fd) (is_ours(fd) && fails(&control->syncs, &control->sync_left))

ssize_t write(int fd, const void *bytes, size_t size) {
  return WRITE_FAILS(fd) ? -1 : REAL(write)(fd, bytes, size);
}
ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) {
  return WRITE_FAILS(fd) ? -1 : REAL(pwrite)(fd, bytes, size, at);
}
ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at) {
  return WRITE_FAILS(fd) ? -1 : REAL(pwrite64)(fd, bytes, size, at);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
  return WRITE_FAILS(fd) ? -1 : REAL(writev)(fd, parts, count);
}
int ftruncate(int fd, off_t size) {
  return WRITE_FAILS(fd) ? -1 : REAL(ftruncate)(fd, size);
}
int ftruncate64(int fd, off64_t size) {
  return WRITE_FAILS(fd) ? -1 : REAL(ftruncate64)(fd, size);
}
int fsync(int fd) {
  return SYNC_FAILS(fd) ? -1 : REAL(fsync)(fd);
}
int fdatasync(int fd) {
  return SYNC_FAILS(fd) ? -1 : REAL(fdatasync)(fd);
}

static time_t clock_offset(void) {
  return control == NULL ? 0 : atomic_load(&control->clock);
}

int clock_gettime(clockid_t id, struct timespec *now) {
  int result = REAL(clock_gettime)(id, now);
  if (id == CLOCK_REALTIME) now->tv_sec += clock_offset();
  return result;
}
int gettimeofday(struct timeval *now, void *zone) {
  int result = REAL(gettimeofday)(now, zone);
  now->tv_sec += clock_offset();
  return result;
}

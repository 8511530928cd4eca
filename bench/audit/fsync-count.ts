/** Counts what a run flushes to the disk: a few lines of C that stand before fsync and fdatasync, where a compiler is at hand. */
import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const COUNTER = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
static long *counts;
__attribute__((constructor)) static void begin(void) {
  int file = open(getenv("BENCH_FSYNC_FILE"), O_RDWR);
  counts = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
}
static int call(const char *name, int file) {
  if (counts != MAP_FAILED) __sync_fetch_and_add(counts, 1);
  return ((int (*)(int))dlsym(RTLD_NEXT, name))(file);
}
int fsync(int file) { return call("fsync", file); }
int fdatasync(int file) { return call("fdatasync", file); }
`;

/** The environment in which a run of this benchmark is counted; null: there is no C compiler. */
export function countingEnvironment(folder: string): Record<string, string> | null {
  const compiler = Bun.which("cc") ?? Bun.which("gcc");
  if (compiler === null || process.platform !== "linux") return null;
  const [source, library, file] = ["fsync.c", "fsync.so", "fsyncs"].map((name) => join(folder, name));
  if (source === undefined || library === undefined || file === undefined) return null;
  writeFileSync(source, COUNTER);
  const built = Bun.spawnSync([compiler, "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"]);
  if (built.exitCode !== 0) return null;
  const descriptor = openSync(file, "w");
  ftruncateSync(descriptor, 4096);
  closeSync(descriptor);
  return { LD_PRELOAD: library, BENCH_FSYNC_FILE: file };
}

/** How many there were so far in this process; null: nobody counts. */
export function fsyncs(): number | null {
  const file = process.env["BENCH_FSYNC_FILE"];
  return file === undefined ? null : Number(readFileSync(file).readBigInt64LE(0));
}

/** Waits for something, but not for ever. */

/** For the end of one part of the house. Each has shorter times of its own for what it waits for: this is for what was not thought of. */
const END_MS_MAX = 30_000;

/** Puts the end of a part on `stack`. One that takes longer is given up and named, and the others end all the same. */
export function deferEnd(
  stack: AsyncDisposableStack,
  part: string,
  end: () => Promise<unknown>,
  timeMsMax = END_MS_MAX,
): void {
  stack.defer(async () => void (await withinTime(end(), timeMsMax, `${part} did not end within ${timeMsMax} ms`)));
}

/** Settles as `work` does, or rejects with `message` when that takes longer. */
export async function withinTime<T>(work: Promise<T>, timeMs: number, message: string): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(message)), timeMs);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

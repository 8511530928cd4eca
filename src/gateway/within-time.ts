/** Waits for something, but not for ever. */

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

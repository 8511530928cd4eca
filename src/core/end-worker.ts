/** The end of a Worker, which is not waited for without end. */

/** A Worker that is inside a call of the system (a disk that does not answer) can be ended only when that is over. */
const TERMINATE_MS_MAX = 1_000;

/** Lets a Worker end by itself, which `done` tells, for so long at most, and ends it then. Never rejects. */
export async function endWorker(
  worker: { terminate(): Promise<unknown> },
  done: Promise<unknown>,
  timeMsMax: number,
): Promise<void> {
  await settledWithin(done, timeMsMax);
  await settledWithin(worker.terminate(), TERMINATE_MS_MAX);
}

async function settledWithin(work: Promise<unknown>, timeMsMax: number): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, timeMsMax);
  await Promise.race([work.catch(() => undefined), late.promise]);
  clearTimeout(timer);
}

/** The end of processes that tests start: killed with all that they started, and not waited for without end. */

/** How long a program may take to end in order; below what a hook of a test may take. */
const STOP_TIME_MS_MAX = 180_000;
/** Of a log that an error shows. */
const LOG_CHARS_MAX = 20_000;
/** How long a stream may stay open when the process that wrote to it has ended; a busy machine reads it late. */
const OUTLIVED_TIME_MS_MAX = 30_000;

/**
 * Signals a process and waits for `ended`, which tells that it has gone. One that does not end is killed, and that is
 * said: a program that does not end when it is told to is a finding.
 */
export async function stopChild<T>(
  child: { kill(signal: NodeJS.Signals): void },
  about: {
    readonly name: string;
    readonly signal: NodeJS.Signals;
    readonly ended: Promise<T>;
    readonly log: () => string;
    readonly timeMsMax?: number;
  },
): Promise<T> {
  const { name, signal, ended, log, timeMsMax = STOP_TIME_MS_MAX } = about;
  let isKilled = false;
  const patience = setTimeout(() => {
    isKilled = true;
    child.kill("SIGKILL");
  }, timeMsMax);
  child.kill(signal);
  const result = await ended.finally(() => clearTimeout(patience));
  if (!isKilled) return result;
  throw new Error(
    `${name} did not end within ${timeMsMax} ms after ${signal} and was killed:\n${log().slice(-LOG_CHARS_MAX)}`,
  );
}

/** Kills all of the group that a process leads, i.e. one that was started as `detached`. */
export function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // All have ended.
  }
}

/**
 * Hands what a process writes to `take` and resolves at the end of the stream: to true, or to false when that is because
 * the process has ended and somebody else, whom it started, does not let go of the stream.
 */
export async function readToEnd(
  child: { readonly exited: Promise<unknown> },
  stream: ReadableStream<Uint8Array>,
  take: (chunk: Uint8Array) => void,
  outlivedTimeMsMax = OUTLIVED_TIME_MS_MAX,
): Promise<boolean> {
  const reader = stream.getReader();
  let isOver = false;
  let isOutlived = false;
  const giveUp = (): void => {
    if (isOver) return;
    isOutlived = true;
    void reader.cancel();
  };
  void child.exited.then(() => setTimeout(giveUp, outlivedTimeMsMax).unref());
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    take(value);
  }
  isOver = true;
  return !isOutlived;
}

/** The end of processes that tests start: killed with all that they started, and not waited for without end. */

/** How long a stream may stay open when the process that wrote to it has ended; a busy machine reads it late. */
const OUTLIVED_TIME_MS_MAX = 30_000;

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

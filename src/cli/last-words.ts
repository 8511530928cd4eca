/** The last words of a command that ran until it was told to end: it does not stay for their sake. */
import type { ExitStatus } from "./command.ts";

const LAST_WORDS_MS_MAX = 2_000;

/**
 * Ends the process soon, also when its output is not read: whoever reads it may have stopped without going. To be called
 * when there is nothing left to lose but words.
 */
export function endSoon(status: ExitStatus): ExitStatus {
  setTimeout(() => process.exit(status), LAST_WORDS_MS_MAX);
  return status;
}

/** What was thrown, in words: anything can be, not only errors. */

/** Never empty for an error. What failed while something that had failed was cleaned up comes after that, in the order in which it happened. */
export function messageOf(error: unknown): string {
  if (error instanceof SuppressedError) return `${messageOf(error.suppressed)}; ${messageOf(error.error)}`;
  if (!(error instanceof Error)) return String(error);
  return error.message === "" ? error.name : error.message;
}

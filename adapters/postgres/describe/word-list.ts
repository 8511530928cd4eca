/** Lists of names as they are best read and compared in a source: words in lines. */

/** The words of some lines, each once. */
export function wordSet(...texts: readonly string[]): ReadonlySet<string> {
  const words = texts.flatMap((text) => text.split("\n").flatMap((line) => line.split(" ")));
  return new Set(words.filter((word) => word !== ""));
}

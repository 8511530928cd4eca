/** Where an error of a spliced text would be in the text that the client sent. */

export interface Positions {
  /** A server's error position in the spliced text (characters from 1) to that of the client's text. */
  toOriginal(position: number): number;
}

/** One replaced part, in characters from 0: what it was in the original, and how long it has become. */
export type ReplacedPart = { readonly start: number; readonly end: number; readonly newLength: number };

/** `parts` in order, without overlaps; `originalLength` in characters. A character is a code point, as the server counts. */
export function positionsOf(parts: readonly ReplacedPart[], originalLength: number): Positions {
  return {
    toOriginal(position: number): number {
      // The server says 0 when there is no position.
      if (position < 1) return 0;
      const at = position - 1;
      let growth = 0;
      for (const part of parts) {
        const newStart = part.start + growth;
        if (at < newStart) break;
        if (at < newStart + part.newLength) return part.start + 1;
        growth += part.newLength - (part.end - part.start);
      }
      // An error at the end of the text is one character behind the last.
      return Math.min(at - growth, originalLength) + 1;
    },
  };
}

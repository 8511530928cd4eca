/** The content masks that an obligation asks for, made once for each. */
import type { ContentMask } from "../core/content.ts";
import type { MaskObligation } from "../core/obligation.ts";
import { DetectingMask } from "./content-mask.ts";

const made = new WeakMap<MaskObligation, ContentMask>();

/**
 * Null: the obligation says nothing of contents. `patternOf` gives the text of an author's pattern by its name. There is
 * no key here, so what is to be hashed is redacted.
 */
export function obligedContent(
  obligation: MaskObligation,
  patternOf: (name: string) => string | null,
): ContentMask | null {
  const { classifiers, patterns } = obligation;
  if (Object.keys(classifiers).length === 0 && Object.keys(patterns).length === 0) return null;
  let mask = made.get(obligation);
  if (mask === undefined) {
    const compiled = Object.entries(patterns).map(([name, transform]) => ({ text: patternOf(name), transform }));
    mask = new DetectingMask({ classifiers, patterns: compiled, hashKey: null });
    made.set(obligation, mask);
  }
  return mask;
}

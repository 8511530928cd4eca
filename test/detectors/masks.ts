/** Content masks for tests of what uses them. */
import type { ContentMask } from "../../src/core/content.ts";
import type { MaskTransform } from "../../src/core/obligation.ts";
import { DetectingMask } from "../../src/mask/content-mask.ts";

/** `patterns` by their texts. */
export function contentMask(
  classifiers: Readonly<Record<string, MaskTransform>>,
  patterns: Readonly<Record<string, MaskTransform>> = {},
): ContentMask {
  const compiled = Object.entries(patterns).map(([text, transform]) => ({ text, transform }));
  return new DetectingMask({ classifiers, patterns: compiled, hashKey: null });
}

/** Compiles durations, sizes and rates, and says how they are written. */
import type { ProblemCode } from "../problems.ts";
import { DURATION_RULE, parseDuration, parseRate, parseSize, RATE_RULE, SIZE_RULE } from "./quantity.ts";

import { quote } from "./shape.ts";
import type { Path } from "./source.ts";

/** Where errors go. */
export type Reporter = { error(code: ProblemCode, path: Path, message: string, suggestion: string): void };

/** Milliseconds; null when nothing is written, and after an error. */
export function compileDuration(to: Reporter, text: string | undefined, path: Path): number | null {
  return text === undefined ? null : parsed(to, text, path, parseDuration(text), "duration", DURATION_RULE);
}

/** Bytes; null when nothing is written, and after an error. */
export function compileSize(to: Reporter, text: string | undefined, path: Path): number | null {
  return text === undefined ? null : parsed(to, text, path, parseSize(text), "size", SIZE_RULE);
}

/** Null when nothing is written, and after an error. */
export function compileRate(to: Reporter, text: string | undefined, path: Path): ReturnType<typeof parseRate> {
  return text === undefined ? null : parsed(to, text, path, parseRate(text), "rate", RATE_RULE);
}

function parsed<T>(to: Reporter, text: string, path: Path, value: T | null, what: string, rule: string): T | null {
  if (value === null) {
    const suggestion = rule.charAt(0).toUpperCase() + rule.slice(1);
    to.error("BAD_VALUE", path, `${quote(text)} is not a ${what}`, suggestion);
  }
  return value;
}

/** Tells a change that can only narrow from every other: an emergency deny must get in, whatever the tests say. */
import type { LoadedSet } from "../load.ts";

/**
 * Does `after` say all that `before` says, and besides it only guards without `except`? Decided by what the rules say:
 * more words in the vocabulary, other tests, descriptions and the order of things change nothing.
 */
export function onlyAddsGuards(before: LoadedSet, after: LoadedSet): boolean {
  for (const [id, said] of before.canonical) if (after.canonical.get(id) !== said) return false;
  return after.rules.every(
    (rule) => before.canonical.has(rule.id) || (rule.effect === "guard" && rule.except.length === 0),
  );
}

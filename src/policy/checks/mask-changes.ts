/** Masks that a target cannot keep as they are written, and what they come to there. */
import { listOf } from "../engine/phrase.ts";
import { masksOf } from "../engine/masks.ts";
import type { Rule } from "../engine/rule.ts";
import type { Problem } from "../problems.ts";
import { warningAt } from "./world.ts";
import type { World } from "./world.ts";

export function findChangedMasks(rule: Rule, world: World): readonly Problem[] {
  const targetsByChange = new Map<string, Set<string>>();
  for (const { name, adapter, settings } of world.reachOf(rule) ?? []) {
    const changesOf = world.vocabularies.get(adapter)?.maskChanges;
    // Of a target that only a catalog knows, how it masks is not known here.
    if (changesOf === undefined || settings === undefined || settings === null) continue;
    for (const { transform, predicates, classifiers, patterns } of masksOf(rule)) {
      const isOfContent = classifiers.length > 0 || patterns.length > 0;
      for (const { from, to, because } of changesOf(transform, predicates, settings, isOfContent)) {
        const change = `${from} becomes ${to}: ${because}`;
        const targets = targetsByChange.get(change) ?? new Set();
        targetsByChange.set(change, targets.add(name));
      }
    }
  }
  return [...targetsByChange].map(([change, targets]) =>
    warningAt(rule, "MASK_BECOMES_STRICTER", `${rule.id} on ${listOf([...targets].toSorted())}: ${change}`),
  );
}

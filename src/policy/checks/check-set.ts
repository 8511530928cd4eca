/** The checks of a whole set: what is not wrong, but surely not meant. */
import type { Vocabulary } from "../../core/vocabulary.ts";
import type { Catalog } from "../set/catalog.ts";
import type { Problem } from "../problems.ts";
import type { Rule } from "../engine/rule.ts";
import type { KnownTarget } from "../language/words.ts";
import { findMissingApprovers } from "./approvers.ts";
import { Candidates } from "./candidates.ts";
import { findIdleLimits } from "./limits.ts";
import { findChangedMasks } from "./mask-changes.ts";
import { findMaskConflicts } from "./mask-conflicts.ts";
import { Nothing } from "./nothing.ts";
import { findLoosePrograms } from "./programs.ts";
import { denies, ruleWithin } from "./rule-within.ts";
import { findShadowed } from "./shadowed.ts";
import { findUnreachable } from "./unreachable.ts";
import { findUnreadBlocked } from "./unread.ts";
import { World } from "./world.ts";

/** Warnings about rules that compiled without errors. `targets` null: none is known. */
export function checkSet(
  rules: readonly Rule[],
  vocabularies: readonly Vocabulary[],
  targets: readonly KnownTarget[] | null,
  catalog: Catalog,
): readonly Problem[] {
  const world = new World(vocabularies, targets, catalog);
  const permits = rules.filter((rule) => rule.effect === "permit");
  const guards = rules.filter((rule) => rule.effect === "guard");
  const names = [...world.vocabularies.keys()];
  const permitCandidates = new Candidates<Rule>(permits, names);
  const guardCandidates = new Candidates<Rule>(guards, names);
  const denying = new Candidates(guards.filter(denies), names);
  const opaque = permits.filter(({ allowOpaque }) => allowOpaque);
  const nothing = new Nothing(world);
  const problems: Problem[] = [];
  for (const rule of permits) {
    problems.push(...nothing.find(rule), ...findMissingApprovers(rule), ...findLoosePrograms(rule, world));
    problems.push(...findIdle(rule, [permitCandidates, guardCandidates], world));
    problems.push(...findUnreachable(rule, denying, world));
  }
  for (const rule of guards) {
    problems.push(...nothing.find(rule), ...findMissingApprovers(rule), ...findUnreadBlocked(rule, opaque, world));
    problems.push(...findIdle(rule, [guardCandidates], world));
  }
  problems.push(...findMaskConflicts(rules, world), ...rules.flatMap((rule) => findChangedMasks(rule, world)));
  if (world.isExhausted) problems.push(incomplete());
  return problems;
}

/** What a rule says in vain, because others that surely count wherever it does say it too. */
function findIdle(rule: Rule, candidates: readonly Candidates<Rule>[], world: World): readonly Problem[] {
  const [adapter = ""] = world.adaptersOf(rule);
  const vocabulary = world.vocabularies.get(adapter);
  const [block] = rule.blocks.get(adapter) ?? [];
  if (vocabulary === undefined || block === undefined || world.isExhausted) return [];
  const outers: Rule[] = [];
  for (const each of candidates) {
    for (const { rule: other } of each.of(block, vocabulary)) {
      if (other !== rule && world.mayLook() && ruleWithin(rule, other, world)) outers.push(other);
    }
  }
  return [...findShadowed(rule, outers, world), ...findIdleLimits(rule, outers)];
}

function incomplete(): Problem {
  return {
    severity: "warning",
    file: ".",
    line: null,
    column: null,
    code: "CHECKS_INCOMPLETE",
    message: "the set is too large to compare all of its rules, so not every one of them that has no effect is told",
    suggestion: "",
  };
}

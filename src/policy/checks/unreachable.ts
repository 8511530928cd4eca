/** Permits that permit nothing, because guards deny all of it. */
import { NameList } from "../engine/names.ts";
import { listOf } from "../engine/phrase.ts";
import type { Problem } from "../problems.ts";
import type { Block, GuardRule, PermitRule } from "../engine/rule.ts";
import type { KnownTarget } from "../language/words.ts";
import type { Candidates } from "./candidates.ts";
import { isBlockWithin, matcherWithin, standsWithin } from "./rule-within.ts";
import { warningAt } from "./world.ts";
import type { World } from "./world.ts";

/** Values of one key that are looked at one by one: each may be denied by another guard. */
const VALUES_MAX = 50;

/** `candidates` are of guards that deny. */
export function findUnreachable(
  permit: PermitRule,
  candidates: Candidates<GuardRule>,
  world: World,
): readonly Problem[] {
  const reach = world.reachOf(permit);
  const guards = new Set<GuardRule>();
  for (const adapter of world.adaptersOf(permit)) {
    const there = reach === null ? null : [...reach].filter((target) => target.adapter === adapter);
    for (const block of permit.blocks.get(adapter) ?? []) {
      const denying = guardsDenying(permit, block, adapter, there, candidates, world);
      if (denying === null) return [];
      for (const guard of denying) guards.add(guard);
    }
  }
  // That it matches nothing is said elsewhere.
  if (guards.size === 0) return [];
  const denying = listOf([...guards].map(({ id }) => id).toSorted());
  const message = `${permit.id} permits only what ${denying} ${guards.size === 1 ? "denies" : "deny"}`;
  return [warningAt(permit, "UNREACHABLE", message, "Remove it, or write an exception into the guard")];
}

/** The guards that together deny all that the block permits on these targets; null when something is left. */
function guardsDenying(
  permit: PermitRule,
  block: Block,
  adapter: string,
  targets: readonly KnownTarget[] | null,
  candidates: Candidates<GuardRule>,
  world: World,
): readonly GuardRule[] | null {
  const whole = guardsDenyingWhole(permit, block, adapter, targets, candidates, world);
  if (whole !== null) return whole;
  // A guard touches an access for any of its values: it is enough that each value is denied by some guard.
  for (const [at, matcher] of block.keys.entries()) {
    if (matcher.kind !== "names") continue;
    const { texts } = matcher.names;
    if (texts.length < 2 || texts.length > VALUES_MAX) continue;
    const all: GuardRule[] = [];
    const isDenied = texts.every((text) => {
      const keys = block.keys.with(at, { ...matcher, names: new NameList([text]) });
      const denying = guardsDenyingWhole(permit, { ...block, keys }, adapter, targets, candidates, world);
      all.push(...(denying ?? []));
      return denying !== null;
    });
    if (isDenied) return all;
  }
  return null;
}

function guardsDenyingWhole(
  permit: PermitRule,
  block: Block,
  adapter: string,
  targets: readonly KnownTarget[] | null,
  candidates: Candidates<GuardRule>,
  world: World,
): readonly GuardRule[] | null {
  const vocabulary = world.vocabularies.get(adapter);
  if (vocabulary === undefined || world.isExhausted) return null;
  const used: GuardRule[] = [];
  let left = targets;
  for (const { rule: guard } of candidates.of(block, vocabulary)) {
    if (!world.mayLook()) return null;
    if (!standsWithin(permit, guard, world)) continue;
    const matching = world.matching(guard.target);
    if (
      matching === null ? !matcherWithin(permit.target, guard.target) : !left?.some((target) => matching.has(target))
    ) {
      continue;
    }
    const blocks = guard.blocks.get(adapter) ?? [];
    if (!blocks.some((other) => isBlockWithin(block, other, permit, guard, adapter, world))) continue;
    used.push(guard);
    left = matching === null || left === null ? [] : left.filter((target) => !matching.has(target));
    if (left.length === 0) return used;
  }
  return null;
}

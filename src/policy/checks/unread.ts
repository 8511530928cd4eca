/**
 * Guards that keep permits from what cannot be read. Whatever is opaque may be what a guard names, so a guard applies to
 * it; that may be meant, or it takes from a permit what `allowOpaque` gives.
 */
import { masksOf } from "../engine/masks.ts";
import type { Problem } from "../problems.ts";
import type { Block, Exception, GuardRule, PermitRule } from "../engine/rule.ts";
import { mayMeet } from "./overlap.ts";
import { denies, setWithin, subjectWithin } from "./rule-within.ts";
import { placeOf, warningAt } from "./world.ts";
import type { World } from "./world.ts";

const LISTED_MAX = 3;
const THE_CLASS = "the class";

/** `opaque`: the permits that let through what cannot be read. */
export function findUnreadBlocked(guard: GuardRule, opaque: readonly PermitRule[], world: World): readonly Problem[] {
  if (!denies(guard) && !masksColumns(guard)) return [];
  const hit = opaque.filter((permit) => blocks(guard, permit, world));
  if (hit.length === 0) return [];
  const keys = world.adaptersOf(guard).flatMap((adapter) => (guard.blocks.get(adapter) ?? []).flatMap(unknownsIn));
  const unknown = [...new Set(keys)];
  const shown = hit.slice(0, LISTED_MAX).map(placeOf).join(", ");
  const more = hit.length > LISTED_MAX ? ` and ${hit.length - LISTED_MAX} more` : "";
  const are = unknown.length > 1 || unknown[0] !== THE_CLASS ? "are" : "is";
  const message = `${guard.id} denies whatever cannot be read: ${unknown.join(", ")} ${are} unknown there. It hits ${shown}${more}`;
  return [warningAt(guard, "BLOCKS_UNREAD", message, "Add `except: [{ unread: true, reason: ... }]`?")];
}

/** What is opaque has columns that no mask can be laid on. */
function masksColumns(guard: GuardRule): boolean {
  return (
    guard.mode === "enforce" &&
    masksOf(guard).some(
      ({ columns, fields, classifiers, patterns }) =>
        columns !== null || (fields === null && classifiers.length === 0 && patterns.length === 0),
    )
  );
}

function blocks(guard: GuardRule, permit: PermitRule, world: World): boolean {
  if (!world.mayLook() || !mayMeet(guard, permit, world)) return false;
  // What denies everything does not do so for what is unknown.
  const adapters = world.adaptersOf(guard).filter((adapter) => world.adaptersOf(permit).includes(adapter));
  const isBlind = adapters.some((adapter) =>
    (guard.blocks.get(adapter) ?? []).some((block) => unknownsIn(block).length > 0),
  );
  return isBlind && !guard.except.some((exception) => liftsUnread(exception, permit, world));
}

/** What the block wants to know of an access that nobody can know of an opaque one. */
function unknownsIn({ classes, keys, sessionKeys }: Block): readonly string[] {
  const unread = keys.filter((matcher) => !sessionKeys.includes(matcher)).map(({ key }) => key);
  return classes === null ? unread : [...unread, THE_CLASS];
}

function liftsUnread(exception: Exception, permit: PermitRule, world: World): boolean {
  if (exception.grant !== null || exception.condition !== null || exception.validUntilMs < permit.validUntilMs)
    return false;
  if (!exception.unread && exception.blocks !== null) return false;
  if (!subjectWithin(permit.subject, exception.subject)) return false;
  const matching = world.matching(exception.target);
  return matching === null || setWithin(world.reachOf(permit), matching);
}

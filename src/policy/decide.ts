/** Decides one operation: default deny, deny overrides, and the order of rules never matters. Pure. */
import type { Decision } from "../core/decision.ts";
import type { Access, Accesses, Operation } from "../core/operation.ts";
import type { Session, TimeMs } from "../core/session.ts";
import { deny } from "./denial.ts";
import type { Entry } from "./block-index.ts";
import type { RuleIndex, SessionRules } from "./index.ts";
import { blockAdmits, blockTouches, isValidAt, needsOnlySomePermit, NO, permitCovers } from "./match.ts";
import type { GuardRule, PermitRule } from "./rule.ts";

/** What stands for an operation that its adapter could not read and of which it says nothing more. */
const ANYTHING: Access = Object.freeze({ class: "administer", facts: Object.freeze({}), opaque: true });

/** The decision on an operation; the object may be shared with other operations. */
export function decide(index: RuleIndex, session: Session, operation: Operation, now: TimeMs): Decision {
  return judge(index, session, operation, now, false);
}

/**
 * May this identity open a session with this target? Yes when some permit could match in it (its keys of the session
 * cover the facts of `operation`) and no guard applies to the accesses of `operation` (its class is `connect`).
 */
export function mayConnect(index: RuleIndex, session: Session, operation: Operation, now: TimeMs): Decision {
  return judge(index, session, operation, now, true);
}

function judge(index: RuleIndex, session: Session, operation: Operation, now: TimeMs, isConnect: boolean): Decision {
  const rules = index.rulesFor(session);
  const accesses = judgedAccesses(operation);
  const permits = permitsOf(rules, accesses, now, isConnect);
  const [first, ...others] = permits ?? [];
  if (first === undefined || anyGuardApplies(rules, accesses, now)) {
    return deny(index, session, rules, accesses, now, isConnect);
  }
  return index.permitDecision([first, ...others]);
}

/** The accesses to judge: never none, and with an opaque one when the adapter did not understand everything. */
function judgedAccesses(operation: Operation): Accesses {
  const { accesses, understood } = operation;
  // An operation without accesses would be permitted by having nothing to permit.
  if (accesses.length === 0) return [ANYTHING];
  if (understood || accesses.some((access) => access.opaque === true)) return accesses;
  return [...accesses, ANYTHING];
}

/** The permits that carry the operation, sorted by id; null when an access is not permitted. */
function permitsOf(
  rules: SessionRules,
  accesses: Accesses,
  now: TimeMs,
  isConnect: boolean,
): readonly PermitRule[] | null {
  const carrying: Entry<PermitRule>[] = [];
  const admitting: Entry<PermitRule>[] = [];
  for (const access of accesses) {
    if (needsOnlySomePermit(access, isConnect)) {
      // The first that is valid stands for all that would do.
      const some = rules.permits.find(({ rule, block }) => isValidAt(rule, now) && blockAdmits(block, access));
      if (some === undefined) return null;
      admitting.push(some);
      continue;
    }
    const before = carrying.length;
    const found: Entry<PermitRule>[] = [];
    rules.permitIndex.findCovering(access, found);
    for (const entry of found) {
      if (isValidAt(entry.rule, now) && permitCovers(entry.rule, entry.block, access)) carrying.push(entry);
    }
    if (carrying.length === before) return null;
  }
  return inOrder(carrying.length > 0 ? carrying : admitting);
}

/** The rules of the entries, each once, sorted by id. */
function inOrder(entries: Entry<PermitRule>[]): readonly PermitRule[] {
  entries.sort((a, b) => a.order - b.order);
  const rules: PermitRule[] = [];
  for (const { rule } of entries) if (rules.at(-1) !== rule) rules.push(rule);
  return rules;
}

function anyGuardApplies(rules: SessionRules, accesses: Accesses, now: TimeMs): boolean {
  for (const access of accesses) {
    const found: Entry<GuardRule>[] = [];
    rules.guardIndex.findTouching(access, found);
    for (const { rule, block } of found) if (isValidAt(rule, now) && blockTouches(block, access) !== NO) return true;
  }
  return false;
}

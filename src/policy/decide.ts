/** Decides one operation: default deny, deny overrides, and the order of rules never matters. Pure. */
import type { Decision } from "../core/decision.ts";
import type { Access, Accesses, Operation } from "../core/operation.ts";
import type { Session, TimeMs } from "../core/session.ts";
import { deny } from "./denial.ts";
import type { RuleIndex, SessionRules } from "./index.ts";
import { blockTouches, isValidAt, needsOnlySomePermit, NO, permitCovers } from "./match.ts";
import type { PermitRule } from "./rule.ts";

/** What stands for an operation that its adapter could not read and of which it says nothing more. */
const ANYTHING: Access = Object.freeze({ class: "administer", facts: Object.freeze({}), opaque: true });

/** The decision on an operation; the object may be shared with other operations. */
export function decide(index: RuleIndex, session: Session, operation: Operation, now: TimeMs): Decision {
  return judge(index, session, operation, now, false);
}

/**
 * May this identity open a session with this target? Yes when some permit could match there and no guard applies to
 * the accesses of `operation` (its class is `connect`).
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
  const carrying: PermitRule[] = [];
  const isPermitted = accesses.map(() => false);
  let some: PermitRule | null = null;
  for (const candidate of rules.permits) {
    if (!isValidAt(candidate.rule, now)) continue;
    some ??= candidate.rule;
    let carries = false;
    for (let at = 0; at < accesses.length; at++) {
      const access = accesses[at];
      if (access === undefined || needsOnlySomePermit(access, isConnect) || !permitCovers(candidate, access)) continue;
      isPermitted[at] = true;
      carries = true;
    }
    if (carries) carrying.push(candidate.rule);
  }
  if (some === null) return null;
  for (let at = 0; at < accesses.length; at++) {
    const access = accesses[at];
    if (access === undefined || (isPermitted[at] !== true && !needsOnlySomePermit(access, isConnect))) return null;
  }
  return carrying.length === 0 ? [some] : carrying;
}

function anyGuardApplies(rules: SessionRules, accesses: Accesses, now: TimeMs): boolean {
  for (const candidate of rules.guards) {
    if (!isValidAt(candidate.rule, now)) continue;
    for (const access of accesses) {
      for (const block of candidate.blocks) if (blockTouches(block, access) !== NO) return true;
    }
  }
  return false;
}

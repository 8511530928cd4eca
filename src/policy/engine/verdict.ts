/** How rules stand to an access: time, action, condition, grants and exceptions together. */
import type { Given } from "../../core/given.ts";
import type { Access } from "../../core/operation.ts";
import type { Session, TimeMs } from "../../core/session.ts";
import { fittingExceptions } from "./entry.ts";
import type { FittingException, GuardEntry, PermitEntry } from "./entry.ts";
import type { RuleIndex } from "./index.ts";
import type { Condition } from "../language/condition.ts";
import { Inquiry } from "./inquiry.ts";
import { canLay, masksOf } from "./masks.ts";
import { blockCovers, blockTouches, MAYBE, namesAll, NO, YES } from "./match.ts";
import type { Verdict } from "./match.ts";
import { subjectMatches, targetMatches } from "./rule.ts";
import type { Block, Exception, PermitRule, Rule } from "./rule.ts";
import { timeVerdict } from "./when.ts";

/** Is it the permit's time, and is it awake? */
export function isLive(rule: PermitRule, inquiry: Inquiry): boolean {
  if (timeVerdict(rule, inquiry.now) !== YES) return false;
  return rule.activation === null || isAwake(rule, inquiry);
}

/** Does a live permit, by this block of it, surely permit the access, and can what it obliges be kept there? */
export function permitCovers({ rule, block }: PermitEntry, access: Access, inquiry: Inquiry): boolean {
  if (access.opaque === true && !rule.allowOpaque) return false;
  if (!blockCovers(block, access) || !namesAll(block, access) || !canLay(masksOf(rule), access)) return false;
  return rule.condition === null || conditionVerdict(rule.condition, access, inquiry) === YES;
}

/** How a guard, by this block of it, stands to the access. Only an exception that surely holds lifts it. */
export function guardTouches({ rule, block, except }: GuardEntry, access: Access, inquiry: Inquiry): Verdict {
  let verdict = timeVerdict(rule, inquiry.now);
  if (verdict === NO) return NO;
  verdict = least(verdict, blockTouches(block, access));
  if (verdict !== NO && rule.condition !== null) {
    const holds = conditionVerdict(rule.condition, access, inquiry);
    // What is opaque may be what the condition asks for.
    const isBlind = holds === NO && access.opaque === true && rule.condition.usesAccess;
    verdict = least(verdict, isBlind ? MAYBE : holds);
  }
  if (verdict === NO) return NO;
  for (const exception of except) if (lifts(exception, verdict, access, inquiry)) return NO;
  return verdict;
}

/** How a rule as a whole stands to an access in a session: a permit permits it for sure (YES) or not (NO). */
export function ruleMatch(
  index: RuleIndex,
  rule: Rule,
  access: Access,
  session: Session,
  now: TimeMs,
  given: Given,
): Verdict {
  const inquiry = new Inquiry(index.byId, session, now, given);
  if (rule.effect === "permit") return permits(rule, access, inquiry) ? YES : NO;
  const { identity, target } = session;
  if (!subjectMatches(rule.subject, identity) || !targetMatches(rule.target, target)) return NO;
  const except = fittingExceptions(rule, session, index.byId);
  let verdict: Verdict = NO;
  for (const block of rule.blocks.get(target.adapter) ?? []) {
    const next = guardTouches({ rule, block, except, order: 0 }, access, inquiry);
    if (next > verdict) verdict = next;
  }
  return verdict;
}

/** Does the permit, wherever it came from, permit the access in the session? */
function permits(rule: PermitRule, access: Access, inquiry: Inquiry): boolean {
  const { identity, target } = inquiry.session;
  if (!subjectMatches(rule.subject, identity) || !targetMatches(rule.target, target)) return false;
  if (!isLive(rule, inquiry)) return false;
  const blocks = rule.blocks.get(target.adapter) ?? [];
  return blocks.some((block) => permitCovers({ rule, block, order: 0 }, access, inquiry));
}

function isAwake(rule: PermitRule, inquiry: Inquiry): boolean {
  if (!inquiry.awake.has(rule)) return false;
  // A grant ends when it likes.
  inquiry.isVolatile = true;
  return true;
}

/** The truth of a condition; MAYBE when it cannot be told. */
export function conditionVerdict(condition: Condition, access: Access, inquiry: Inquiry): Verdict {
  if (condition.usesNow) inquiry.isVolatile = true;
  try {
    const holds = condition.evaluate(inquiry.session, access, inquiry.now);
    return holds === null ? MAYBE : holds ? YES : NO;
  } catch {
    return MAYBE;
  }
}

/** Does the exception surely hold, for an access that the guard would apply to with this verdict? */
export function lifts(
  { exception, granted }: FittingException,
  verdict: Verdict,
  access: Access,
  inquiry: Inquiry,
): boolean {
  if (exception.unread && verdict === YES) return false;
  if (!(inquiry.now < exception.validUntilMs)) return false;
  if (!exceptionCovers(exception, access, inquiry.session.target.adapter)) return false;
  if (exception.condition !== null && conditionVerdict(exception.condition, access, inquiry) !== YES) return false;
  return granted === null || permits(granted, access, inquiry);
}

/** What is opaque may be anything: an action covers it only when it says nothing of it, or means what is unread. */
function exceptionCovers({ blocks, unread, condition }: Exception, access: Access, adapter: string): boolean {
  const isBlind = access.opaque === true && !unread;
  if (isBlind && condition?.usesAccess === true) return false;
  if (blocks === null) return true;
  return (blocks.get(adapter) ?? []).some((block) => (isBlind ? saysNothing(block) : blockCovers(block, access)));
}

function saysNothing(block: Block): boolean {
  return block.classes === null && block.keys.length === 0;
}

function least(one: Verdict, other: Verdict): Verdict {
  return one < other ? one : other;
}

/** Decides one operation: default deny, deny overrides, and the order of rules never matters. Pure. */
import { NO_RULES } from "../../core/decision.ts";
import type { Decision, RuleId } from "../../core/decision.ts";
import { NOTHING_GIVEN } from "../../core/given.ts";
import type { Given } from "../../core/given.ts";
import { NO_OBLIGATIONS } from "../../core/obligation.ts";
import type { Obligations, Requirement, SessionObligation } from "../../core/obligation.ts";
import type { Access, Accesses, Operation } from "../../core/operation.ts";
import type { Session, TimeMs } from "../../core/session.ts";
import { deny, denyUnmasked } from "./denial.ts";
import type { Unmasked } from "./denial.ts";
import type { Entry, GuardEntry, PermitEntry } from "./entry.ts";
import type { RuleIndex, SessionRules } from "./index.ts";
import { Inquiry } from "./inquiry.ts";
import { MaskPlan } from "./masks.ts";
import { blockAdmits, needsOnlySomePermit, NO } from "./match.ts";
import { joinObligations, joinRequirements, joinSessions, meetSessions, obligationsOf } from "./merge.ts";
import { unmetRequirements } from "./requirements.ts";
import { requirementsOf } from "./rule.ts";
import { guardTouches, isLive, permitCovers } from "./verdict.ts";

/** What stands for an operation that its adapter could not read and of which it says nothing more. */
const ANYTHING: Access = Object.freeze({ class: "administer", facts: Object.freeze({}), opaque: true });

/** The decision on an operation; the object may be shared with other operations. */
export function decide(
  index: RuleIndex,
  session: Session,
  operation: Operation,
  now: TimeMs,
  given: Given = NOTHING_GIVEN,
): Decision {
  return judge(index, session, operation, now, given, false);
}

/**
 * May this identity open a session with this target? Yes when some permit could match in it (its keys of the session
 * cover the facts of `operation`) and no guard denies the accesses of `operation` (its class is `connect`). What must
 * hold for the session is the mildest that the permits which could match want of it, and all that guards want.
 */
export function mayConnect(
  index: RuleIndex,
  session: Session,
  operation: Operation,
  now: TimeMs,
  given: Given = NOTHING_GIVEN,
): Decision {
  return judge(index, session, operation, now, given, true);
}

function judge(
  index: RuleIndex,
  session: Session,
  operation: Operation,
  now: TimeMs,
  given: Given,
  isConnect: boolean,
): Decision {
  const inquiry = new Inquiry(index.byId, session, now, given);
  const rules = index.rulesFor(session);
  const accesses = judgedAccesses(operation);
  const permitted = findPermits(rules, accesses, inquiry, isConnect);
  const guarded = findGuards(rules, accesses, inquiry);
  if (permitted === null || guarded.isDenied) {
    return deny(index, inquiry, rules, accesses, isConnect, guarded.observed);
  }
  const bearing: readonly Bearing[] =
    guarded.bearing.length === 0 ? permitted.carrying : [...permitted.carrying, ...guarded.bearing];
  const masks = new MaskPlan();
  const unmasked = layMasks(masks, bearing);
  if (unmasked.length > 0) return denyUnmasked(unmasked, inquiry, guarded.observed);
  return conclude(index, inquiry, permitted, bearing, guarded.observed, masks);
}

/** The accesses to judge: never none, and with an opaque one when the adapter did not understand everything. */
function judgedAccesses(operation: Operation): Accesses {
  const { accesses, understood } = operation;
  // An operation without accesses would be permitted by having nothing to permit.
  if (accesses.length === 0) return [ANYTHING];
  if (understood || accesses.some((access) => access.opaque === true)) return accesses;
  return [...accesses, ANYTHING];
}

/** A block of a rule that bears on an access: a permit's that carries it, a guard's that requires or obliges. */
type Bearing = { readonly entry: Entry; readonly access: Access };

/* ---- what speaks for it ---- */

type Permitted = {
  readonly carrying: readonly Bearing[];
  /** For each access that needs only some permit, the first that would do. */
  readonly admitting: readonly PermitEntry[];
  /** Of a session that opens: what the permits want that could match in it. */
  readonly session: SessionObligation | null;
};

/** The permits that carry the operation; null when an access is not permitted. */
function findPermits(rules: SessionRules, accesses: Accesses, inquiry: Inquiry, isConnect: boolean): Permitted | null {
  const carrying: Bearing[] = [];
  const admitting: PermitEntry[] = [];
  let session: SessionObligation | null = null;
  for (const access of accesses) {
    if (!needsOnlySomePermit(access, isConnect)) {
      if (!addCarrying(rules, access, inquiry, carrying)) return null;
      continue;
    }
    const some = rules.permits.find((entry) => admits(entry, access, inquiry));
    if (some === undefined) return null;
    admitting.push(some);
    if (!isConnect) continue;
    const wanted = mildestSession(rules, access, inquiry);
    session = session === null ? wanted : joinSessions(session, wanted);
  }
  return { carrying, admitting, session };
}

function admits({ rule, block }: PermitEntry, access: Access, inquiry: Inquiry): boolean {
  return isLive(rule, inquiry) && blockAdmits(block, access);
}

/** Adds the permits that carry the access; false when there are none. Those that a grant woke replace all others. */
function addCarrying(rules: SessionRules, access: Access, inquiry: Inquiry, carrying: Bearing[]): boolean {
  const found: PermitEntry[] = [];
  rules.permitIndex.findCovering(access, found);
  const covering = found.filter((entry) => isLive(entry.rule, inquiry) && permitCovers(entry, access, inquiry));
  const isGranted = covering.some(({ rule }) => rule.activation !== null);
  for (const entry of covering) if (!isGranted || entry.rule.activation !== null) carrying.push({ entry, access });
  return covering.length > 0;
}

/** Which permits a session will use is not known when it opens: the mildest that all of them want. */
function mildestSession(rules: SessionRules, access: Access, inquiry: Inquiry): SessionObligation {
  return rules.permits
    .filter((entry) => admits(entry, access, inquiry))
    .map(({ rule }) => rule.obligations?.session ?? {})
    .reduce(meetSessions);
}

/* ---- what speaks against it ---- */

type Guarded = {
  readonly isDenied: boolean;
  /** What requires or obliges something. */
  readonly bearing: readonly Bearing[];
  /** Rules in observe mode that would apply, sorted. */
  readonly observed: readonly RuleId[];
};

function findGuards(rules: SessionRules, accesses: Accesses, inquiry: Inquiry): Guarded {
  const bearing: Bearing[] = [];
  const observed: GuardEntry[] = [];
  let isDenied = false;
  for (const access of accesses) {
    const found: GuardEntry[] = [];
    rules.guardIndex.findTouching(access, found);
    for (const entry of found) {
      if (guardTouches(entry, access, inquiry) === NO) continue;
      const { mode, consequence } = entry.rule;
      if (mode === "observe") observed.push(entry);
      else if (consequence.kind === "deny") isDenied = true;
      else bearing.push({ entry, access });
    }
  }
  return { isDenied, bearing, observed: observed.length === 0 ? NO_RULES : idsOf(inOrder(observed)) };
}

/* ---- what follows ---- */

/** Lays all masks; the guards whose masks could not be laid are returned. */
function layMasks(masks: MaskPlan, bearing: readonly Bearing[]): readonly Unmasked[] {
  const unmasked: Unmasked[] = [];
  for (const { entry, access } of bearing) {
    const unlaid = masks.lay(entry.rule, entry.block, access);
    // A permit whose masks cannot be laid does not carry the access in the first place.
    if (unlaid !== null && entry.rule.effect === "guard") unmasked.push({ guard: entry.rule, access, unlaid });
  }
  return unmasked;
}

/** Nothing denies it: what must hold, and what people must still do. */
function conclude(
  index: RuleIndex,
  inquiry: Inquiry,
  permitted: Permitted,
  bearing: readonly Bearing[],
  observed: readonly RuleId[],
  masks: MaskPlan,
): Decision {
  const obliging = inOrder(bearing.map(({ entry }) => entry));
  // What only lets in, beside permits that carry something, is not what the decision rests on; and it obliges nothing.
  const admitting = permitted.carrying.length > 0 ? [] : inOrder(permitted.admitting);
  const more = obligationsBeyond(masks, permitted.session);
  const make = (): Decision => decisionOn(index, inquiry, obliging, admitting, more, observed);
  if (inquiry.given !== NOTHING_GIVEN && obliging.some(({ rule }) => requirementsOf(rule).length > 0)) {
    inquiry.isVolatile = true;
    return make();
  }
  const about = more === NO_OBLIGATIONS ? "" : JSON.stringify(more);
  const lists = `${ordersOf(obliging)}|${ordersOf(admitting)}|${observed.join()}`;
  return index.shared(`${lists}|${inquiry.isVolatile ? "volatile" : ""}|${about}`, make);
}

/** What does not follow from the rules alone, because it depends on the accesses. */
function obligationsBeyond(masks: MaskPlan, session: SessionObligation | null): Obligations {
  const mask = masks.obligation;
  const isFree = session === null || Object.keys(session).length === 0;
  if (mask === null && isFree) return NO_OBLIGATIONS;
  return { ...(mask === null ? {} : { mask }), ...(isFree ? {} : { session }) };
}

function decisionOn(
  index: RuleIndex,
  inquiry: Inquiry,
  obliging: readonly Entry[],
  admitting: readonly Entry[],
  more: Obligations,
  observed: readonly RuleId[],
): Decision {
  let obligations = more;
  let requirements: readonly Requirement[] = [];
  for (const { rule } of obliging) {
    obligations = joinObligations(obligations, obligationsOf(rule));
    requirements = joinRequirements(requirements, requirementsOf(rule));
  }
  const { session, given, now } = inquiry;
  const [unmet, ...others] = unmetRequirements(requirements, session.identity, given, now, index.patterns);
  const rules = idsOf(inOrder([...obliging, ...admitting]));
  const base = { rules, observed, obligations, ...(inquiry.isVolatile ? { volatile: true as const } : {}) };
  const decision: Decision =
    unmet === undefined ? { kind: "permit", ...base } : { kind: "ask", ...base, requirements: [unmet, ...others] };
  return Object.freeze(decision);
}

/** The entries of different rules, sorted by the rules' ids. */
function inOrder<TEntry extends Entry>(entries: readonly TEntry[]): readonly TEntry[] {
  if (entries.length < 2) return entries;
  const sorted = entries.toSorted((a, b) => a.order - b.order);
  return sorted.filter(({ order }, at) => at === 0 || order !== sorted[at - 1]?.order);
}

function idsOf(entries: readonly Entry[]): readonly RuleId[] {
  return Object.freeze(entries.map(({ rule }) => rule.id));
}

function ordersOf(entries: readonly Entry[]): string {
  return entries.map(({ order }) => order).join();
}

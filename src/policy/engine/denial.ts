/** Says why an operation is denied: the rules, one sentence for people, and what to do about it. */
import { NO_RULES, refusal } from "../../core/decision.ts";
import type { Decision, RuleId } from "../../core/decision.ts";
import type { Access, Accesses } from "../../core/operation.ts";
import type { GuardEntry, PermitEntry } from "./entry.ts";
import type { RuleIndex, SessionRules } from "./index.ts";
import type { Inquiry } from "./inquiry.ts";
import type { Unlaid } from "./masks.ts";
import { blockAdmits, needsOnlySomePermit, NO, YES } from "./match.ts";
import { nearestMiss } from "./near-miss.ts";
import { listOf, nameOf, valuesOf, whatOf } from "./phrase.ts";
import type { GuardRule } from "./rule.ts";
import { guardTouches, isLive, permitCovers } from "./verdict.ts";
import { timeVerdict } from "./when.ts";

type Denied = Extract<Decision, { kind: "deny" }>;

/** How a guard came to apply, the surest first: by a match, by a fact that is unknown, only by an opaque access. */
const SURE = 0;
const UNSURE = 1;
const BLIND = 2;
type Through = typeof SURE | typeof UNSURE | typeof BLIND;
/** A guard that denies, with its sentence. */
type Applying = { readonly guard: GuardRule; readonly message: string; readonly through: Through };

/** A guard whose masks could not be laid on an access. */
export type Unmasked = { readonly guard: GuardRule; readonly access: Access; readonly unlaid: Unlaid };

/** The denial of an operation that some guard denies or some access of which is not permitted. */
export function deny(
  index: RuleIndex,
  inquiry: Inquiry,
  rules: SessionRules,
  accesses: Accesses,
  isConnect: boolean,
  observed: readonly RuleId[],
): Denied {
  const applying = applyingDenials(rules, accesses, inquiry);
  const ids = applying.length === 0 ? NO_RULES : applying.map(({ guard }) => guard.id);
  const missing = missingPermit(index, inquiry, rules, accesses, isConnect);
  const finish = (code: "denied" | "not_understood", message: string, hint: string): Denied =>
    denied(code, message, hint, ids, observed, inquiry);

  const sure = applying.find(({ through }) => through === SURE);
  if (sure !== undefined) return finish("denied", sure.message, ask(sure.guard));
  const unsure = applying.find(({ through }) => through === UNSURE);
  if (unsure !== undefined) {
    const hint =
      `${unsure.guard.id} looks at something that is not known here, so it applies. ${ask(unsure.guard)}`.trim();
    return finish("denied", unsure.message, hint);
  }
  if (missing !== null) return finish(missing.code, missing.message, missing.hint);
  const [blind] = applying;
  if (blind === undefined) {
    // Nothing speaks against it, yet it was to be denied: a fault of the engine's own, which refuses.
    return denied("internal", "the decision contradicts itself", "", NO_RULES, observed, inquiry);
  }
  const hint = `What cannot be read counts as able to do anything. ${ask(blind.guard)}`.trim();
  return finish("not_understood", `this cannot be read, so ${blind.guard.id} may apply: ${blind.message}`, hint);
}

/** The denial of an operation in which something would have to be masked, and it cannot be said how. */
export function denyUnmasked(unmasked: readonly Unmasked[], inquiry: Inquiry, observed: readonly RuleId[]): Denied {
  const ids = [...new Set(unmasked.map(({ guard }) => guard.id))].toSorted();
  const sorted = unmasked.toSorted((a, b) => (a.guard.id < b.guard.id ? -1 : 1));
  for (const { guard, unlaid } of sorted) {
    if (unlaid.column === null) continue;
    const message = `${guard.id} matches the column ${nameOf(unlaid.column)}, and none of its masks covers it`;
    return denied("internal", message, `This is a fault of the policy. ${ask(guard)}`.trim(), ids, observed, inquiry);
  }
  const readable = sorted.find(({ access }) => access.opaque !== true);
  const [first] = sorted;
  const guard = readable?.guard ?? first?.guard;
  const why = readable === undefined ? "this cannot be read, so" : "it is not known which columns this reads, so";
  const message = `${why} what ${guard?.id ?? ""} masks cannot be masked`;
  const check = readable === undefined ? "" : "Check the names of the columns: one of them is not known. ";
  const hint = `${check}${guard === undefined ? "" : ask(guard)}`.trim();
  return denied(readable === undefined ? "not_understood" : "denied", message, hint, ids, observed, inquiry);
}

function denied(
  code: "denied" | "not_understood" | "internal",
  message: string,
  hint: string,
  rules: readonly RuleId[],
  observed: readonly RuleId[],
  inquiry: Inquiry,
): Denied {
  const volatile = inquiry.isVolatile ? { volatile: true as const } : {};
  return { kind: "deny", rules, observed, ...volatile, refusal: refusal(code, message, { hint, rules }) };
}

/** Every guard that denies it, sorted by id, each with the surest of its reasons. */
function applyingDenials(rules: SessionRules, accesses: Accesses, inquiry: Inquiry): readonly Applying[] {
  const surest = new Map<number, Applying>();
  for (const access of accesses) {
    const found: GuardEntry[] = [];
    rules.guardIndex.findTouching(access, found);
    for (const entry of found) {
      const { rule: guard, order } = entry;
      if (guard.mode === "observe" || guard.consequence.kind !== "deny") continue;
      const verdict = guardTouches(entry, access, inquiry);
      if (verdict === NO) continue;
      const through = verdict === YES ? SURE : access.opaque === true ? BLIND : UNSURE;
      const known = surest.get(order);
      if (known === undefined || through < known.through) {
        surest.set(order, { guard, message: guard.consequence.message, through });
      }
    }
  }
  return [...surest].toSorted(([one], [other]) => one - other).map(([, applying]) => applying);
}

/* ---- what no rule permits ---- */

type Missing = { readonly code: "denied" | "not_understood"; readonly message: string; readonly hint: string };

/** What is said of the accesses that no permit covers; null when there are none. */
function missingPermit(
  index: RuleIndex,
  inquiry: Inquiry,
  rules: SessionRules,
  accesses: Accesses,
  isConnect: boolean,
): Missing | null {
  const live = rules.permits.filter(({ rule }) => isLive(rule, inquiry));
  const refused = accesses.filter((access) =>
    needsOnlySomePermit(access, isConnect)
      ? !live.some(({ block }) => blockAdmits(block, access))
      : !isPermitted(rules, access, inquiry),
  );
  const { target, identity } = inquiry.session;
  const readable = refused.find((access) => access.opaque !== true);
  if (readable !== undefined) {
    const isOfSession = needsOnlySomePermit(readable, isConnect);
    const waiting = hintOfWaiting(rules, readable, inquiry, isOfSession);
    if (live.length === 0) {
      const message = `no rule permits anything on ${nameOf(target.name)} to ${nameOf(identity.subject)} (${identity.kind})`;
      return { code: "denied", message, hint: waiting };
    }
    const vocabulary = index.vocabularies.get(target.adapter);
    const miss = vocabulary === undefined ? null : nearestMiss(live, readable, vocabulary, isOfSession);
    const hint = waiting !== "" || miss === null ? waiting : `${miss.rule} would, but for ${miss.what}.`;
    const why = isOfSession ? "" : namingWords(rules, readable, inquiry);
    return { code: "denied", message: `no rule permits ${whatOf(readable, vocabulary)}${why}`, hint };
  }
  if (refused.length === 0) return null;
  const message = `this cannot be read, and no rule permits on ${nameOf(target.name)} what cannot be read`;
  const hint = "Write it so that it can be read, or ask for a permit with allowOpaque.";
  return { code: "not_understood", message, hint };
}

function isPermitted(rules: SessionRules, access: Access, inquiry: Inquiry): boolean {
  const found: PermitEntry[] = [];
  rules.permitIndex.findCovering(access, found);
  return found.some((entry) => isLive(entry.rule, inquiry) && permitCovers(entry, access, inquiry));
}

/** Says which keys a permit must name, where some permit covers the access but for that. */
function namingWords(rules: SessionRules, access: Access, inquiry: Inquiry): string {
  const { named = [], facts } = access;
  if (named.length === 0 || !isPermitted(rules, { ...access, named: [] }, inquiry)) return "";
  const wanted = named.map((key) => {
    const values = listOf(valuesOf(facts[key]));
    return values === "" ? key : `${values} under ${key}`;
  });
  return `: it writes what is masked, so a permit must name ${wanted.join(" and ")}`;
}

/** A permit that would do, were it awake or its time: people can wait, or ask for a grant. */
function hintOfWaiting(rules: SessionRules, access: Access, inquiry: Inquiry, isOfSession: boolean): string {
  const found: PermitEntry[] = [];
  if (isOfSession) found.push(...rules.permits.filter(({ block }) => blockAdmits(block, access)));
  else rules.permitIndex.findCovering(access, found);
  const waiting = found.filter(({ rule }) => !isLive(rule, inquiry)).toSorted((a, b) => a.order - b.order);
  const fitting = isOfSession ? waiting : waiting.filter((entry) => permitCovers(entry, access, inquiry));
  const asleep = fitting.find(({ rule }) => timeVerdict(rule, inquiry.now) === YES);
  if (asleep !== undefined) return `${asleep.rule.id} would, once it is granted to you.`;
  const closed = fitting.find(({ rule }) => rule.window !== null && timeVerdict(rule, inquiry.now) === NO);
  if (closed === undefined || closed.rule.window === null) return "";
  return `${closed.rule.id} would, in its time: ${closed.rule.window.text}.`;
}

function ask(guard: GuardRule): string {
  return guard.contact === null ? "" : `Ask ${guard.contact}.`;
}

/** Says why an operation is denied: the rules, one sentence for people, and what to do about it. */
import { refusal } from "../core/decision.ts";
import type { Decision } from "../core/decision.ts";
import type { Access, Accesses } from "../core/operation.ts";
import type { Session, TimeMs } from "../core/session.ts";
import type { Entry } from "./block-index.ts";
import type { RuleIndex, SessionRules } from "./index.ts";
import { blockAdmits, blockTouches, isValidAt, needsOnlySomePermit, NO, permitCovers, YES } from "./match.ts";
import { nearestMiss } from "./near-miss.ts";
import { nameOf, whatOf } from "./phrase.ts";
import type { GuardRule, PermitRule } from "./rule.ts";

type Denied = Extract<Decision, { kind: "deny" }>;

/** How a guard came to apply, the surest first: by a match, by a fact that is unknown, only by an opaque access. */
const SURE = 0;
const UNSURE = 1;
const BLIND = 2;
type Through = typeof SURE | typeof UNSURE | typeof BLIND;
type Applying = { readonly guard: GuardRule; readonly through: Through };

/** The denial of an operation that some guard denies or some access of which is not permitted. */
export function deny(
  index: RuleIndex,
  session: Session,
  rules: SessionRules,
  accesses: Accesses,
  now: TimeMs,
  isConnect: boolean,
): Denied {
  const applying = applyingGuards(rules, accesses, now);
  const ids = applying.map(({ guard }) => guard.id);
  const finish = (code: "denied" | "not_understood", message: string, hint: string): Denied => ({
    kind: "deny",
    rules: ids,
    refusal: refusal(code, message, { hint, rules: ids }),
  });

  const sure = applying.find(({ through }) => through === SURE);
  if (sure !== undefined) return finish("denied", sure.guard.message, ask(sure.guard));
  const unsure = applying.find(({ through }) => through === UNSURE);
  if (unsure !== undefined) {
    const hint =
      `${unsure.guard.id} looks at something that is not known here, so it applies. ${ask(unsure.guard)}`.trim();
    return finish("denied", unsure.guard.message, hint);
  }
  const valid = rules.permits.filter(({ rule }) => isValidAt(rule, now));
  const refused = accesses.filter((access) =>
    needsOnlySomePermit(access, isConnect)
      ? !valid.some(({ block }) => blockAdmits(block, access))
      : !isPermitted(rules, access, now),
  );
  const target = nameOf(session.target.name);
  const readable = refused.find((access) => access.opaque !== true);
  if (readable !== undefined) {
    if (valid.length === 0) {
      const message = `no rule permits anything on ${target} to ${nameOf(session.identity.subject)} (${session.identity.kind})`;
      return finish("denied", message, "");
    }
    const isOfSession = needsOnlySomePermit(readable, isConnect);
    const vocabulary = index.vocabularies.get(session.target.adapter);
    const miss = vocabulary === undefined ? null : nearestMiss(valid, readable, vocabulary, isOfSession);
    const hint = miss === null ? "" : `${miss.rule} would, but for ${miss.what}.`;
    return finish("denied", `no rule permits ${whatOf(readable, vocabulary)}`, hint);
  }
  if (refused.length > 0) {
    const message = `this cannot be read, and no rule permits on ${target} what cannot be read`;
    return finish("not_understood", message, "Write it so that it can be read, or ask for a permit with allowOpaque.");
  }
  const [blind] = applying;
  if (blind === undefined) {
    // Nothing speaks against it, yet it was to be denied: a fault of the engine's own, which refuses.
    return { kind: "deny", rules: [], refusal: refusal("internal", "the decision contradicts itself") };
  }
  const hint = `What cannot be read counts as able to do anything. ${ask(blind.guard)}`.trim();
  return finish("not_understood", `this cannot be read, so ${blind.guard.id} may apply: ${blind.guard.message}`, hint);
}

/** Every guard that applies, sorted by id, each with the surest of its reasons. */
function applyingGuards(rules: SessionRules, accesses: Accesses, now: TimeMs): readonly Applying[] {
  const surest = new Map<GuardRule, { through: Through; order: number }>();
  for (const access of accesses) {
    const found: Entry<GuardRule>[] = [];
    rules.guardIndex.findTouching(access, found);
    for (const { rule, block, order } of found) {
      const verdict = isValidAt(rule, now) ? blockTouches(block, access) : NO;
      if (verdict === NO) continue;
      const through = verdict === YES ? SURE : access.opaque === true ? BLIND : UNSURE;
      const known = surest.get(rule);
      if (known === undefined || through < known.through) surest.set(rule, { through, order });
    }
  }
  return [...surest]
    .map(([guard, { through, order }]) => ({ guard, through, order }))
    .toSorted((a, b) => a.order - b.order);
}

function isPermitted(rules: SessionRules, access: Access, now: TimeMs): boolean {
  const found: Entry<PermitRule>[] = [];
  rules.permitIndex.findCovering(access, found);
  return found.some(({ rule, block }) => isValidAt(rule, now) && permitCovers(rule, block, access));
}

function ask(guard: GuardRule): string {
  return guard.contact === null ? "" : `Ask ${guard.contact}.`;
}

/** One block of a rule as it stands for a session: what the index files, and what is matched with accesses. */
import type { Session } from "../../core/session.ts";
import { subjectMatches, targetMatches } from "./rule.ts";
import type { Block, Exception, GuardRule, PermitRule, Rule } from "./rule.ts";

/** `order` is the rule's place among those of the set, which are sorted by id. */
export type PermitEntry = { readonly rule: PermitRule; readonly block: Block; readonly order: number };
export type GuardEntry = {
  readonly rule: GuardRule;
  readonly block: Block;
  readonly order: number;
  readonly except: readonly FittingException[];
};

export type Entry = PermitEntry | GuardEntry;

/** An exception whose subject and target fit a session; `granted` is the permit that it wants awake. */
export type FittingException = { readonly exception: Exception; readonly granted: PermitRule | null };

/** Does an exception fit a session at all? */
export function fits(exception: Exception, { identity, target }: Session): boolean {
  return subjectMatches(exception.subject, identity) && targetMatches(exception.target, target);
}

/** The exceptions of a guard that fit a session. One that wants a grant for what no grant wakes lifts nothing. */
export function fittingExceptions(
  guard: GuardRule,
  session: Session,
  rules: ReadonlyMap<string, Rule>,
): readonly FittingException[] {
  return guard.except.flatMap((exception): FittingException[] => {
    if (!fits(exception, session)) return [];
    if (exception.grant === null) return [{ exception, granted: null }];
    const granted = rules.get(exception.grant);
    return granted?.effect === "permit" && granted.activation !== null ? [{ exception, granted }] : [];
  });
}

/** How a change of policy is headed, for people and for programs: what changed, by which rules. */
import type { RuleId } from "../core/decision.ts";
import type { ChangeKind } from "../policy/compare/compare.ts";
import type { LoadedSide } from "./policy-sides.ts";

const LABEL_WIDTH = 8;

type Head = {
  readonly kind: ChangeKind;
  readonly widens: boolean;
  readonly rules: readonly RuleId[];
  readonly was: string;
  readonly is: string;
};

/** `LIMIT    support-reads (changed) (widens): rows 900, was rows 500`. */
export function changeHead({ kind, widens, rules, was, is }: Head, old: LoadedSide, young: LoadedSide): string {
  const names = rules.map((id) => `${id} (${ruleState(id, old, young)})`).join(", ");
  const by = names === "" ? "no rule" : names;
  if (kind === "access") {
    return widens ? `${"WIDENS".padEnd(LABEL_WIDTH)} ${by}: ${is}` : `${"NARROWS".padEnd(LABEL_WIDTH)} ${by}`;
  }
  return `${kind.toUpperCase().padEnd(LABEL_WIDTH)} ${by} (${widens ? "widens" : "narrows"}): ${is}, was ${was}`;
}

/** A rule with what became of it. */
export function ruleView(id: RuleId, was: LoadedSide, is: LoadedSide): object {
  const rule = [...is.set.rules, ...was.set.rules].find((each) => each.id === id);
  return { id, state: ruleState(id, was, is), file: rule?.file ?? null, line: rule?.line ?? null };
}

function ruleState(id: RuleId, was: LoadedSide, is: LoadedSide): "new" | "removed" | "changed" | "unchanged" {
  const [old, young] = [was.set.canonical.get(id), is.set.canonical.get(id)];
  if (old === undefined) return "new";
  if (young === undefined) return "removed";
  return old === young ? "unchanged" : "changed";
}

/** Columns that two rules mask differently: together they redact, which neither says. */
import type { MaskTransform } from "../../core/obligation.ts";
import { isGlob } from "../engine/glob.ts";
import { masksOf, transformOf } from "../engine/masks.ts";
import { joinTransforms } from "../engine/merge.ts";
import { listOf } from "../engine/phrase.ts";
import type { Problem } from "../problems.ts";
import type { Block, Rule } from "../engine/rule.ts";
import { mayMeet } from "./overlap.ts";
import { placeOf, warningAt } from "./world.ts";
import type { World } from "./world.ts";

const COLUMNS = "columns";
/** Columns of the catalog that are looked at, for the globs of masks. */
const LISTED_MAX = 5000;

/** How a rule masks a column. */
type Masking = { readonly rule: Rule; readonly transform: MaskTransform };
/** What a rule is in conflict with: one other rule, and the columns. */
type Conflict = { readonly one: Masking; readonly other: Masking; readonly columns: string[] };

/** At most one for a rule: of those that it is in conflict with, the first. */
export function findMaskConflicts(rules: readonly Rule[], world: World): readonly Problem[] {
  const masking = rules.filter(
    (rule) => masksOf(rule).length > 0 && !(rule.effect === "guard" && rule.mode === "observe"),
  );
  const conflicts = new Map<Rule, Conflict>();
  for (const adapter of world.vocabularies.keys()) {
    const there = masking.filter((rule) => world.adaptersOf(rule).includes(adapter));
    if (there.length < 2) continue;
    for (const column of columnsOf(there, adapter, world)) {
      const maskings: Masking[] = [];
      for (const rule of there) {
        if (!world.mayLook()) break;
        const transform = transformIn(rule, adapter, column);
        if (transform !== null) maskings.push({ rule, transform });
      }
      addConflicts(column, maskings, conflicts, world);
    }
  }
  return [...conflicts.values()].map(tell);
}

function addConflicts(
  column: string,
  maskings: readonly Masking[],
  conflicts: Map<Rule, Conflict>,
  world: World,
): void {
  for (const [at, other] of maskings.entries()) {
    const known = conflicts.get(other.rule);
    const one = maskings
      .slice(0, at)
      .find((each) => world.mayLook() && disagree(each, other) && mayCountTogether(each.rule, other.rule, world));
    if (one === undefined) continue;
    if (known === undefined) conflicts.set(other.rule, { one, other, columns: [column] });
    else if (known.one.rule === one.rule) known.columns.push(column);
  }
}

/** Is what results neither of the two? */
function disagree(one: Masking, other: Masking): boolean {
  const joined = format(joinTransforms(one.transform, other.transform));
  return joined !== format(one.transform) && joined !== format(other.transform);
}

function mayCountTogether(one: Rule, other: Rule, world: World): boolean {
  // What a grant woke stands in the place of what stands always.
  const arePermits = one.effect === "permit" && other.effect === "permit";
  if (arePermits && (one.activation === null) !== (other.activation === null)) return false;
  return mayMeet(one, other, world);
}

function transformIn(rule: Rule, adapter: string, column: string): MaskTransform | null {
  for (const block of rule.blocks.get(adapter) ?? []) {
    const transform = transformOf(masksOf(rule), block, column);
    if (transform !== null) return transform;
  }
  return null;
}

/** The columns that the rules name, and those of the catalog that their globs may stand for. */
function columnsOf(rules: readonly Rule[], adapter: string, world: World): ReadonlySet<string> {
  const columns = new Set<string>();
  const listed = new Set<string>();
  for (const rule of rules) {
    const lists = [...masksOf(rule).map((mask) => mask.columns), ...(rule.blocks.get(adapter) ?? []).map(listIn)];
    const texts = lists.flatMap((list) => list?.texts ?? []);
    for (const text of texts) if (!isGlob(text)) columns.add(text);
    if (!texts.some(isGlob)) continue;
    for (const { names } of world.catalogsOf(rule, adapter) ?? []) {
      for (const name of (Object.hasOwn(names, COLUMNS) ? names[COLUMNS] : undefined) ?? []) {
        if (listed.size < LISTED_MAX) listed.add(name);
      }
    }
  }
  return columns.union(listed);
}

function listIn({ keys }: Block) {
  const matcher = keys.find(({ key }) => key === COLUMNS);
  return matcher?.kind === "names" ? matcher.names : null;
}

function tell({ one, other, columns }: Conflict): Problem {
  const masks = `${other.rule.id} masks ${listOf(columns)} with ${format(other.transform)}`;
  const message = `${masks} and ${placeOf(one.rule)} with ${format(one.transform)}: where both apply it is redacted`;
  return warningAt(other.rule, "MASK_CONFLICT", message, "Let both say the same");
}

function format(transform: MaskTransform): string {
  if (transform.with !== "partial") return transform.with;
  return `partial (${transform.keepFirst} first, ${transform.keepLast} last)`;
}

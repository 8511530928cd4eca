/** Validates a policy folder for `weir check` and `weir policy check`: the same code path as the gateway's. */
import type { Target } from "../core/target.ts";
import type { Vocabulary } from "../core/vocabulary.ts";
import { loadPolicies } from "./load.ts";
import type { Problem } from "./problems.ts";
import type { KeepsNow, Seals } from "./language/words.ts";

/**
 * Every error and warning of the set, sorted by place. `targets` null: not known here, so their names are not checked;
 * `keepsNow` null: nothing is said about what this version keeps, `seals` null:
 * nothing about whether what is to be sealed can be.
 */
export async function checkPolicies(
  dir: string,
  vocabularies: readonly Vocabulary[],
  targets: readonly Target[] | null,
  keepsNow: KeepsNow = null,
  seals: Seals = null,
): Promise<readonly Problem[]> {
  return (await loadPolicies(dir, vocabularies, targets, keepsNow, seals)).problems;
}

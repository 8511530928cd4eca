/** What the real loader says of a policy set and makes of it, for tests. */
import { checkPolicies } from "../src/policy/check.ts";
import { loadPolicies } from "../src/policy/load.ts";
import type { LoadedSet } from "../src/policy/load.ts";
import { formatProblem, hasErrors } from "../src/policy/problems.ts";
import type { GuardRule, PermitRule } from "../src/policy/engine/rule.ts";
import { OTHER, rulesFile, setOf, TARGETS, TINY, withFolder } from "./policy-sets.ts";
import type { Files } from "./policy-sets.ts";

/** The lines that `weir policy check` would print for these files; `prepare` may add to the folder what is no plain file. */
export function problemsOf(files: Files, prepare: (dir: string) => void = () => {}): Promise<readonly string[]> {
  return withFolder(files, async (dir) => {
    prepare(dir);
    const problems = await checkPolicies(dir, [TINY, OTHER], TARGETS);
    // Sets of tests are often guards alone.
    return problems.filter(({ code }) => code !== "NOTHING_PERMITTED").map(formatProblem);
  });
}

/** What the real loader makes of these files, which have no errors. */
export function loadGood(files: Files): Promise<LoadedSet> {
  return withFolder(files, async (dir) => {
    const loaded = await loadPolicies(dir, [TINY, OTHER], TARGETS);
    if (hasErrors(loaded.problems)) throw new Error(loaded.problems.map(formatProblem).join("\n"));
    return loaded;
  });
}

/** The first permit, or the first guard, of a set with one rule, whose keys after its id are these lines. */
export async function permitOf(lines: readonly string[], more: Files = {}): Promise<PermitRule> {
  const { rules } = await loadGood(setOf({ ...more, "permits/a.yaml": oneRule("Permits", lines) }));
  const permit = rules.find((rule) => rule.effect === "permit");
  if (permit === undefined) throw new Error("no permit was loaded");
  return permit;
}

export async function guardOf(lines: readonly string[], more: Files = {}): Promise<GuardRule> {
  const { rules } = await loadGood(setOf({ ...more, "guards/a.yaml": oneRule("Guards", lines) }));
  const guard = rules.find((rule) => rule.effect === "guard");
  if (guard === undefined) throw new Error("no guard was loaded");
  return guard;
}

/** A file with one rule, `one`; its keys begin on line 5. */
export function oneRule(kind: "Permits" | "Guards", lines: readonly string[]): string {
  return rulesFile(kind, `  - id: one\n${lines.map((line) => `    ${line}\n`).join("")}`);
}

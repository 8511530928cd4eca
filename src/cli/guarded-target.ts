/** How the commands about masking get at a target: the configuration, the policies, the database. */
import { KEEPS, VOCABULARIES } from "../../adapters/index.ts";
import { databaseNameOf, settingsOf } from "../../adapters/postgres/databases.ts";
import type { PossibleMasks } from "../../adapters/postgres/prepare/expected.ts";
import type { CheckLine } from "../../adapters/postgres/prepare/check-line.ts";
import { guardedSettings, GuardedDatabase, ScriptFailed } from "../../adapters/postgres/prepare/guarded-database.ts";
import type { Administrator } from "../../adapters/postgres/prepare/guarded-database.ts";
import type { Config } from "../config/config.ts";
import { hintFor } from "../config/suggest.ts";
import type { Target } from "../core/target.ts";
import { RuleIndex } from "../policy/engine/index.ts";
import type { Rule } from "../policy/engine/rule.ts";
import { targetComparisons, targetTransforms } from "../policy/engine/session-masks.ts";
import { loadPolicies } from "../policy/load.ts";
import { CommandError, UsageError } from "./command.ts";
import { ownersDoor } from "./owners-door.ts";
import { policyProblemLines } from "./policy-problems.ts";

/** The option that names another database than the target's own. */
export const DATABASE_OPTION = {
  name: "database",
  value: "NAME",
  description: "another of the target's databases; the configured one when left out",
} as const;

/** Throws CommandError when the configuration has no such target. */
export function findTarget({ targets }: Config, name: string): Target {
  const target = targets.find((each) => each.name === name);
  if (target !== undefined) return target;
  const known = targets.map((each) => each.name);
  throw new CommandError(`there is no target ${name}${hintFor(name, known)}`, "weir targets list shows them.");
}

export type GuardedTarget = {
  /** Its name there. */
  readonly database: string;
  readonly guarded: GuardedDatabase;
};

/** Throws CommandError when the target is not in guarded mode, or has no such database. Close it at the end. */
export function openGuarded(config: Config, target: Target, asked: string | undefined, who: string): GuardedTarget {
  const settings = target.adapter === "postgres" ? settingsOf(target) : null;
  const guarded = guardedSettings(settings?.masking ?? null);
  if (settings === null || guarded === null) {
    throw new CommandError(
      `${target.name} is not in guarded mode`,
      "Give it masking: { mode: guarded, user: weir_governed, password: { env: NAME } } in the configuration.",
    );
  }
  const database = databaseNameOf(settings, asked ?? null);
  if (database === null) {
    throw new UsageError(
      `the target ${target.name} has no database ${asked ?? ""}`,
      "Its `databases` in the configuration lists them.",
    );
  }
  const clock = { now: () => Date.now() };
  return { database, guarded: new GuardedDatabase(ownersDoor(config, who), clock, target, database, guarded) };
}

/** What the policies could mask on a target. Throws CommandError when they have errors. */
export async function policyMasks(config: Config, target: Target): Promise<PossibleMasks> {
  const { rules, problems, author } = await loadPolicies(config.policies, VOCABULARIES, config.targets, KEEPS);
  const errors = problems.filter(({ severity }) => severity === "error");
  if (errors.length > 0) {
    const lines = policyProblemLines(errors, config.policies).join("\n      ");
    throw new CommandError(lines, "weir policy check shows all problems.");
  }
  return masksOn(target, rules, author.patterns);
}

/** As policyMasks(), of rules that were loaded without an error. */
export function masksOn(target: Target, rules: readonly Rule[], patterns: RuleIndex["patterns"]): PossibleMasks {
  const index = new RuleIndex(rules, VOCABULARIES, patterns);
  return {
    transforms: (accesses) => targetTransforms(index, target, accesses),
    comparisons: (accesses) => targetComparisons(index, target, accesses),
  };
}

/** Prepares the database with an administrator's rights; resolves to the lines of the check afterwards. Throws CommandError when the script fails. */
export async function applyPreparation(
  guarded: GuardedDatabase,
  possible: PossibleMasks,
  administrator: () => Promise<Administrator>,
): Promise<readonly CheckLine[]> {
  const script = await guarded.prepareScript(await guarded.expected(possible), { withPassword: true });
  await runScript(guarded, script, await administrator());
  return guarded.check(await guarded.expected(possible));
}

/** Throws CommandError when the script fails, which then has changed nothing. */
export async function runScript(guarded: GuardedDatabase, script: string, administrator: Administrator): Promise<void> {
  try {
    await guarded.run(script, administrator);
  } catch (error) {
    if (error instanceof ScriptFailed) {
      throw new CommandError(`nothing was changed: ${error.message}`, error.hint);
    }
    throw error;
  }
}

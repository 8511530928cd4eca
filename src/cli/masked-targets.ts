/** Which targets have columns that policy masks for somebody, and what `weir check` says of how they are masked. */
import { settingsOf } from "../../adapters/postgres/databases.ts";
import type { Config } from "../config/config.ts";
import type { Loaded } from "../config/load.ts";
import type { Problem } from "../config/problem.ts";
import type { Target } from "../core/target.ts";
import { messageOf } from "../core/message-of.ts";
import type { PossibleMasks } from "../../adapters/postgres/prepare/expected.ts";
import { masksOf } from "../policy/engine/masks.ts";
import { targetMatches } from "../policy/engine/rule.ts";
import type { Rule } from "../policy/engine/rule.ts";
import { openGuarded } from "./guarded-target.ts";

/** PostgreSQL targets that some rule with masks speaks of. */
export function maskedTargets(rules: readonly Rule[], targets: readonly Target[]): readonly Target[] {
  const masking = rules.filter(
    (rule) => masksOf(rule).length > 0 && !(rule.effect === "guard" && rule.mode === "observe"),
  );
  return targets.filter(
    (target) =>
      target.adapter === "postgres" &&
      masking.some((rule) => rule.blocks.has(target.adapter) && targetMatches(rule.target, target)),
  );
}

/** Of PostgreSQL targets. */
export function isGuarded(target: Target): boolean {
  return settingsOf(target).masking?.mode === "guarded";
}

/** What is not as it must be in the databases of a guarded target that are named in the configuration. */
export async function guardedProblems(
  config: Config,
  target: Target,
  possible: PossibleMasks,
  loaded: Loaded,
): Promise<readonly Problem[]> {
  const { database, databases } = settingsOf(target);
  const problems: Problem[] = [];
  for (const name of [database, ...databases.filter((each) => each !== "*" && each !== database)]) {
    const at = (severity: Problem["severity"], message: string): number =>
      problems.push(
        loaded.problemAt(
          severity,
          "NOT_GUARDED",
          ["targets", target.name, "masking"],
          `${target.name}, database ${name}: ${message}`,
        ),
      );
    const { guarded } = openGuarded(config, target, name, "weir check");
    try {
      for (const { ok, isVital, text, hint } of await guarded.check(await guarded.expected(possible))) {
        if (!ok) at(isVital ? "error" : "warning", `${text}. ${hint}`);
      }
    } catch (error) {
      at("error", messageOf(error));
    } finally {
      guarded.close();
    }
  }
  return problems;
}

/** One warning for each masked target whose database knows nothing of it. */
export function inlineWarnings(rules: readonly Rule[], config: Config, loaded: Loaded): readonly Problem[] {
  const inline = maskedTargets(rules, config.targets).filter((target) => !isGuarded(target));
  return inline.map(({ name }) =>
    loaded.problemAt(
      "warning",
      "INLINE_MASKING",
      ["targets", name, "masking"],
      `policy masks columns of ${name} inline, which is the weaker mode: nothing in the database stands behind it. ` +
        `For the other write masking: { mode: guarded, user: weir_governed, password: { env: NAME } } and run weir targets prepare ${name}`,
    ),
  );
}

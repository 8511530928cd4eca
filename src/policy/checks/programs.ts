/** Permits that name what runs and leave open with what. */
import { listOf } from "../engine/phrase.ts";
import type { Problem } from "../problems.ts";
import type { PermitRule } from "../engine/rule.ts";
import { warningAt } from "./world.ts";
import type { World } from "./world.ts";

export function findLoosePrograms(permit: PermitRule, world: World): readonly Problem[] {
  return world.adaptersOf(permit).flatMap((adapter) => {
    const keys = world.vocabularies.get(adapter)?.keys ?? {};
    return (permit.blocks.get(adapter) ?? []).flatMap((block) =>
      block.keys.flatMap((matcher) => {
        const missing = keys[matcher.key]?.looseWithout;
        if (missing === undefined || matcher.kind !== "names") return [];
        if (block.keys.some(({ key }) => key === missing)) return [];
        const message = `${permit.id} permits ${listOf(matcher.names.texts)} whatever the ${missing}`;
        return [warningAt(permit, "PROGRAM_WITHOUT_ARGV", message, `List the commands under ${missing}`)];
      }),
    );
  });
}

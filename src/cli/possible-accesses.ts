/** Everything that can be done on a target: as its adapter enumerates the catalog, else what the words of its protocol allow. */
import { ADAPTERS, VOCABULARIES } from "../../adapters/index.ts";
import type { Access } from "../core/operation.ts";
import type { CatalogTarget, PolicyTools } from "../core/policy-tools.ts";
import type { Target } from "../core/target.ts";
import type { PossibleAccesses } from "../policy/compare/diff.ts";
import type { Rule } from "../policy/engine/rule.ts";
import { mixtures } from "../policy/compare/vocabulary-accesses.ts";

/** `rules`: those that will decide; only what they tell apart is told apart where the adapter enumerates nothing. */
export function possibleAccesses(
  target: Target,
  catalog: CatalogTarget | null,
  rules: readonly Rule[],
): PossibleAccesses {
  const tools = ADAPTERS.find(({ name }) => name === target.adapter)?.policy;
  if (tools?.enumerate !== undefined && catalog !== null && catalog.detail !== null) {
    return { accesses: tools.enumerate(catalog), connects: connectsOf(tools, catalog), untried: null };
  }
  const vocabulary = VOCABULARIES.find(({ name }) => name === target.adapter);
  if (vocabulary === undefined) return { accesses: [], connects: [], untried: `nothing is known of ${target.adapter}` };
  const { accesses, connects, isWhole } = mixtures(vocabulary, rules, catalog?.names ?? {});
  // An adapter that can enumerate knows more than its words say.
  if (tools?.enumerate !== undefined) {
    return { accesses, connects, untried: "it has no catalog: run weir policy catalog pull" };
  }
  return {
    accesses,
    connects,
    untried: isWhole ? null : `some mixtures of the ${Object.keys(vocabulary.keys).length} keys`,
  };
}

/** Sessions with each part of the target that the catalog knows, and with the one that a client gets who names none. */
function connectsOf(tools: PolicyTools, catalog: CatalogTarget): readonly Access[] {
  const vocabulary = VOCABULARIES.find(({ name }) => name === catalog.adapter);
  const keys = Object.entries(vocabulary?.keys ?? {}).filter(([, { ofSession }]) => ofSession === true);
  const places = keys.flatMap(([key]) => catalog.names[key] ?? []);
  return [null, ...places].map((place) => tools.connect(catalog, { place }));
}

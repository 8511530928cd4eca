/** Holds the names of a rule against the catalog: a relation that no target of the rule has is a mistake. */
import type { CatalogTarget } from "../../core/policy-tools.ts";
import { isGlob } from "../engine/glob.ts";
import { NameList } from "../engine/names.ts";
import type { Scope } from "./rule-scope.ts";
import { quote } from "./shape.ts";
import type { Member } from "./words.ts";

/** What a catalog says of one key of a target. */
type Known = { readonly listed: readonly string[]; readonly names: ReadonlySet<string>; readonly unlisted: NameList };

const KNOWN = new WeakMap<CatalogTarget, Map<string, Known>>();

/**
 * Reports literals that none of the rule's targets has. Says nothing where the catalog does not know all of them, and
 * nothing of globs, which may be meant for what is still to come.
 */
export function checkListed(scope: Scope, members: readonly Member[], key: string, adapter: string): void {
  const targets = scope.catalogTargets(adapter);
  const known = targets?.map((target) => knownNames(target, key)) ?? [];
  if (known.length === 0 || known.includes(null)) return;
  for (const { text, path } of members) {
    if (isGlob(text) || known.some((each) => each?.names.has(text) === true || each?.unlisted.has(text) === true))
      continue;
    const where = targets?.length === 1 ? `the target ${targets[0]?.name}` : `any of the ${targets?.length} targets`;
    const candidates = known.flatMap((each) => (each === null ? [] : each.listed));
    const message = `${quote(text)} is not among the ${key} of ${where}`;
    const suggestion =
      scope.words.suggestions.didYouMean(text, candidates) || "Run weir policy catalog pull if it is new";
    scope.error("UNKNOWN_NAME", path, message, suggestion);
  }
}

/** Null when nothing is known of the key's names. */
function knownNames(target: CatalogTarget, key: string): Known | null {
  const names = Object.hasOwn(target.names, key) ? target.names[key] : undefined;
  if (names === undefined) return null;
  let keys: Map<string, Known> | undefined = KNOWN.get(target);
  if (keys === undefined) {
    keys = new Map();
    KNOWN.set(target, keys);
  }
  let known = keys.get(key);
  if (known === undefined) {
    const unlisted = Object.hasOwn(target.unlisted, key) ? target.unlisted[key] : undefined;
    known = { listed: names, names: new Set(names), unlisted: new NameList(unlisted ?? []) };
    keys.set(key, known);
  }
  return known;
}

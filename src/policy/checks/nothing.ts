/** Rules and names that match nothing there is. */
import type { VocabularyKey } from "../../core/vocabulary.ts";
import type { CatalogTarget } from "../../core/policy-tools.ts";
import { Glob, isGlob } from "../engine/glob.ts";
import { listOf } from "../engine/phrase.ts";
import type { Problem } from "../problems.ts";
import type { Block, Rule } from "../engine/rule.ts";
import { globsMeet } from "./glob-meet.ts";
import { warningAt } from "./world.ts";
import type { World } from "./world.ts";

/** Globs times names of the catalog. */
const LOOKS_MAX = 1_000_000;

export class Nothing {
  readonly #world: World;
  #left = LOOKS_MAX;
  readonly #known = new Map<string, boolean>();

  constructor(world: World) {
    this.#world = world;
  }

  find(rule: Rule): readonly Problem[] {
    const matching = this.#world.matching(rule.target);
    const reach = this.#world.reachOf(rule);
    // That a rule matches no target at all is said where its target is compiled.
    if (matching !== null && matching.size > 0 && reach?.size === 0) return [speaksOfOthers(rule, [...matching])];
    const problems: Problem[] = [];
    for (const adapter of this.#world.adaptersOf(rule)) {
      const keys = this.#world.vocabularies.get(adapter)?.keys ?? {};
      for (const block of rule.blocks.get(adapter) ?? []) {
        const problem = contradiction(rule, block, keys) ?? this.#unlisted(rule, block, adapter, keys);
        if (problem !== null) problems.push(problem);
      }
    }
    return problems;
  }

  /** Globs that stand for no name that the catalog of the rule's targets lists. */
  #unlisted(rule: Rule, block: Block, adapter: string, keys: Readonly<Record<string, VocabularyKey>>): Problem | null {
    const catalogs = this.#world.catalogsOf(rule, adapter);
    if (catalogs === null) return null;
    for (const matcher of block.keys) {
      if (matcher.kind !== "names" || keys[matcher.key]?.kind !== "names") continue;
      const empty = matcher.names.texts.filter((text) => isGlob(text) && !this.#isListed(text, matcher.key, catalogs));
      if (empty.length === 0) continue;
      const where = catalogs.length === 1 ? `of ${catalogs[0]?.name}` : `of its ${catalogs.length} targets`;
      const message = `${rule.id}: no ${matcher.key} ${where} ${empty.length === 1 ? "is" : "are"} called ${listOf(empty)}`;
      return warningAt(rule, "MATCHES_NOTHING", message, "Run weir policy catalog pull if they are new");
    }
    return null;
  }

  /** Does some catalog list a name that the glob stands for? Yes when it is not known. */
  #isListed(text: string, key: string, catalogs: readonly CatalogTarget[]): boolean {
    return catalogs.some((catalog) => {
      const names = Object.hasOwn(catalog.names, key) ? catalog.names[key] : undefined;
      if (names === undefined) return true;
      const asked = `${catalog.digest} ${key} ${text}`;
      let isListed = this.#known.get(asked);
      if (isListed === undefined) {
        if ((this.#left -= names.length) < 0) return true;
        const glob = new Glob(text);
        const unlisted = Object.hasOwn(catalog.unlisted, key) ? catalog.unlisted[key] : undefined;
        isListed = names.some((name) => glob.matches(name)) || (unlisted ?? []).some((other) => globsMeet(text, other));
        this.#known.set(asked, isListed);
      }
      return isListed;
    });
  }
}

function speaksOfOthers(rule: Rule, targets: readonly { readonly name: string; readonly adapter: string }[]): Problem {
  const spoken = [...rule.blocks].filter(([, blocks]) => blocks.length > 0).map(([name]) => name);
  const spokenThere = [...new Set(targets.map(({ adapter }) => adapter))].toSorted();
  const message = `${rule.id} is about ${listOf(spoken)}, and its targets speak ${listOf(spokenThere)}`;
  return warningAt(rule, "MATCHES_NOTHING", message);
}

/** Verbs that never have the classes which the block also asks for. */
function contradiction(rule: Rule, { classes, keys }: Block, definitions: Readonly<Record<string, VocabularyKey>>) {
  if (classes === null) return null;
  for (const matcher of keys) {
    const classOf = definitions[matcher.key]?.classOf;
    if (classOf === undefined || matcher.kind !== "names") continue;
    const couldBe = matcher.names.texts.some((text) => {
      const each = Object.hasOwn(classOf, text) ? classOf[text] : undefined;
      return each === undefined || classes.has(each);
    });
    if (couldBe) continue;
    const message = `${rule.id}: what is ${listOf(matcher.names.texts)} is never of the class ${listOf([...classes])}`;
    return warningAt(rule, "MATCHES_NOTHING", message, `Leave out classes or ${matcher.key}`);
  }
  return null;
}

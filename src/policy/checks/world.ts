/** What the checks of a whole set know: vocabularies, the targets there are, and which of them each rule is about. */
import type { CatalogTarget } from "../../core/policy-tools.ts";
import type { Vocabulary } from "../../core/vocabulary.ts";
import type { Catalog } from "../set/catalog.ts";
import type { Problem, ProblemCode } from "../problems.ts";
import { targetMatches } from "../engine/rule.ts";
import type { Rule, TargetMatcher } from "../engine/rule.ts";
import type { KnownTarget } from "../language/words.ts";

/** Comparisons in one check of a set, a few tenths of a microsecond each. */
const LOOKS_MAX = 100_000;

/** Targets, each set of them once, so that what is asked of two sets is worked out once. */
export type TargetSet = ReadonlySet<KnownTarget>;

export class World {
  readonly vocabularies: ReadonlyMap<string, Vocabulary>;
  /** Null: none is known, so nothing can be said about them. */
  readonly targets: readonly KnownTarget[] | null;
  readonly #catalog: Catalog;
  readonly #matching = new Map<string, TargetSet>();
  readonly #narrowed = new Map<TargetSet, Map<string, TargetSet>>();
  readonly #within = new Map<TargetSet, Map<TargetSet, boolean>>();
  readonly #reach = new WeakMap<Rule, TargetSet>();
  readonly #adapters = new WeakMap<Rule, readonly string[]>();
  #looksLeft = LOOKS_MAX;

  constructor(vocabularies: readonly Vocabulary[], targets: readonly KnownTarget[] | null, catalog: Catalog) {
    this.vocabularies = new Map(vocabularies.map((vocabulary) => [vocabulary.name, vocabulary]));
    this.targets = targets;
    this.#catalog = catalog;
  }

  /** Asks for leave to compare; false once there were too many comparisons, and from then on. */
  mayLook(comparisons = 1): boolean {
    this.#looksLeft -= comparisons;
    return this.#looksLeft >= 0;
  }

  /** True when leave was refused: what was not compared was not said. */
  get isExhausted(): boolean {
    return this.#looksLeft < 0;
  }

  /** The targets that a matcher matches; null: none is known. */
  matching(matcher: TargetMatcher): TargetSet | null {
    const { targets } = this;
    if (targets === null) return null;
    const labels = matcher.labels.map(({ key, values }) => [key, ...values]);
    const written = JSON.stringify([matcher.names?.texts ?? null, labels]);
    return kept(this.#matching, written, () => new Set(targets.filter((target) => targetMatches(matcher, target))));
  }

  /** The targets that a rule matches and whose protocol it speaks of; null: none is known. */
  reachOf(rule: Rule): TargetSet | null {
    let reach = this.#reach.get(rule);
    if (reach === undefined) {
      const matching = this.matching(rule.target);
      if (matching === null) return null;
      const spoken = spokenBy(rule);
      const narrowed = kept(this.#narrowed, matching, () => new Map<string, TargetSet>());
      reach = kept(
        narrowed,
        spoken.join(),
        () => new Set([...matching].filter(({ adapter }) => spoken.includes(adapter))),
      );
      this.#reach.set(rule, reach);
    }
    return reach;
  }

  /** Are all of these targets among the others? */
  isWithin(inner: TargetSet, outer: TargetSet): boolean {
    const answers = kept(this.#within, inner, () => new Map<TargetSet, boolean>());
    return kept(answers, outer, () => inner.isSubsetOf(outer));
  }

  /** The catalogs of the rule's targets of one protocol; null when one of them has none. */
  catalogsOf(rule: Rule, adapter: string): readonly CatalogTarget[] | null {
    const reach = this.reachOf(rule);
    if (reach === null) return null;
    const catalogs: CatalogTarget[] = [];
    for (const target of reach) {
      if (target.adapter !== adapter) continue;
      const catalog = this.#catalog.targets.get(target.name);
      if (catalog === undefined) return null;
      catalogs.push(catalog);
    }
    return catalogs;
  }

  /** The protocols in which a rule can matter. */
  adaptersOf(rule: Rule): readonly string[] {
    let adapters = this.#adapters.get(rule);
    if (adapters === undefined) {
      const reach = this.reachOf(rule);
      const met = reach === null ? null : new Set([...reach].map(({ adapter }) => adapter));
      adapters = spokenBy(rule).filter((name) => met?.has(name) ?? true);
      this.#adapters.set(rule, adapters);
    }
    return adapters;
  }
}

function spokenBy(rule: Rule): readonly string[] {
  return [...rule.blocks].filter(([, blocks]) => blocks.length > 0).map(([name]) => name);
}

function kept<K, V>(values: Map<K, V>, key: K, make: () => V): V {
  let value = values.get(key);
  if (value === undefined) {
    value = make();
    values.set(key, value);
  }
  return value;
}

/** A warning at a rule. */
export function warningAt(rule: Rule, code: ProblemCode, message: string, suggestion = ""): Problem {
  const { file, line, column } = rule;
  return { severity: "warning", file, line, column, code, message, suggestion };
}

/** `id (file:line)`: a rule that a message speaks of beside its own. */
export function placeOf({ id, file, line }: Rule): string {
  return `${id} (${file}:${line})`;
}

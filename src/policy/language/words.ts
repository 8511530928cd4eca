/** The words that rules may use: adapters' vocabularies, the author's sets, groups and labels, and the targets there are. */
import type { KeptKind } from "../../core/obligation.ts";
import type { Target } from "../../core/target.ts";
import type { Vocabulary } from "../../core/vocabulary.ts";
import type { AuthorVocabulary } from "./author-vocabulary.ts";
import type { Catalog } from "../set/catalog.ts";
import { NameSets } from "../engine/names.ts";
import type { Problem } from "../problems.ts";
import type { ApprovalTimes, SetSettings } from "./set-settings.ts";
import { quote } from "./shape.ts";
import type { Path, Source } from "./source.ts";
import { Suggestions } from "./nearest.ts";

/** `settings` are left out where only a catalog knows the target. */
export type KnownTarget = Pick<Target, "name" | "labels" | "adapter"> & Partial<Pick<Target, "settings">>;

/** What adapters keep in this version, by the name of their vocabulary; null: not known here. */
export type KeepsNow = ReadonlyMap<string, readonly KeptKind[]> | null;

/** Does the configuration name anybody to seal recordings to? Null: not known here. */
export type Seals = boolean | null;

/** Everything a rule's words are looked up in. */
export class Words {
  readonly vocabularies: readonly Vocabulary[];
  /** Those of the configuration and of the catalog. Null: not known here, so nothing can be said about their names. */
  readonly targets: readonly KnownTarget[] | null;
  readonly author: AuthorVocabulary;
  readonly catalog: Catalog;
  readonly keepsNow: KeepsNow;
  readonly seals: Seals;
  readonly timeZone: string;
  readonly approvalTimes: ApprovalTimes;
  readonly groups: ReadonlyMap<string, string>;
  /** Allowed values by label; null values: any. Null as a whole: nothing is known of labels. */
  readonly labels: ReadonlyMap<string, ReadonlySet<string> | null> | null;
  readonly suggestions = new Suggestions();
  #members = 0;
  readonly #authorSets: NameSets;
  readonly #adapterSets = new Map<string, NameSets>();

  constructor(
    vocabularies: readonly Vocabulary[],
    targets: readonly KnownTarget[] | null,
    author: AuthorVocabulary,
    catalog: Catalog,
    settings: SetSettings,
    keepsNow: KeepsNow,
    seals: Seals = null,
  ) {
    this.vocabularies = vocabularies;
    this.targets = targets === null ? null : withCatalog(targets, catalog);
    this.author = author;
    this.catalog = catalog;
    this.keepsNow = keepsNow;
    this.seals = seals;
    this.timeZone = settings.timeZone;
    this.approvalTimes = settings.approvalTimes;
    this.groups = new Map(Object.entries(author.groups));
    this.labels = knownLabels(this.targets, author);
    const sets = Object.entries(author.sets);
    this.#authorSets = new NameSets(new Map(sets));
    for (const vocabulary of vocabularies) {
      this.#adapterSets.set(vocabulary.name, new NameSets(new Map([...Object.entries(vocabulary.sets), ...sets])));
    }
  }

  /** Counts names that a list takes in; false when all lists together hold too many. */
  mayHold(names: number): boolean {
    this.#members += names;
    return this.#members <= MEMBERS_MAX;
  }

  /** The sets that may stand in a list: an adapter's own and the author's, or only the author's (null). */
  sets(adapter: string | null): NameSets {
    return (adapter === null ? undefined : this.#adapterSets.get(adapter)) ?? this.#authorSets;
  }
}

/** The catalog knows targets of other gateways too; of the configured ones the configuration knows best. */
function withCatalog(targets: readonly KnownTarget[], catalog: Catalog): readonly KnownTarget[] {
  const names = new Set(targets.map(({ name }) => name));
  return [...targets, ...[...catalog.targets.values()].filter(({ name }) => !names.has(name))];
}

function knownLabels(targets: readonly KnownTarget[] | null, author: AuthorVocabulary): Words["labels"] {
  const labels = new Map<string, ReadonlySet<string> | null>();
  for (const target of targets ?? []) for (const key of Object.keys(target.labels)) labels.set(key, null);
  for (const [key, label] of Object.entries(author.labels)) labels.set(key, new Set(label.values));
  return targets === null && labels.size === 0 ? null : labels;
}

/** Names in all lists of a set's rules, with sets put in; a large set of rules has a hundred thousand. */
const MEMBERS_MAX = 2_000_000;

const SET_FAULTS = {
  cycle: "contains itself",
  deep: "has sets that are nested too deep",
  large: "has too many names in it, or too many sets",
};

/** A literal or glob of a list, with the path of the item that it came from. */
export type Member = { readonly text: string; readonly path: Path };

/** What an item of a list stands for, with sets put in. What cannot be expanded is reported and left out. */
export function expandItem(
  text: string,
  adapter: string | null,
  words: Words,
  source: Source,
  path: Path,
  problems: Problem[],
): readonly Member[] {
  return expandIn(text, words.sets(adapter), words, source, path, problems);
}

function expandIn(
  text: string,
  sets: NameSets,
  words: Words,
  source: Source,
  path: Path,
  problems: Problem[],
): readonly Member[] {
  const expanded = sets.expand(text);
  if (!("kind" in expanded)) {
    if (!words.mayHold(expanded.size)) {
      const message = `all lists together hold more than ${MEMBERS_MAX} names when their sets are put in`;
      problems.push(source.problem("TOO_LARGE", path, message, { suggestion: "Use globs, or split the set" }));
      return [];
    }
    return Array.from(expanded, (member) => ({ text: member, path }));
  }
  const set = quote(`$${expanded.set}`);
  if (expanded.kind === "unknown") {
    const suggestion =
      words.suggestions.didYouMean(`$${expanded.set}`, sets.known) || "Declare it in vocabulary.yaml under sets";
    problems.push(source.problem("UNKNOWN_SET", path, `there is no set ${set}`, { suggestion }));
  } else {
    const code = expanded.kind === "large" ? "TOO_LARGE" : "BAD_VALUE";
    problems.push(source.problem(code, path, `the set ${set} ${SET_FAULTS[expanded.kind]}`));
  }
  return [];
}

/** What is wrong with the vocabulary itself and with the labels of the configured targets. */
export function checkWords(words: Words, problems: Problem[]): void {
  const { author } = words;
  const { source } = author;
  if (source === null) return;
  const builtIn = new Set(words.vocabularies.flatMap((vocabulary) => Object.keys(vocabulary.sets)));
  const everySet = new NameSets(
    new Map([
      ...words.vocabularies.flatMap((vocabulary) => Object.entries(vocabulary.sets)),
      ...Object.entries(author.sets),
    ]),
  );
  for (const [name, members] of Object.entries(author.sets)) {
    const path = ["sets", name];
    if (builtIn.has(name)) {
      problems.push(
        source.problem("BAD_VALUE", path, `the set ${quote(`$${name}`)} is built in`, {
          at: "key",
          suggestion: "Choose another name",
        }),
      );
    }
    for (const [index, member] of members.entries())
      expandIn(member, everySet, words, source, [...path, index], problems);
  }
  for (const target of words.targets ?? []) {
    for (const [key, label] of Object.entries(author.labels)) {
      const value = Object.hasOwn(target.labels, key) ? target.labels[key] : undefined;
      const path = ["labels", key];
      if (value === undefined && label.required === true) {
        const message = `the target ${quote(target.name)} lacks the label ${quote(key)}, which is required`;
        problems.push(source.problem("TARGET_LABELS", path, message, { at: "key" }));
      } else if (value !== undefined && !label.values.includes(value)) {
        const message = `the target ${quote(target.name)} has ${key}: ${quote(value)}, which is not an allowed value`;
        problems.push(
          source.problem("TARGET_LABELS", path, message, {
            at: "key",
            suggestion: words.suggestions.didYouMean(value, label.values),
          }),
        );
      }
    }
  }
}

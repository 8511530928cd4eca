/** The words that rules may use: adapters' vocabularies, the author's sets, groups and labels, and the targets there are. */
import type { Target } from "../core/target.ts";
import type { Vocabulary } from "../core/vocabulary.ts";
import { NameSets } from "./names.ts";
import type { Problem } from "./problems.ts";
import { quote } from "./shape.ts";
import type { Path, Source } from "./source.ts";
import { didYouMean } from "./nearest.ts";

/** What `vocabulary.yaml` says, with the file itself for places. */
export type AuthorVocabulary = {
  readonly source: Source;
  readonly sets: Readonly<Record<string, readonly string[]>>;
  readonly groups: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, { readonly values: readonly string[]; readonly required?: boolean }>>;
};

export type KnownTarget = Pick<Target, "name" | "labels">;

/** Everything a rule's words are looked up in. */
export class Words {
  readonly vocabularies: readonly Vocabulary[];
  /** Null: not known here, so nothing can be said about names of targets. */
  readonly targets: readonly KnownTarget[] | null;
  readonly groups: ReadonlyMap<string, string>;
  /** Allowed values by label; null values: any. Null as a whole: nothing is known of labels. */
  readonly labels: ReadonlyMap<string, ReadonlySet<string> | null> | null;
  readonly #authorSets: NameSets;
  readonly #adapterSets = new Map<string, NameSets>();

  constructor(
    vocabularies: readonly Vocabulary[],
    targets: readonly KnownTarget[] | null,
    author: AuthorVocabulary | null,
  ) {
    this.vocabularies = vocabularies;
    this.targets = targets;
    this.groups = new Map(Object.entries(author?.groups ?? {}));
    this.labels = knownLabels(targets, author);
    const sets = Object.entries(author?.sets ?? {});
    this.#authorSets = new NameSets(new Map(sets));
    for (const vocabulary of vocabularies) {
      this.#adapterSets.set(vocabulary.name, new NameSets(new Map([...Object.entries(vocabulary.sets), ...sets])));
    }
  }

  /** The sets that may stand in a list: an adapter's own and the author's, or only the author's (null). */
  sets(adapter: string | null): NameSets {
    return (adapter === null ? undefined : this.#adapterSets.get(adapter)) ?? this.#authorSets;
  }
}

function knownLabels(targets: readonly KnownTarget[] | null, author: AuthorVocabulary | null): Words["labels"] {
  const labels = new Map<string, ReadonlySet<string> | null>();
  for (const target of targets ?? []) for (const key of Object.keys(target.labels)) labels.set(key, null);
  for (const [key, label] of Object.entries(author?.labels ?? {})) labels.set(key, new Set(label.values));
  return targets === null && labels.size === 0 ? null : labels;
}

/**
 * The members of a list of names with its sets put in, each with the path of the item it came from. What cannot be
 * expanded is reported and left out.
 */
export function expandList(
  texts: readonly string[],
  sets: NameSets,
  source: Source,
  path: Path,
  problems: Problem[],
): readonly { readonly text: string; readonly path: Path }[] {
  const members: { text: string; path: Path }[] = [];
  for (const [index, text] of texts.entries()) {
    const at = [...path, index];
    const expanded = sets.expand(text);
    if (!("kind" in expanded)) {
      for (const member of expanded) members.push({ text: member, path: at });
      continue;
    }
    const set = quote(`$${expanded.set}`);
    if (expanded.kind === "unknown") {
      const suggestion = didYouMean(`$${expanded.set}`, sets.known) || "Declare it in vocabulary.yaml under sets";
      problems.push(source.problem("UNKNOWN_SET", at, `there is no set ${set}`, { suggestion }));
    } else {
      const message =
        expanded.kind === "cycle" ? `the set ${set} contains itself` : `sets are nested too deep at ${set}`;
      problems.push(source.problem("BAD_VALUE", at, message));
    }
  }
  return members;
}

/** What is wrong with the vocabulary itself and with the labels of the configured targets. */
export function checkWords(words: Words, author: AuthorVocabulary, problems: Problem[]): void {
  const { source } = author;
  const builtIn = new Set(words.vocabularies.flatMap((vocabulary) => Object.keys(vocabulary.sets)));
  const everySet = new NameSets(
    new Map([
      ...words.vocabularies.flatMap((vocabulary) => Object.entries(vocabulary.sets)),
      ...Object.entries(author.sets),
    ]),
  );
  for (const [name, members] of Object.entries(author.sets)) {
    const path = ["sets", name];
    if (!isWord(name)) {
      problems.push(
        source.problem("BAD_VALUE", path, `${quote(name)} cannot name a set`, { at: "key", suggestion: WORD_RULE }),
      );
    }
    if (builtIn.has(name)) {
      problems.push(
        source.problem("BAD_VALUE", path, `the set ${quote(`$${name}`)} is built in`, {
          at: "key",
          suggestion: "Choose another name",
        }),
      );
    }
    expandList(members, everySet, source, path, problems);
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
          source.problem("TARGET_LABELS", path, message, { at: "key", suggestion: didYouMean(value, label.values) }),
        );
      }
    }
  }
}

const WORD_CHARS_MAX = 64;
export const WORD_RULE = `Use lower-case letters, digits and hyphens, at most ${WORD_CHARS_MAX}`;

/** Lower-case letters, digits and hyphens: names of rules and sets. */
export function isWord(text: string): boolean {
  if (text === "" || text.length > WORD_CHARS_MAX) return false;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    const isLetter = unit >= 0x61 && unit <= 0x7a;
    const isDigit = unit >= 0x30 && unit <= 0x39;
    if (!isLetter && !isDigit && unit !== 0x2d) return false;
  }
  return true;
}

/** `drop table public.orders`, as somebody would say it, in the words of the adapters: a verb or a class, and names. */
import { ACCESS_CLASSES } from "../../core/operation.ts";
import type { Access } from "../../core/operation.ts";
import type { Vocabulary, VocabularyKey } from "../../core/vocabulary.ts";
import { didYouMean } from "../language/nearest.ts";
import { valuesOf } from "../engine/phrase.ts";

/** An action by one adapter. */
export type AskedAction = {
  readonly vocabulary: Vocabulary;
  /** The key that has the verb, and the verb; null: a class was named. */
  readonly verb: { readonly key: string; readonly value: string } | null;
  /** Null: a verb was named, whatever its class. */
  readonly accessClass: string | null;
  readonly names: readonly string[];
};

/** The action in the words of each adapter that has them; a sentence when none has. */
export function readAction(
  text: string,
  vocabularies: readonly Vocabulary[],
): { readonly actions: readonly AskedAction[] } | { readonly problem: string; readonly suggestion: string } {
  const words = text.split(" ").filter((word) => word !== "");
  const found = vocabularies.flatMap((vocabulary) => verbsOf(vocabulary).map((verb) => ({ vocabulary, verb })));
  // The longest verb: `drop table` before `drop`.
  for (let count = words.length; count > 0; count--) {
    const said = words.slice(0, count).join(" ").toLowerCase();
    const names = words.slice(count);
    const verbs = found.filter(({ verb }) => verb.value.toLowerCase() === said);
    if (verbs.length > 0) {
      return { actions: verbs.map(({ vocabulary, verb }) => ({ vocabulary, verb, accessClass: null, names })) };
    }
    const accessClass = ACCESS_CLASSES.find((each) => each === said);
    if (accessClass !== undefined) {
      return { actions: vocabularies.map((vocabulary) => ({ vocabulary, verb: null, accessClass, names })) };
    }
  }
  const known = [...found.map(({ verb }) => verb.value), ...ACCESS_CLASSES];
  const suggestion = didYouMean(words.slice(0, 2).join(" "), known) || didYouMean(words[0] ?? "", known);
  return { problem: `no adapter has a verb for ${JSON.stringify(text)}`, suggestion };
}

/** Of what can be done on a target, what was asked about. */
export function isAsked(access: Access, { verb, accessClass, names }: AskedAction): boolean {
  if (accessClass !== null && access.class !== accessClass) return false;
  if (verb !== null && !valuesOf(access.facts[verb.key]).includes(verb.value)) return false;
  const values = new Set(Object.values(access.facts).flatMap((fact) => valuesOf(fact)));
  return names.every((name) => values.has(name));
}

/**
 * The access that was asked about, where nothing is known of what there is: each name stands under the first key of
 * names that can have one with so many segments.
 */
export function supposedAccess(action: AskedAction, accessClass: Access["class"]): Access | null {
  const facts: Record<string, readonly string[]> = {};
  if (action.verb !== null) facts[action.verb.key] = [action.verb.value];
  for (const name of action.names) {
    const key = keyOf(name, action.vocabulary, facts);
    if (key === null) return null;
    facts[key] = [name];
  }
  return { class: accessClass, facts };
}

function verbsOf(vocabulary: Vocabulary): readonly { readonly key: string; readonly value: string }[] {
  return Object.entries(vocabulary.keys).flatMap(([key, { kind, values = [] }]) =>
    kind === "enum" ? values.map((value) => ({ key, value })) : [],
  );
}

function keyOf(name: string, vocabulary: Vocabulary, taken: object): string | null {
  const free = Object.entries(vocabulary.keys).filter(
    ([key, { ofSession }]) => ofSession !== true && !Object.hasOwn(taken, key),
  );
  const fits = ([, { kind, segments }]: [string, VocabularyKey]): boolean => {
    if (kind === "path") return name.startsWith("/");
    return kind === "names" && (segments === undefined || segments.names.length === name.split(".").length);
  };
  return free.find(fits)?.[0] ?? null;
}

/** What could be done by a protocol of which only the words are known: every mixture of the values that some rules tell apart. */
import { ACCESS_CLASSES, UNKNOWN } from "../../core/operation.ts";
import type { Access, FactValue, Unknown } from "../../core/operation.ts";
import type { Vocabulary, VocabularyKey } from "../../core/vocabulary.ts";
import type { Block, KeyMatcher, Rule } from "../engine/rule.ts";
import { samplesOf, STRANGER, witnesses } from "./witness.ts";

const MIXTURES_MAX = 100_000;
/** Of what one block lists: values of a key, and mixtures of them. */
const LISTED_MAX = 20;
const AROUND_MAX = 500;

type Option = FactValue | Unknown | undefined;
export type Mixtures = {
  readonly accesses: readonly Access[];
  readonly connects: readonly Access[];
  readonly isWhole: boolean;
};

/**
 * Accesses in which each key has a value of every kind that the rules tell apart, is unknown, or is not there. Many of
 * them will never occur. `names`: what the catalog knows, by key. Not whole: there are too many, and only those are
 * there that some block of a rule speaks of, and what differs from them in one key.
 */
export function mixtures(
  vocabulary: Vocabulary,
  rules: readonly Rule[],
  names: Readonly<Record<string, readonly string[]>>,
): Mixtures {
  const blocks = rules.flatMap((rule) => blocksOf(rule, vocabulary.name));
  const matchers = blocks.flatMap(({ keys }) => keys);
  const keys = Object.entries(vocabulary.keys).map(([key, definition]): Key => {
    const own = matchers.filter((matcher) => matcher.key === key);
    const isOfSession = definition.ofSession === true;
    return { key, definition, isOfSession, options: optionsOf(definition, own, names[key] ?? []) };
  });
  const count = keys.reduce((product: number, { options }) => product * options.length, ACCESS_CLASSES.length);
  const isWhole = count <= MIXTURES_MAX;
  const facts = isWhole ? mixed(keys) : blocks.flatMap((block) => around(block, keys)).slice(0, MIXTURES_MAX);
  return {
    accesses: ACCESS_CLASSES.flatMap((each) => facts.map((fact): Access => ({ class: each, facts: fact }))),
    connects: mixed(keys.filter(({ isOfSession }) => isOfSession)).map((each): Access => ({
      class: "connect",
      facts: each,
    })),
    isWhole,
  };
}

type Key = {
  readonly key: string;
  readonly definition: VocabularyKey;
  readonly isOfSession: boolean;
  readonly options: readonly Option[];
};

/** What a block speaks of, and what differs from it in one key. */
function around({ keys: matchers }: Block, keys: readonly Key[]): readonly Mixed[] {
  const listed = matchers.flatMap((matcher) => {
    const definition = keys.find(({ key }) => key === matcher.key)?.definition;
    if (definition === undefined) return [];
    const options = optionsOf(definition, [matcher], []).filter(
      (option) => option !== undefined && isListed(matcher, option),
    );
    return [{ key: matcher.key, options: options.slice(0, LISTED_MAX) }];
  });
  const [first = {}, ...others] = mixed(listed).slice(0, AROUND_MAX);
  const varied = keys.flatMap(({ key, options }) =>
    options.map((option): Mixed => {
      const { [key]: _, ...rest } = first;
      return option === undefined ? rest : { ...rest, [key]: option };
    }),
  );
  return [first, ...others, ...varied];
}

function isListed(matcher: KeyMatcher, option: FactValue | Unknown): boolean {
  if (option === UNKNOWN) return false;
  if (matcher.kind === "flag") return option === matcher.value;
  if (typeof option === "boolean") return false;
  switch (matcher.kind) {
    case "names":
      return matcher.names.hasAny(option);
    case "argv":
      return matcher.argv.hasAny(option);
    case "contains":
      return matcher.texts.hasAny(option);
    case "fields":
      return matcher.fields.hasAny(option);
  }
}

function blocksOf(rule: Rule, adapter: string): readonly Block[] {
  const except = rule.effect === "guard" ? rule.except.flatMap(({ blocks }) => blocks?.get(adapter) ?? []) : [];
  return [...(rule.blocks.get(adapter) ?? []), ...except];
}

function optionsOf(
  definition: VocabularyKey,
  matchers: readonly KeyMatcher[],
  known: readonly string[],
): readonly Option[] {
  if (definition.kind === "flag") return [undefined, true, false];
  const texts = matchers.flatMap((matcher) => textsOf(matcher));
  switch (definition.kind) {
    case "argv":
      return [undefined, UNKNOWN, [STRANGER], ...texts.map((text) => text.split(" ").map(wordOf))];
    case "contains":
    case "fields":
      return [
        undefined,
        UNKNOWN,
        [STRANGER],
        ...texts.flatMap((text) => samplesOf(text).slice(0, 1)).map((text) => [text]),
      ];
    default: {
      const lists = matchers.flatMap((matcher) => (matcher.kind === "names" ? [matcher.names] : []));
      const there = new Set(definition.values ?? known);
      const possible = witnesses(lists, there).flatMap(({ name, alike }) => {
        // What is there stands for its class; of an enum nothing else is.
        const real = alike.find((each) => there.has(each));
        return real ?? (definition.values === undefined ? name : []);
      });
      return [undefined, UNKNOWN, ...possible.map((value) => [value])];
    }
  }
}

function textsOf(matcher: KeyMatcher): readonly string[] {
  switch (matcher.kind) {
    case "argv":
      return matcher.argv.texts;
    case "contains":
      return matcher.texts.texts;
    case "fields":
      return matcher.fields.texts;
    default:
      return [];
  }
}

/** A word that a word of a pattern matches: `{a,b}` is one of several. */
function wordOf(text: string): string {
  const [first = ""] = text.startsWith("{") ? text.slice(1, -1).split(",") : [text];
  return samplesOf(first)[0] ?? first;
}

type Mixed = Readonly<Record<string, FactValue | Unknown>>;

function mixed(keys: readonly { readonly key: string; readonly options: readonly Option[] }[]): readonly Mixed[] {
  let all: readonly Mixed[] = [{}];
  for (const { key, options } of keys) {
    all = all.flatMap((facts) =>
      options.map((option) => (option === undefined ? facts : Object.assign({}, facts, { [key]: option }))),
    );
  }
  return all;
}

/** The shape of the parts that permits and guards share: who, where, what and when. */
import * as v from "valibot";
import { ACCESS_CLASSES } from "../../core/operation.ts";
import type { Vocabulary, VocabularyKey } from "../../core/vocabulary.ts";
import { described, listOf, mapOf, maybe, name, names, object, someOf, text, yes } from "./schema-words.ts";

const EXCEPTIONS_MAX = 100;
/** A command has at most this many words in a rule. */
const ARGV_WORDS_MAX = 64;
/** A condition is a sentence, not a program. */
const CONDITION_CHARS_MAX = 2000;

export const SUBJECT_KINDS = ["human", "agent", "service"] as const;

const subject = object({
  any: maybe(yes, "Anybody: people, agents and services. Stands alone."),
  names: maybe(names, "Names of subjects: literals, globs, $sets."),
  groups: maybe(names, "Groups that vocabulary.yaml declares; one is enough."),
  kinds: maybe(someOf(SUBJECT_KINDS), "A permit without kinds is for humans; a guard without kinds is for everybody."),
  owners: maybe(names, "Owners of agents and services: literals, globs, $sets."),
});

const target = object({
  any: maybe(yes, "Every target. Stands alone."),
  names: maybe(names, "Names of targets: literals, globs, $sets."),
  labels: maybe(mapOf(names), "Labels that the target must have, each with one of the listed values."),
});

const condition = v.pipe(v.string(), v.minLength(1), v.maxLength(CONDITION_CHARS_MAX));

/** One shape for the three ways to write a window, so that each key is completed; which go together is meaning. */
export const windowBody = object({
  days: maybe(listOf(name), "mon, tue, wed, thu, fri, sat, sun; all of them when left out."),
  from: maybe(name, 'A time of day, such as "22:00".'),
  to: maybe(name, "A time of day; before `from`, it is of the next day."),
  tz: maybe(name, "IANA name of a time zone; the set's when left out."),
  outside: maybe(name, "$name of a window: whenever it is not. Stands alone."),
});

/** The schema of a value of one key of an adapter's vocabulary. */
function keySchema(key: VocabularyKey): v.GenericSchema {
  switch (key.kind) {
    case "flag":
      return v.boolean();
    case "enum":
      // A $set may stand among the values, so the values are what editors complete, and are checked by meaning.
      return key.values === undefined ? names : listOf(v.union([v.picklist(key.values), name]));
    case "argv":
      return listOf(listOf(v.union([name, names]), ARGV_WORDS_MAX));
    case "fields":
      return mapOf(names);
    case "names":
    case "path":
    case "contains":
      return names;
  }
}

function actionSchema(vocabularies: readonly Vocabulary[]) {
  const entries: Record<string, v.GenericSchema> = {
    any: maybe(yes, "Every operation of every adapter. Stands alone."),
    classes: maybe(someOf(ACCESS_CLASSES), "What an access does, in words that every protocol shares."),
  };
  for (const vocabulary of vocabularies) {
    const keys = Object.entries(vocabulary.keys).map(([key, definition]) => [
      key,
      maybe(keySchema(definition), definition.description),
    ]);
    entries[vocabulary.name] = maybe(
      object(Object.fromEntries(keys)),
      `Operations of the adapter ${vocabulary.name}; {} is any of them.`,
    );
  }
  const block = object(entries);
  return described(
    v.union([block, listOf(block)]),
    "One block, or several of which one must match. The keys of a block must all match.",
  );
}

/** The schemas of what rules and exceptions say, with the adapters' words in them. */
export function ruleParts(vocabularies: readonly Vocabulary[]) {
  const action = actionSchema(vocabularies);
  const conditional = {
    subject: v.exactOptional(subject),
    target: v.exactOptional(target),
    action: v.exactOptional(action),
    condition: maybe(
      condition,
      "A condition on subject, target, access and now; an error or a missing field is unknown.",
    ),
  };
  const exception = object({
    ...conditional,
    grant: maybe(name, "Id of a permit with activation: what it matches, while a grant for it is active."),
    unread: maybe(yes, "Whatever the guard would apply to only because something about it is not known."),
    validUntil: maybe(text, "An instant such as 2027-06-30T00:00:00Z; no longer an exception from then on."),
    reason: described(text, "Why this is let through: a ticket, an assessment, an agreement."),
  });
  const rule = {
    id: described(name, "Unique in the set: lower-case letters, digits and hyphens."),
    description: v.exactOptional(text),
    contact: maybe(text, "Whom to ask; shown with a refusal."),
    ...conditional,
    window: maybe(v.union([name, windowBody]), "$name, { days, from, to, tz } or { outside: $name }."),
    validFrom: maybe(text, "An instant such as 2027-01-01T00:00:00Z."),
    validUntil: maybe(text, "An instant such as 2027-06-30T00:00:00Z; no longer valid from then on."),
  };
  const except = maybe(
    listOf(v.union([name, exception]), EXCEPTIONS_MAX),
    "Where the guard does not apply: $names of the vocabulary, or written here.",
  );
  return { rule, exception, except };
}

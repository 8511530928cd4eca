/** The shape of policy files: one strict object per kind, only with actions that convert to JSON Schema. */
import { toJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import { ACCESS_CLASSES } from "../core/operation.ts";
import type { Vocabulary, VocabularyKey } from "../core/vocabulary.ts";
import { didYouMean } from "./nearest.ts";

export const API_VERSION = "weir.dev/v1";
export const KINDS = ["PolicySet", "Vocabulary", "Permits", "Guards", "Tests"] as const;
export type Kind = (typeof KINDS)[number];

const NAME_CHARS_MAX = 512;
const TEXT_CHARS_MAX = 1000;
const LIST_MAX = 1000;
const RULES_PER_FILE_MAX = 2000;

const name = v.pipe(v.string(), v.minLength(1), v.maxLength(NAME_CHARS_MAX));
const text = v.pipe(v.string(), v.minLength(1), v.maxLength(TEXT_CHARS_MAX));
const names = v.pipe(v.array(name), v.minLength(1), v.maxLength(LIST_MAX));
const described = <TSchema extends v.GenericSchema>(schema: TSchema, description: string) =>
  v.pipe(schema, v.description(description));

/** A strict object whose unknown-key issue carries the suggestion as its message. */
const object = <TEntries extends v.ObjectEntries>(entries: TEntries) =>
  v.strictObject(entries, (issue) =>
    issue.expected === "never" ? didYouMean(String(issue.input), Object.keys(entries)) : issue.message,
  );
/** One of some words, with the suggestion as the issue's message. */
const oneOf = <const TWords extends readonly string[]>(words: TWords) =>
  v.picklist(words, (issue) => didYouMean(String(issue.input), words));
const someOf = <const TWords extends readonly string[]>(words: TWords) =>
  v.pipe(v.array(oneOf(words)), v.minLength(1), v.maxLength(LIST_MAX));
const kinds = ["human", "agent", "service"] as const;

const subject = object({
  any: v.exactOptional(described(v.literal(true), "Anybody: people, agents and services. Stands alone.")),
  names: v.exactOptional(described(names, "Names of subjects: literals, globs, $sets.")),
  groups: v.exactOptional(described(names, "Groups that vocabulary.yaml declares; one is enough.")),
  kinds: v.exactOptional(
    described(someOf(kinds), "A permit without kinds is for humans; a guard without kinds is for everybody."),
  ),
  owners: v.exactOptional(described(names, "Owners of agents and services: literals, globs, $sets.")),
});

const target = object({
  any: v.exactOptional(described(v.literal(true), "Every target. Stands alone.")),
  names: v.exactOptional(described(names, "Names of targets: literals, globs, $sets.")),
  labels: v.exactOptional(
    described(v.record(name, names), "Labels that the target must have, each with one of the listed values."),
  ),
});

function keySchema(key: VocabularyKey): v.GenericSchema {
  if (key.kind === "flag") return described(v.boolean(), key.description);
  if (key.kind === "enum" && key.values !== undefined) {
    // A $set may stand among the values, so the values are what editors complete, and are checked by meaning.
    const value = v.union([v.picklist(key.values), name]);
    return described(v.pipe(v.array(value), v.minLength(1), v.maxLength(LIST_MAX)), key.description);
  }
  return described(names, key.description);
}

function actionSchema(vocabularies: readonly Vocabulary[]) {
  const entries: Record<string, v.GenericSchema> = {
    any: v.exactOptional(described(v.literal(true), "Every operation of every adapter. Stands alone.")),
    classes: v.exactOptional(
      described(someOf(ACCESS_CLASSES), "What an access does, in words that every protocol shares."),
    ),
  };
  for (const vocabulary of vocabularies) {
    const keys: Record<string, v.GenericSchema> = {};
    for (const [key, definition] of Object.entries(vocabulary.keys)) {
      if (isKept(definition)) keys[key] = v.exactOptional(keySchema(definition));
    }
    entries[vocabulary.name] = v.exactOptional(
      described(object(keys), `Operations of the adapter ${vocabulary.name}; {} is any of them.`),
    );
  }
  const block = object(entries);
  return described(
    v.union([block, v.pipe(v.array(block), v.minLength(1), v.maxLength(LIST_MAX))]),
    "One block, or several of which one must match. The keys of a block must all match.",
  );
}

/** Can this version's engine match facts of this kind? */
function isKept(key: VocabularyKey): boolean {
  return key.kind !== "argv";
}

/** The schemas of the five kinds, with the adapters' words in them. */
export function policySchemas(vocabularies: readonly Vocabulary[]) {
  const action = actionSchema(vocabularies);
  const id = described(name, "Unique in the set: lower-case letters, digits and hyphens.");
  const common = {
    description: v.exactOptional(text),
    contact: v.exactOptional(described(text, "Whom to ask; shown with a refusal.")),
    subject: v.exactOptional(subject),
    target: v.exactOptional(target),
    action: v.exactOptional(action),
    validFrom: v.exactOptional(described(text, "An instant such as 2027-01-01T00:00:00Z.")),
    validUntil: v.exactOptional(
      described(text, "An instant such as 2027-06-30T00:00:00Z; no longer valid from then on."),
    ),
  };
  const permit = {
    ...common,
    allowOpaque: v.exactOptional(described(v.boolean(), "Also permits what cannot be read.")),
  };
  const guard = { ...common, deny: v.exactOptional(described(text, "Refuses, with this sentence for people.")) };
  const head = <TKind extends Kind>(kind: TKind) => ({ apiVersion: v.literal(API_VERSION), kind: v.literal(kind) });
  const rules = <TEntries extends v.ObjectEntries>(entries: TEntries) =>
    v.pipe(v.array(object({ id, ...entries })), v.minLength(1), v.maxLength(RULES_PER_FILE_MAX));
  return {
    PolicySet: object({
      ...head("PolicySet"),
      name: text,
      description: v.exactOptional(text),
      timeZone: v.exactOptional(described(text, "IANA name of the time zone of days, such as Europe/Berlin.")),
    }),
    Vocabulary: object({
      ...head("Vocabulary"),
      sets: v.exactOptional(described(v.record(name, names), "Named lists; a rule writes $name.")),
      groups: v.exactOptional(described(v.record(name, name), "Groups by name, each with the identity provider's id.")),
      labels: v.exactOptional(
        described(
          v.record(name, object({ values: names, required: v.exactOptional(v.boolean()) })),
          "Labels of targets, each with the values it may have.",
        ),
      ),
    }),
    Permits: object({
      ...head("Permits"),
      defaults: v.exactOptional(described(object(permit), "Taken over by each rule that lacks the key.")),
      rules: rules(permit),
    }),
    Guards: object({
      ...head("Guards"),
      defaults: v.exactOptional(described(object(guard), "Taken over by each rule that lacks the key.")),
      rules: rules(guard),
    }),
    Tests: object({
      ...head("Tests"),
      people: v.exactOptional(
        v.record(
          name,
          object({
            kind: oneOf(kinds),
            groups: v.exactOptional(names),
            owner: v.exactOptional(name),
          }),
        ),
      ),
      cases: v.pipe(v.array(v.record(name, v.unknown())), v.maxLength(RULES_PER_FILE_MAX)),
    }),
  };
}

export type PolicySchemas = ReturnType<typeof policySchemas>;

/** The JSON Schema of all kinds for editors, as `weir schema policy` prints it. */
export function policyJsonSchema(vocabularies: readonly Vocabulary[]): object {
  const schemas = policySchemas(vocabularies);
  const file = v.variant("kind", [
    schemas.PolicySet,
    schemas.Vocabulary,
    schemas.Permits,
    schemas.Guards,
    schemas.Tests,
  ]);
  return { ...toJsonSchema(file, { errorMode: "throw" }), title: "weir policy file" };
}

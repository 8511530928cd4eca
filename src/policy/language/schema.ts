/** The shape of policy files: one strict object per kind, only with actions that convert to JSON Schema. */
import { toJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import type { Vocabulary } from "../../core/vocabulary.ts";
import { activation, approvalDefaults, obligations, requirements } from "./schema-consequence.ts";
import { ruleParts, windowBody } from "./schema-rule.ts";
import { API_VERSION, described, listOf, mapOf, maybe, name, names, object, oneOf, text } from "./schema-words.ts";
import { testParts } from "../tests/test-schema.ts";

export const KINDS = ["PolicySet", "Vocabulary", "Permits", "Guards", "Tests"] as const;
export type Kind = (typeof KINDS)[number];

const RULES_PER_FILE_MAX = 2000;
const SAMPLES_MAX = 100;
const REGEX_CHARS_MAX = 1000;

const regex = v.pipe(v.string(), v.minLength(1), v.maxLength(REGEX_CHARS_MAX));
/** A sample may be empty: that nothing matches is worth saying. */
const samples = listOf(v.pipe(v.string(), v.maxLength(REGEX_CHARS_MAX)), SAMPLES_MAX);
const pattern = object({
  description: v.exactOptional(text),
  pattern: described(regex, "In RE2 syntax; it is found anywhere unless a rule asks for the whole text."),
  match: described(samples, "Texts that it must match."),
  noMatch: described(samples, "Texts that it must not match."),
});

/** The schemas of the five kinds, with the adapters' words in them. */
export function policySchemas(vocabularies: readonly Vocabulary[]) {
  const { rule, exception, except } = ruleParts(vocabularies);
  const { id, ...common } = rule;
  const permit = {
    ...common,
    allowOpaque: maybe(v.boolean(), "Also permits what cannot be read."),
    activation: maybe(activation, "The permit sleeps until a grant for it is approved."),
    obligations: maybe(obligations, "What must hold while it permits something."),
  };
  const guard = {
    ...common,
    except,
    mode: maybe(oneOf(["enforce", "observe"]), "observe: it is only recorded where the guard would apply."),
    deny: maybe(text, "Refuses, with this sentence for people."),
    require: maybe(requirements, "Refuses until these are met."),
    oblige: maybe(obligations, "Lets through, and this must hold."),
  };
  const head = <TKind extends Kind>(kind: TKind) => ({ apiVersion: v.literal(API_VERSION), kind: v.literal(kind) });
  const rules = <TEntries extends v.ObjectEntries>(entries: TEntries) =>
    listOf(object({ id, ...entries }), RULES_PER_FILE_MAX);
  return {
    PolicySet: object({
      ...head("PolicySet"),
      name: text,
      description: v.exactOptional(text),
      timeZone: maybe(
        text,
        "IANA name of the time zone of days and windows, such as Europe/Berlin; UTC when left out.",
      ),
      approval: maybe(approvalDefaults, "What holds for approvals that do not say it themselves."),
    }),
    Vocabulary: object({
      ...head("Vocabulary"),
      sets: maybe(mapOf(names), "Named lists; a rule writes $name."),
      groups: maybe(mapOf(name), "Groups by name, each with the identity provider's id."),
      labels: maybe(
        mapOf(object({ values: names, required: v.exactOptional(v.boolean()) })),
        "Labels of targets with their allowed values.",
      ),
      patterns: maybe(mapOf(pattern), "Regular expressions with samples; a rule writes $name."),
      windows: maybe(mapOf(windowBody), "Windows of time; a rule writes $name."),
      exceptions: maybe(mapOf(exception), "Exceptions that several guards share; a guard writes $name."),
    }),
    Permits: object({
      ...head("Permits"),
      defaults: maybe(object(permit), "Taken over by each rule that lacks the key."),
      rules: rules(permit),
    }),
    Guards: object({
      ...head("Guards"),
      defaults: maybe(object(guard), "Taken over by each rule that lacks the key."),
      rules: rules(guard),
    }),
    Tests: object({ ...head("Tests"), ...testParts(vocabularies) }),
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

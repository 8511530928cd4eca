/** The pieces that the shapes of policy files are made of; what is wrong with one carries its suggestion as the message. */
import * as v from "valibot";
import { didYouMean } from "./nearest.ts";

export const API_VERSION = "weir.dev/v1";

const NAME_CHARS_MAX = 512;
const TEXT_CHARS_MAX = 1000;
const LIST_MAX = 1000;

export const name = v.pipe(v.string(), v.minLength(1), v.maxLength(NAME_CHARS_MAX));
export const text = v.pipe(v.string(), v.minLength(1), v.maxLength(TEXT_CHARS_MAX));
/** Literals, globs and `$sets`. */
export const names = listOf(name);
export const duration = v.pipe(
  v.string('Write a number with its unit, such as "30m"'),
  v.minLength(1),
  v.maxLength(NAME_CHARS_MAX),
);
export const size = v.pipe(
  v.string('Write a number with its unit, such as "5MiB"'),
  v.minLength(1),
  v.maxLength(NAME_CHARS_MAX),
);
/** A whole number from 1 on. */
export const count = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(Number.MAX_SAFE_INTEGER));
/** A whole number from 0 on. */
export const countOrNone = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER));
/** A key that is there or is not; `false` would say the same as leaving it out. */
export const yes = v.literal(true);

/** A list with at least one item and not too many. */
export function listOf<TSchema extends v.GenericSchema>(item: TSchema, itemsMax: number = LIST_MAX) {
  return v.pipe(v.array(item), v.minLength(1), v.maxLength(itemsMax));
}

/** An optional key with the text that editors show. */
export function maybe<TSchema extends v.GenericSchema>(schema: TSchema, description: string) {
  return v.exactOptional(described(schema, description));
}

export function described<TSchema extends v.GenericSchema>(schema: TSchema, description: string) {
  return v.pipe(schema, v.description(description));
}

/** A map with these keys and no others. */
export function object<TEntries extends v.ObjectEntries>(entries: TEntries) {
  const schema = v.strictObject(entries, (issue) =>
    issue.expected === "never" ? didYouMean(textOf(issue.input), Object.keys(entries)) : issue.message,
  );
  return refusingLists(schema);
}

/** A map from names of the author's own to values of one kind. */
export function mapOf<TValue extends v.GenericSchema>(value: TValue) {
  return refusingLists(v.record(name, value));
}

/** To valibot a list is an object too: `subject: []` would be a subject that says nothing. */
function refusingLists<TSchema extends v.GenericSchema>(schema: TSchema): TSchema {
  const run = schema["~run"].bind(schema);
  const refusing: typeof run = (dataset, config) => {
    if (!Array.isArray(dataset.value)) return run(dataset, config);
    // What it says of a value that is no object, it says of the list.
    const refused = run({ value: null }, config);
    for (const issue of refused.issues ?? []) Object.assign(issue, { input: dataset.value });
    return refused;
  };
  return Object.defineProperty(schema, "~run", { value: refusing });
}

/** One of some words. */
export function oneOf<const TWords extends readonly string[]>(words: TWords) {
  return v.picklist(words, (issue) => didYouMean(textOf(issue.input), words));
}

export function someOf<const TWords extends readonly string[]>(words: TWords) {
  return listOf(oneOf(words));
}

/** Maps of documents have no prototype, so that they cannot be made into text. */
function textOf(input: unknown): string {
  return typeof input === "string" ? input : "";
}

/** Many accesses in few words: what is done, and to what, put together where it is the same. */
import { UNKNOWN } from "../../core/operation.ts";
import type { Access } from "../../core/operation.ts";
import type { Vocabulary } from "../../core/vocabulary.ts";
import { nameOf, valuesOf } from "../engine/phrase.ts";
import { isStranger } from "./witness.ts";

/** One access in its parts. */
type Parts = {
  /** The verb, else the class; what cannot be read is said to be that. */
  readonly verb: string;
  /** What it is done to; empty when the access does not say. */
  readonly name: string;
  /** What of it: columns. */
  readonly details: readonly string[];
};

const WHOLE = "";

/** `select, explain on public.orders, public.users(email)`: one text for each list of verbs that have the same names. */
export function accessWords(accesses: readonly Access[], vocabulary: Vocabulary | undefined): readonly string[] {
  const byVerb = new Map<string, Map<string, (readonly string[])[]>>();
  for (const access of accesses) {
    const { verb, name, details } = partsOf(access, vocabulary);
    const names = byVerb.get(verb) ?? new Map<string, (readonly string[])[]>();
    byVerb.set(verb, names);
    const known = names.get(name);
    if (known === undefined) names.set(name, [details]);
    else known.push(details);
  }
  const verbsByNames = new Map<string, { verbs: string[]; names: readonly string[] }>();
  for (const [verb, names] of byVerb) {
    const told = [...names].map(([name, details]) => `${name}${detailWords(name, details)}`).toSorted();
    const key = JSON.stringify(told);
    const known = verbsByNames.get(key);
    if (known === undefined) verbsByNames.set(key, { verbs: [verb], names: told });
    else known.verbs.push(verb);
  }
  return [...verbsByNames.values()].map(({ verbs, names }) => {
    const things = names.filter((name) => name !== WHOLE);
    const on = things.length === 0 ? "" : ` on ${shortList(things, NAMES_MAX)}`;
    return `${shortList(verbs, VERBS_MAX)}${on}`;
  });
}

/** Ways to name what of a thing it is about; more are never told. */
const LEAST_MAX = 50;
const NAMES_MAX = 6;
const VERBS_MAX = 8;

/** The first of these and how many more there are. */
export function shortList(texts: readonly string[], max: number, separator = ", "): string {
  if (texts.length <= max) return texts.join(separator);
  return `${texts.slice(0, max).join(separator)} and ${texts.length - max} more`;
}

function partsOf(access: Access, vocabulary: Vocabulary | undefined): Parts {
  const keys = Object.entries(vocabulary?.keys ?? {});
  if (access.opaque === true) return { verb: "what cannot be read", name: WHOLE, details: [] };
  // Drivers and tools read hundreds of them, and nobody grants them one by one.
  if (access.ambient === true) return { verb: "what belongs to every session", name: WHOLE, details: [] };
  const verbAt = keys.findIndex(([key, { kind }]) => kind === "enum" && valuesOf(access.facts[key]).length > 0);
  const verb = verbAt === -1 ? access.class : valuesOf(access.facts[keys[verbAt]?.[0] ?? ""]).join(", ");
  // What is the same for all of a session is said by the target, as far as one is interested.
  const told = keys.filter(([key, { kind, ofSession }]) => {
    if (kind === "enum" || kind === "flag" || ofSession === true) return false;
    return valuesOf(access.facts[key]).length > 0;
  });
  const [thing, ...more] = told.map(([key]) => valuesOf(access.facts[key]).map(thingOf));
  const unknown = keys.flatMap(([key, { kind }]) =>
    kind !== "enum" && access.facts[key] === UNKNOWN ? [`unknown ${key}`] : [],
  );
  const flags = keys.flatMap(([key, { kind }]) => (kind === "flag" && access.facts[key] === true ? [key] : []));
  const masked = access.named === undefined ? "" : " of what is masked";
  return {
    verb: `${[...flags, verb].join(" ")}${masked}`,
    name: thing?.join(" ") ?? WHOLE,
    details: [...more.flat(), ...unknown],
  };
}

/** What was made up to stand for all that no rule names is not told by its name. */
function thingOf(name: string): string {
  return isStranger(name) ? "anything else" : nameOf(name);
}

/** The least details with which it is so; nothing when it is so without any. */
function detailWords(name: string, lists: readonly (readonly string[])[]): string {
  if (lists.some((list) => list.length === 0)) return "";
  // Shorter lists first: what holds one of them is not among the least.
  const least: (readonly string[])[] = [];
  for (const list of lists.toSorted((one, other) => one.length - other.length)) {
    if (least.length === LEAST_MAX) break;
    if (!least.some((other) => other.every((each) => list.includes(each)))) least.push(list);
  }
  const needed = [...new Set(least.flat())].toSorted();
  return `(${shortList(
    needed.map((each) => withoutPrefix(each, name)),
    NAMES_MAX,
  )})`;
}

/** `email` for `public.users.email` of `public.users`. */
function withoutPrefix(detail: string, name: string): string {
  return detail.startsWith(`${name}.`) ? detail.slice(name.length + 1) : detail;
}

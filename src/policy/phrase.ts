/** Accesses and near misses in words for people, made from an adapter's vocabulary and bounded in length. */
import { UNKNOWN } from "../core/operation.ts";
import type { Access, FactValue, Unknown } from "../core/operation.ts";
import type { Vocabulary } from "../core/vocabulary.ts";
import type { Entry } from "./block-index.ts";
import type { Block, KeyMatcher, PermitRule } from "./rule.ts";

const NAME_CHARS_MAX = 100;
const NAMES_MAX = 3;
/** A hint is not worth a walk over a whole large set. */
const ENTRIES_MAX = 200;

/** A name that came from a client, fit for one line: control characters replaced, shortened. */
export function nameOf(text: string): string {
  let result = "";
  for (const character of text.slice(0, NAME_CHARS_MAX).toWellFormed()) {
    const unit = character.charCodeAt(0);
    result += unit < 0x20 || (unit >= 0x7f && unit <= 0x9f) ? "\ufffd" : character;
  }
  return text.length > NAME_CHARS_MAX ? `${result}...` : result;
}

/** `delete on public.orders`: the access's verb, else its class, and what it is about. */
export function whatOf(access: Access, vocabulary: Vocabulary | undefined): string {
  const keys = Object.entries(vocabulary?.keys ?? {});
  const verbAt = keys.findIndex(
    ([key, definition]) => definition.kind === "enum" && valuesOf(access.facts[key]).length > 0,
  );
  const verb = verbAt === -1 ? access.class : listOf(valuesOf(access.facts[keys[verbAt]?.[0] ?? ""]));
  // What comes before the verb in a vocabulary says where it happens; what comes after says to what.
  const things = [...keys.slice(verbAt + 1), ...keys.slice(0, Math.max(verbAt, 0))];
  for (const [key, definition] of things) {
    if (definition.kind === "enum" || definition.kind === "flag") continue;
    const values = valuesOf(access.facts[key]);
    if (values.length > 0) return `${verb} on ${listOf(values)}`;
    if (access.facts[key] === UNKNOWN) return `${verb} on unknown ${key}`;
  }
  return verb;
}

/**
 * The permit that one key keeps from covering the access, and what that key misses; the first by id. `isOfSession`: only
 * its keys of the session are asked for.
 */
export function nearestMiss(
  entries: readonly Entry<PermitRule>[],
  access: Access,
  isOfSession: boolean,
): { readonly rule: string; readonly what: string } | null {
  for (const { rule, block } of entries.slice(0, ENTRIES_MAX)) {
    const [only, ...more] = isOfSession ? keyMisses(block.sessionKeys, access) : missesOf(block, access);
    if (only !== undefined && more.length === 0) return { rule: rule.id, what: only };
  }
  return null;
}

/** What keeps a block from covering an access, at most two of it: more is no near miss. */
function missesOf(block: Block, access: Access): readonly string[] {
  // Another class is another thing, not a near miss.
  if (block.classes !== null && !block.classes.has(access.class)) return ["class", access.class];
  const misses = keyMisses(block.keys, access);
  for (const key of block.unnamedKeys) {
    const values = valuesOf(access.facts[key]);
    if (values.length > 0) misses.push(`${key} ${listOf(values)}`);
    else if (access.facts[key] === UNKNOWN) misses.push(`unknown ${key}`);
  }
  return misses;
}

function keyMisses(keys: readonly KeyMatcher[], access: Access): string[] {
  const misses: string[] = [];
  for (const matcher of keys) {
    const miss = missOf(matcher, access.facts[matcher.key]);
    if (miss !== null) misses.push(miss);
    if (misses.length > 1) break;
  }
  return misses;
}

function missOf(matcher: KeyMatcher, fact: FactValue | Unknown | undefined): string | null {
  if (fact === UNKNOWN) return `unknown ${matcher.key}`;
  if (matcher.kind === "flag") return fact === matcher.value ? null : matcher.key;
  const values = valuesOf(fact);
  if (values.length === 0) return `${matcher.key}, of which there are none`;
  const missing = values.filter((value) => !matcher.names.has(value));
  return missing.length === 0 ? null : `${matcher.key} ${listOf(missing)}`;
}

function valuesOf(fact: FactValue | Unknown | undefined): readonly string[] {
  return typeof fact === "object" ? fact : [];
}

function listOf(values: readonly string[]): string {
  const shown = values.slice(0, NAMES_MAX).map(nameOf).join(", ");
  return values.length > NAMES_MAX ? `${shown} and ${values.length - NAMES_MAX} more` : shown;
}

/** Accesses in words for people, made from an adapter's vocabulary and bounded in length. */
import { UNKNOWN } from "../../core/operation.ts";
import type { Access, FactValue, Unknown } from "../../core/operation.ts";
import type { Vocabulary } from "../../core/vocabulary.ts";

const NAME_CHARS_MAX = 100;
const NAMES_MAX = 3;

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

/** The names that a fact holds: none of a flag, of what is unknown and of what is not there. */
export function valuesOf(fact: FactValue | Unknown | undefined): readonly string[] {
  return typeof fact === "object" ? fact : [];
}

/** The first few of these names, and how many more there are. */
export function listOf(values: readonly string[]): string {
  const shown = values.slice(0, NAMES_MAX).map(nameOf).join(", ");
  return values.length > NAMES_MAX ? `${shown} and ${values.length - NAMES_MAX} more` : shown;
}

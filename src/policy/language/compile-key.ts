/** Compiles one key of an adapter's vocabulary with the values that a rule lists. */
import type { VocabularyKey } from "../../core/vocabulary.ts";
import { ArgvList } from "../engine/argv.ts";
import type { WrittenWord } from "../engine/argv.ts";
import { checkListed } from "./catalog-names.ts";
import { compileSearched } from "./compile-pattern.ts";
import { ContainsList } from "../engine/contains.ts";
import { FieldsList } from "../engine/fields.ts";
import { NameList } from "../engine/names.ts";
import type { Pattern } from "./pattern.ts";
import type { KeyMatcher } from "../engine/rule.ts";
import type { Scope } from "./rule-scope.ts";
import { canMatchSegments, suggestSegments } from "./segments.ts";
import type { Segments } from "./segments.ts";
import { quote } from "./shape.ts";
import type { Path } from "./source.ts";
import type { Member } from "./words.ts";

/** How the lists of an action are meant: exceptions of guards are as narrow as permits. */
export type Polarity = "permit" | "guard";

/** One key of a block while it is compiled. */
export type KeyScope = {
  readonly scope: Scope;
  readonly key: string;
  readonly definition: VocabularyKey;
  readonly adapter: string;
  readonly path: Path;
  readonly polarity: Polarity;
};

/** Null when the value is not what the schema promised. */
export function compileKey(at: KeyScope, value: unknown): KeyMatcher | null {
  const { key, definition } = at;
  switch (definition.kind) {
    case "flag":
      return typeof value === "boolean" ? { key, kind: "flag", value } : null;
    case "argv":
      return isWords(value) ? { key, kind: "argv", argv: compileArgv(at, value) } : null;
    case "contains":
      return isStrings(value) ? { key, kind: "contains", texts: compileContains(at, value) } : null;
    case "fields":
      return isFields(value) ? { key, kind: "fields", fields: compileFields(at, value) } : null;
    case "enum":
    case "names":
    case "path":
      return isStrings(value) ? { key, kind: "names", names: compileNames(at, value) } : null;
  }
}

function compileNames(at: KeyScope, written: readonly string[]): NameList {
  const { scope, key, definition, adapter, path } = at;
  const members = scope.expand(written, adapter, path);
  if (definition.kind === "enum") checkValues(at, members);
  if (definition.segments !== undefined) checkSegments(at, definition.segments, written);
  if (definition.kind === "names") checkListed(scope, members, key, adapter);
  const globs = definition.kind === "path" ? "path" : "name";
  const texts = textsOf(members);
  const named = at.polarity === "guard" && definition.guardsSeeFolders === true ? texts.flatMap(inAnyFolder) : texts;
  return new NameList(named, { folds: folds(at), globs });
}

/** A name as it is, and below any folder. */
function inAnyFolder(text: string): readonly string[] {
  return text.includes("/") ? [text] : [text, `**/${text}`];
}

function textsOf(members: readonly { readonly text: string }[]): readonly string[] {
  return members.map(({ text }) => text);
}

function folds({ definition, polarity }: KeyScope): boolean {
  return polarity === "guard" && definition.guardsIgnoreCase === true;
}

/** Patterns of commands: each word a literal, a glob, or one of several; a `$set` stands for its members. */
function compileArgv({ scope, adapter, path }: KeyScope, written: readonly (readonly WrittenWord[])[]): ArgvList {
  const patterns = written.map((pattern, index) =>
    pattern.map((word, place): WrittenWord => {
      const at = [...path, index, place];
      if (typeof word !== "string") return textsOf(scope.expand(word, adapter, at));
      return word.startsWith("$") ? textsOf(scope.expandItem(word, adapter, at)) : word;
    }),
  );
  return new ArgvList(patterns);
}

function compileContains(at: KeyScope, written: readonly string[]): ContainsList {
  const { scope, path } = at;
  const parts: string[] = [];
  const patterns: Pattern[] = [];
  for (const [index, text] of written.entries()) {
    if (!text.startsWith("$")) {
      parts.push(text);
      continue;
    }
    const pattern = compileSearched(scope, text, [...path, index]);
    if (pattern !== null) patterns.push(pattern);
  }
  return new ContainsList(parts, patterns, { folds: folds(at) });
}

function compileFields(at: KeyScope, written: Readonly<Record<string, readonly string[]>>): FieldsList {
  const { scope, adapter, path } = at;
  const fields = new Map<string, NameList>();
  for (const [name, values] of Object.entries(written)) {
    const members = scope.expand(values, adapter, [...path, name]);
    fields.set(name, new NameList(textsOf(members), { folds: folds(at) }));
    if (name.includes("=") || name.startsWith("$") || name.includes("*")) {
      const message = `${quote(name)} cannot be the name of a field`;
      scope.error("BAD_VALUE", [...path, name], message, "Names of fields are written out", "key");
    }
  }
  if (fields.size === 0) scope.error("BAD_VALUE", path, "the map is empty");
  return new FieldsList(fields, { folds: folds(at) });
}

function checkValues({ scope, key, definition }: KeyScope, members: readonly Member[]): void {
  const known = definition.values ?? [];
  for (const { text, path } of members) {
    if (!known.includes(text))
      scope.error(
        "BAD_VALUE",
        path,
        `${quote(text)} is not one of ${key}`,
        scope.words.suggestions.didYouMean(text, known),
      );
  }
}

/** Reports names that no fact of the key can match; of a set only the first, because the others are mostly like it. */
function checkSegments({ scope, key, adapter, path }: KeyScope, segments: Segments, written: readonly string[]): void {
  for (const [index, text] of written.entries()) {
    const short = [...membersOf(scope, text, adapter)].find((member) => !canMatchSegments(member, segments));
    if (short === undefined) continue;
    const name = short === text ? quote(short) : `${quote(short)} (of ${quote(text)})`;
    const message = `${name} can never match: ${key} are ${segments.names.join(".")}`;
    scope.error("BAD_VALUE", [...path, index], message, suggestSegments(short, segments));
  }
}

/** The literals and globs that an item of a list stands for; none of a set that was reported with the names themselves. */
function membersOf(scope: Scope, text: string, adapter: string): ReadonlySet<string> {
  const members = scope.words.sets(adapter).expand(text);
  return "kind" in members ? new Set() : members;
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function isWords(value: unknown): value is readonly (readonly WrittenWord[])[] {
  return (
    Array.isArray(value) &&
    value.every(
      (pattern: unknown) =>
        Array.isArray(pattern) && pattern.every((word: unknown) => typeof word === "string" || isStrings(word)),
    )
  );
}

function isFields(value: unknown): value is Readonly<Record<string, readonly string[]>> {
  return isRecord(value) && Object.values(value).every(isStrings);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

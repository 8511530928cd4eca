/** Compiles what a rule says of the action: blocks of classes and of the keys of adapters' vocabularies. */
import type { AccessClass } from "../core/operation.ts";
import type { Vocabulary, VocabularyKey } from "../core/vocabulary.ts";
import { didYouMean } from "./nearest.ts";
import type { Block, KeyMatcher } from "./rule.ts";
import type { RuleScope } from "./rule-scope.ts";
import { canMatchSegments, suggestSegments } from "./segments.ts";
import type { Segments } from "./segments.ts";
import { quote } from "./shape.ts";
import type { Path } from "./source.ts";

type WrittenBlock = Readonly<Record<string, unknown>>;

/** The blocks about each adapter; a block that names no adapter is about every one. */
export function compileAction(scope: RuleScope): ReadonlyMap<string, readonly Block[]> {
  const { vocabularies } = scope.words;
  const result = new Map<string, Block[]>(vocabularies.map((vocabulary) => [vocabulary.name, []]));
  for (const { block, path } of writtenBlocks(scope)) {
    if (scope.source.isEmptyMap(path)) {
      scope.error("BAD_VALUE", path, "the block says nothing", "Write any: true for every operation");
    }
    scope.checkAny(block, path, "anything else");
    const named = vocabularies.filter((vocabulary) => Object.hasOwn(block, vocabulary.name));
    for (const vocabulary of named.length === 0 ? vocabularies : named) {
      result.get(vocabulary.name)?.push(compileBlock(scope, block, vocabulary, path));
    }
  }
  return result;
}

function writtenBlocks(scope: RuleScope): readonly { readonly block: WrittenBlock; readonly path: Path }[] {
  const action: unknown = scope.rule.action;
  const path = scope.at("action");
  if (isRecord(action)) return [{ block: action, path }];
  if (!Array.isArray(action)) return [];
  return action.flatMap((block: unknown, index) => (isRecord(block) ? [{ block, path: [...path, index] }] : []));
}

function compileBlock(scope: RuleScope, written: WrittenBlock, vocabulary: Vocabulary, path: Path): Block {
  const part = written[vocabulary.name];
  const keys: KeyMatcher[] = [];
  for (const [key, value] of Object.entries(isRecord(part) ? part : {})) {
    const definition = vocabulary.keys[key];
    if (definition === undefined) continue;
    const matcher = compileKey(scope, key, definition, value, vocabulary.name, [...path, vocabulary.name, key]);
    if (matcher !== null) keys.push(matcher);
  }
  const classes: unknown = written["classes"];
  return {
    classes: isClasses(classes) ? new Set(classes) : null,
    keys,
    sessionKeys: keys.filter(({ key }) => vocabulary.keys[key]?.ofSession === true),
    // A block that names no key of the adapter speaks of any of its operations.
    unnamedKeys: keys.length === 0 ? [] : unnamedKeys(vocabulary, keys),
  };
}

/** Keys that a permit must name to match an access that has them, and that this block does not name. */
function unnamedKeys(vocabulary: Vocabulary, keys: readonly KeyMatcher[]): readonly string[] {
  const mustBeNamed = Object.keys(vocabulary.keys).filter((key) => vocabulary.keys[key]?.permitsMustName === true);
  return mustBeNamed.filter((key) => !keys.some((matcher) => matcher.key === key));
}

function compileKey(
  scope: RuleScope,
  key: string,
  definition: VocabularyKey,
  value: unknown,
  adapter: string,
  path: Path,
): KeyMatcher | null {
  if (typeof value === "boolean") return { key, kind: "flag", value };
  if (!isStrings(value)) return null;
  const names = scope.names(value, adapter, path);
  if (definition.kind === "enum") checkValues(scope, key, definition.values ?? [], value, adapter, path);
  if (definition.segments !== undefined) checkSegments(scope, key, definition.segments, value, adapter, path);
  return names === null ? null : { key, kind: "names", names };
}

function checkValues(
  scope: RuleScope,
  key: string,
  known: readonly string[],
  written: readonly string[],
  adapter: string,
  path: Path,
): void {
  for (const [index, text] of written.entries()) {
    for (const member of membersOf(scope, text, adapter)) {
      if (known.includes(member)) continue;
      const message = `${quote(member)} is not one of ${key}`;
      scope.error("BAD_VALUE", [...path, index], message, didYouMean(member, known));
    }
  }
}

/** Reports names that no fact of the key can match; of a set only the first, because the others are mostly like it. */
function checkSegments(
  scope: RuleScope,
  key: string,
  segments: Segments,
  written: readonly string[],
  adapter: string,
  path: Path,
): void {
  for (const [index, text] of written.entries()) {
    const short = [...membersOf(scope, text, adapter)].find((member) => !canMatchSegments(member, segments));
    if (short === undefined) continue;
    const name = short === text ? quote(short) : `${quote(short)} (of ${quote(text)})`;
    const message = `${name} can never match: ${key} are ${segments.names.join(".")}`;
    scope.error("BAD_VALUE", [...path, index], message, suggestSegments(short, segments));
  }
}

/** The literals and globs that an item of a list stands for; none of a set that was reported with the names themselves. */
function membersOf(scope: RuleScope, text: string, adapter: string): ReadonlySet<string> {
  const members = scope.words.sets(adapter).expand(text);
  return "kind" in members ? new Set() : members;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function isClasses(value: unknown): value is readonly AccessClass[] {
  // The schema has checked the words.
  return isStrings(value);
}

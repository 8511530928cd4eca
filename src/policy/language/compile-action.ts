/** Compiles what a rule or an exception says of the action: blocks of classes and of the keys of adapters' vocabularies. */
import type { AccessClass } from "../../core/operation.ts";
import type { Vocabulary } from "../../core/vocabulary.ts";
import { compileKey } from "./compile-key.ts";
import type { Polarity } from "./compile-key.ts";
import type { Block, Blocks, KeyMatcher } from "../engine/rule.ts";
import type { Scope, WrittenRule } from "./rule-scope.ts";
import type { Path } from "./source.ts";

type WrittenBlock = Readonly<Record<string, unknown>>;

/** The blocks about each adapter; a block that names no adapter is about every one. */
export function compileAction(scope: Scope, written: WrittenRule["action"], path: Path, polarity: Polarity): Blocks {
  const { vocabularies } = scope.words;
  const result = new Map<string, Block[]>(vocabularies.map((vocabulary) => [vocabulary.name, []]));
  for (const { block, path: at } of writtenBlocks(written, path)) {
    if (scope.source.isEmptyMap(at)) {
      scope.error("BAD_VALUE", at, "the block says nothing", "Write any: true for every operation");
    } else {
      scope.checkSays(block, at, "anything else");
    }
    const named = vocabularies.filter((vocabulary) => Object.hasOwn(block, vocabulary.name));
    for (const vocabulary of named.length === 0 ? vocabularies : named) {
      result.get(vocabulary.name)?.push(compileBlock(scope, block, vocabulary, at, polarity));
    }
  }
  return result;
}

function writtenBlocks(action: unknown, path: Path): readonly { readonly block: WrittenBlock; readonly path: Path }[] {
  if (isRecord(action)) return [{ block: action, path }];
  if (!Array.isArray(action)) return [];
  return action.flatMap((block: unknown, index) => (isRecord(block) ? [{ block, path: [...path, index] }] : []));
}

function compileBlock(
  scope: Scope,
  written: WrittenBlock,
  vocabulary: Vocabulary,
  path: Path,
  polarity: Polarity,
): Block {
  const part = written[vocabulary.name];
  const keys: KeyMatcher[] = [];
  for (const [key, value] of Object.entries(isRecord(part) ? part : {})) {
    const definition = vocabulary.keys[key];
    if (definition === undefined) continue;
    const at = [...path, vocabulary.name, key];
    const matcher = compileKey({ scope, key, definition, adapter: vocabulary.name, path: at, polarity }, value);
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

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isClasses(value: unknown): value is readonly AccessClass[] {
  // The schema has checked the words.
  return Array.isArray(value);
}

/** Compiles what is hidden and how, and finds columns that a rule speaks of and no mask of it covers. */
import { CLASSIFIERS, isClassifier } from "../../core/classifiers.ts";
import type { MaskTransform } from "../../core/obligation.ts";
import type { MaskSelector } from "../../core/vocabulary.ts";
import type { Reach } from "./compile-obligations.ts";
import { compileSearched } from "./compile-pattern.ts";
import { isGlob } from "../engine/glob.ts";
import { globCovers } from "../engine/glob-cover.ts";
import { NameList } from "../engine/names.ts";
import type { RuleMask } from "../engine/rule.ts";
import type { RuleScope, Scope, WrittenRule } from "./rule-scope.ts";
import { canMatchSegments, suggestSegments } from "./segments.ts";
import { quote } from "./shape.ts";
import type { Path } from "./source.ts";

type WrittenMask = NonNullable<NonNullable<WrittenRule["oblige"]>["mask"]>[number];

const SELECTORS = ["columns", "fields", "classifiers", "patterns"] as const;

export function compileMasks(
  scope: RuleScope,
  written: readonly WrittenMask[],
  path: Path,
  reach: Reach,
): readonly RuleMask[] {
  const masks = written.map((mask, index) => compileMask(scope, mask, [...path, index], reach));
  if (written.filter((mask) => SELECTORS.every((key) => mask[key] === undefined)).length > 1) {
    const last = written.findLastIndex((mask) => SELECTORS.every((key) => mask[key] === undefined));
    const message = "two masks are for whatever the action matches";
    scope.error("BAD_VALUE", [...path, last], message, "Say in one of them which columns it is for");
  }
  findUncovered(scope, masks, path, reach);
  return masks;
}

function compileMask(scope: Scope, written: WrittenMask, path: Path, reach: Reach): RuleMask {
  const selectors = SELECTORS.filter((key) => written[key] !== undefined);
  if (selectors.length > 1) {
    const message = `one mask is for ${selectors.join(" and ")}`;
    scope.error("BAD_VALUE", path, message, "Write a mask for each");
  }
  checkSelectors(scope, selectors, path, reach);
  return {
    columns: compileList(scope, written.columns, "columns", path, reach),
    fields: compileList(scope, written.fields, "fields", path, reach),
    classifiers: compileClassifiers(scope, written.classifiers ?? [], [...path, "classifiers"]),
    patterns: (written.patterns ?? []).flatMap((text, index) => {
      const pattern = compileSearched(scope, text, [...path, "patterns", index]);
      return pattern === null ? [] : [pattern.name];
    }),
    transform: compileTransform(scope, written, path),
    predicates: written.predicates ?? null,
  };
}

/** What no detector knows would be found by none, and shown. */
function compileClassifiers(scope: Scope, written: readonly string[], path: Path): readonly string[] {
  return scope.expand(written, null, path).flatMap(({ text, path: at }) => {
    if (isClassifier(text)) return [text];
    const suggestion = scope.words.suggestions.didYouMean(text, Object.keys(CLASSIFIERS));
    scope.error("UNKNOWN_CLASSIFIER", at, `there is no classifier ${quote(text)}`, suggestion);
    return [];
  });
}

/** What a protocol cannot mask would be shown as it is. */
function checkSelectors(scope: Scope, written: readonly MaskSelector[], path: Path, { adapters }: Reach): void {
  const about = scope.words.vocabularies.filter(({ name }) => adapters === null || adapters.includes(name));
  // A mask that does not say what it masks is for the columns that the action matches.
  const selectors = written.length === 0 ? (["columns"] as const) : written;
  for (const selector of selectors) {
    const lacking = about.filter(({ masks }) => masks?.includes(selector) === false);
    // Of a rule about whatever there is, it is enough that some adapter can; where one cannot, what needs it is denied.
    if (adapters === null ? lacking.length < about.length : lacking.length === 0) continue;
    const who = lacking.map(({ name }) => name).join(" and ");
    const can = [...new Set(lacking.flatMap(({ masks }) => masks ?? []))].join(", ");
    const isNamed = written.length > 0;
    const message = isNamed
      ? `${selector} cannot be masked on ${who}`
      : `this mask is for the ${selector} that the action matches, and ${who} has none`;
    const place = isNamed ? [...path, selector] : path;
    scope.error("CANNOT_BE_KEPT", place, message, `There one can mask ${can}`, isNamed ? "key" : undefined);
  }
}

/** Columns or fields, looked up in the sets of an adapter that the rule is about and that has such a key. */
function compileList(
  scope: Scope,
  written: readonly string[] | undefined,
  key: "columns" | "fields",
  path: Path,
  reach: Reach,
): NameList | null {
  if (written === undefined) return null;
  const speaking = scope.words.vocabularies.filter(
    ({ name, keys }) => Object.hasOwn(keys, key) && (reach.blocks.get(name)?.length ?? 0) > 0,
  );
  const members = scope.expand(written, speaking[0]?.name ?? null, [...path, key]);
  const segments = speaking.length === 1 ? speaking[0]?.keys[key]?.segments : undefined;
  for (const { text, path: at } of members) {
    if (segments === undefined || canMatchSegments(text, segments)) continue;
    const message = `${quote(text)} can never match: ${key} are ${segments.names.join(".")}`;
    scope.error("BAD_VALUE", at, message, suggestSegments(text, segments));
  }
  return new NameList(members.map(({ text }) => text));
}

function compileTransform(scope: Scope, written: WrittenMask, path: Path): MaskTransform {
  const { keepFirst, keepLast } = written;
  // `with: null` is YAML's null, and so is a value that was forgotten.
  if (written.with === null && scope.source.isBlank([...path, "with"])) {
    scope.error("BAD_VALUE", [...path, "with"], "the value is missing", "Write redact, null, hash or partial", "key");
  }
  const transform = written.with ?? "null";
  if (transform !== "partial") {
    for (const key of ["keepFirst", "keepLast"] as const) {
      if (written[key] === undefined) continue;
      const message = `${key} belongs to partial, and this is ${transform}`;
      scope.error("BAD_VALUE", [...path, key], message, "Remove it, or write with: partial", "key");
    }
    return { with: transform };
  }
  if ((keepFirst ?? 0) + (keepLast ?? 0) === 0) {
    const message = "a partial mask keeps something";
    scope.error("BAD_VALUE", [...path, "with"], message, "Write keepFirst or keepLast, or with: redact");
  }
  return { with: "partial", keepFirst: keepFirst ?? 0, keepLast: keepLast ?? 0 };
}

/** Characters of columns times characters of globs. */
const COMPARED_MAX = 10_000_000;

function lengthOf(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + text.length, 0);
}

/** A column that the action lists and that no mask covers would be shown as it is, by a rule that is there to hide. */
function findUncovered(scope: RuleScope, masks: readonly RuleMask[], path: Path, reach: Reach): void {
  const ofColumns = masks.filter(({ columns }) => columns !== null);
  const isForAll = masks.some(
    (mask) =>
      mask.columns === null && mask.fields === null && mask.classifiers.length === 0 && mask.patterns.length === 0,
  );
  if (ofColumns.length === 0 || isForAll) return;
  const masked = ofColumns.flatMap(({ columns }) => columns?.texts ?? []);
  const listed = new Set<string>();
  for (const blocks of reach.blocks.values()) {
    for (const { keys } of blocks) {
      for (const matcher of keys) {
        if (matcher.key === "columns" && matcher.kind === "names")
          for (const text of matcher.names.texts) listed.add(text);
      }
    }
  }
  const literals = new Set(masked.filter((mask) => !isGlob(mask)));
  const globs = masked.filter(isGlob);
  const left = [...listed].filter((column) => !literals.has(column));
  if (lengthOf(left) * lengthOf(globs) > COMPARED_MAX) {
    scope.error(
      "TOO_LARGE",
      path,
      "too many columns and globs to find out whether every column is masked",
      "Split the rule",
    );
    return;
  }
  const uncovered = left.filter((column) => !globs.some((mask) => globCovers(mask, column)));
  const [first] = uncovered;
  if (first === undefined) return;
  const others = uncovered.length === 1 ? "" : ` and ${uncovered.length - 1} more`;
  const message = `no mask covers the column ${quote(first)}${others}, which the action lists`;
  const suggestion = "Add it to a mask, or a mask without columns for whatever the others do not name";
  scope.error("COLUMN_NOT_MASKED", path, message, suggestion, "key");
}

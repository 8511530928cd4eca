/**
 * Containment of rules: whether a rule surely counts wherever another does. Never says yes when it is no. Names are
 * compared as they are written and not as the catalog lists them now: what is said stays true when a table is added.
 */
import type { Vocabulary } from "../../core/vocabulary.ts";
import { COLUMNS } from "../engine/masks.ts";
import type { NameList } from "../engine/names.ts";
import type { Block, Exception, GuardRule, Rule, SubjectMatcher, TargetMatcher } from "../engine/rule.ts";
import { keyWithin, namesWithin } from "./key-within.ts";
import type { KeyTraits, Sides } from "./key-within.ts";
import { setsMeet } from "./overlap.ts";
import type { World } from "./world.ts";

/** Wherever `inner` permits or applies, does `outer` permit or apply as well? Yes for one that never does. */
export function ruleWithin(inner: Rule, outer: Rule, world: World): boolean {
  if (!standsWithin(inner, outer, world) || !targetWithin(inner, outer, world)) return false;
  return world.adaptersOf(inner).every((adapter) => {
    const outers = outer.blocks.get(adapter) ?? [];
    const blocks = inner.blocks.get(adapter) ?? [];
    return blocks.every((block) => outers.some((other) => isBlockWithin(block, other, inner, outer, adapter, world)));
  });
}

/** Of all but targets and actions: subject, time, condition, what is opaque, exceptions. */
export function standsWithin(inner: Rule, outer: Rule, world: World): boolean {
  if (!subjectWithin(inner.subject, outer.subject)) return false;
  if (outer.validFromMs > inner.validFromMs || outer.validUntilMs < inner.validUntilMs) return false;
  if (outer.window !== null && outer.window.text !== inner.window?.text) return false;
  if (outer.condition !== null && outer.condition.text !== inner.condition?.text) return false;
  if (outer.effect === "guard") return !outer.except.some((exception) => mayLift(exception, inner, world));
  return inner.effect === "permit" && (outer.allowOpaque || !inner.allowOpaque);
}

/** What the block of the one rule matches, does the block of the other match as well? */
export function isBlockWithin(
  inner: Block,
  outer: Block,
  innerRule: Rule,
  outerRule: Rule,
  adapter: string,
  world: World,
): boolean {
  const vocabulary = world.vocabularies.get(adapter);
  if (vocabulary === undefined || !world.mayLook(costOf(inner, outer))) return false;
  const sides = sidesOf(innerRule, outerRule);
  if (!classesWithin(inner, outer, sides, vocabulary)) return false;
  for (const matcher of outer.keys) {
    const given = inner.keys.find(({ key }) => key === matcher.key);
    if (given === undefined || !keyWithin(given, matcher, sides, traitsOf(matcher.key, vocabulary))) return false;
  }
  if (sides !== "permits") return true;
  // What is masked is written only by who names columns.
  const namesAsMuch = names(outer, COLUMNS) || !names(inner, COLUMNS);
  return namesAsMuch && outer.unnamedKeys.every((key) => inner.unnamedKeys.includes(key));
}

function names(block: Block, key: string): boolean {
  return block.keys.some((matcher) => matcher.key === key);
}

/** Lists are compared text by text. */
function costOf(inner: Block, outer: Block): number {
  let cost = 1;
  for (const matcher of outer.keys) {
    const given = inner.keys.find(({ key }) => key === matcher.key);
    if (given?.kind === "names" && matcher.kind === "names")
      cost += given.names.texts.length * matcher.names.texts.length;
  }
  return cost;
}

function sidesOf(inner: Rule, outer: Rule): Sides {
  if (inner.effect === "guard") return "guards";
  return outer.effect === "guard" ? "permit-guard" : "permits";
}

function traitsOf(key: string, { keys }: Vocabulary): KeyTraits {
  const definition = Object.hasOwn(keys, key) ? keys[key] : undefined;
  return { isFolded: definition?.guardsIgnoreCase === true, isPath: definition?.kind === "path" };
}

function classesWithin({ classes, keys }: Block, outer: Block, sides: Sides, vocabulary: Vocabulary): boolean {
  const allowed = outer.classes;
  if (allowed === null) return true;
  if (classes !== null && [...classes].every((each) => allowed.has(each))) return true;
  // A guard also touches what has a class of its own and a verb that is not known.
  if (sides === "guards") return false;
  return keys.some((matcher) => {
    const classOf = vocabulary.keys[matcher.key]?.classOf;
    if (classOf === undefined || matcher.kind !== "names") return false;
    return matcher.names.texts.every((text) => {
      const each = Object.hasOwn(classOf, text) ? classOf[text] : undefined;
      return each !== undefined && allowed.has(each);
    });
  });
}

/* ---- who and where ---- */

export function subjectWithin(inner: SubjectMatcher, outer: SubjectMatcher): boolean {
  return (
    setWithin(inner.kinds ?? ALL_KINDS, outer.kinds) &&
    setWithin(inner.groups, outer.groups) &&
    listWithin(inner.names, outer.names) &&
    listWithin(inner.owners, outer.owners)
  );
}

const ALL_KINDS: ReadonlySet<string> = new Set(["human", "agent", "service"]);
const PLAIN: KeyTraits = { isFolded: false, isPath: false };

/** Null: everything. */
export function setWithin<T>(inner: ReadonlySet<T> | null, outer: ReadonlySet<T> | null): boolean {
  if (outer === null) return true;
  if (inner === null) return false;
  for (const each of inner) if (!outer.has(each)) return false;
  return true;
}

function listWithin(inner: NameList | null, outer: NameList | null): boolean {
  return outer === null || (inner !== null && namesWithin(inner.texts, outer.texts, "guards", PLAIN));
}

function targetWithin(inner: Rule, outer: Rule, world: World): boolean {
  const reach = world.reachOf(inner);
  const outerReach = world.reachOf(outer);
  if (reach === null || outerReach === null) return matcherWithin(inner.target, outer.target);
  return world.isWithin(reach, outerReach);
}

export function matcherWithin(inner: TargetMatcher, outer: TargetMatcher): boolean {
  if (!listWithin(inner.names, outer.names)) return false;
  return outer.labels.every(({ key, values }) =>
    inner.labels.some((label) => label.key === key && setWithin(label.values, values)),
  );
}

/** Could the exception lift the guard somewhere where the rule counts? */
function mayLift(exception: Exception, rule: Rule, world: World): boolean {
  // What a permit covers and is not opaque is known, and an exception for what is unread lifts nothing there.
  if (exception.unread && rule.effect === "permit" && !rule.allowOpaque) return false;
  if (exception.validUntilMs <= rule.validFromMs) return false;
  const { kinds } = exception.subject;
  if (!setsMeet(rule.subject.kinds, kinds)) return false;
  const matching = world.matching(exception.target);
  const reach = world.reachOf(rule);
  return matching === null || reach === null || setsMeet(reach, matching);
}

/** Does the guard surely deny what it applies to? */
export function denies(rule: Rule): rule is GuardRule {
  return rule.effect === "guard" && rule.mode === "enforce" && rule.consequence.kind === "deny";
}

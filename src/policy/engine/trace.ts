/** Every part of a rule with its truth for an access, for people who ask why a rule matches or does not. */
import type { Given } from "../../core/given.ts";
import { UNKNOWN } from "../../core/operation.ts";
import type { Access } from "../../core/operation.ts";
import type { Session, TimeMs } from "../../core/session.ts";
import { fittingExceptions } from "./entry.ts";
import type { RuleIndex } from "./index.ts";
import { Inquiry } from "./inquiry.ts";
import { canLay, masksOf } from "./masks.ts";
import { isThere, keyCovers, keysToName, keyTouches, MAYBE, needsOnlySomePermit, NO } from "./match.ts";
import type { Verdict } from "./match.ts";
import { subjectMatches, targetMatches } from "./rule.ts";
import type { Block, GuardRule, KeyMatcher, PermitRule, Rule, SubjectMatcher, TargetMatcher } from "./rule.ts";
import { conditionVerdict, guardTouches, lifts } from "./verdict.ts";
import { timeVerdict } from "./when.ts";

/** none: a fact that the access cannot have. */
export type Truth = "yes" | "no" | "unknown" | "none";
/** `part` is where it stands in the rule: `subject.groups`, `action[1].postgres.relations`, `except[0]`. */
export type TracePart = { readonly part: string; readonly truth: Truth };

const TRUTHS: readonly Truth[] = ["no", "unknown", "yes"];
const ANYBODY: SubjectMatcher = { names: null, groups: null, kinds: null, owners: null };

/**
 * The parts of a rule that say something, in the order in which they are written. The rule matches when all of the
 * subject, the target, the times and the condition are yes, all parts of one block are, and no exception is.
 */
export function traceRule(
  index: RuleIndex,
  rule: Rule,
  access: Access,
  session: Session,
  now: TimeMs,
  given: Given,
): readonly TracePart[] {
  const inquiry = new Inquiry(index.byId, session, now, given);
  const blocks = rule.blocks.get(session.target.adapter) ?? [];
  return [
    ...traceSubject(rule.subject, session),
    ...traceTarget(rule.target, session),
    ...(blocks.length === 0 ? [{ part: "action", truth: "none" as const }] : []),
    ...blocks.flatMap((block, at) => traceBlock(rule, block, access, session, blocks.length === 1 ? "" : `[${at}]`)),
    ...(rule.condition === null
      ? []
      : [{ part: "condition", truth: truthOf(conditionVerdict(rule.condition, access, inquiry)) }]),
    ...traceTimes(rule, now),
    ...(rule.effect === "permit"
      ? tracePermit(rule, access, inquiry)
      : traceExceptions(index, rule, blocks, access, inquiry)),
  ];
}

function traceSubject(matcher: SubjectMatcher, { identity }: Session): readonly TracePart[] {
  return (["names", "groups", "kinds", "owners"] as const).flatMap((key): TracePart[] => {
    if (matcher[key] === null) return [];
    if (key === "owners" && identity.owner === undefined) return [{ part: "subject.owners", truth: "none" }];
    const holds = subjectMatches({ ...ANYBODY, [key]: matcher[key] }, identity);
    return [{ part: `subject.${key}`, truth: holds ? "yes" : "no" }];
  });
}

function traceTarget(matcher: TargetMatcher, { target }: Session): readonly TracePart[] {
  const names: TracePart[] =
    matcher.names === null
      ? []
      : [{ part: "target.names", truth: targetMatches({ names: matcher.names, labels: [] }, target) ? "yes" : "no" }];
  const labels = matcher.labels.map((label): TracePart => {
    const part = `target.labels.${label.key}`;
    if (!Object.hasOwn(target.labels, label.key)) return { part, truth: "none" };
    return { part, truth: targetMatches({ names: null, labels: [label] }, target) ? "yes" : "no" };
  });
  return [...names, ...labels];
}

function traceTimes(rule: Rule, now: TimeMs): readonly TracePart[] {
  const parts = {
    window: { ...rule, validFromMs: -Infinity, validUntilMs: Infinity },
    validFrom: { ...rule, window: null, validUntilMs: Infinity },
    validUntil: { ...rule, window: null, validFromMs: -Infinity },
  };
  const isSaid = {
    window: rule.window !== null,
    validFrom: rule.validFromMs !== -Infinity,
    validUntil: rule.validUntilMs !== Infinity,
  };
  return (["window", "validFrom", "validUntil"] as const)
    .filter((part) => isSaid[part])
    .map((part) => ({ part, truth: truthOf(timeVerdict(parts[part], now)) }));
}

function traceBlock(rule: Rule, block: Block, access: Access, session: Session, at: string): readonly TracePart[] {
  const action = `action${at}`;
  const { adapter } = session.target;
  const isPermit = rule.effect === "permit";
  const partOf = (key: string): string => `${action}.${adapter}.${key}`;
  if (isPermit && needsOnlySomePermit(access, false)) {
    // Only where the session is matters to what belongs to every session.
    return block.sessionKeys.map((matcher) => ({
      part: partOf(matcher.key),
      truth: truthOfKey(matcher, access, true),
    }));
  }
  const classes: TracePart[] =
    block.classes === null ? [] : [{ part: `${action}.classes`, truth: truthOfClass(block.classes, access, isPermit) }];
  const keys = block.keys.map((matcher) => ({
    part: partOf(matcher.key),
    truth: truthOfKey(matcher, access, isPermit),
  }));
  const unnamed = isPermit ? block.unnamedKeys.filter((key) => isThere(access.facts[key])) : [];
  const toName = isPermit ? keysToName(block, access) : [];
  const lacking = [...new Set([...unnamed, ...toName])].map((key): TracePart => ({ part: partOf(key), truth: "no" }));
  const all = [...classes, ...keys, ...lacking];
  return all.length === 0 ? [{ part: action, truth: "yes" }] : all;
}

function truthOfClass(classes: ReadonlySet<string>, access: Access, isPermit: boolean): Truth {
  if (!isPermit && access.opaque === true) return "unknown";
  return classes.has(access.class) ? "yes" : "no";
}

function truthOfKey(matcher: KeyMatcher, access: Access, isPermit: boolean): Truth {
  const fact = access.facts[matcher.key];
  if (fact === UNKNOWN) return "unknown";
  if (!isThere(fact)) return access.opaque === true && !isPermit ? "unknown" : "none";
  if (!isPermit) return truthOf(keyTouches(matcher, fact, access.opaque === true ? MAYBE : NO));
  return keyCovers(matcher, fact, access) ? "yes" : "no";
}

function tracePermit(rule: PermitRule, access: Access, inquiry: Inquiry): readonly TracePart[] {
  const parts: TracePart[] = [];
  if (rule.activation !== null) parts.push({ part: "activation", truth: inquiry.awake.has(rule) ? "yes" : "no" });
  if (access.opaque === true) parts.push({ part: "allowOpaque", truth: rule.allowOpaque ? "yes" : "no" });
  if (masksOf(rule).length > 0) {
    parts.push({ part: "obligations.mask", truth: canLay(masksOf(rule), access) ? "yes" : "unknown" });
  }
  return parts;
}

/** An exception is yes when it lifts the guard. */
function traceExceptions(
  index: RuleIndex,
  guard: GuardRule,
  blocks: readonly Block[],
  access: Access,
  inquiry: Inquiry,
): readonly TracePart[] {
  const verdicts = blocks.map((block) => guardTouches({ rule: guard, block, except: [], order: 0 }, access, inquiry));
  const verdict = verdicts.reduce<Verdict>((most, each) => (each > most ? each : most), NO);
  const fitting = fittingExceptions(guard, inquiry.session, index.byId);
  return guard.except.map((exception, at): TracePart => {
    const fit = fitting.find((each) => each.exception === exception);
    const isLifted = fit !== undefined && verdict !== NO && lifts(fit, verdict, access, inquiry);
    return {
      part: exception.name === null ? `except[${at}]` : `except.$${exception.name}`,
      truth: isLifted ? "yes" : "no",
    };
  });
}

function truthOf(verdict: Verdict): Truth {
  return TRUTHS[verdict] ?? "unknown";
}

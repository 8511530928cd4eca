/** Joins what several rules oblige and require: always toward the stricter, so the order of rules cannot matter. */
import { NO_OBLIGATIONS, RECORD_KINDS, SEVERITIES } from "../../core/obligation.ts";
import type {
  Alert,
  LimitObligation,
  MaskObligation,
  MaskTransform,
  Meter,
  Obligations,
  Predicates,
  RecordKind,
  Requirement,
  SessionObligation,
} from "../../core/obligation.ts";
import { ruleObligations } from "./rule.ts";
import type { Rule } from "./rule.ts";

type Masks = Readonly<Record<string, MaskTransform>>;

/** From the mildest to the strictest. */
const PREDICATES: readonly Predicates[] = ["equality", "masked", "deny"];

/** What holds when both must hold. Commutative, associative and idempotent. */
export function joinObligations(a: Obligations, b: Obligations): Obligations {
  const limit = joinParts(a.limit, b.limit, joinLimits);
  const mask = joinParts(a.mask, b.mask, joinMasks);
  const record = joinParts(a.record, b.record, joinRecords);
  const session = joinParts(a.session, b.session, joinSessions);
  const alert = joinParts(a.alert, b.alert, joinAlerts);
  return {
    ...(limit === undefined ? {} : { limit }),
    ...(mask === undefined ? {} : { mask }),
    ...(record === undefined ? {} : { record }),
    ...(session === undefined ? {} : { session }),
    ...(alert === undefined ? {} : { alert }),
  };
}

/** What a rule obliges but for its masks, which depend on the access that they are laid on. */
export function obligationsOf(rule: Rule): Obligations {
  const written = ruleObligations(rule);
  if (written === null) return NO_OBLIGATIONS;
  const { limit, record, session, alert } = written;
  const plain: Obligations = {
    ...(limit === null ? {} : { limit }),
    ...(record.length === 0 ? {} : { record }),
    ...(session === null ? {} : { session }),
    ...(alert.length === 0 ? {} : { alert }),
  };
  // Joined with itself it is written in the one way that all obligations are.
  return joinObligations(plain, plain);
}

/** What must be met when both must be: those about the same thing become one, the strictest. Sorted. */
export function joinRequirements(a: readonly Requirement[], b: readonly Requirement[]): readonly Requirement[] {
  const joined = new Map<string, Requirement>();
  for (const requirement of [...a, ...b]) {
    const subject = subjectOf(requirement);
    const known = joined.get(subject);
    joined.set(subject, known === undefined ? requirement : joinTwo(known, requirement));
  }
  return [...joined].toSorted(([one], [other]) => (one < other ? -1 : 1)).map(([, requirement]) => requirement);
}

/** The same stays; of two partial masks what neither of them shows; any two different ones show nothing. */
export function joinTransforms(a: MaskTransform, b: MaskTransform): MaskTransform {
  if (a.with !== b.with) return { with: "redact" };
  if (a.with !== "partial" || b.with !== "partial") return a;
  return {
    with: "partial",
    keepFirst: Math.min(a.keepFirst, b.keepFirst),
    keepLast: Math.min(a.keepLast, b.keepLast),
  };
}

export function joinPredicates(a: Predicates, b: Predicates): Predicates {
  return PREDICATES.indexOf(a) > PREDICATES.indexOf(b) ? a : b;
}

/** What holds when either is enough: the longest durations, and read-only only when both say so. */
export function meetSessions(a: SessionObligation, b: SessionObligation): SessionObligation {
  const maxDurationMs = largest(a.maxDurationMs, b.maxDurationMs);
  const idleMs = largest(a.idleMs, b.idleMs);
  return {
    ...(a.readOnly === true && b.readOnly === true ? { readOnly: true } : {}),
    ...(maxDurationMs === undefined ? {} : { maxDurationMs }),
    ...(idleMs === undefined ? {} : { idleMs }),
  };
}

function joinParts<T>(a: T | undefined, b: T | undefined, join: (a: T, b: T) => T): T | undefined {
  if (a === undefined) return b;
  return b === undefined ? a : join(a, b);
}

function joinLimits(a: LimitObligation, b: LimitObligation): LimitObligation {
  const rows = smallest(a.rows, b.rows);
  const bytes = smallest(a.bytes, b.bytes);
  const timeMs = smallest(a.timeMs, b.timeMs);
  const meters = joinParts(a.meters, b.meters, joinMeters);
  return {
    ...(rows === undefined ? {} : { rows }),
    ...(bytes === undefined ? {} : { bytes }),
    ...(timeMs === undefined ? {} : { timeMs }),
    ...(meters === undefined ? {} : { meters }),
  };
}

/** A meter is one counter; met twice, it is the same one. */
function joinMeters(a: readonly Meter[], b: readonly Meter[]): readonly Meter[] {
  const meters = new Map<string, Meter>();
  for (const meter of [...a, ...b]) {
    const known = meters.get(meter.id);
    if (known === undefined || meter.max < known.max) meters.set(meter.id, meter);
  }
  return [...meters.values()].toSorted((one, other) => (one.id < other.id ? -1 : 1));
}

function joinMasks(a: MaskObligation, b: MaskObligation): MaskObligation {
  return {
    columns: joinNamed(a.columns, b.columns),
    fields: joinNamed(a.fields, b.fields),
    classifiers: joinNamed(a.classifiers, b.classifiers),
    patterns: joinNamed(a.patterns, b.patterns),
    predicates: joinPredicates(a.predicates, b.predicates),
  };
}

function joinNamed(a: Masks, b: Masks): Masks {
  const joined = new Map(Object.entries(a));
  for (const [name, transform] of Object.entries(b)) {
    const known = joined.get(name);
    joined.set(name, known === undefined ? transform : joinTransforms(known, transform));
  }
  return sortedMasks(joined);
}

/** Masks by name as obligations hold them; a name such as `__proto__` is a name like any other. */
export function sortedMasks(masks: ReadonlyMap<string, MaskTransform>): Masks {
  return Object.fromEntries([...masks].toSorted(([one], [other]) => (one < other ? -1 : 1)));
}

function joinRecords(a: readonly RecordKind[], b: readonly RecordKind[]): readonly RecordKind[] {
  return RECORD_KINDS.filter((kind) => a.includes(kind) || b.includes(kind));
}

/** What holds when both must hold. */
export function joinSessions(a: SessionObligation, b: SessionObligation): SessionObligation {
  const maxDurationMs = smallest(a.maxDurationMs, b.maxDurationMs);
  const idleMs = smallest(a.idleMs, b.idleMs);
  return {
    ...(a.readOnly === true || b.readOnly === true ? { readOnly: true } : {}),
    ...(maxDurationMs === undefined ? {} : { maxDurationMs }),
    ...(idleMs === undefined ? {} : { idleMs }),
  };
}

function joinAlerts(a: readonly Alert[], b: readonly Alert[]): readonly Alert[] {
  const alerts = new Map<string, Alert>();
  for (const alert of [...a, ...b]) {
    const known = alerts.get(alert.channel);
    const isHigher = known === undefined || SEVERITIES.indexOf(alert.severity) > SEVERITIES.indexOf(known.severity);
    if (isHigher) alerts.set(alert.channel, alert);
  }
  return [...alerts.values()].toSorted((one, other) => (one.channel < other.channel ? -1 : 1));
}

/** What a requirement is about; two about the same thing become one. */
function subjectOf(requirement: Requirement): string {
  switch (requirement.kind) {
    case "approval": {
      const { from, distinctFrom } = requirement;
      return JSON.stringify([requirement.kind, from.groups, from.subjects, distinctFrom]);
    }
    case "justification":
      return JSON.stringify([requirement.kind, requirement.pattern]);
    case "stepUp":
    case "confirm":
      return JSON.stringify([requirement.kind]);
  }
}

/** Joins two requirements about the same thing. */
function joinTwo(a: Requirement, b: Requirement): Requirement {
  const rules = [...new Set([...a.rules, ...b.rules])].toSorted();
  if (a.kind !== "approval" || b.kind !== "approval") return { ...a, rules };
  return {
    ...a,
    rules,
    count: Math.max(a.count, b.count),
    withinMs: Math.min(a.withinMs, b.withinMs),
    validForMs: Math.min(a.validForMs, b.validForMs),
    uses: Math.min(a.uses, b.uses),
  };
}

function smallest(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined) return b;
  return b === undefined ? a : Math.min(a, b);
}

/** Undefined, which is no limit, is larger than any number. */
function largest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : Math.max(a, b);
}

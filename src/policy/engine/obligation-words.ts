/** Obligations and requirements in words for people, as short as they can be. */
import type {
  LimitObligation,
  MaskObligation,
  MaskTransform,
  Meter,
  ObligationKind,
  Obligations,
  Requirement,
  SessionObligation,
} from "../../core/obligation.ts";
import { listOf, nameOf } from "./phrase.ts";
import { formatDuration, formatSize } from "../language/quantity.ts";

/** What rules call the identity provider's groups, by their ids. */
export type GroupNames = ReadonlyMap<string, string>;

const NOTHING = "nothing";

/** `limit rows 1000, time 20s; record input`. */
export function obligationsWords(obligations: Obligations): string {
  const kinds = ["mask", "limit", "session", "record", "alert"] as const;
  const parts = kinds.filter((kind) => obligations[kind] !== undefined);
  return parts.map((kind) => `${kind} ${obligationWords(kind, obligations)}`).join("; ");
}

/** One kind of obligation: `rows 1000, time 20s`; `nothing` when there is none. */
function obligationWords(kind: ObligationKind, obligations: Obligations): string {
  return joined(wordsOf(kind, obligations));
}

/** Of one kind of obligation, what one side has and the other has not. */
export function differingWords(
  kind: ObligationKind,
  was: Obligations,
  is: Obligations,
): { readonly was: string; readonly is: string } {
  const [old, young] = [wordsOf(kind, was), wordsOf(kind, is)];
  return {
    was: joined(without(old, young)),
    is: joined(without(young, old)),
  };
}

function joined(words: readonly string[]): string {
  return words.length === 0 ? NOTHING : words.join(", ");
}

function wordsOf(kind: ObligationKind, { mask, limit, session, record, alert }: Obligations): readonly string[] {
  switch (kind) {
    case "mask":
      return mask === undefined ? [] : maskWords(mask);
    case "limit":
      return limit === undefined ? [] : limitWords(limit);
    case "session":
      return session === undefined ? [] : sessionWords(session);
    case "record":
      return record ?? [];
    case "alert":
      return (alert ?? []).map(({ channel, severity }) => `${severity} to ${channel}`);
  }
}

function maskWords({ columns, fields, classifiers, patterns, predicates }: MaskObligation): readonly string[] {
  const byTransform = new Map<string, string[]>();
  for (const [what, masks] of Object.entries({
    "": columns,
    "fields ": fields,
    "any ": { ...classifiers, ...patterns },
  })) {
    for (const [name, transform] of Object.entries(masks)) {
      const words = transformWords(transform);
      const names = byTransform.get(words) ?? [];
      names.push(`${what}${nameOf(name)}`);
      byTransform.set(words, names);
    }
  }
  const masked = [...byTransform].map(([transform, names]) => `${transform} on ${listOf(names)}`);
  return predicates === "masked" ? masked : [...masked, `conditions on them: ${predicates}`];
}

/** `hash`, `partial (first 0, last 4)`. */
export function transformWords(transform: MaskTransform): string {
  if (transform.with !== "partial") return transform.with;
  return `partial (first ${transform.keepFirst}, last ${transform.keepLast})`;
}

function limitWords({ rows, bytes, timeMs, meters }: LimitObligation): readonly string[] {
  return [
    ...(rows === undefined ? [] : [`rows ${rows}`]),
    ...(bytes === undefined ? [] : [`bytes ${formatSize(bytes)}`]),
    ...(timeMs === undefined ? [] : [`time ${formatDuration(timeMs)}`]),
    ...(meters ?? []).map(meterWords),
  ];
}

function meterWords({ unit, max, per, across }: Meter): string {
  const period = per.kind === "sliding" ? formatDuration(per.ms) : per.kind;
  const amount = unit === "bytes" ? formatSize(max) : `${max} ${unit}`;
  return `${amount} per ${period}${across === "owner" ? " of an owner" : ""}`;
}

function sessionWords({ readOnly, maxDurationMs, idleMs }: SessionObligation): readonly string[] {
  return [
    ...(readOnly === true ? ["read-only"] : []),
    ...(maxDurationMs === undefined ? [] : [`at most ${formatDuration(maxDurationMs)}`]),
    ...(idleMs === undefined ? [] : [`idle at most ${formatDuration(idleMs)}`]),
  ];
}

/** `2 of dba (within 30m, good for 15m), a justification like $ticket`; `nothing` when nothing is required. */
export function requirementWords(requirements: readonly Requirement[], groups: GroupNames): string {
  return joined(requirements.map((requirement) => wordsOfOne(requirement, groups)));
}

/** What one side requires and the other does not. */
export function differingRequirements(
  was: readonly Requirement[],
  is: readonly Requirement[],
  groups: GroupNames,
): { readonly was: string; readonly is: string } {
  const [old, young] = [was, is].map((side) => side.map((requirement) => wordsOfOne(requirement, groups)));
  return { was: joined(without(old ?? [], young ?? [])), is: joined(without(young ?? [], old ?? [])) };
}

function without(words: readonly string[], others: readonly string[]): readonly string[] {
  return words.filter((each) => !others.includes(each));
}

function wordsOfOne(requirement: Requirement, groups: GroupNames): string {
  switch (requirement.kind) {
    case "approval": {
      const { from, count, withinMs, validForMs, uses } = requirement;
      const who = listOf([...from.groups.map((id) => groups.get(id) ?? id), ...from.subjects]);
      const times = `within ${formatDuration(withinMs)}, good for ${formatDuration(validForMs)}`;
      return `${count} of ${who} (${times}${uses === 1 ? "" : ` and ${uses} uses`})`;
    }
    case "justification":
      return requirement.pattern === null ? "a justification" : `a justification like $${requirement.pattern}`;
    case "stepUp":
      return "a second factor";
    case "confirm":
      return "a yes of the owner";
  }
}

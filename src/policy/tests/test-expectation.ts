/** What a case expects of its decision, and how a decision falls short of it. */
import type { Decision, RuleId } from "../../core/decision.ts";
import type { MaskTransform, Obligations, RecordKind, Requirement } from "../../core/obligation.ts";
import { formatDuration, formatSize } from "../language/quantity.ts";

/** How something is masked, by the word that rules use; none: not at all. */
export type ExpectedMask = MaskTransform["with"] | "none";

/** A rate or a budget, whichever rule it comes from. */
export type ExpectedMeter = {
  readonly unit: "calls" | "rows" | "bytes";
  readonly max: number;
  /** The length of a sliding window in milliseconds, or the period. */
  readonly per: number | "session" | "hour" | "day";
  readonly across: "subject" | "owner";
};

export type ExpectedLimit = {
  readonly rows?: number;
  readonly bytes?: number;
  readonly timeMs?: number;
  readonly meters: readonly ExpectedMeter[];
};

export type ExpectedSession = { readonly readOnly?: true; readonly maxDurationMs?: number; readonly idleMs?: number };

/** Null: the case does not say. */
export type Expectation = {
  readonly kind: Decision["kind"];
  readonly by: readonly RuleId[] | null;
  readonly mask: ReadonlyMap<string, ExpectedMask> | null;
  readonly limit: ExpectedLimit | null;
  readonly record: readonly RecordKind[] | null;
  readonly session: ExpectedSession | null;
  readonly alert: readonly string[] | null;
  readonly requires: readonly Requirement["kind"][] | null;
  readonly observed: readonly RuleId[] | null;
  readonly message: string | null;
};

/** What was decided on everything that a case sends. */
export type Decided = {
  readonly kind: Decision["kind"];
  readonly rules: readonly RuleId[];
  readonly observed: readonly RuleId[];
  readonly obligations: Obligations;
  readonly requirements: readonly Requirement[];
  /** Of a denial: the refusal's message, and its hint. */
  readonly message: string;
  readonly hint: string;
};

/** One sentence for each way in which the decision is not what is expected; none when it is. */
export function shortfalls(expected: Expectation, decided: Decided): readonly string[] {
  const found: string[] = [];
  if (decided.kind !== expected.kind) {
    const reason = reasonOf(decided);
    found.push(`expected ${expected.kind}, got ${decided.kind}${reason === "" ? "" : `: ${reason}`}`);
  }
  compareRules("by", expected.by, decided.rules, found);
  if (expected.mask !== null) compareMasks(expected.mask, decided.obligations, found);
  if (expected.limit !== null) compareLimits(expected.limit, decided.obligations, found);
  if (expected.session !== null) compareSessions(expected.session, decided.obligations, found);
  compareLists("record", expected.record, decided.obligations.record ?? [], found);
  const channels = (decided.obligations.alert ?? []).map(({ channel }) => channel);
  compareLists("alert", expected.alert, channels, found);
  const unmet = [...new Set(decided.requirements.map(({ kind }) => kind))];
  compareLists("requires", expected.requires, unmet, found);
  compareLists("observed", expected.observed, decided.observed, found);
  if (expected.message !== null && !decided.message.includes(expected.message)) {
    const got = decided.message === "" ? "no message" : JSON.stringify(decided.message);
    found.push(`expected a message with ${JSON.stringify(expected.message)}, got ${got}`);
  }
  return found;
}

/** Why it was denied, or what people must still do; empty for a permit. */
export function reasonOf({ kind, requirements, message, hint }: Decided): string {
  if (kind === "ask") return [...new Set(requirements.map((each) => each.kind))].join(", ");
  return hint === "" ? message : `${message}. ${hint}`;
}

/** Named rules must be among the deciding ones; an empty list asks for none at all. */
function compareRules(what: string, expected: readonly RuleId[] | null, got: readonly RuleId[], found: string[]): void {
  if (expected === null) return;
  const isRight = expected.length === 0 ? got.length === 0 : expected.every((id) => got.includes(id));
  if (!isRight) found.push(`${what}: expected ${listOf(expected)}, got ${listOf(got)}`);
}

function compareLists(what: string, expected: readonly string[] | null, got: readonly string[], found: string[]): void {
  if (expected === null) return;
  const wanted = [...new Set(expected)].toSorted();
  if (wanted.join("\n") !== got.toSorted().join("\n")) {
    found.push(`${what}: expected ${listOf(wanted)}, got ${listOf(got.toSorted())}`);
  }
}

function listOf(items: readonly string[]): string {
  return items.length === 0 ? "none" : items.join(", ");
}

function compareMasks(expected: ReadonlyMap<string, ExpectedMask>, { mask }: Obligations, found: string[]): void {
  const { columns = {}, fields = {}, classifiers = {}, patterns = {} } = mask ?? {};
  const got = new Map(
    [patterns, classifiers, fields, columns].flatMap((part) =>
      Object.entries(part).map(([name, transform]): [string, ExpectedMask] => [name, transform.with]),
    ),
  );
  if (expected.size === 0) {
    if (got.size > 0) found.push(`mask: expected none, got ${masksOf(got)}`);
    return;
  }
  for (const [name, transform] of expected) {
    const actual = got.get(name) ?? "none";
    if (actual !== transform) found.push(`mask of ${name}: expected ${transform}, got ${actual}`);
  }
}

function masksOf(masks: ReadonlyMap<string, ExpectedMask>): string {
  return [...masks].map(([name, transform]) => `${name}: ${transform}`).join(", ");
}

function compareLimits(expected: ExpectedLimit, { limit }: Obligations, found: string[]): void {
  const { rows, bytes, timeMs, meters } = expected;
  if (rows === undefined && bytes === undefined && timeMs === undefined && meters.length === 0) {
    if (limit !== undefined) found.push("limit: expected none, got one");
    return;
  }
  compareNumber("limit of rows", rows, limit?.rows, String, found);
  compareNumber("limit of bytes", bytes, limit?.bytes, formatSize, found);
  compareNumber("limit of time", timeMs, limit?.timeMs, formatDuration, found);
  for (const meter of meters) {
    const isThere = (limit?.meters ?? []).some(
      (each) =>
        each.unit === meter.unit &&
        each.max === meter.max &&
        each.across === meter.across &&
        (each.per.kind === "sliding" ? each.per.ms : each.per.kind) === meter.per,
    );
    if (!isThere) found.push(`limit: expected at most ${meterText(meter)}, and there is no such rate or budget`);
  }
}

function meterText({ unit, max, per, across }: ExpectedMeter): string {
  const period = typeof per === "number" ? formatDuration(per) : per;
  return `${unit === "bytes" ? formatSize(max) : `${max} ${unit}`} per ${period} and ${across}`;
}

function compareSessions(expected: ExpectedSession, { session }: Obligations, found: string[]): void {
  if (Object.keys(expected).length === 0) {
    if (session !== undefined) found.push("session: expected nothing, got something");
    return;
  }
  if (expected.readOnly === true && session?.readOnly !== true) found.push("session: expected readOnly, and it is not");
  compareNumber("maxDuration of the session", expected.maxDurationMs, session?.maxDurationMs, formatDuration, found);
  compareNumber("idle of the session", expected.idleMs, session?.idleMs, formatDuration, found);
}

function compareNumber(
  what: string,
  expected: number | undefined,
  got: number | undefined,
  format: (value: number) => string,
  found: string[],
): void {
  if (expected === undefined || expected === got) return;
  found.push(`${what}: expected ${format(expected)}, got ${got === undefined ? "none" : format(got)}`);
}

/** Compiles what must hold while an operation runs: limits, what is recorded, the session, alerts. Masks have a file of their own. */
import { OBLIGATION_KINDS } from "../../core/obligation.ts";
import type { Alert, KeptKind, LimitObligation, Meter, SessionObligation } from "../../core/obligation.ts";
import type { Vocabulary } from "../../core/vocabulary.ts";
import { isWord, WORD_RULE } from "./author-vocabulary.ts";
import { compileMasks } from "./compile-masks.ts";
import { compileDuration, compileRate, compileSize } from "./compile-quantity.ts";
import { formatDuration } from "./quantity.ts";
import type { Blocks, RuleObligations } from "../engine/rule.ts";
import type { RuleScope, Scope, WrittenRule } from "./rule-scope.ts";
import { quote } from "./shape.ts";
import type { Path } from "./source.ts";

type Written = NonNullable<WrittenRule["oblige"]>;
type WrittenLimit = NonNullable<Written["limit"]>;
type WrittenBudget = NonNullable<WrittenLimit["budget"]>[number];

/** What obligations of a rule are about: the rule's blocks, and the adapters that it can speak about. */
export type Reach = {
  readonly blocks: Blocks;
  /** Those that the action names, or those of the targets that the rule matches; null when that is not known. */
  readonly adapters: readonly string[] | null;
};

export function compileObligations(scope: RuleScope, written: Written, path: Path, reach: Reach): RuleObligations {
  if (scope.source.isEmptyMap(path))
    scope.error("BAD_VALUE", path, "this obliges to nothing", "Write mask, limit, record, session or alert");
  checkKept(scope, written, path, reach);
  checkSealed(scope, written, path);
  warnOfSealedInput(scope, written, path, reach);
  const { id } = scope.rule;
  return {
    limit: written.limit === undefined ? null : compileLimit(scope, written.limit, [...path, "limit"], id),
    masks: written.mask === undefined ? [] : compileMasks(scope, written.mask, [...path, "mask"], reach),
    record: [...new Set(written.record)].toSorted(),
    session: written.session === undefined ? null : compileSession(scope, written.session, [...path, "session"]),
    alert: compileAlerts(scope, written.alert ?? [], [...path, "alert"]),
  };
}

/** An obligation that nobody keeps is worse than none: its author relies on it. */
function checkKept(scope: Scope, written: Written, path: Path, { adapters }: Reach): void {
  const { vocabularies } = scope.words;
  const named = vocabularies.filter(({ name }) => adapters === null || adapters.includes(name));
  for (const kind of OBLIGATION_KINDS) {
    if (!Object.hasOwn(written, kind)) continue;
    const lacking = named.filter(({ keeps }) => !keeps.includes(kind));
    // Of a rule about whatever there is, it is enough that some adapter keeps it; the gate refuses what one cannot keep.
    const isKept = adapters === null ? lacking.length < named.length : lacking.length === 0;
    const who = namesOf(lacking);
    if (!isKept) {
      const kept = [...new Set(lacking.flatMap(({ keeps }) => keeps))].join(", ");
      const suggestion = kept === "" ? "" : `There one can oblige to ${kept}`;
      scope.error("CANNOT_BE_KEPT", [...path, kind], `${kind} cannot be kept on ${who}`, suggestion, "key");
      continue;
    }
    if (adapters !== null) warnOfLater(scope, named, kind, kind, [...path, kind]);
  }
  if (adapters === null) return;
  if (written.session?.readOnly === true) {
    const holding = named.filter(({ name }) => scope.words.keepsNow?.get(name)?.includes("session") === true);
    warnOfLater(scope, holding, "readOnly", "session: { readOnly }", [...path, "session", "readOnly"]);
  }
  const raw = written.record?.indexOf("raw") ?? -1;
  if (raw === -1) return;
  const recording = named.filter(({ name }) => scope.words.keepsNow?.get(name)?.includes("record") === true);
  warnOfLater(scope, recording, "raw", "record: [raw]", [...path, "record", raw]);
}

function warnOfLater(scope: Scope, named: readonly Vocabulary[], kind: KeptKind, words: string, path: Path): void {
  const later = named.filter(({ name }) => scope.words.keepsNow?.get(name)?.includes(kind) === false);
  if (later.length === 0) return;
  const message = `this version does not keep ${words} on ${namesOf(later)} yet: what needs it is denied`;
  scope.warning("NOT_KEPT_YET", path, message);
}

/** What nobody could ever open is not recorded, it is lost. */
function checkSealed(scope: Scope, { record = [] }: Written, path: Path): void {
  const at = record.indexOf("raw");
  if (at === -1 || scope.words.seals !== false) return;
  const suggestion = "Name age recipients under audit.seal.recipients in weir.yaml, or take raw out";
  scope.error(
    "CANNOT_BE_KEPT",
    [...path, "record", at],
    "what is raw is sealed, and there is nobody to seal it to",
    suggestion,
  );
}

/** Recorded input that nobody could open is refused when it is asked for: its author should not hear of that from users. */
function warnOfSealedInput(scope: Scope, { record = [] }: Written, path: Path, { adapters, blocks }: Reach): void {
  const at = record.indexOf("input");
  if (at === -1 || scope.words.seals !== false || adapters === null) return;
  for (const { name, sealedInput } of scope.words.vocabularies) {
    if (sealedInput === undefined || !adapters.includes(name)) continue;
    const about = blocks.get(name) ?? [];
    const isMeant = about.some(({ keys }) => {
      const matcher = keys.find(({ key }) => key === sealedInput.key);
      return matcher?.kind !== "names" || matcher.names.hasAny(sealedInput.values);
    });
    if (about.length > 0 && !isMeant) continue;
    scope.warning(
      "CANNOT_BE_KEPT",
      [...path, "record", at],
      `the input of ${name}'s ${sealedInput.what} is sealed, and there is nobody to seal it to: they are refused`,
      "Name age recipients under audit.seal.recipients in weir.yaml",
    );
  }
}

function namesOf(vocabularies: readonly Vocabulary[]): string {
  return vocabularies.map(({ name }) => name).join(" and ");
}

function compileLimit(scope: Scope, written: WrittenLimit, path: Path, rule: string): LimitObligation {
  if (scope.source.isEmptyMap(path))
    scope.error("BAD_VALUE", path, "this limits nothing", "Write rows, bytes, time, rate or budget");
  const bytes = compileSize(scope, written.bytes, [...path, "bytes"]);
  const timeMs = compileDuration(scope, written.time, [...path, "time"]);
  const meters = compileMeters(scope, written, path, rule);
  return {
    ...(written.rows === undefined ? {} : { rows: written.rows }),
    ...(bytes === null ? {} : { bytes }),
    ...(timeMs === null ? {} : { timeMs }),
    ...(meters.length === 0 ? {} : { meters }),
  };
}

/** The meters of a rule, sorted by id. */
function compileMeters(scope: Scope, written: WrittenLimit, path: Path, rule: string): readonly Meter[] {
  const meters = new Map<string, Meter>();
  const rate = compileRate(scope, written.rate, [...path, "rate"]);
  if (rate !== null) {
    const id = `${rule}/calls/${formatDuration(rate.ms)}/subject`;
    const per = { kind: "sliding", ms: rate.ms } as const;
    meters.set(id, { id, rule, unit: "calls", max: rate.max, per, across: "subject" });
  }
  for (const [index, budget] of (written.budget ?? []).entries()) {
    const at = [...path, "budget", index];
    const meter = compileBudget(scope, budget, at, rule);
    if (meter === null) continue;
    if (meters.has(meter.id)) {
      const message = `there are two budgets of ${meter.unit} per ${meter.per.kind} across one ${meter.across}`;
      scope.error("BAD_VALUE", at, message, "Keep the smaller");
    }
    meters.set(meter.id, meter);
  }
  return [...meters.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

const UNITS = ["calls", "rows", "bytes"] as const;

function compileBudget(scope: Scope, written: WrittenBudget, path: Path, rule: string): Meter | null {
  const [unit, ...others] = UNITS.filter((each) => written[each] === true);
  if (unit === undefined || others.length > 0) {
    const message = unit === undefined ? "this budget counts nothing" : "a budget counts one thing";
    scope.error("BAD_VALUE", path, message, "Write one of calls: true, rows: true and bytes: true");
    return null;
  }
  const max = compileMax(scope, written.max, unit, [...path, "max"]);
  if (max === null) return null;
  const { per, across } = written;
  const { timeZone } = scope.words;
  if (per === "day") scope.references.set("time zone", timeZone);
  return {
    id: `${rule}/${unit}/${per}/${across}`,
    rule,
    unit,
    max,
    per: per === "day" ? { kind: "day", timeZone } : { kind: per },
    across,
  };
}

function compileMax(scope: Scope, max: number | string, unit: Meter["unit"], path: Path): number | null {
  if (unit === "bytes") return compileSize(scope, String(max), path);
  if (typeof max === "number") return max;
  scope.error("BAD_VALUE", path, `${quote(max)} is not a number of ${unit}`, "Write a whole number, without a unit");
  return null;
}

function compileSession(scope: Scope, written: NonNullable<Written["session"]>, path: Path): SessionObligation {
  if (scope.source.isEmptyMap(path))
    scope.error("BAD_VALUE", path, "this obliges to nothing", "Write readOnly, maxDuration or idle");
  const maxDurationMs = compileDuration(scope, written.maxDuration, [...path, "maxDuration"]);
  const idleMs = compileDuration(scope, written.idle, [...path, "idle"]);
  return {
    ...(written.readOnly === true ? { readOnly: true } : {}),
    ...(maxDurationMs === null ? {} : { maxDurationMs }),
    ...(idleMs === null ? {} : { idleMs }),
  };
}

/** Sorted by channel, each once. */
function compileAlerts(scope: Scope, written: NonNullable<Written["alert"]>, path: Path): readonly Alert[] {
  const alerts = new Map<string, Alert>();
  for (const [index, { channel, severity = "warning" }] of written.entries()) {
    const at = [...path, index, "channel"];
    if (!isWord(channel)) scope.error("BAD_VALUE", at, `${quote(channel)} cannot name a channel`, WORD_RULE);
    if (alerts.has(channel))
      scope.error("BAD_VALUE", at, `the channel ${quote(channel)} stands here twice`, "Keep one");
    alerts.set(channel, { channel, severity });
  }
  return [...alerts.values()].toSorted((a, b) => (a.channel < b.channel ? -1 : 1));
}

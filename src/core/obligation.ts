/** What must hold while an operation runs, and what people must still do before it may. */
import type { RuleId } from "./decision.ts";

/** The kinds of obligation an adapter may declare that it keeps. */
export const OBLIGATION_KINDS = ["limit", "mask", "record", "session", "alert"] as const;
export type ObligationKind = (typeof OBLIGATION_KINDS)[number];

/** What an adapter may declare that it keeps. raw, readOnly: also `record: [raw]`, `session: { readOnly }`, which `record` and `session` alone do not promise. */
export type KeptKind = ObligationKind | "raw" | "readOnly";

/** How a masked value looks. */
export type MaskTransform =
  | { readonly with: "redact" | "null" | "hash" }
  | { readonly with: "partial"; readonly keepFirst: number; readonly keepLast: number };

/** What conditions of a statement see of a masked column: the mask, nothing (refused), or equality with the value. */
export type Predicates = "masked" | "deny" | "equality";

type Masks = Readonly<Record<string, MaskTransform>>;

/** What is masked how, by name: columns as the adapter's facts name them, fields, classifiers, author patterns. */
export type MaskObligation = {
  readonly columns: Masks;
  readonly fields: Masks;
  readonly classifiers: Masks;
  readonly patterns: Masks;
  readonly predicates: Predicates;
};

/** A rate or a budget: one counter per rule, unit, period and whose. */
export type Meter = {
  /** `rule/unit/period/across`, unique in a set. */
  readonly id: string;
  /** Null: it is no rule's, but an adapter's own. */
  readonly rule: RuleId | null;
  /** What each call of it is, where it is no rule's: `comparisons with the masked column public.users.email`. */
  readonly calls?: string;
  readonly unit: "calls" | "rows" | "bytes";
  readonly max: number;
  readonly per:
    | { readonly kind: "sliding"; readonly ms: number }
    | { readonly kind: "session" }
    | { readonly kind: "hour" }
    | { readonly kind: "day"; readonly timeZone: string };
  /** owner: the owner of an agent or service and all that is theirs; whoever has no owner counts as itself. */
  readonly across: "subject" | "owner";
};

/** Reaching a limit is an error, never a silent cut. Rows are those returned or affected. */
export type LimitObligation = {
  readonly rows?: number;
  readonly bytes?: number;
  readonly timeMs?: number;
  /** Sorted by id; each must hold. */
  readonly meters?: readonly Meter[];
};

export type SessionObligation = {
  readonly readOnly?: true;
  readonly maxDurationMs?: number;
  readonly idleMs?: number;
};

/** From the mildest to the most severe. */
export const SEVERITIES = ["info", "warning", "critical"] as const;
export type Severity = (typeof SEVERITIES)[number];
export type Alert = { readonly channel: string; readonly severity: Severity };

/** raw: the unmasked rows, sealed. */
export const RECORD_KINDS = ["input", "output", "raw"] as const;
export type RecordKind = (typeof RECORD_KINDS)[number];

/** What must hold while an operation runs. Equal obligations are written in the same way: lists are sorted, nothing is empty. */
export type Obligations = {
  readonly limit?: LimitObligation;
  readonly mask?: MaskObligation;
  /** Sorted. */
  readonly record?: readonly RecordKind[];
  readonly session?: SessionObligation;
  /** Sorted by channel, each once. */
  readonly alert?: readonly Alert[];
};
export const NO_OBLIGATIONS: Obligations = Object.freeze({});

/** Something that people must still do before an operation may run. `rules` are those that ask for it, sorted. */
export type Requirement =
  | {
      readonly kind: "approval";
      readonly rules: readonly RuleId[];
      /** Who may approve: members of these groups (ids of the identity provider) and these subjects; sorted. */
      readonly from: { readonly groups: readonly string[]; readonly subjects: readonly string[] };
      readonly count: number;
      /** All of the approvals are given within this time of each other. */
      readonly withinMs: number;
      /** An approval is good for this long. */
      readonly validForMs: number;
      readonly uses: number;
      /** Ids of rules: who approves for one of them does not count here, even where `from` is the same. Sorted. */
      readonly distinctFrom: readonly string[];
    }
  /** `pattern` is the name of a pattern in the vocabulary, which the whole text must match; null: any text. */
  | { readonly kind: "justification"; readonly rules: readonly RuleId[]; readonly pattern: string | null }
  | { readonly kind: "stepUp"; readonly rules: readonly RuleId[]; readonly method: "mfa" }
  | { readonly kind: "confirm"; readonly rules: readonly RuleId[]; readonly by: "owner" };

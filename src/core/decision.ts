/** What policy says of an operation, and the refusal a client gets when it says no. */

export type RuleId = string;

/** For programs; every adapter maps each code onto its protocol's own error. */
export const REFUSAL_CODES = [
  "denied", // policy says no
  "not_understood", // the adapter could not read it and policy does not permit what cannot be read
  "unauthenticated", // who asks could not be verified, or may not know that the target exists
  "audit_unavailable", // the record cannot be written
  "approval_denied", // a person said no
  "approval_expired", // nobody answered in time
  "cancelled", // the client withdrew
  "limit", // a number in the configuration or the policy was reached
  "target_unavailable", // the target cannot be reached or refuses the gateway's login
  "protocol", // the client's bytes are not its protocol
  "draining", // the gateway is shutting down
  "internal", // a fault of the gateway's own; it refuses
] as const;
export type RefusalCode = (typeof REFUSAL_CODES)[number];

/** Why something was refused. Never holds a secret or a row value. */
export type Refusal = {
  readonly kind: "refusal";
  readonly code: RefusalCode;
  /** One sentence for people. */
  readonly message: string;
  /** What to do next, for people; empty when there is nothing to do. */
  readonly hint: string;
  /** What only the gateway's operator may see (addresses, a server's own words); never sent to a client. */
  readonly detail: string;
  readonly rules: readonly RuleId[];
  /** The id to quote: the operation's, or the log event's. */
  readonly event: string;
};

/** Makes a refusal; what is left out is empty. */
export function refusal(
  code: RefusalCode,
  message: string,
  more: { hint?: string; detail?: string; rules?: readonly RuleId[]; event?: string } = {},
): Refusal {
  return {
    kind: "refusal",
    code,
    message,
    hint: more.hint ?? "",
    detail: more.detail ?? "",
    rules: more.rules ?? [],
    event: more.event ?? "",
  };
}

/** True when a port answered with a refusal instead of a value. */
export function isRefusal(value: object): value is Refusal {
  return "kind" in value && value.kind === "refusal";
}

/** The kinds of obligation an adapter may declare that it keeps. */
export const OBLIGATION_KINDS = ["limit", "mask", "record", "session", "alert"] as const;
export type ObligationKind = (typeof OBLIGATION_KINDS)[number];

/** What must hold while an operation runs; empty until a rule says otherwise. */
export type Obligations = Readonly<Partial<Record<ObligationKind, unknown>>>;
export const NO_OBLIGATIONS: Obligations = Object.freeze({});

/** Something that a person must still do before an operation may run. */
export type Requirement = { readonly rule: RuleId; readonly kind: "approval" | "justification" | "stepUp" | "confirm" };

/**
 * The answer to one operation. A decision is immutable and may be shared by many operations:
 * whoever caches work per decision may do so by object identity.
 */
export type Decision =
  | { readonly kind: "permit"; readonly rules: readonly RuleId[]; readonly obligations: Obligations }
  | {
      readonly kind: "ask";
      readonly rules: readonly RuleId[];
      readonly obligations: Obligations;
      readonly requirements: readonly [Requirement, ...Requirement[]];
    }
  /** `refusal.event` is empty here; the gate fills in the operation's id. */
  | { readonly kind: "deny"; readonly rules: readonly RuleId[]; readonly refusal: Refusal };

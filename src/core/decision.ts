/** What policy says of an operation, and the refusal a client gets when it says no. */

import type { Obligations, Requirement } from "./obligation.ts";

export type RuleId = string;
export const NO_RULES: readonly RuleId[] = Object.freeze([]);

/** For programs; every adapter maps each code onto its protocol's own error. */
export const REFUSAL_CODES = [
  "denied", // policy says no
  "not_understood", // the adapter could not read it and policy does not permit what cannot be read
  "unauthenticated", // who asks could not be verified, or may not know that the target exists
  "audit_unavailable", // the record cannot be written
  "recording_unavailable", // policy obliges to a recording, which cannot be had or cannot go on
  "approval_denied", // a person said no
  "approval_expired", // nobody answered in time
  "cancelled", // the client withdrew
  "limit", // a number in the configuration or the policy was reached
  "target_unavailable", // the target cannot be reached or refuses the gateway's login
  "protocol", // the client's bytes are not its protocol
  "draining", // the gateway is shutting down
  "killed", // an administrator has ended the session
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

type DecisionBase = {
  /** Those it rests on, sorted. */
  readonly rules: readonly RuleId[];
  /** Rules in observe mode that would have applied, sorted. */
  readonly observed: readonly RuleId[];
  /** Must be decided again each time: it rests on a condition about the time, or on what people have given. */
  readonly volatile?: true;
};

/**
 * The answer to one operation. A decision is immutable and may be shared by many operations:
 * whoever caches work per decision may do so by object identity.
 */
export type Decision =
  | (DecisionBase & { readonly kind: "permit"; readonly obligations: Obligations })
  | (DecisionBase & {
      readonly kind: "ask";
      readonly obligations: Obligations;
      /** Those still unmet. */
      readonly requirements: readonly [Requirement, ...Requirement[]];
    })
  /** `refusal.event` is empty here; the gate fills in the operation's id. */
  | (DecisionBase & { readonly kind: "deny"; readonly refusal: Refusal });

/** What people have given for an operation: approvals, grants that wake permits, a justification. */
import type { RuleId } from "./decision.ts";
import type { TimeMs } from "./session.ts";

/** One person's yes to one operation. */
export type Approval = {
  readonly issuer: string;
  readonly subject: string;
  /** As the identity provider sent them when the approval was given. */
  readonly groups: readonly string[];
  readonly atMs: TimeMs;
};

/** A permit that sleeps is awake for this subject until the grant expires, as long as the rule is as it was. */
export type Grant = {
  readonly id: string;
  readonly rule: RuleId;
  readonly ruleDigest: string;
  readonly issuer: string;
  readonly subject: string;
  readonly expiresAtMs: TimeMs;
};

export type Given = {
  readonly grants: readonly Grant[];
  readonly approvals: readonly Approval[];
  readonly justification: string | null;
  /** Logged in with a second factor, freshly. */
  readonly steppedUp: boolean;
  readonly confirmedByOwner: boolean;
};

export const NOTHING_GIVEN: Given = Object.freeze({
  grants: Object.freeze([]),
  approvals: Object.freeze([]),
  justification: null,
  steppedUp: false,
  confirmedByOwner: false,
});

/** Permits: the right to write to a target for one operation, minted by the gate alone. */
import { NO_RULES, type RuleId } from "../core/decision.ts";
import type { Obligations } from "../core/obligation.ts";
import type { OperationId } from "../core/operation.ts";
import type { Permit, Sequence } from "../core/ports.ts";
import type { SessionRecording } from "../core/recording.ts";
import type { SessionId } from "../core/session.ts";
import type { Keeping } from "./keeping.ts";

/** What a permit may have besides; left out: it has none. */
type PermitParts = Partial<Pick<MintedPermit, "rules" | "keeping" | "recording">>;

/**
 * A permit as the gate made it. Aliveness is a private field: an object that merely looks like a permit
 * has none, so nothing outside this class can pass for one.
 */
export class MintedPermit implements Permit {
  readonly operation: OperationId;
  readonly rules: readonly RuleId[];
  readonly obligations: Obligations;
  readonly session: SessionId;
  readonly intent: Sequence;
  /** Set by the gate when the adapter was told to start or refuse: until then nothing can have been sent. */
  started = false;
  /** Null for an operation without limits. */
  readonly keeping: Keeping | null;
  /** Its own recording, which ends with it; null: it has none, or its session's. */
  readonly recording: SessionRecording | null;
  #alive = true;

  constructor(
    operation: OperationId,
    obligations: Obligations,
    session: SessionId,
    intent: Sequence,
    { rules = NO_RULES, keeping = null, recording = null }: PermitParts = {},
  ) {
    this.operation = operation;
    this.rules = rules;
    this.obligations = obligations;
    this.session = session;
    this.intent = intent;
    this.keeping = keeping;
    this.recording = recording;
  }

  kill(): void {
    this.#alive = false;
    this.keeping?.end();
    this.recording?.end();
  }

  /** True for a permit that the gate minted and whose outcome is not recorded yet. */
  static isAlive(permit: Permit): permit is MintedPermit {
    return #alive in permit && permit.#alive;
  }
}

/** Something wrote to a target without a living permit: a fault of the gateway's own, never of a client. */
export class PermitRequired extends Error {
  readonly code = "PERMIT_REQUIRED";
}

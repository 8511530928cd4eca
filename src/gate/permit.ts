/** Permits: the right to write to a target for one operation, minted by the gate alone. */
import type { Obligations } from "../core/decision.ts";
import type { OperationId } from "../core/operation.ts";
import type { Permit, Sequence } from "../core/ports.ts";
import type { SessionId } from "../core/session.ts";

/**
 * A permit as the gate made it. Aliveness is a private field: an object that merely looks like a permit
 * has none, so nothing outside this class can pass for one.
 */
export class MintedPermit implements Permit {
  readonly operation: OperationId;
  readonly obligations: Obligations;
  readonly session: SessionId;
  readonly intent: Sequence;
  /** Set by the gate when the adapter was told to start or refuse: until then nothing can have been sent. */
  started = false;
  #alive = true;

  constructor(operation: OperationId, obligations: Obligations, session: SessionId, intent: Sequence) {
    this.operation = operation;
    this.obligations = obligations;
    this.session = session;
    this.intent = intent;
  }

  kill(): void {
    this.#alive = false;
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

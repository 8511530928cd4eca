/** Judges operations: what policy says, held against what the gateway can keep now. */
import { isRefusal, refusal, type Decision, type Refusal } from "../core/decision.ts";
import type { KeptKind, Obligations, Requirement } from "../core/obligation.ts";
import type { Operation, OperationId } from "../core/operation.ts";
import type { Clock, Policy } from "../core/ports.ts";
import type { Recorder } from "../core/recording.ts";
import type { Session, TimeMs } from "../core/session.ts";
import { deny, heldUp, type Asked, type Permitted } from "./refusals.ts";
import type { Judgement, SessionState } from "./session-state.ts";

export type JudgeParts = {
  readonly policy: Policy;
  readonly recorder: Pick<Recorder, "seals">;
  readonly clock: Clock;
  /** Why no new work may be done now, though the log can be written; null: it may. Absent: there is nothing that could. */
  readonly hold?: () => string | null;
  /** What the adapter of a session's target can keep. */
  keeps(adapter: string): readonly KeptKind[];
};

export class Judge {
  readonly #parts: JudgeParts;

  constructor(parts: JudgeParts) {
    this.#parts = parts;
  }

  /** The refusal of new work while something holds all of it up; null: nothing does. */
  held(event: OperationId): Refusal | null {
    const why = this.#parts.hold?.() ?? null;
    if (why === null) return null;
    return refusal("audit_unavailable", why, { event, hint: "Nothing was done. Try again later." });
  }

  /** What policy says of an operation now; kept for the session until policy or time can change it. */
  operation(state: SessionState, operation: Operation, now: TimeMs): Judgement {
    const { policy } = this.#parts;
    const cached = state.judgements.get(operation.accesses);
    if (cached !== undefined && cached.epoch === policy.epoch && now < cached.untilMs) return cached;
    const judgement: Judgement = {
      decision: this.#decide(operation, now),
      epoch: policy.epoch,
      untilMs: policy.nextEdge(now),
      isPureRead:
        operation.understood && operation.accesses.every((access) => access.class === "read" && !access.opaque),
    };
    if (judgement.decision.volatile !== true) state.judgements.set(operation.accesses, judgement);
    return judgement;
  }

  #decide(operation: Operation, now: TimeMs): Decision {
    let decision: Decision;
    try {
      decision = this.#parts.policy.decide(operation.session, operation, now);
    } catch {
      return deny("internal", "policy could not decide this");
    }
    return this.#kept(operation, decision);
  }

  /** After something was waited for: what policy, time and what holds everything up have come to say meanwhile counts. */
  again(operation: Operation): Decision {
    const held = this.held(operation.id);
    if (held !== null) return heldUp(held);
    const now = this.#parts.clock.now();
    // A session's own opening is judged as such when it opens, and by the door's review from then on.
    const isConnect = operation.id === operation.session.id;
    return isConnect ? this.connect(operation.session, operation, now) : this.#decide(operation, now);
  }

  #kept(operation: Operation, decision: Decision): Decision {
    if (decision.kind === "deny") return decision;
    const keeps = this.#parts.keeps(operation.session.target.adapter);
    const { rules, observed, obligations } = decision;
    const unkept = unkeptObligation(obligations, keeps);
    if (unkept !== null) {
      return deny("denied", `policy obliges \`${unkept}\`, which this version cannot keep here`, rules, observed);
    }
    const sealed = this.#parts.recorder.seals ? null : whatIsSealed(operation, obligations);
    if (sealed !== null) {
      const message = `policy obliges ${sealed}, and the gateway has nobody to seal it to`;
      return deny("recording_unavailable", message, rules, observed);
    }
    return decision;
  }

  /** May this session be opened, or stay open? What the adapter cannot keep is denied. */
  connect(session: Session, connect: Operation, now: TimeMs): Decision {
    let decision: Decision;
    try {
      decision = this.#parts.policy.mayConnect(session, connect, now);
    } catch {
      return deny("internal", "policy could not decide this");
    }
    return this.#kept(connect, decision);
  }
}

/** An ask that people have answered lets through what it obliges to. */
export function permittedBy({ rules, observed, obligations }: Permitted | Asked): Permitted {
  return { kind: "permit", rules, observed, obligations };
}

/** Is something of what it asks for not done yet? Which rules ask for it does not matter. */
export function asksForMore({ requirements }: Asked, met: readonly Requirement[]): boolean {
  return requirements.some((asked) => !met.some((done) => Bun.deepEquals({ ...done, rules: asked.rules }, asked)));
}

/** Null: what was let begin would begin now just so. */
export function whyNotAnyMore(now: Decision, obligations: Obligations, met: readonly Requirement[]): Refusal | null {
  if (now.kind === "deny") return now.refusal;
  const { rules } = now;
  const hint = "Begin it again.";
  if (now.kind === "ask" && asksForMore(now, met))
    return refusal("denied", "policy now asks people before this", { rules, hint });
  if (Bun.deepEquals(now.obligations, obligations)) return null;
  return refusal("denied", "policy now lets this go on only under other conditions", { rules, hint });
}

export function isRefusalAnswer(answer: "approved" | Refusal): answer is Refusal {
  return answer !== "approved" && isRefusal(answer);
}

function unkeptObligation(obligations: Obligations, keeps: readonly KeptKind[]): string | null {
  const unkept = Object.keys(obligations).find((kind) => !keeps.some((kept) => kept === kind));
  if (unkept !== undefined) return unkept;
  if (obligations.session?.readOnly === true && !keeps.includes("readOnly")) return "session: { readOnly }";
  return obligations.record?.includes("raw") === true && !keeps.includes("raw") ? "record: [raw]" : null;
}

/** Of what is to be recorded, what only ever is sealed, as policy has it; null: nothing. What is typed holds passwords. */
function whatIsSealed({ recordedAs }: Operation, { record }: Obligations): string | null {
  if (record?.includes("raw") === true) return "`record: [raw]`";
  return recordedAs === "asciicast" && record?.includes("input") === true ? "`record: [input]` of a terminal" : null;
}

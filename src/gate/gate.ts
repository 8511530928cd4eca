/** The one road that every operation takes: decide, ask, record the intent, start, release, record the outcome. */
import { randomBytes } from "node:crypto";
import {
  isRefusal,
  NO_OBLIGATIONS,
  refusal,
  type Decision,
  type ObligationKind,
  type Obligations,
  type Refusal,
} from "../core/decision.ts";
import type { Accesses, Operation, OperationId } from "../core/operation.ts";
import type {
  Approvals,
  Audit,
  Authenticator,
  Clock,
  Exchange,
  Outcome,
  Permit,
  Policy,
  Sequence,
} from "../core/ports.ts";
import type { Session, SessionId, TimeMs } from "../core/session.ts";
import { MintedPermit } from "./permit.ts";

/** When an operation may leave: architecture.md, "Durability". */
export type Durability = "strict" | "release" | "relaxed";

/** What `relaxed` may be behind; beyond either number it waits as `strict` does. */
const RELAXED_LAG_MS_MAX = 50;
const RELAXED_LAG_RECORDS_MAX = 1000;

export type GateParts = {
  readonly policy: Policy;
  readonly audit: Audit;
  readonly durability: Durability;
  readonly authenticator: Pick<Authenticator, "stillValid">;
  readonly approvals: Approvals;
  readonly clock: Clock;
  /** One line for the operator. */
  say(line: string): void;
  /** What the adapter of a session's target can keep. */
  keeps(adapter: string): readonly ObligationKind[];
};

/** A decision with what follows from it, kept for a session until policy or time can change it. */
type Judgement = {
  readonly decision: Decision;
  readonly epoch: number;
  readonly untilMs: TimeMs;
  readonly isPureRead: boolean;
};

/** An operation whose turn has not come: people are asked, or its record is on the way to the disk. */
type Waiting = {
  readonly operation: Operation;
  readonly exchange: Exchange;
  state: "asking" | "recording" | "ready";
  refusal: Refusal | null;
  permit: MintedPermit | null;
  /** Started before it was durable (a pure read in `release`); only release() is still to come. */
  startedEarly: boolean;
};

/** What the gate keeps for an open session. */
class SessionState {
  readonly session: Session;
  /** First in, first out: nothing overtakes. */
  readonly queue: Waiting[] = [];
  /** How many in the queue have not been started; while there are none, a new one may start early. */
  unstarted = 0;
  readonly permits = new Set<MintedPermit>();
  readonly judgements = new WeakMap<Accesses, Judgement>();
  readonly cancel = new AbortController();

  constructor(session: Session) {
    this.session = session;
  }
}

export class Gate {
  readonly #parts: GateParts;
  readonly #sessions = new Map<SessionId, SessionState>();
  /** Operations in the order of their records, until those are durable. */
  readonly #recording: { readonly sequence: Sequence; readonly state: SessionState; readonly waiting: Waiting }[] = [];
  #recordingHead = 0;
  /** What the operator was last told about the log; undefined while it works. */
  #saidFailure: string | undefined;
  readonly #idPrefix = idPrefix();
  #idCount = 0;

  constructor(parts: GateParts) {
    this.#parts = parts;
    parts.audit.onProgress(() => this.#onAuditProgress());
  }

  /** Short, unique for the life of a log, and easy to read out: a random part for this run and a count. */
  operationId(): OperationId {
    return this.#idPrefix + (++this.#idCount).toString(36).toUpperCase();
  }

  /** Begins to keep a session; the signal fires when its identity is no longer good. */
  admit(session: Session): AbortSignal {
    const state = new SessionState(session);
    this.#sessions.set(session.id, state);
    return state.cancel.signal;
  }

  get sessions(): Iterable<Session> {
    return [...this.#sessions.values()].map((state) => state.session);
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  /** Decides, records and starts one operation. Synchronous; first in, first out per session. Never throws. */
  submit(session: Session, operation: Operation, exchange: Exchange): void {
    const state = this.#sessions.get(session.id);
    if (state === undefined) return exchange.refuse(internal("the session is closed", operation.id), null);
    const now = this.#parts.clock.now();
    if (!this.#parts.authenticator.stillValid(session.identity, now)) {
      const no = refusal("unauthenticated", "this login is no longer valid", {
        event: operation.id,
        hint: "Log in again.",
      });
      state.cancel.abort(no);
      return this.#recordRefusal(state, operation, exchange, { kind: "deny", rules: [], refusal: no });
    }
    const judgement = this.#judge(state, operation, now);
    switch (judgement.decision.kind) {
      case "permit":
        return this.#recordIntent(state, operation, exchange, judgement.decision, judgement.isPureRead);
      case "deny":
        return this.#recordRefusal(state, operation, exchange, judgement.decision);
      case "ask":
        return this.#ask(state, operation, exchange, judgement.decision);
    }
  }

  /** Records a refusal of an adapter's own. */
  refuse(session: Session, operation: Operation, no: Refusal, exchange: Exchange): void {
    const state = this.#sessions.get(session.id);
    if (state === undefined) return exchange.refuse(internal("the session is closed", operation.id), null);
    this.#recordRefusal(state, operation, exchange, { kind: "deny", rules: no.rules, refusal: no });
  }

  /** The gateway's own operation: recorded and started like any other, but not decided by policy. */
  submitHouse(session: Session, operation: Operation, exchange: Exchange): void {
    const state = this.#sessions.get(session.id);
    if (state === undefined) return exchange.refuse(internal("the session is closed", operation.id), null);
    this.#recordIntent(state, operation, exchange, "house", false);
  }

  /**
   * Records the intent of something that is awaited rather than queued (a session's own connect operation):
   * resolves with its permit when the durability mode lets it leave.
   */
  async recordAwaited(session: Session, operation: Operation, decision: Decision | "house"): Promise<Permit | Refusal> {
    return new Promise((resolve) => {
      const state = this.#sessions.get(session.id);
      if (state === undefined) return resolve(internal("the session is closed", operation.id));
      const exchange: Exchange = {
        start: resolve,
        release() {},
        pending() {},
        refuse: (no, permit) => {
          if (permit !== null) this.finish(permit, { status: "refused" });
          resolve(no);
        },
        cancel: resolve,
      };
      if (decision === "house" || decision.kind === "permit")
        this.#recordIntent(state, operation, exchange, decision, false);
      else if (decision.kind === "deny") this.#recordRefusal(state, operation, exchange, decision);
      else this.#ask(state, operation, exchange, decision);
    });
  }

  /** Records the outcome and kills the permit. False: the log has failed and the session must end. */
  finish(permit: Permit, outcome: Outcome): boolean {
    if (!MintedPermit.isAlive(permit)) return this.#parts.audit.failure === null;
    permit.kill();
    this.#sessions.get(permit.session)?.permits.delete(permit);
    try {
      this.#parts.audit.outcome(permit.intent, outcome);
      return true;
    } catch {
      return false; // Recovery writes `unknown` for an intent without an outcome.
    }
  }

  /** Ends a session: what never started was skipped, what was running is unknown, and `permit` gets its outcome last. */
  close(session: Session, permit: Permit | null, outcome: Outcome): void {
    const state = this.#sessions.get(session.id);
    if (state === undefined) return;
    this.#sessions.delete(session.id);
    state.queue.length = 0;
    for (const open of state.permits) {
      if (open !== permit) this.finish(open, { status: open.started ? "unknown" : "skipped" });
    }
    if (permit !== null) this.finish(permit, outcome);
    this.#parts.audit.forget(session.id);
  }

  /** Ends a session from outside: its adapter sees the signal, tells the client and closes. */
  cancelSession(id: SessionId, reason: Refusal): boolean {
    const state = this.#sessions.get(id);
    state?.cancel.abort(reason);
    return state !== undefined;
  }

  /* ---- decide ---- */

  #judge(state: SessionState, operation: Operation, now: TimeMs): Judgement {
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
    state.judgements.set(operation.accesses, judgement);
    return judgement;
  }

  #decide(operation: Operation, now: TimeMs): Decision {
    let decision: Decision;
    try {
      decision = this.#parts.policy.decide(operation.session, operation, now);
    } catch {
      return deny("internal", "policy could not decide this");
    }
    if (decision.kind === "deny") return decision;
    const keeps = this.#parts.keeps(operation.session.target.adapter);
    const unkept = unkeptObligation(decision.obligations, keeps);
    if (unkept === null) return decision;
    return deny("denied", `policy obliges \`${unkept}\`, which this version cannot keep here`, decision.rules);
  }

  /* ---- ask ---- */

  #ask(state: SessionState, operation: Operation, exchange: Exchange, asked: Extract<Decision, { kind: "ask" }>): void {
    const waiting: Waiting = { operation, exchange, state: "asking", refusal: null, permit: null, startedEarly: false };
    state.unstarted++;
    state.queue.push(waiting);
    void this.#parts.approvals
      .ask(operation, asked, (approval) => exchange.pending(approval))
      .catch(() => refusal("internal", "the approval could not be asked for"))
      .then((answer) => {
        if (!this.#sessions.has(state.session.id)) return;
        // Decided once more: a deny that was added while people thought wins.
        const now = this.#decide(operation, this.#parts.clock.now());
        if (now.kind === "deny") this.#record(state, waiting, now, now.refusal);
        else if (isRefusalAnswer(answer))
          this.#record(state, waiting, { kind: "deny", rules: asked.rules, refusal: answer }, answer);
        else this.#record(state, waiting, { kind: "permit", rules: now.rules, obligations: now.obligations }, null);
        this.#pump(state);
      });
  }

  /* ---- record, start, release ---- */

  #recordIntent(
    state: SessionState,
    operation: Operation,
    exchange: Exchange,
    decision: Extract<Decision, { kind: "permit" }> | "house",
    isPureRead: boolean,
  ): void {
    const { audit, policy, durability } = this.#parts;
    let sequence: Sequence;
    try {
      sequence = audit.intent(operation, decision, policy);
    } catch {
      if (state.queue.length === 0) return exchange.refuse(auditUnavailable(operation.id), null);
      state.unstarted++;
      state.queue.push({
        operation,
        exchange,
        state: "ready",
        refusal: auditUnavailable(operation.id),
        permit: null,
        startedEarly: false,
      });
      return;
    }
    const permit = this.#mint(state, operation, decision === "house" ? NO_OBLIGATIONS : decision.obligations, sequence);
    if (state.unstarted === 0) {
      if (durability === "relaxed" && this.#withinRelaxedLag()) {
        permit.started = true;
        exchange.start(permit);
        return exchange.release();
      }
      if (durability === "release" && isPureRead) {
        permit.started = true;
        exchange.start(permit);
        return this.#await(state, sequence, {
          operation,
          exchange,
          state: "recording",
          refusal: null,
          permit,
          startedEarly: true,
        });
      }
    }
    this.#await(state, sequence, {
      operation,
      exchange,
      state: "recording",
      refusal: null,
      permit,
      startedEarly: false,
    });
  }

  #recordRefusal(
    state: SessionState,
    operation: Operation,
    exchange: Exchange,
    decision: Extract<Decision, { kind: "deny" }>,
  ): void {
    const waiting: Waiting = {
      operation,
      exchange,
      state: "recording",
      refusal: null,
      permit: null,
      startedEarly: false,
    };
    state.unstarted++;
    state.queue.push(waiting);
    this.#record(state, waiting, decision, decision.refusal);
    this.#pump(state);
  }

  /** Records what became of an operation that is already in its session's queue. */
  #record(state: SessionState, waiting: Waiting, decision: Decision, no: Refusal | null): void {
    const { operation } = waiting;
    let sequence: Sequence;
    try {
      sequence = this.#parts.audit.intent(operation, decision, this.#parts.policy);
    } catch {
      waiting.state = "ready";
      waiting.refusal = auditUnavailable(operation.id);
      return;
    }
    waiting.refusal = no === null ? null : { ...no, event: operation.id };
    waiting.permit = this.#mint(
      state,
      operation,
      decision.kind === "permit" ? decision.obligations : NO_OBLIGATIONS,
      sequence,
    );
    waiting.state = this.#parts.durability === "relaxed" && this.#withinRelaxedLag() ? "ready" : "recording";
    if (waiting.state === "recording") this.#recording.push({ sequence, state, waiting });
  }

  #await(state: SessionState, sequence: Sequence, waiting: Waiting): void {
    if (!waiting.startedEarly) state.unstarted++;
    state.queue.push(waiting);
    this.#recording.push({ sequence, state, waiting });
  }

  #withinRelaxedLag(): boolean {
    const { audit } = this.#parts;
    return audit.handedOver - audit.durable <= RELAXED_LAG_RECORDS_MAX && audit.lagMs <= RELAXED_LAG_MS_MAX;
  }

  #mint(state: SessionState, operation: Operation, obligations: Obligations, sequence: Sequence): MintedPermit {
    const permit = new MintedPermit(operation.id, obligations, state.session.id, sequence);
    state.permits.add(permit);
    return permit;
  }

  #onAuditProgress(): void {
    const { audit } = this.#parts;
    const recording = this.#recording;
    const durable = audit.durable;
    while (this.#recordingHead < recording.length) {
      const entry = recording[this.#recordingHead];
      if (entry === undefined || entry.sequence > durable) break;
      this.#recordingHead++;
      entry.waiting.state = "ready";
      this.#pump(entry.state);
    }
    if (this.#recordingHead === recording.length || this.#recordingHead > 4096) {
      recording.splice(0, this.#recordingHead);
      this.#recordingHead = 0;
    }
    if (audit.failure !== null) this.#refuseUnrecorded();
    this.#sayHowTheLogIs(audit.failure);
  }

  #sayHowTheLogIs(failure: Error | null): void {
    if (this.#saidFailure === failure?.message) return;
    this.#saidFailure = failure?.message;
    if (failure === null) this.#parts.say("the log works again; what was lost is counted in it");
    else this.#parts.say(`the log has failed, so nothing is let through: ${failure.message}`);
  }

  /** The log has failed: whatever is handed over and not durable is lost, so nothing of it may leave. */
  #refuseUnrecorded(): void {
    const lost = this.#recording.splice(this.#recordingHead);
    for (const { waiting } of lost) {
      waiting.state = "ready";
      this.#refuseForFailedLog(waiting);
    }
    for (const { state } of lost) this.#pump(state);
  }

  #refuseForFailedLog(waiting: Waiting): void {
    waiting.refusal = auditUnavailable(waiting.operation.id);
    waiting.permit?.kill();
    waiting.permit = null;
  }

  /** Lets the operations at the head of a session's queue go whose turn has come. */
  #pump(state: SessionState): void {
    const { queue } = state;
    while (queue[0]?.state === "ready") {
      const waiting = queue.shift();
      if (waiting === undefined || !this.#sessions.has(state.session.id)) return;
      if (!waiting.startedEarly) state.unstarted--;
      // Even what was recorded in time does not leave after the log has failed: its outcome could not be recorded.
      if (this.#parts.audit.failure !== null) this.#refuseForFailedLog(waiting);
      const { exchange, permit, refusal: no } = waiting;
      if (permit !== null) permit.started = true;
      if (no !== null) {
        if (waiting.startedEarly) exchange.cancel(no);
        else exchange.refuse(no, permit);
      } else if (permit !== null) {
        if (!waiting.startedEarly) exchange.start(permit);
        exchange.release();
      }
    }
  }
}

function isRefusalAnswer(answer: "approved" | Refusal): answer is Refusal {
  return answer !== "approved" && isRefusal(answer);
}

function unkeptObligation(obligations: Obligations, keeps: readonly ObligationKind[]): string | null {
  return Object.keys(obligations).find((kind) => !keeps.some((kept) => kept === kind)) ?? null;
}

function deny(
  code: Refusal["code"],
  message: string,
  rules: readonly string[] = [],
): Extract<Decision, { kind: "deny" }> {
  return { kind: "deny", rules, refusal: refusal(code, message, { rules }) };
}

function internal(message: string, event: string): Refusal {
  return refusal("internal", message, { event });
}

function auditUnavailable(event: string): Refusal {
  return refusal("audit_unavailable", "the record of this operation cannot be written, so it was not run", {
    event,
    hint: "The gateway's log has failed; its operator sees why in `weir status`. Try again when it is back.",
  });
}

/** Four characters without look-alikes and a dash: ids of different runs do not collide by accident. */
function idPrefix(): string {
  const alphabet = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
  return `${[...randomBytes(6)].map((byte) => alphabet[byte % alphabet.length]).join("")}-`;
}

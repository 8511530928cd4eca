/** The one road that every operation takes: decide, ask, record the intent, start, release, record the outcome. */
import { isRefusal, NO_RULES, refusal, type Decision, type Refusal } from "../core/decision.ts";
import { NO_OBLIGATIONS, type Requirement } from "../core/obligation.ts";
import type { Operation, OperationId } from "../core/operation.ts";
import type { Approvals, Audit, Authenticator, Exchange, Meters, Outcome, Permit, Sequence } from "../core/ports.ts";
import { RecordingFailed, type Recorder, type Recording, type SessionRecording } from "../core/recording.ts";
import type { Session, SessionId, TimeMs } from "../core/session.ts";
import { Alerts } from "./alerts.ts";
import { AwaitedRecords } from "./awaited-records.ts";
import { asksForMore, isRefusalAnswer, Judge, permittedBy, whyNotAnyMore, type JudgeParts } from "./judge.ts";
import { Asking } from "./asking.ts";
import { Details } from "./details.ts";
import { Keeping, metersOf } from "./keeping.ts";
import { LogHealth } from "./log-health.ts";
import { OperationIds } from "./operation-ids.ts";
import { MintedPermit } from "./permit.ts";
import {
  auditUnavailable,
  CANNOT_RECORD,
  heldUp,
  internal,
  recordingUnavailable,
  refusedBy,
  unrecorded,
  withdrawn,
  type Asked,
  type Denied,
  type Permitted,
} from "./refusals.ts";
import { lacksRecording, recordingOf, Recordings, refuseForFailedRecording, stalledRecording } from "./recordings.ts";
import { NOTHING_MET, queued, SessionState, type Lane, type Waiting } from "./session-state.ts";

/** When an operation may leave: architecture.md, "Durability". */
export type Durability = "strict" | "release" | "relaxed";

/** What `relaxed` may be behind; beyond either number it waits as `strict` does. */
const RELAXED_LAG_MS_MAX = 50;
const RELAXED_LAG_RECORDS_MAX = 1000;

export type GateParts = JudgeParts & {
  readonly audit: Audit;
  readonly durability: Durability;
  readonly authenticator: Pick<Authenticator, "stillValid">;
  readonly approvals: Approvals;
  readonly meters: Meters;
  readonly recorder: Recorder;
  /** One line for the operator. */
  say(line: string): void;
};

/** What the gateway does on its own account, and what it does about a refusal. */
const HOUSE_PERMIT = { obligations: NO_OBLIGATIONS, rules: NO_RULES } as const;

export class Gate {
  readonly #parts: GateParts;
  readonly #sessions = new Map<SessionId, SessionState>();
  readonly #awaited = new AwaitedRecords();
  readonly #log: LogHealth;
  readonly #recordings: Recordings;
  readonly judge: Judge;
  readonly #alerts: Alerts;
  /** Where the operator is told why something was refused. */
  readonly details: Details;
  readonly #ids = new OperationIds();

  constructor(parts: GateParts) {
    this.#parts = parts;
    const say = (line: string): void => parts.say(line);
    this.judge = new Judge(parts);
    this.details = new Details(parts.clock, say);
    this.#alerts = new Alerts(parts.audit, parts.clock, say);
    this.#log = new LogHealth(parts.clock, say);
    this.#recordings = new Recordings(parts.recorder, (id, reason) => this.cancelSession(id, reason));
    parts.audit.onProgress(() => this.#onAuditProgress());
  }

  operationId(): OperationId {
    return this.#ids.next();
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
      return this.#recordRefusal(state, operation, exchange, heldUp(no));
    }
    const held = this.judge.held(operation.id);
    if (held !== null) return this.#recordRefusal(state, operation, exchange, heldUp(held));
    const judgement = this.judge.operation(state, operation, now);
    switch (judgement.decision.kind) {
      case "permit":
        return this.#admit(state, operation, exchange, judgement.decision, judgement.isPureRead);
      case "deny":
        return this.#recordRefusal(state, operation, exchange, judgement.decision);
      case "ask":
        return this.#ask(state, operation, exchange, judgement.decision);
    }
  }

  /** Its client wants it no more: whoever is asked for it is asked no longer. */
  withdraw(session: Session, id: OperationId): void {
    for (const { operation, asking } of this.#sessions.get(session.id)?.waiting ?? []) {
      if (operation.id === id) asking?.giveUp(withdrawn(id));
    }
  }

  /** Records a refusal of an adapter's own. */
  refuse(session: Session, operation: Operation, no: Refusal, exchange: Exchange): void {
    const state = this.#sessions.get(session.id);
    if (state === undefined) return exchange.refuse(internal("the session is closed", operation.id), null);
    this.#recordRefusal(state, operation, exchange, { kind: "deny", rules: no.rules, observed: NO_RULES, refusal: no });
  }

  /** The gateway's own operation: recorded and started like any other, but not decided by policy. */
  submitHouse(session: Session, operation: Operation, exchange: Exchange): void {
    const state = this.#sessions.get(session.id);
    if (state === undefined) return exchange.refuse(internal("the session is closed", operation.id), null);
    this.#recordIntent(state, operation, exchange, "house", null, false);
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
      if (decision === "house") this.#recordIntent(state, operation, exchange, decision, null, false);
      else if (decision.kind === "permit") this.#admit(state, operation, exchange, decision, false);
      else if (decision.kind === "deny") this.#recordRefusal(state, operation, exchange, decision);
      else this.#ask(state, operation, exchange, decision);
    });
  }

  /** The time of an operation under limits counts from now. */
  begun(permit: Permit): void {
    if (MintedPermit.isAlive(permit)) permit.keeping?.restart();
  }

  /** Counts rows and bytes of an operation before they reach the client; a refusal when they may not. */
  spend(permit: Permit, rows: number, bytes: number): Refusal | null {
    if (!MintedPermit.isAlive(permit)) return internal("the operation has ended", permit.operation);
    const state = this.#sessions.get(permit.session);
    // What lasts is work only while something flows.
    if (state?.lasting.has(permit) === true) state.holds.touch(this.#parts.clock.now());
    return permit.keeping === null ? null : permit.keeping.spend(rows, bytes);
  }

  /** Where an operation is recorded; null when its obligations record nothing. Throws RecordingFailed. */
  recording(permit: Permit): Recording | null {
    return recordingOf(MintedPermit.isAlive(permit) ? this.#sessions.get(permit.session) : undefined, permit);
  }

  /** Records the outcome and kills the permit. False: the log has failed and the session must end. */
  finish(permit: Permit, outcome: Outcome): boolean {
    if (!MintedPermit.isAlive(permit)) return this.#parts.audit.failure === null;
    permit.kill();
    const state = this.#sessions.get(permit.session);
    if (state !== undefined) {
      state.permits.delete(permit);
      state.lasting.delete(permit);
      state.holds.touch(this.#parts.clock.now());
    }
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
    for (const waiting of state.waiting) {
      waiting.recording?.end();
      waiting.asking?.giveUp(withdrawn(waiting.operation.id));
    }
    for (const open of state.permits) {
      if (open !== permit) this.finish(open, { status: open.started ? "unknown" : "skipped" });
    }
    if (permit !== null) this.finish(permit, outcome);
    state.recording?.end();
    this.#parts.audit.forget(session.id);
    this.#parts.meters.forget(session.id);
  }

  /** Why an open session must end now (it has lasted or been idle for too long); null while it may stay. */
  overdue(id: SessionId, now: TimeMs): Refusal | null {
    const state = this.#sessions.get(id);
    return state === undefined ? null : state.holds.overdue(state.session, state.isIdle, now);
  }

  /** Judges again what lasts in a session: what would not be let begin now, or not so, is cancelled. */
  reviewLasting(id: SessionId, now: TimeMs): void {
    const state = this.#sessions.get(id);
    if (state === undefined) return;
    const isUnrecorded = this.#log.isFailedForLong(now);
    for (const [permit, { operation, exchange, obligations, met }] of state.lasting) {
      const no = isUnrecorded
        ? unrecorded(operation.id)
        : whyNotAnyMore(this.judge.operation(state, operation, now).decision, obligations, met);
      if (no === null) continue;
      state.lasting.delete(permit);
      exchange.cancel({ ...no, event: operation.id });
    }
  }

  /** Policy has judged an open session again. */
  tighten(id: SessionId, decision: Exclude<Decision, { kind: "deny" }>): void {
    const { session } = decision.obligations;
    if (session !== undefined) this.#sessions.get(id)?.holds.tighten(session, decision.rules);
  }

  /** Ends a session from outside: its adapter sees the signal, tells the client and closes. */
  cancelSession(id: SessionId, reason: Refusal): boolean {
    const state = this.#sessions.get(id);
    this.details.tell(reason);
    state?.cancel.abort(reason);
    return state !== undefined;
  }

  /* ---- ask ---- */

  #ask(state: SessionState, operation: Operation, exchange: Exchange, asked: Asked): void {
    const waiting = queued(state, operation, exchange, "asking");
    this.#askFor(state, waiting, asked);
  }

  #askFor(state: SessionState, waiting: Waiting, asked: Asked): void {
    const { operation, exchange } = waiting;
    waiting.state = "asking";
    const asking = new Asking(operation.id, asked);
    waiting.asking = asking;
    const answered = this.#parts.approvals
      .ask(operation, asked, (approval) => exchange.pending(approval), asking.signal)
      .catch(() => refusal("internal", "the approval could not be asked for"));
    void Promise.race([answered, asking.givenUp])
      .finally(() => {
        asking.end();
        waiting.asking = null;
      })
      .then((answer) => {
        if (!this.#sessions.has(state.session.id)) return;
        const now = this.judge.again(operation);
        if (now.kind !== "deny" && isRefusalAnswer(answer)) {
          const no = { kind: "deny", rules: asked.rules, observed: now.observed, refusal: answer } as const;
          this.#record(state, waiting, no, answer);
        } else {
          waiting.met = [...waiting.met, ...asked.requirements];
          this.#admitAgain(state, waiting, now);
        }
        this.#pump(state, waiting.lane);
      });
  }

  /* ---- admit: what was permitted begins to count ---- */

  #admit(
    state: SessionState,
    operation: Operation,
    exchange: Exchange,
    decision: Permitted,
    isPureRead: boolean,
  ): void {
    if (lacksRecording(state, operation, null, decision) || stalledRecording(state, decision) !== null) {
      return this.#awaitRecording(state, queued(state, operation, exchange, "opening"), decision);
    }
    const keeping = this.#keep(state, operation, decision);
    if (keeping !== null && isRefusal(keeping)) {
      return this.#recordRefusal(state, operation, exchange, refusedBy(decision, keeping));
    }
    this.#recordIntent(state, operation, exchange, decision, keeping, isPureRead);
  }

  #admitWaiting(state: SessionState, waiting: Waiting, decision: Permitted): void {
    if (
      lacksRecording(state, waiting.operation, waiting.recording, decision) ||
      stalledRecording(state, decision) !== null
    ) {
      return this.#awaitRecording(state, waiting, decision);
    }
    const keeping = this.#keep(state, waiting.operation, decision);
    if (keeping !== null && isRefusal(keeping)) {
      this.#record(state, waiting, refusedBy(decision, keeping), keeping);
    } else this.#record(state, waiting, decision, null, keeping);
  }

  /** Goes on with an operation when it can be recorded: when its recording has begun, or is being stored again. */
  #awaitRecording(state: SessionState, waiting: Waiting, decision: Permitted): void {
    waiting.state = "opening";
    if (lacksRecording(state, waiting.operation, waiting.recording, decision)) {
      return this.#openRecording(state, waiting, decision);
    }
    // One that is not stored for too long fails, which ends the session.
    const forget = stalledRecording(state, decision)?.onDrain(() => {
      forget?.();
      if (!this.#sessions.has(state.session.id)) return;
      this.#admitAgain(state, waiting, this.judge.again(waiting.operation));
      this.#pump(state, waiting.lane);
    });
  }

  /** Goes on with an operation when it has its recording; it is refused when there can be none. */
  #openRecording(state: SessionState, waiting: Waiting, decision: Permitted): void {
    const { operation } = waiting;
    const { id } = state.session;
    void this.#recordings.open(state, operation).then(
      (recording) => {
        if (!this.#sessions.has(id)) return recording.end();
        if (operation.recordedAs === undefined) state.recording = recording;
        else waiting.recording = recording;
        this.#admitAgain(state, waiting, this.judge.again(operation));
        this.#pump(state, waiting.lane);
      },
      (error: unknown) => {
        // What is refused ends no session.
        if (!this.#sessions.has(id)) return;
        const failure = error instanceof RecordingFailed ? error : new RecordingFailed(CANNOT_RECORD, String(error));
        const no = recordingUnavailable(operation.id, failure, decision.rules);
        this.#record(state, waiting, refusedBy(decision, no), no);
        this.#pump(state, waiting.lane);
      },
    );
  }

  /** Goes on with an operation that has waited, as policy says now. */
  #admitAgain(state: SessionState, waiting: Waiting, now: Decision): void {
    if (now.kind === "deny") this.#record(state, waiting, now, now.refusal);
    else if (now.kind === "ask" && asksForMore(now, waiting.met)) this.#askFor(state, waiting, now);
    else this.#admitWaiting(state, waiting, permittedBy(now));
  }

  /** Null: nothing is to be kept while it runs. A refusal: a rate or a budget is used up, or its recording has failed. */
  #keep(state: SessionState, operation: Operation, decision: Permitted): Keeping | Refusal | null {
    const { limit, session, record } = decision.obligations;
    if (record !== undefined && state.failure !== null) {
      return recordingUnavailable(operation.id, state.failure, decision.rules);
    }
    if (session !== undefined) state.holds.tighten(session, decision.rules);
    const meters = metersOf(limit?.meters, operation.meters);
    const spending =
      meters === undefined ? null : this.#parts.meters.admit(state.session, meters, this.#parts.clock.now());
    if (spending !== null && isRefusal(spending)) return spending;
    if (limit === undefined) return null;
    // Opening a session is counted like any operation, but it has no rows, and how long it lasts is not its time.
    const isConnect = operation.id === state.session.id;
    return new Keeping(operation.id, isConnect ? {} : limit, decision.rules, spending);
  }

  /* ---- record, start, release ---- */

  #recordIntent(
    state: SessionState,
    operation: Operation,
    exchange: Exchange,
    decision: Permitted | "house",
    keeping: Keeping | null,
    isPureRead: boolean,
  ): void {
    const { audit, policy, durability } = this.#parts;
    const lane = state.laneOf(operation);
    let sequence: Sequence;
    try {
      if (decision !== "house" && decision.obligations.alert !== undefined) this.#alerts.raise(operation, decision);
      sequence = audit.intent(operation, decision, policy);
    } catch {
      keeping?.end();
      if (lane.queue.length === 0) {
        state.leave(operation);
        return exchange.refuse(auditUnavailable(operation.id), null);
      }
      queued(state, operation, exchange, "ready").refusal = auditUnavailable(operation.id);
      return;
    }
    const permit = this.#mint(state, operation, decision, sequence, keeping, null);
    const startsNow = lane.unstarted === 0 && durability === "relaxed" && this.#withinRelaxedLag();
    if (startsNow) {
      state.leave(operation);
      this.#start(state, permit, operation, exchange, NOTHING_MET);
      return exchange.release();
    }
    const startsEarly = lane.unstarted === 0 && durability === "release" && isPureRead;
    if (startsEarly) this.#start(state, permit, operation, exchange, NOTHING_MET);
    const waiting = queued(state, operation, exchange, "recording", startsEarly);
    waiting.permit = permit;
    this.#awaited.push({ sequence, state, waiting });
  }

  #recordRefusal(state: SessionState, operation: Operation, exchange: Exchange, decision: Denied): void {
    const waiting = queued(state, operation, exchange, "recording");
    this.#record(state, waiting, decision, decision.refusal);
    this.#pump(state, waiting.lane);
  }

  /** Records what became of an operation that is already in its session's queue. */
  #record(
    state: SessionState,
    waiting: Waiting,
    decision: Decision,
    no: Refusal | null,
    keeping: Keeping | null = null,
  ): void {
    const { operation } = waiting;
    let sequence: Sequence;
    try {
      if (decision.kind === "permit" && decision.obligations.alert !== undefined)
        this.#alerts.raise(operation, decision);
      sequence = this.#parts.audit.intent(operation, decision, this.#parts.policy);
    } catch {
      keeping?.end();
      waiting.recording?.end();
      waiting.state = "ready";
      waiting.refusal = auditUnavailable(operation.id);
      return;
    }
    waiting.refusal = no === null ? null : { ...no, event: operation.id };
    waiting.permit = this.#mint(state, operation, decision, sequence, keeping, waiting.recording);
    waiting.state = this.#parts.durability === "relaxed" && this.#withinRelaxedLag() ? "ready" : "recording";
    if (waiting.state === "recording") this.#awaited.push({ sequence, state, waiting });
  }

  #withinRelaxedLag(): boolean {
    const { audit } = this.#parts;
    return audit.handedOver - audit.durable <= RELAXED_LAG_RECORDS_MAX && audit.lagMs <= RELAXED_LAG_MS_MAX;
  }

  #mint(
    state: SessionState,
    operation: Operation,
    decision: Decision | "house",
    sequence: Sequence,
    keeping: Keeping | null,
    recording: SessionRecording | null,
  ): MintedPermit {
    const { obligations, rules } = decision !== "house" && decision.kind === "permit" ? decision : HOUSE_PERMIT;
    const parts = { rules, keeping, recording };
    const permit = new MintedPermit(operation.id, obligations, state.session.id, sequence, parts);
    state.permits.add(permit);
    return permit;
  }

  #onAuditProgress(): void {
    const { audit } = this.#parts;
    const { durable } = audit;
    for (let next = this.#awaited.takeDurable(durable); next !== null; next = this.#awaited.takeDurable(durable)) {
      next.waiting.state = "ready";
      this.#pump(next.state, next.waiting.lane);
    }
    this.#log.heard(audit.failure);
    if (audit.failure !== null) this.#refuseUnrecorded();
    this.#log.tell(audit.failure);
  }

  /** The log has failed: whatever is handed over and not durable is lost, so nothing of it may leave. */
  #refuseUnrecorded(): void {
    const lost = this.#awaited.takeAll();
    for (const { waiting } of lost) {
      waiting.state = "ready";
      this.#refuseForFailedLog(waiting);
    }
    for (const { state, waiting } of lost) this.#pump(state, waiting.lane);
  }

  #refuseForFailedLog(waiting: Waiting): void {
    waiting.refusal = auditUnavailable(waiting.operation.id);
    waiting.permit?.kill();
    waiting.permit = null;
  }

  /** Lets the operations at the head of a lane go whose turn has come. */
  #pump(state: SessionState, lane: Lane): void {
    const { queue } = lane;
    while (queue[0]?.state === "ready") {
      const waiting = queue.shift();
      if (waiting === undefined || !this.#sessions.has(state.session.id)) return;
      if (!waiting.startedEarly) lane.unstarted--;
      state.leave(waiting.operation);
      // Even what was recorded in time does not leave after the log has failed: its outcome could not be recorded.
      if (this.#parts.audit.failure !== null) this.#refuseForFailedLog(waiting);
      else refuseForFailedRecording(state, waiting);
      const { exchange, permit, refusal: no } = waiting;
      if (no !== null) {
        if (permit !== null) permit.started = true;
        this.details.tell(no);
        if (waiting.startedEarly) exchange.cancel(no);
        else exchange.refuse(no, permit);
      } else if (permit !== null) {
        if (!waiting.startedEarly) this.#start(state, permit, waiting.operation, exchange, waiting.met);
        exchange.release();
      }
    }
  }

  /** From now on something can have been sent, and the operation's time counts. */
  #start(
    state: SessionState,
    permit: MintedPermit,
    operation: Operation,
    exchange: Exchange,
    met: readonly Requirement[],
  ): void {
    permit.started = true;
    permit.keeping?.begin((reason) => exchange.cancel(reason));
    if (operation.lasts === true) {
      state.lasting.set(permit, { operation, exchange, obligations: permit.obligations, met });
    }
    exchange.start(permit);
  }
}

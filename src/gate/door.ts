/** What adapters see of the house: login, sessions within their limits, connections behind permits, and the gate's road. */
import { isRefusal, refusal, type Decision, type ObligationKind, type Refusal } from "../core/decision.ts";
import type { Claim, Identity } from "../core/identity.ts";
import type { Facts, Operation, OperationId } from "../core/operation.ts";
import type {
  Approvals,
  Audit,
  Authenticator,
  Clock,
  DialPurpose,
  Dialer,
  Door,
  Endpoint,
  Exchange,
  OpenRequest,
  OpenSession,
  Outcome,
  Permit,
  Policy,
  Upstream,
} from "../core/ports.ts";
import type { Session, SessionId, TimeMs } from "../core/session.ts";
import type { Target } from "../core/target.ts";
import { Gate, type Durability } from "./gate.ts";
import { PermittedUpstream } from "./upstream.ts";

const DIAL_TIME_MS_MAX = 10_000;
/** How often open sessions are judged again, whether or not they do anything: what is revoked ends within 5 s. */
const REVIEW_MS = 1_000;

export type HouseParts = {
  readonly policy: Policy;
  readonly audit: Audit;
  readonly durability: Durability;
  readonly authenticator: Authenticator;
  readonly approvals: Approvals;
  readonly dialer: Dialer;
  readonly clock: Clock;
  readonly targets: ReadonlyMap<string, Target>;
  readonly limits: { readonly sessionsMax: number; readonly sessionsPerSubjectMax: number };
  keeps(adapter: string): readonly ObligationKind[];
  /** One line for the operator. */
  say(line: string): void;
};

/** A session that is open, with what it takes to judge it again. */
type Open = { readonly session: Session; readonly connect: Operation; readonly permit: Permit; epoch: number };

/** The gateway's own identity, for what it does on its own account. */
const HOUSE_IDENTITY: Identity = {
  kind: "service",
  issuer: "weir",
  subject: "gateway",
  groups: [],
  proof: { method: "token", credential: "house", expiresAtMs: null },
};

export class GateDoor implements Door {
  readonly #parts: HouseParts;
  readonly #gate: Gate;
  readonly #open = new Map<SessionId, Open>();
  readonly #perSubject = new Map<string, number>();
  #clientSessions = 0;
  #isDraining = false;

  constructor(parts: HouseParts) {
    this.#parts = parts;
    setInterval(() => this.#review(), REVIEW_MS).unref();
    this.#gate = new Gate(
      // The house has no login that could end.
      {
        ...parts,
        authenticator: { stillValid: (who, now) => who === HOUSE_IDENTITY || parts.authenticator.stillValid(who, now) },
      },
    );
  }

  /** Client sessions that are open now; the gateway's own are not counted. */
  get sessionCount(): number {
    return this.#clientSessions;
  }

  /** From now on no new session is opened. */
  beginDrain(): void {
    this.#isDraining = true;
  }

  async authenticate(claim: Claim): Promise<Identity | Refusal> {
    const { authenticator, audit } = this.#parts;
    const answer = await authenticator
      .authenticate(claim)
      .catch(() => refusal("unauthenticated", "the login could not be checked"));
    try {
      if (isRefusal(answer)) audit.event("login.failed", { source: claim.source, reason: answer.message });
      else audit.event("login.ok", { source: claim.source, ...whoFacts(answer) });
    } catch {
      return refusal("audit_unavailable", "the login cannot be recorded, so it was refused", {
        hint: "The gateway's log has failed. Try again later.",
      });
    }
    return answer;
  }

  async open(request: OpenRequest): Promise<OpenSession | Refusal> {
    const { identity, targetName } = request;
    const id = this.operationId();
    // Whoever may not know that a target exists is told the same as for one that does not.
    const notHere = refusal("unauthenticated", `there is no target "${targetName}" for you here`, {
      event: id,
      hint: "Check the name; if it is right, ask for access.",
    });
    const target = this.#parts.targets.get(targetName);
    const limit = this.#limitReached(identity, id);
    if (limit !== null) return this.#refuseSession(request, limit, limit);
    if (target === undefined || target.adapter !== request.adapter)
      return this.#refuseSession(request, notHere, notHere);
    const facts = request.facts(target);
    if (isRefusal(facts)) return this.#refuseSession(request, { ...facts, event: id }, notHere);

    const session = this.#session(id, identity, target, request.source);
    const operation = connectOperation(id, session, facts, request.text);
    let decision;
    try {
      decision = this.#parts.policy.mayConnect(session, operation, session.openedAtMs);
    } catch {
      return this.#refuseSession(request, refusal("internal", "policy could not decide this", { event: id }), notHere);
    }
    if (decision.kind === "deny") return this.#refuseSession(request, { ...decision.refusal, event: id }, notHere);
    // Counted before anything is awaited, so that many logins at once cannot pass the limit together.
    this.#count(identity, 1);
    const opened = await this.#admit(session, operation, decision);
    if (isRefusal(opened)) this.#count(identity, -1);
    return opened;
  }

  async openHouse(targetName: string, text: string): Promise<OpenSession | Refusal> {
    const target = this.#parts.targets.get(targetName);
    if (target === undefined) return refusal("internal", `there is no target "${targetName}"`);
    const id = this.operationId();
    const session = this.#session(id, HOUSE_IDENTITY, target, "gateway");
    const operation = connectOperation(id, session, {}, text);
    return this.#admit(session, operation, "house");
  }

  async dial(session: Session, _purpose: DialPurpose, endpoint: Endpoint): Promise<Upstream | Refusal> {
    try {
      return new PermittedUpstream(await this.#parts.dialer.dial(endpoint, DIAL_TIME_MS_MAX), session.id);
    } catch (error) {
      return refusal("target_unavailable", `the target "${session.target.name}" cannot be reached`, {
        event: session.id,
        hint: "The gateway's operator finds the reason under this id.",
        detail: error instanceof Error ? error.message : String(error),
      });
    }
  }

  report(line: string): void {
    this.#parts.say(line);
  }

  operationId(): OperationId {
    return this.#gate.operationId();
  }

  submit(session: Session, operation: Operation, exchange: Exchange): void {
    this.#gate.submit(session, operation, exchange);
  }

  refuse(session: Session, operation: Operation, no: Refusal, exchange: Exchange): void {
    this.#gate.refuse(session, operation, no, exchange);
  }

  submitHouse(session: Session, operation: Operation, exchange: Exchange): void {
    this.#gate.submitHouse(session, operation, exchange);
  }

  finish(permit: Permit, outcome: Outcome): boolean {
    return this.#gate.finish(permit, outcome);
  }

  close(session: Session, outcome: Outcome): void {
    const open = this.#open.get(session.id);
    if (open === undefined) return;
    this.#open.delete(session.id);
    this.#gate.close(session, open.permit, outcome);
    if (session.identity !== HOUSE_IDENTITY) this.#count(session.identity, -1);
  }

  async #admit(session: Session, connect: Operation, decision: Decision | "house"): Promise<OpenSession | Refusal> {
    const { epoch } = this.#parts.policy;
    const cancelled = this.#gate.admit(session);
    const permit = await this.#gate.recordAwaited(session, connect, decision);
    if (isRefusal(permit)) {
      this.#gate.close(session, null, { status: "refused" });
      return permit;
    }
    this.#open.set(session.id, { session, connect, permit, epoch });
    return { kind: "session", session, permit, cancelled };
  }

  /** Ends sessions whose login is no longer good, or that policy would not let in any more. */
  #review(): void {
    const { authenticator, policy, clock } = this.#parts;
    const now = clock.now();
    for (const open of this.#open.values()) {
      const { session, connect } = open;
      if (session.identity === HOUSE_IDENTITY) continue;
      if (!authenticator.stillValid(session.identity, now)) {
        const why = refusal("unauthenticated", "this login is no longer valid", {
          event: session.id,
          hint: "Log in again.",
        });
        this.#gate.cancelSession(session.id, why);
        continue;
      }
      if (open.epoch === policy.epoch) continue;
      open.epoch = policy.epoch;
      const decision = this.#mayStayOpen(session, connect, now);
      if (decision.kind === "deny") this.#gate.cancelSession(session.id, { ...decision.refusal, event: session.id });
    }
  }

  #mayStayOpen(session: Session, connect: Operation, now: TimeMs): Decision {
    try {
      return this.#parts.policy.mayConnect(session, connect, now);
    } catch {
      return { kind: "deny", rules: [], refusal: refusal("internal", "policy could not decide this") };
    }
  }

  #session(id: OperationId, identity: Identity, target: Target, source: string): Session {
    return { id, identity, target, source, openedAtMs: this.#parts.clock.now() };
  }

  #limitReached(identity: Identity, event: string): Refusal | null {
    const { limits } = this.#parts;
    if (this.#isDraining)
      return refusal("draining", "the gateway is shutting down", { event, hint: "Connect again in a moment." });
    if (this.#clientSessions >= limits.sessionsMax) {
      return refusal("limit", `the gateway has ${limits.sessionsMax} sessions open, its limit`, {
        event,
        hint: "Try again later, or raise limits.sessionsMax.",
      });
    }
    if ((this.#perSubject.get(subjectKey(identity)) ?? 0) >= limits.sessionsPerSubjectMax) {
      return refusal("limit", `you have ${limits.sessionsPerSubjectMax} sessions open, the limit for one subject`, {
        event,
        hint: "Close some, or raise limits.sessionsPerSubjectMax.",
      });
    }
    return null;
  }

  #count(identity: Identity, by: 1 | -1): void {
    const key = subjectKey(identity);
    const count = (this.#perSubject.get(key) ?? 0) + by;
    if (count === 0) this.#perSubject.delete(key);
    else this.#perSubject.set(key, count);
    this.#clientSessions += by;
  }

  /** Records why, and answers with what the client may know. */
  #refuseSession(request: OpenRequest, why: Refusal, told: Refusal): Refusal {
    try {
      this.#parts.audit.event("session.refused", {
        ...whoFacts(request.identity),
        source: request.source,
        target: request.targetName,
        code: why.code,
        reason: why.message,
        rules: why.rules,
        id: why.event,
      });
    } catch {
      // Refused either way.
    }
    return told;
  }
}

function connectOperation(id: OperationId, session: Session, facts: Facts, text: string): Operation {
  return {
    id,
    session,
    kind: "connect",
    accesses: [{ class: "connect", facts, ambient: true }],
    understood: true,
    text,
    textSha256: null,
    catalogDigest: null,
  };
}

function subjectKey(identity: Identity): string {
  return `${identity.issuer}\n${identity.subject}`;
}

function whoFacts(identity: Identity): Record<string, string> {
  return {
    issuer: identity.issuer,
    subject: identity.subject,
    kind: identity.kind,
    credential: identity.proof.credential,
  };
}

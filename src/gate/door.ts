/** What adapters see of the house: login, sessions within their limits, connections behind permits, and the gate's road. */
import type { ContentMask } from "../core/content.ts";
import { isRefusal, refusal, type Decision, type Refusal } from "../core/decision.ts";
import type { KeptKind, MaskObligation, MaskTransform } from "../core/obligation.ts";
import type { Claim, Identity } from "../core/identity.ts";
import type { Access, Facts, Operation, OperationId } from "../core/operation.ts";
import type {
  AccessMask,
  Approvals,
  Arrival,
  Audit,
  Authenticator,
  ByteStream,
  Clock,
  Destination,
  DialPurpose,
  Dialer,
  Door,
  Endpoint,
  Exchange,
  Meters,
  OpenRequest,
  OpenSession,
  Outcome,
  Permit,
  Policy,
  Upstream,
} from "../core/ports.ts";
import type { Recorder, Recording } from "../core/recording.ts";
import type { Session, SessionId, Through } from "../core/session.ts";
import type { Target } from "../core/target.ts";
import { messageOf } from "../core/message-of.ts";
import { Gate, type Durability } from "./gate.ts";
import { HOUSE_IDENTITY } from "./house-identity.ts";
import { OpenSessions } from "./open-sessions.ts";
import { MintedPermit } from "./permit.ts";
import { SessionCounts } from "./session-counts.ts";
import { PermittedUpstream } from "./upstream.ts";

const DIAL_TIME_MS_MAX = 10_000;

/** Where forwards lead, and who takes those that lead to a target. */
export type Forwarding = {
  /** As Door.destinationOf(). */
  destinationOf(host: string, port: number): Promise<Destination>;
  /** Gives the client to the adapter of the target. False: that one takes nobody. */
  accept(target: Target, stream: ByteStream, arrival: Omit<Arrival, "limits">): boolean;
};

export type HouseParts = {
  readonly policy: Policy;
  readonly audit: Audit;
  readonly durability: Durability;
  readonly authenticator: Authenticator;
  readonly approvals: Approvals;
  readonly meters: Meters;
  readonly recorder: Recorder;
  readonly dialer: Dialer;
  readonly forwarding: Forwarding;
  readonly clock: Clock;
  readonly targets: ReadonlyMap<string, Target>;
  readonly limits: { readonly sessionsMax: number; readonly sessionsPerSubjectMax: number };
  /** Why no new work may be done now, though the log can be written; null: it may. Absent: there is nothing that could. */
  readonly hold?: () => string | null;
  keeps(adapter: string): readonly KeptKind[];
  /** What an obligation masks by content; `patternOf` gives the text of a pattern by its name. Null: nothing. */
  readonly contentMask: (mask: MaskObligation, patternOf: (name: string) => string | null) => ContentMask | null;
  /** One line for the operator. */
  say(line: string): void;
};

export class GateDoor implements Door {
  readonly #parts: HouseParts;
  readonly #gate: Gate;
  readonly #open: OpenSessions;
  readonly #counts: SessionCounts;
  #isDraining = false;

  constructor(parts: HouseParts) {
    this.#parts = parts;
    this.#gate = new Gate(
      // The house has no login that could end.
      {
        ...parts,
        authenticator: { stillValid: (who, now) => who === HOUSE_IDENTITY || parts.authenticator.stillValid(who, now) },
      },
    );
    this.#open = new OpenSessions(parts, this.#gate);
    this.#counts = new SessionCounts(parts.limits);
  }

  /** Client sessions that are open now; the gateway's own are not counted. */
  get sessionCount(): number {
    return this.#counts.all;
  }

  /** Client sessions that are open now. */
  get sessions(): readonly Session[] {
    return this.#open.ofClients;
  }

  /** Ends a client's session: its adapter tells the client why. False: it is not open. */
  endSession(id: SessionId, why: Refusal): boolean {
    return this.sessions.some((session) => session.id === id) && this.#gate.cancelSession(id, why);
  }

  get isDraining(): boolean {
    return this.#isDraining;
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

  knowsKey(publicKey: Uint8Array): boolean {
    return this.#parts.authenticator.knowsKey(publicKey);
  }

  loginFailed(source: string, reason: string): void {
    try {
      this.#parts.audit.event("login.failed", { source, reason });
    } catch {
      // The log has failed, and nobody was let in.
    }
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
    const limit = this.#draining(id) ?? this.#counts.limitReached(identity, id) ?? this.#gate.judge.held(id);
    if (limit !== null) return this.#refuseSession(request, limit, limit);
    if (target === undefined || target.adapter !== request.adapter)
      return this.#refuseSession(request, notHere, notHere);
    const facts = request.facts(target);
    if (isRefusal(facts)) return this.#refuseSession(request, { ...facts, event: id }, notHere);

    const session = this.#session(id, identity, target, request.source, request.through);
    const operation = connectOperation(id, session, facts, request.text);
    const decision = this.#gate.judge.connect(session, operation, session.openedAtMs);
    if (decision.kind === "deny") return this.#refuseSession(request, { ...decision.refusal, event: id }, notHere);
    // Counted before anything is awaited, so that many logins at once cannot pass the limit together.
    this.#counts.add(identity);
    const opened = await this.#admit(session, operation, decision);
    if (isRefusal(opened)) this.#counts.remove(identity);
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
        detail: messageOf(error),
      });
    }
  }

  destinationOf(host: string, port: number): Promise<Destination> {
    return this.#parts.forwarding.destinationOf(host, port);
  }

  handOver(
    session: Session,
    permit: Permit,
    to: Extract<Destination, { kind: "target" }>,
    stream: ByteStream,
  ): Refusal | null {
    const event = permit.operation;
    if (!MintedPermit.isAlive(permit) || permit.session !== session.id)
      return refusal("internal", "the forward has ended", { event });
    const { targetName, part } = to;
    const target = this.#parts.targets.get(targetName);
    const { identity, source } = session;
    const arrival = { identity, targetName, part, source, through: { session: session.id, operation: event } };
    if (target !== undefined && this.#parts.forwarding.accept(target, stream, arrival)) return null;
    return refusal("denied", `no forward can lead to the target "${targetName}"`, {
      event,
      hint: "Connect to the gateway for it.",
    });
  }

  report(line: string): void {
    this.#parts.say(line);
  }

  explain(no: Refusal): void {
    this.#gate.details.tell(no);
  }

  operationId(): OperationId {
    return this.#gate.operationId();
  }

  submit(session: Session, operation: Operation, exchange: Exchange): void {
    this.#gate.submit(session, operation, exchange);
  }

  withdraw(session: Session, operation: OperationId): void {
    this.#gate.withdraw(session, operation);
  }

  refuse(session: Session, operation: Operation, no: Refusal, exchange: Exchange): void {
    this.#gate.refuse(session, operation, no, exchange);
  }

  submitHouse(session: Session, operation: Operation, exchange: Exchange): void {
    this.#gate.submitHouse(session, operation, exchange);
  }

  masks(session: Session, accesses: readonly Access[]): readonly (AccessMask | null)[] {
    return this.#parts.policy.masks(session, accesses, this.#parts.clock.now());
  }

  maskTransforms(target: Target, accesses: readonly Access[]): readonly (readonly MaskTransform[])[] {
    return this.#parts.policy.maskTransforms(target, accesses);
  }

  mayCompare(target: Target, accesses: readonly Access[]): readonly boolean[] {
    return this.#parts.policy.mayCompare(target, accesses);
  }

  onPolicyChange(session: Session, callback: () => void): void {
    this.#open.onPolicyChange(session.id, callback);
  }

  contentMask(mask: MaskObligation): ContentMask | null {
    const { policy, contentMask } = this.#parts;
    return contentMask(mask, (name) => policy.pattern(name));
  }

  begun(permit: Permit): void {
    this.#gate.begun(permit);
  }

  spend(permit: Permit, rows: number, bytes: number): Refusal | null {
    return this.#gate.spend(permit, rows, bytes);
  }

  recording(permit: Permit): Recording | null {
    return this.#gate.recording(permit);
  }

  finish(permit: Permit, outcome: Outcome): boolean {
    return this.#gate.finish(permit, outcome);
  }

  close(session: Session, outcome: Outcome): void {
    const permit = this.#open.remove(session.id);
    if (permit === null) return;
    this.#gate.close(session, permit, outcome);
    if (session.identity !== HOUSE_IDENTITY) this.#counts.remove(session.identity);
  }

  async #admit(session: Session, connect: Operation, decision: Decision | "house"): Promise<OpenSession | Refusal> {
    const { epoch } = this.#parts.policy;
    const untilMs = this.#parts.policy.nextEdge(session.openedAtMs);
    const cancelled = this.#gate.admit(session);
    const permit = await this.#gate.recordAwaited(session, connect, decision);
    if (isRefusal(permit)) {
      this.#gate.close(session, null, { status: "refused" });
      return permit;
    }
    this.#open.add({ session, connect, permit, epoch, untilMs, onPolicyChange: [] });
    return { kind: "session", session, permit, cancelled };
  }

  #session(id: OperationId, identity: Identity, target: Target, source: string, through?: Through): Session {
    const session = { id, identity, target, source, openedAtMs: this.#parts.clock.now() };
    return through === undefined ? session : { ...session, through };
  }

  #draining(event: string): Refusal | null {
    if (!this.#isDraining) return null;
    return refusal("draining", "the gateway is shutting down", { event, hint: "Connect again in a moment." });
  }

  /** Records why, and answers with what the client may know. */
  #refuseSession(request: OpenRequest, why: Refusal, told: Refusal): Refusal {
    this.#gate.details.tell(why);
    try {
      this.#parts.audit.event("session.refused", {
        ...whoFacts(request.identity),
        source: request.source,
        ...throughFacts(request.through),
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

function throughFacts(through: Through | undefined): Record<string, string> {
  if (through === undefined) return {};
  return { throughSession: through.session, throughOperation: through.operation };
}

function whoFacts(identity: Identity): Record<string, string> {
  return {
    issuer: identity.issuer,
    subject: identity.subject,
    kind: identity.kind,
    credential: identity.proof.credential,
  };
}

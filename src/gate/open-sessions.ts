/** The sessions that are open: judged again each second and whenever policy changes, and ended when they may not stay. */
import { refusal, type Refusal } from "../core/decision.ts";
import { messageOf } from "../core/message-of.ts";
import type { Operation } from "../core/operation.ts";
import type { Authenticator, Clock, Permit, Policy } from "../core/ports.ts";
import type { Session, SessionId, TimeMs } from "../core/session.ts";
import type { Gate } from "./gate.ts";
import { HOUSE_IDENTITY } from "./house-identity.ts";

/** How often open sessions are judged again, whether or not they do anything: what is revoked ends within 5 s. */
const REVIEW_MS = 1_000;

/** A session that is open, with what it takes to judge it again. */
export type Open = {
  readonly session: Session;
  readonly connect: Operation;
  /** That of `connect`. */
  readonly permit: Permit;
  /** Of the policy by which it was judged last. */
  epoch: number;
  /** Time alone could decide otherwise from then on: a window that ends, ends the sessions that it let in. */
  untilMs: TimeMs;
  /** What its adapter wants called when another policy has become active. */
  readonly onPolicyChange: (() => void)[];
};

export type OpenSessionsParts = {
  readonly policy: Policy;
  readonly authenticator: Pick<Authenticator, "stillValid">;
  readonly clock: Clock;
};

export class OpenSessions {
  readonly #parts: OpenSessionsParts;
  readonly #gate: Gate;
  readonly #open = new Map<SessionId, Open>();

  constructor(parts: OpenSessionsParts, gate: Gate) {
    this.#parts = parts;
    this.#gate = gate;
    setInterval(() => this.#review(), REVIEW_MS).unref();
    parts.policy.onChange(() => this.#review());
  }

  /** Without the gateway's own. */
  get ofClients(): readonly Session[] {
    return [...this.#open.values()].map(({ session }) => session).filter((each) => each.identity !== HOUSE_IDENTITY);
  }

  add(open: Open): void {
    this.#open.set(open.session.id, open);
  }

  /** Answers with the permit of its opening; null: it is not open. */
  remove(id: SessionId): Permit | null {
    const open = this.#open.get(id);
    this.#open.delete(id);
    return open?.permit ?? null;
  }

  /** As Door.onPolicyChange(). */
  onPolicyChange(id: SessionId, callback: () => void): void {
    this.#open.get(id)?.onPolicyChange.push(callback);
  }

  #review(): void {
    this.#gate.details.review();
    const now = this.#parts.clock.now();
    const { epoch } = this.#parts.policy;
    const changed: Open[] = [];
    for (const open of this.#open.values()) {
      const isOtherPolicy = open.epoch !== epoch;
      if (!this.#mayStay(open, now)) continue;
      if (isOtherPolicy) changed.push(open);
      else this.#gate.reviewLasting(open.session.id, now);
    }
    // Only when all were judged: what one adapter does then must not hold up the end of another's session.
    for (const open of changed) {
      this.#tellChange(open);
      this.#gate.reviewLasting(open.session.id, now);
    }
  }

  /** False: it is being ended. */
  #mayStay(open: Open, now: TimeMs): boolean {
    const { policy } = this.#parts;
    const { id, identity } = open.session;
    const isOtherPolicy = open.epoch !== policy.epoch;
    if (identity === HOUSE_IDENTITY) {
      open.epoch = policy.epoch;
      return true;
    }
    let no = this.#overdue(open.session, now);
    if (no === null && (isOtherPolicy || now >= open.untilMs)) {
      open.epoch = policy.epoch;
      open.untilMs = policy.nextEdge(now);
      no = this.#judgedAgain(open, now);
    }
    if (no !== null) this.#gate.cancelSession(id, { ...no, event: id });
    return no === null;
  }

  /** Why a session must end whatever policy says of it; null: it need not. */
  #overdue({ id, identity }: Session, now: TimeMs): Refusal | null {
    if (this.#parts.authenticator.stillValid(identity, now)) return this.#gate.overdue(id, now);
    return refusal("unauthenticated", "this login is no longer valid", { hint: "Log in again." });
  }

  /** Null when a session may stay open under the policy of now; it is then held to what that obliges it to. */
  #judgedAgain({ session, connect, permit }: Open, now: TimeMs): Refusal | null {
    const decision = this.#gate.judge.connect(session, connect, now);
    if (decision.kind === "deny") return decision.refusal;
    // A session is opened for reading only, or not: it cannot become so.
    const isReadOnly = permit.obligations.session?.readOnly === true;
    if (decision.obligations.session?.readOnly === true && !isReadOnly) {
      return refusal("denied", "policy now lets this session only read", {
        rules: decision.rules,
        hint: "Connect again.",
      });
    }
    this.#gate.tighten(session.id, decision);
    return null;
  }

  #tellChange({ session, onPolicyChange }: Open): void {
    for (const callback of onPolicyChange) {
      if (!this.#open.has(session.id)) return;
      try {
        callback();
      } catch (error) {
        // What it would have changed for the new policy may be as it was under the old one.
        const why = refusal("internal", "this session could not follow a change of policy", {
          event: session.id,
          hint: "Connect again.",
          detail: messageOf(error),
        });
        this.#gate.cancelSession(session.id, why);
        return;
      }
    }
  }
}

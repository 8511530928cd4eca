/** How long a session may last and stay idle: the strictest of what its operations and its opening were obliged to. */
import { refusal, type Refusal, type RuleId } from "../core/decision.ts";
import type { SessionObligation } from "../core/obligation.ts";
import type { Session, TimeMs } from "../core/session.ts";

export class SessionHolds {
  #durationMsMax = Infinity;
  #idleMsMax = Infinity;
  #durationRules: readonly RuleId[] = [];
  #idleRules: readonly RuleId[] = [];
  #idleSinceMs: TimeMs;

  constructor(now: TimeMs) {
    this.#idleSinceMs = now;
  }

  /** From now on at least as strict as this; what is milder changes nothing. */
  tighten(obligation: SessionObligation, rules: readonly RuleId[]): void {
    const { maxDurationMs, idleMs } = obligation;
    if (maxDurationMs !== undefined && maxDurationMs < this.#durationMsMax) {
      this.#durationMsMax = maxDurationMs;
      this.#durationRules = rules;
    }
    if (idleMs !== undefined && idleMs < this.#idleMsMax) {
      this.#idleMsMax = idleMs;
      this.#idleRules = rules;
    }
  }

  /** It has just done something. */
  touch(now: TimeMs): void {
    this.#idleSinceMs = now;
  }

  /** Why the session must end now; null while it may stay. */
  overdue(session: Session, isIdle: boolean, now: TimeMs): Refusal | null {
    if (now - session.openedAtMs >= this.#durationMsMax) {
      return over(session, `policy lets this session last for at most ${this.#durationMsMax} ms`, this.#durationRules);
    }
    if (isIdle && now - this.#idleSinceMs >= this.#idleMsMax) {
      return over(session, `policy lets this session be idle for at most ${this.#idleMsMax} ms`, this.#idleRules);
    }
    return null;
  }
}

function over(session: Session, message: string, rules: readonly RuleId[]): Refusal {
  return refusal("limit", message, { rules, event: session.id, hint: "Connect again." });
}

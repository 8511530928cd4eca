/** How many sessions clients have open: all together, and each subject. */
import { refusal, type Refusal } from "../core/decision.ts";
import type { Identity } from "../core/identity.ts";

export type SessionLimits = { readonly sessionsMax: number; readonly sessionsPerSubjectMax: number };

export class SessionCounts {
  readonly #limits: SessionLimits;
  readonly #perSubject = new Map<string, number>();
  #all = 0;

  constructor(limits: SessionLimits) {
    this.#limits = limits;
  }

  get all(): number {
    return this.#all;
  }

  /** Why one more may not be opened; null: it may. */
  limitReached(identity: Identity, event: string): Refusal | null {
    const { sessionsMax, sessionsPerSubjectMax } = this.#limits;
    if (this.#all >= sessionsMax) {
      return refusal("limit", `the gateway has ${sessionsMax} sessions open, its limit`, {
        event,
        hint: "Try again later, or raise limits.sessionsMax.",
      });
    }
    if ((this.#perSubject.get(subjectKey(identity)) ?? 0) >= sessionsPerSubjectMax) {
      return refusal("limit", `you have ${sessionsPerSubjectMax} sessions open, the limit for one subject`, {
        event,
        hint: "Close some, or raise limits.sessionsPerSubjectMax.",
      });
    }
    return null;
  }

  add(identity: Identity): void {
    const key = subjectKey(identity);
    this.#perSubject.set(key, (this.#perSubject.get(key) ?? 0) + 1);
    this.#all++;
  }

  remove(identity: Identity): void {
    const key = subjectKey(identity);
    const left = (this.#perSubject.get(key) ?? 0) - 1;
    if (left === 0) this.#perSubject.delete(key);
    else this.#perSubject.set(key, left);
    this.#all--;
  }
}

function subjectKey(identity: Identity): string {
  return `${identity.issuer}\n${identity.subject}`;
}

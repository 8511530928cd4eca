/** Alerts that policy asks for: each goes into the log, and the operator is told in lines that cannot become a flood. */
import type { Decision } from "../core/decision.ts";
import type { Operation } from "../core/operation.ts";
import type { Audit, Clock } from "../core/ports.ts";
import type { TimeMs } from "../core/session.ts";

/** One line for each channel and severity in this time; the next says how many there were in between. */
const LINE_MS = 1_000;

type Told = { atMs: TimeMs; untold: number };

export class Alerts {
  readonly #audit: Audit;
  readonly #clock: Clock;
  readonly #say: (line: string) => void;
  readonly #told = new Map<string, Told>();

  constructor(audit: Audit, clock: Clock, say: (line: string) => void) {
    this.#audit = audit;
    this.#clock = clock;
    this.#say = say;
  }

  /** For an operation that is permitted. Throws AuditUnavailable: then it must not run. */
  raise(operation: Operation, decision: Extract<Decision, { kind: "permit" }>): void {
    const { id, session } = operation;
    const { issuer, subject } = session.identity;
    for (const { channel, severity } of decision.obligations.alert ?? []) {
      this.#audit.event("alert.raised", {
        id,
        channel,
        severity,
        issuer,
        subject,
        target: session.target.name,
        rules: decision.rules,
      });
      this.#tell(
        `${channel}\n${severity}`,
        `alert for ${channel} (${severity}): ${subject} on ${session.target.name}, ` +
          `operation ${id}, by ${decision.rules.join(", ")}`,
      );
    }
  }

  #tell(key: string, line: string): void {
    const now = this.#clock.now();
    const told = this.#told.get(key);
    if (told !== undefined && now >= told.atMs && now - told.atMs < LINE_MS) {
      told.untold++;
      return;
    }
    const before = told === undefined || told.untold === 0 ? "" : ` (and ${told.untold} before it)`;
    this.#told.set(key, { atMs: now, untold: 0 });
    this.#say(line + before);
  }
}

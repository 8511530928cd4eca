/** What the house does when its clock was set: policy decides again, the operator is told, the log keeps it. */
import type { AuditLog } from "../audit/audit.ts";
import type { ClockWatch } from "../gate/clock-watch.ts";
import type { PolicyStore } from "../policy/store.ts";

export function followClockSteps(
  watch: ClockWatch,
  policy: PolicyStore,
  audit: AuditLog,
  say: (line: string) => void,
): void {
  watch.onStep((byMs) => {
    policy.timeTold();
    // The step is found in the middle of a decision, which is not to wait for this.
    queueMicrotask(() => {
      say(stepLine(byMs));
      try {
        audit.event("clock.stepped", { byMs: byMs ?? 0 });
      } catch {
        // The log has failed: it says so itself, and nothing is let through until it is back.
      }
    });
  });
}

/** `byMs` null: it is right again. */
function stepLine(byMs: number | null): string {
  if (byMs === null) return "the clock is right again: windows and validity hold as before";
  const seconds = Math.round(Math.abs(byMs) / 1000);
  return `the clock was set ${byMs < 0 ? "back" : "forward"} by ${seconds} s: permits with a window or a validity are off, guards with one are on, until the clock is right again or weir clock confirm`;
}

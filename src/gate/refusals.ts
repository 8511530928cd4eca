/** The gate's own words: why something is refused that policy alone would have let through. */
import { NO_RULES, refusal, type Decision, type Refusal } from "../core/decision.ts";
import type { RecordingFailed } from "../core/recording.ts";

export type Permitted = Extract<Decision, { kind: "permit" }>;
export type Asked = Extract<Decision, { kind: "ask" }>;
export type Denied = Extract<Decision, { kind: "deny" }>;

/** Permitted, but a rate or a budget is used up, or there is no recording. */
export function refusedBy(decision: Permitted, no: Refusal): Denied {
  return { kind: "deny", rules: no.rules, observed: decision.observed, refusal: no };
}

/** New work may not be done now, whatever policy says. */
export function heldUp(no: Refusal): Denied {
  return { kind: "deny", rules: NO_RULES, observed: NO_RULES, refusal: no };
}

export function deny(
  code: Refusal["code"],
  message: string,
  rules: readonly string[] = NO_RULES,
  observed: readonly string[] = NO_RULES,
): Denied {
  return { kind: "deny", rules, observed, refusal: refusal(code, message, { rules }) };
}

export function internal(message: string, event: string): Refusal {
  return refusal("internal", message, { event });
}

export function auditUnavailable(event: string): Refusal {
  return refusal("audit_unavailable", "the record of this operation cannot be written, so it was not run", {
    event,
    hint: "The gateway's log has failed; its operator sees why in `weir status`. Try again when it is back.",
  });
}

/** Its client has left, or wants it no more. */
export function withdrawn(event: string): Refusal {
  return refusal("cancelled", "the client has left before people had answered", { event });
}

export function unrecorded(event: string): Refusal {
  return refusal("audit_unavailable", "the gateway's log has failed, and this may not go on unrecorded", {
    event,
    hint: "Begin it again when the log is back; its operator sees why it failed in `weir status`.",
  });
}

export const CANNOT_RECORD = "policy obliges to record this, and the recording cannot be begun";

export function recordingUnavailable(
  event: string,
  failure: RecordingFailed,
  rules: readonly string[] = NO_RULES,
): Refusal {
  const { message, detail } = failure;
  return refusal("recording_unavailable", message, {
    event,
    rules,
    detail,
    hint: "Connect again; if it is the same then, the gateway's operator finds the reason under this id.",
  });
}

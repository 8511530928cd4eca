/** Why a session is ended, or an operation cannot be kept to what policy obliges, in words for its client. */
import { isRefusal, refusal, type Refusal } from "../../src/core/decision.ts";
import type { Permit } from "../../src/core/ports.ts";
import { RecordingFailed } from "../../src/core/recording.ts";
import { FramingError } from "../../src/wire/framer.ts";
import { WireError } from "../../src/wire/wire-error.ts";
import { ReplyViolation } from "./reply-handler.ts";

/** `reason` is what the session was cancelled with. */
export function cancelledFor(reason: unknown): Refusal {
  const isReason = typeof reason === "object" && reason !== null && isRefusal(reason);
  return isReason ? reason : refusal("cancelled", "the session was ended by the gateway");
}

export function draining(): Refusal {
  return refusal("draining", "the gateway is shutting down", { hint: "Connect again in a moment." });
}

export function masksChanged(event: string): Refusal {
  return refusal("cancelled", "what is masked for this session has changed, so it was ended", {
    hint: "Connect again: the new session gets the masks of now.",
    event,
  });
}

export function masksUnknown(event: string, detail: string): Refusal {
  return refusal(
    "target_unavailable",
    "what is masked for this session cannot be worked out any more, so it was ended",
    { hint: "Connect again in a moment; the gateway's operator finds the reason under this id.", event, detail },
  );
}

export function stopped(event: string, session: string, because: string): Refusal {
  return refusal("internal", `${because}, so the session was ended`, {
    hint: "Connect again; the gateway's operator finds more under this id.",
    event,
    detail: `in the session ${session}`,
  });
}

/** An outcome could not be written. */
export function unrecorded(): Refusal {
  return refusal("audit_unavailable", "the record of this session can no longer be written, so it was ended", {
    hint: "The gateway's log has failed; its operator sees why in `weir status`.",
  });
}

/** What broke the session; null: a fault of the gateway's own. */
export function brokenBy(error: unknown, event: string): Refusal | null {
  if (error instanceof FramingError || error instanceof WireError) {
    return refusal("protocol", `the client's bytes are not PostgreSQL's protocol: ${error.message}`, { event });
  }
  if (error instanceof ReplyViolation) {
    return refusal("target_unavailable", `the target broke PostgreSQL's protocol: ${error.message}`, { event });
  }
  return error instanceof RecordingFailed ? unrecordable(error, event) : null;
}

export function unrecordable(failure: RecordingFailed, event: string, rules: readonly string[] = []): Refusal {
  return refusal("recording_unavailable", failure.message, {
    event,
    rules,
    detail: failure.detail,
    hint: "Connect again; if it is the same then, the gateway's operator finds the reason under this id.",
  });
}

/** Strict: what cannot be sealed is not shown. */
export function unsealable(because: string, { operation, rules }: Permit): Refusal {
  return refusal("denied", `policy obliges to seal the raw rows behind the masks, which cannot be done: ${because}`, {
    event: operation,
    rules,
    hint: "SELECT from the table itself, one statement at a time, with the columns of its primary key among those listed.",
  });
}

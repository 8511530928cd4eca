/** The recordings that policy obliges to: one transcript of a session and one of each terminal, begun before what they record. */
import type { Refusal } from "../core/decision.ts";
import type { Operation } from "../core/operation.ts";
import type { Permit } from "../core/ports.ts";
import {
  RecordingFailed,
  type Recorder,
  type Recording,
  type RecordingKind,
  type SessionRecording,
} from "../core/recording.ts";
import type { SessionId } from "../core/session.ts";
import { MintedPermit } from "./permit.ts";
import { recordingUnavailable, type Permitted } from "./refusals.ts";
import type { SessionState, Waiting } from "./session-state.ts";

export class Recordings {
  readonly #recorder: Recorder;
  readonly #endSession: (id: SessionId, reason: Refusal) => void;

  /** A session whose recording cannot go on is ended. */
  constructor(recorder: Recorder, endSession: (id: SessionId, reason: Refusal) => void) {
    this.#recorder = recorder;
    this.#endSession = endSession;
  }

  /**
   * Begins the operation's own recording, or its session's one transcript, which is begun once whoever asks for it.
   * Rejects with RecordingFailed; the next one that asks for a transcript tries again, and may have begun to.
   */
  async open(state: SessionState, operation: Operation): Promise<SessionRecording> {
    if (operation.recordedAs !== undefined) return this.#begin(state, operation.recordedAs, operation);
    const opening = (state.opening ??= this.#begin(state, "transcript", operation));
    try {
      return await opening;
    } catch (error) {
      if (state.opening === opening) state.opening = null;
      throw error;
    }
  }

  async #begin(state: SessionState, kind: RecordingKind, { id }: Operation): Promise<SessionRecording> {
    const { session } = state;
    const failed = (failure: RecordingFailed): void => {
      state.failure ??= failure;
      this.#endSession(session.id, recordingUnavailable(session.id, failure));
    };
    return this.#recorder.open(session, failed, kind, kind === "transcript" ? undefined : id);
  }
}

/** True when policy obliges to record and there is no recording for it yet; `own` is that of the operation alone. */
export function lacksRecording(
  state: SessionState,
  { recordedAs }: Operation,
  own: SessionRecording | null,
  { obligations }: Permitted,
): boolean {
  if (obligations.record === undefined || own !== null) return false;
  return recordedAs !== undefined || state.recording === null;
}

/** The session's recording, when policy obliges to record and nothing is being stored now. */
export function stalledRecording({ recording }: SessionState, { obligations }: Permitted): SessionRecording | null {
  return obligations.record !== undefined && recording?.isStalled === true ? recording : null;
}

/** What was let through while its session's recordings still worked does not start without them. */
export function refuseForFailedRecording(state: SessionState, waiting: Waiting): void {
  const { failure } = state;
  if (failure === null || waiting.refusal !== null || waiting.permit?.obligations.record === undefined) return;
  waiting.refusal = recordingUnavailable(waiting.operation.id, failure, waiting.permit.rules);
}

/** Where an operation is recorded; null when its obligations record nothing. Throws RecordingFailed. */
export function recordingOf(state: SessionState | undefined, permit: Permit): Recording | null {
  if (!MintedPermit.isAlive(permit)) throw new RecordingFailed("the operation has ended");
  if (permit.obligations.record === undefined) return null;
  const recording = permit.recording ?? state?.recording ?? null;
  if (state === undefined || recording === null) throw new RecordingFailed("the session has no recording");
  if (state.failure !== null) throw state.failure;
  return recording;
}

/** Recordings: what of a session is kept for people to read later, in the clear or sealed to the auditors' keys. */
import type { OperationId } from "./operation.ts";
import type { Session, TimeMs } from "./session.ts";

/** clear: anybody who may read the data folder can read it. sealed: only who holds a key of `audit.seal.recipients`. */
export const RECORDING_STREAMS = ["clear", "sealed"] as const;
export type RecordingStream = (typeof RECORDING_STREAMS)[number];

/** transcript: JSON lines of statements, rows and outcomes. asciicast: a terminal, as asciicast v3. */
export const RECORDING_KINDS = ["transcript", "asciicast"] as const;
export type RecordingKind = (typeof RECORDING_KINDS)[number];

export const OUTPUT_STREAMS = ["stdout", "stderr"] as const;
export type OutputStream = (typeof OUTPUT_STREAMS)[number];

/** One line of a transcript. Values are in the protocol's text form, binary ones as `\x` and hex digits; null is SQL's NULL. */
export type TranscriptLine =
  | {
      readonly kind: "input";
      readonly operation: OperationId;
      readonly atMs: TimeMs;
      readonly text: string;
      readonly parameters?: readonly (string | null)[];
    }
  | {
      readonly kind: "columns";
      readonly operation: OperationId;
      readonly atMs: TimeMs;
      readonly names: readonly string[];
    }
  | {
      readonly kind: "rows";
      readonly operation: OperationId;
      readonly atMs: TimeMs;
      readonly rows: readonly (readonly (string | null)[])[];
    }
  /** A piece of what a command has put out. `base64` where it is no UTF-8. */
  | {
      readonly kind: "output";
      readonly operation: OperationId;
      readonly atMs: TimeMs;
      readonly stream: OutputStream;
      readonly text?: string;
      readonly base64?: string;
    }
  /** Bytes that are not kept: how many went which way, and their SHA-256 in lower-case hex. */
  | {
      readonly kind: "data";
      readonly operation: OperationId;
      readonly atMs: TimeMs;
      /** What they were: `stdin`, or the path of a file. */
      readonly of: string;
      readonly bytes: number;
      readonly sha256: string;
    }
  /**
   * What stands behind masks in rows of a relation, as the gateway has read them by their keys. `unproven`: the places of
   * those that may have changed between the operation and that reading.
   */
  | {
      readonly kind: "raw";
      readonly operation: OperationId;
      readonly atMs: TimeMs;
      readonly relation: string;
      readonly names: readonly string[];
      readonly rows: readonly (readonly (string | null)[])[];
      readonly unproven?: readonly number[];
    }
  | {
      readonly kind: "end";
      readonly operation: OperationId;
      readonly atMs: TimeMs;
      /** As in the log: done, failed, ... */
      readonly status: string;
      /** The protocol's own code. */
      readonly code?: string;
      readonly rows?: number;
      /** The target's own words, as the client got them. */
      readonly message?: string;
    }
  /** What was left out, and why. */
  | { readonly kind: "note"; readonly operation?: OperationId; readonly atMs: TimeMs; readonly text: string };

/**
 * One event of a terminal, as asciicast v3 has them (https://docs.asciinema.org/manual/asciicast/v3/). The first line
 * of each stream is a `terminal`.
 */
export type TerminalLine =
  | {
      readonly kind: "terminal";
      readonly atMs: TimeMs;
      readonly columns: number;
      readonly rows: number;
      /** What the client says its terminal is: `xterm-256color`. */
      readonly type?: string;
      readonly command?: string;
    }
  /**
   * o: output. i: input, which belongs into the sealed stream. r: another size, `COLUMNSxROWS`. m: a mark with its
   * name. x: the exit status.
   */
  | {
      readonly kind: "event";
      readonly atMs: TimeMs;
      readonly code: "o" | "i" | "r" | "m" | "x";
      readonly data: string;
    };

/** A session's transcript, made at the first operation whose decision obliges to record, or one terminal of it. */
export interface Recording {
  readonly id: string;
  /**
   * One line of the transcript, or one event of the terminal. False: so much waits to be kept that the adapter should stop reading until onDrain.
   * What is too long is cut and says so. Throws RecordingFailed: the session must end.
   */
  write(stream: RecordingStream, line: TranscriptLine | TerminalLine): boolean;
  /**
   * `callback` is called after write() has answered false to anybody, when there is room again: several operations write
   * into one transcript. Answers with what takes it back.
   */
  onDrain(callback: () => void): () => void;
  /**
   * What was written is not being stored (a disk that hangs): nothing that it must record may begin, and nothing of what
   * runs may go on either way, until onDrain. It ends as a failure when that lasts.
   */
  readonly isStalled: boolean;
  /** `callback` is called each time it stalls, and at once when it is stalled now. Answers with what takes it back. */
  onStall(callback: () => void): () => void;
}

/** A recording as the gate holds it. */
export interface SessionRecording extends Recording {
  /** Null while it can go on. */
  readonly failure: RecordingFailed | null;
  /** The session has ended: what was written is kept, then the recording is closed. May be called twice. */
  end(): void;
}

/** The part that keeps recordings, as the gate sees it. */
export interface Recorder {
  /** Is there anybody who could open what is sealed? False: nothing is, and `record: [raw]` is refused. */
  readonly seals: boolean;
  /**
   * Begins a session's recording; resolves when its beginning is on the disk and handed to the log. Rejects with
   * RecordingFailed. `onFailure` is called once if the recording cannot go on: the session must end. `operation`: the
   * one that it is of alone, which the log names with it.
   */
  open(
    session: Session,
    onFailure: (failure: RecordingFailed) => void,
    kind: RecordingKind,
    operation?: OperationId,
  ): Promise<SessionRecording>;
}

/** A recording cannot be begun or cannot go on; the message is a sentence for people, `detail` for the operator alone. */
export class RecordingFailed extends Error {
  readonly code = "RECORDING_FAILED";
  readonly detail: string;

  constructor(message: string, detail = "") {
    super(message);
    this.detail = detail;
  }
}

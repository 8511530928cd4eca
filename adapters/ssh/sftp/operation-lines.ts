/** What is written down of one file operation that policy obliges to record: what was asked, and how it ended; no content. */
import type { OperationId } from "../../../src/core/operation.ts";
import type { Clock, Door, Outcome, Permit } from "../../../src/core/ports.ts";
import { type Recording, RecordingFailed, type TranscriptLine } from "../../../src/core/recording.ts";

type OnFull = (recording: Recording) => void;

export class OperationLines {
  readonly #recording: Recording;
  readonly #operation: OperationId;
  readonly #clock: Clock;
  readonly #onFull: OnFull;
  readonly #forgetStall: () => void;

  private constructor(recording: Recording, operation: OperationId, clock: Clock, onFull: OnFull) {
    this.#recording = recording;
    this.#operation = operation;
    this.#clock = clock;
    this.#onFull = onFull;
    this.#forgetStall = recording.onStall(() => onFull(recording));
  }

  /**
   * Null: policy does not oblige to record it. Throws RecordingFailed: then it must not be sent. `onFull` is called when
   * no more should be read from the client until the recording has drained.
   */
  static begin(
    door: Door,
    permit: Permit,
    clock: Clock,
    text: string,
    onFull: OnFull = () => {},
  ): OperationLines | null {
    const recording = door.recording(permit);
    if (recording === null) return null;
    const lines = new OperationLines(recording, permit.operation, clock, onFull);
    lines.#write({ kind: "input", operation: permit.operation, atMs: clock.now(), text });
    return lines;
  }

  /** As it is in the log. Before Door.finish(). `path`: of a file whose content was hashed. */
  end(outcome: Outcome, path = ""): void {
    this.#forgetStall();
    const { status, code, bytes, sha256, ranges } = outcome;
    const parts = [
      ...(bytes === undefined ? [] : [`${bytes} bytes`]),
      ...(ranges === undefined ? [] : [`ranges ${ranges}`]),
    ];
    const line = { operation: this.#operation, atMs: this.#clock.now() };
    try {
      if (bytes !== undefined && sha256 !== undefined) {
        this.#write({ kind: "data", ...line, of: path, bytes, sha256 });
      }
      this.#write({
        kind: "end",
        ...line,
        status,
        ...(code === undefined ? {} : { code }),
        ...(parts.length === 0 ? {} : { message: parts.join(", ") }),
      });
    } catch (error) {
      // The session is being ended for it.
      if (!(error instanceof RecordingFailed)) throw error;
    }
  }

  #write(line: TranscriptLine): void {
    if (!this.#recording.write("clear", line)) this.#onFull(this.#recording);
  }
}

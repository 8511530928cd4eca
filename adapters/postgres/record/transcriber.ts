/** Writes down what a session's operations are made of, where policy obliges to, and holds the session while the recording is full. */
import type { Refusal } from "../../../src/core/decision.ts";
import type { Clock, Door, Permit } from "../../../src/core/ports.ts";
import { type Recording, RecordingFailed } from "../../../src/core/recording.ts";
import type { Analysis } from "../analysis.ts";
import { unrecordable } from "../endings.ts";
import { decodeBindHead, FUNCTION_HEAD_BYTES_MAX } from "../protocol/frontend.ts";
import type { Run } from "../run.ts";
import { resultFormat } from "./parameters.ts";
import { Transcript } from "./transcript.ts";

/** Of every message: its type and its length. */
const HEADER_BYTES = 5;

export type TranscriberParts = {
  readonly door: Door;
  readonly clock: Clock;
  clientEncodingIsUtf8(): boolean;
  /** The last message of this operation is still coming in parts. */
  isStreaming(run: Run): boolean;
  /** The recording takes no more for now: nothing may be read. */
  full(): void;
  /** It takes more again. */
  drained(): void;
};

export class Transcriber {
  readonly #parts: TranscriberParts;
  /** Null until something is recorded. */
  #recording: Recording | null = null;
  #isFull = false;

  constructor(parts: TranscriberParts) {
    this.#parts = parts;
  }

  get isFull(): boolean {
    return this.#isFull;
  }

  /** Begins the operation's transcript with its input, where policy obliges to one; a refusal when that cannot be. */
  begin(run: Run, permit: Permit): Refusal | null {
    const { record } = permit.obligations;
    if (record === undefined || run.isHouse || run.analysis === null) return null;
    const { door, clock } = this.#parts;
    try {
      const transcript = new Transcript({
        recording: this.#recordingOf(door, permit),
        operation: permit.operation,
        kinds: record,
        compared: run.analysis.masking?.compares?.parameter ?? null,
        encoding: this.#parts.clientEncodingIsUtf8() ? "utf8" : "ascii",
        now: () => clock.now(),
        full: () => this.#onFull(),
      });
      run.transcript = transcript;
      run.output = transcript.output;
      this.#input(run, run.analysis, transcript);
      return null;
    } catch (error) {
      if (!(error instanceof RecordingFailed)) throw error;
      return unrecordable(error, permit.operation, permit.rules);
    }
  }

  /** Throws RecordingFailed. */
  #recordingOf(door: Door, permit: Permit): Recording {
    const recording = door.recording(permit);
    if (recording === null) throw new RecordingFailed("the session has no recording");
    if (recording !== this.#recording) {
      this.#recording = recording;
      recording.onDrain(() => this.#onDrain());
    }
    return recording;
  }

  #input(run: Run, { text, textSha256 }: Analysis, transcript: Transcript): void {
    const streamed = this.#parts.isStreaming(run) ? run.messages.at(-1) : undefined;
    if (streamed !== undefined) {
      const { bytes, start, end, reply } = streamed;
      const body = bytes.subarray(start + HEADER_BYTES, end);
      const headBytes = reply === "bind" ? (decodeBindHead(body)?.headBytes ?? 0) : FUNCTION_HEAD_BYTES_MAX;
      return transcript.inputBegins(text, body.subarray(headBytes));
    }
    transcript.input(text, run.parameters);
    if (run.output !== null && run.parameters instanceof Uint8Array)
      run.output.resultFormat = resultFormat(run.parameters);
    if (text.includes("\uFFFD")) transcript.note(`the SHA-256 of the text as the client sent it is ${textSha256}`);
    if (!run.messages.some(({ reply }) => reply === "query" || reply === "execute" || reply === "functionCall"))
      transcript.note("prepared or bound, and not run");
  }

  #onFull(): void {
    if (this.#isFull) return;
    this.#isFull = true;
    this.#parts.full();
  }

  #onDrain(): void {
    if (!this.#isFull) return;
    this.#isFull = false;
    this.#parts.drained();
  }
}

/** What is written down of one command without a terminal: itself, what it put out, and of its input how much it was. */
import { createHash } from "node:crypto";
import type { RecordKind } from "../../../src/core/obligation.ts";
import type { OperationId } from "../../../src/core/operation.ts";
import type { Clock, Door, Outcome, Permit } from "../../../src/core/ports.ts";
import type { OutputStream, Recording, RecordingStream, TranscriptLine } from "../../../src/core/recording.ts";
import type { ChannelRecord } from "./channel-record.ts";
import { OutputPieces } from "./output-pieces.ts";

/**
 * Null: policy does not oblige to record it. `text`: what the client asked for, which is its input. Throws
 * RecordingFailed when there is no recording: then nothing may start.
 */
export function recordTranscript(
  door: Pick<Door, "recording">,
  permit: Permit,
  clock: Clock,
  text: string,
): ChannelRecord | null {
  const recording = door.recording(permit);
  if (recording === null) return null;
  const mustGoOn = (): unknown => door.recording(permit);
  return new CommandRecord(recording, mustGoOn, permit.operation, permit.obligations.record ?? [], clock, text);
}

class CommandRecord implements ChannelRecord {
  readonly #recording: Recording;
  /** Throws RecordingFailed when nothing may go on: also what is not kept passes only while all else is. */
  readonly #mustGoOn: () => void;
  readonly #operation: OperationId;
  readonly #clock: Clock;
  readonly #keepsInput: boolean;
  readonly #keepsOutput: boolean;
  readonly #keepsRaw: boolean;
  readonly #seen = outputOf();
  readonly #raw = outputOf();
  readonly #stdinHash = createHash("sha256");
  #stdinBytes = 0;
  #forget: () => void = () => {};
  #forgetStall: () => void = () => {};
  #hasEnded = false;

  constructor(
    recording: Recording,
    mustGoOn: () => void,
    operation: OperationId,
    kinds: readonly RecordKind[],
    clock: Clock,
    text: string,
  ) {
    this.#recording = recording;
    this.#mustGoOn = mustGoOn;
    this.#operation = operation;
    this.#clock = clock;
    this.#keepsInput = kinds.includes("input");
    this.#keepsOutput = kinds.includes("output");
    this.#keepsRaw = kinds.includes("raw");
    if (this.#keepsInput) this.#write("clear", { kind: "input", operation, atMs: clock.now(), text });
  }

  unmasked(bytes: Uint8Array, isStderr: boolean): boolean {
    this.#mustGoOn();
    return !this.#keepsRaw || this.#pieces("sealed", nameOf(isStderr), this.#raw[nameOf(isStderr)].take(bytes));
  }

  output(bytes: Uint8Array, isStderr: boolean): boolean {
    this.#mustGoOn();
    return !this.#keepsOutput || this.#pieces("clear", nameOf(isStderr), this.#seen[nameOf(isStderr)].take(bytes));
  }

  input(bytes: Uint8Array): boolean {
    this.#mustGoOn();
    if (!this.#keepsInput) return true;
    this.#stdinHash.update(bytes);
    this.#stdinBytes += bytes.length;
    return true;
  }

  resize(): void {}

  end(outcome: Outcome): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#forget();
    this.#forgetStall();
    for (const stream of ["stdout", "stderr"] as const) {
      this.#pieces("sealed", stream, this.#raw[stream].rest());
      this.#pieces("clear", stream, this.#seen[stream].rest());
    }
    const line = { operation: this.#operation, atMs: this.#clock.now() };
    const { status, code } = outcome;
    const end = { kind: "end", ...line, status, ...(code === undefined ? {} : { code }) } as const;
    if (this.#keepsRaw) this.#write("sealed", end);
    if (this.#stdinBytes > 0) {
      const sha256 = this.#stdinHash.digest("hex");
      this.#write("clear", { kind: "data", ...line, of: "stdin", bytes: this.#stdinBytes, sha256 });
    }
    this.#write("clear", end);
  }

  onStall(callback: () => void): void {
    this.#forgetStall();
    this.#forgetStall = this.#recording.onStall(callback);
  }

  onDrain(callback: () => void): void {
    this.#forget();
    this.#forget = this.#recording.onDrain(callback);
  }

  #pieces(to: RecordingStream, stream: OutputStream, pieces: Iterable<{ text: string } | { base64: string }>): boolean {
    const line = { kind: "output", operation: this.#operation, atMs: this.#clock.now(), stream } as const;
    let mayGoOn = true;
    for (const piece of pieces) mayGoOn = this.#write(to, { ...line, ...piece }) && mayGoOn;
    return mayGoOn;
  }

  #write(stream: RecordingStream, line: TranscriptLine): boolean {
    return this.#recording.write(stream, line);
  }
}

function outputOf(): Readonly<Record<OutputStream, OutputPieces>> {
  return { stdout: new OutputPieces(), stderr: new OutputPieces() };
}

function nameOf(isStderr: boolean): OutputStream {
  return isStderr ? "stderr" : "stdout";
}

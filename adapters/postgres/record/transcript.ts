/** What is written down of one operation that policy obliges to record: its input, its end, and what came in between. */
import type { RecordKind } from "../../../src/core/obligation.ts";
import type { OperationId, OperationParameters } from "../../../src/core/operation.ts";
import type { Outcome } from "../../../src/core/ports.ts";
import {
  type Recording,
  RecordingFailed,
  type RecordingStream,
  type TranscriptLine,
} from "../../../src/core/recording.ts";
import { CopyData } from "./copy-data.ts";
import { Output } from "./output.ts";
import { OutputLines } from "./output-lines.ts";
import { ParameterBytes, readParameters } from "./parameters.ts";
import type { TextEncoding } from "./value-text.ts";

/** Stands where statements stand: the data itself is a value, and never taken for one. */
const COPY_DATA = "(COPY data)";

/** Stands where the value of a parameter does that is compared with a masked column. */
const COMPARED = "(compared with a masked column)";

export type TranscriptParts = {
  readonly recording: Recording;
  readonly operation: OperationId;
  readonly kinds: readonly RecordKind[];
  /** The client's, when the operation begins. */
  readonly encoding: TextEncoding;
  /** The parameter, from 1, that is compared with a masked column: a hit says that it is the value. Null: none. */
  readonly compared: number | null;
  now(): number;
  /** So much waits to be kept that neither side should be read until the recording has drained. */
  full(): void;
};

export class Transcript {
  readonly #parts: TranscriptParts;
  /** Where its input is written; `raw` is of all that was said and seen. */
  readonly #inputStreams: readonly RecordingStream[];
  readonly #streams: readonly RecordingStream[];
  /** Null: what the client gets is not recorded. */
  readonly output: Output | null;
  readonly #outputStreams: readonly RecordingStream[];
  #copyIn: CopyData | null = null;
  #streamed: { readonly text: string; readonly bytes: ParameterBytes } | null = null;
  #hasEnded = false;

  constructor(parts: TranscriptParts) {
    this.#parts = parts;
    const keeps = (...wanted: readonly RecordKind[]): boolean => wanted.some((kind) => parts.kinds.includes(kind));
    const streams = (inClear: boolean): RecordingStream[] => [
      ...(inClear ? (["clear"] as const) : []),
      ...(keeps("raw") ? (["sealed"] as const) : []),
    ];
    this.#inputStreams = streams(keeps("input"));
    this.#outputStreams = streams(keeps("output"));
    this.#streams = streams(keeps("input", "output"));
    const lines = (stream: RecordingStream): OutputLines | null =>
      this.#outputStreams.includes(stream) ? this.#outputLines(stream) : null;
    this.output = this.#outputStreams.length === 0 ? null : new Output(lines("clear"), lines("sealed"));
  }

  #outputLines(stream: RecordingStream): OutputLines {
    const parts = this.#parts;
    const { operation } = parts;
    const streams = [stream];
    return new OutputLines(parts.encoding, {
      columns: (names) => this.#write({ kind: "columns", operation, atMs: parts.now(), names }, streams),
      rows: (rows) => this.#write({ kind: "rows", operation, atMs: parts.now(), rows }, streams),
      note: (text) => this.#note(text, streams),
    });
  }

  /* ---- what the client sends: throws RecordingFailed, and then it must not be sent ---- */

  /** The text as the client sent it, and the bytes of a Bind or a FunctionCall behind their names. */
  input(text: string, parameters: OperationParameters | null): void {
    if (this.#inputStreams.length === 0) return;
    if (parameters instanceof Uint8Array) return this.#input(text, parameters, parameters.length);
    this.#writeInput(text);
    if (parameters === null) return;
    const digest = Buffer.from(parameters.sha256).toString("hex");
    this.#note(`its parameters are those of the Bind before it with the SHA-256 ${digest}`);
  }

  /** The same, of a message that comes in parts: it is written down before the last one is sent. */
  inputBegins(text: string, first: Uint8Array): void {
    if (this.#inputStreams.length === 0) return;
    this.#streamed = { text, bytes: new ParameterBytes() };
    this.#streamed.bytes.take(first);
  }

  inputPart(part: Uint8Array, isLast: boolean): void {
    const streamed = this.#streamed;
    if (streamed === null || this.#hasEnded) return;
    streamed.bytes.take(part);
    if (!isLast) return;
    this.#streamed = null;
    this.#input(streamed.text, streamed.bytes.kept(), streamed.bytes.length);
  }

  /** CopyData messages as they came, with their headers. */
  copyDataSent(bytes: Uint8Array, start: number, end: number): void {
    if (!this.#hasEnded) this.#copyIn?.messagesPart(bytes, start, end);
  }

  /** The client has ended its COPY data. */
  copyEnded(): void {
    const copy = this.#copyIn;
    if (copy === null || this.#hasEnded) return;
    this.#copyIn = null;
    copy.end();
    for (const stream of this.#streams) {
      const kept = this.#inputStreams.includes(stream) ? "" : ", which are not recorded";
      this.#note(`COPY: the client sent ${copy.bytes} bytes in ${copy.messages} messages${kept}`, [stream]);
    }
  }

  /* ---- what the server answers ---- */

  copyBegan(direction: "in" | "out", isBinary: boolean): void {
    if (this.#hasEnded) return;
    if (direction === "out") {
      const without = this.#streams.filter((stream) => !this.#outputStreams.includes(stream));
      this.#note("COPY: what the client gets is not recorded", without);
      this.output?.copyBegan(isBinary);
      return;
    }
    this.copyEnded();
    const { encoding } = this.#parts;
    this.#copyIn = new CopyData(
      isBinary,
      encoding,
      this.#inputStreams.length > 0 ? (piece) => this.#writeInput(COPY_DATA, [piece]) : null,
    );
  }

  /** The operation has come to its end, as it is in the log. May be called more than once. */
  end(outcome: Outcome): void {
    if (this.#hasEnded) return;
    this.copyEnded();
    this.output?.end();
    this.#hasEnded = true;
    const { code, rows, status } = outcome;
    for (const stream of this.#streams) {
      const told = (stream === "clear" ? this.output?.toldInClear : this.output?.toldSealed) ?? null;
      const line: { -readonly [Key in keyof EndLine]: EndLine[Key] } = {
        kind: "end",
        operation: this.#parts.operation,
        atMs: this.#parts.now(),
        status,
      };
      const toldCode = code ?? told?.code ?? null;
      if (toldCode !== null) line.code = toldCode;
      if (rows !== undefined) line.rows = rows;
      if (told !== null) line.message = told.message;
      this.#write(line, [stream]);
    }
  }

  /** The session has ended before it: how it ended at the target is not known. */
  abandon(): void {
    try {
      this.end({ status: "unknown" });
    } catch (error) {
      if (!(error instanceof RecordingFailed)) throw error; // That is then why the session has ended.
    }
  }

  #input(text: string, bytes: Uint8Array, bytesInAll: number): void {
    const { parameters, notes } = readParameters(bytes, bytesInAll, this.#parts.encoding);
    this.#writeInput(text, parameters);
    for (const note of notes) this.#note(note);
  }

  #writeInput(text: string, parameters: readonly (string | null)[] = []): void {
    const parts = this.#parts;
    const line = { kind: "input", operation: parts.operation, atMs: parts.now(), text } as const;
    if (parameters.length === 0) return this.#write(line, this.#inputStreams);
    for (const stream of this.#inputStreams) {
      const shown = stream === "sealed" ? parameters : this.#withoutCompared(parameters);
      this.#write({ ...line, parameters: shown }, [stream]);
    }
  }

  #withoutCompared(parameters: readonly (string | null)[]): readonly (string | null)[] {
    const { compared } = this.#parts;
    return compared === null ? parameters : parameters.map((value, at) => (at + 1 === compared ? COMPARED : value));
  }

  /** About its input. */
  note(text: string): void {
    this.#note(text);
  }

  /** What stands behind the masks of rows that the client is about to see. Throws RecordingFailed. */
  raw(line: Pick<RawLine, "relation" | "names" | "rows" | "unproven">): void {
    const parts = this.#parts;
    this.#write({ kind: "raw", operation: parts.operation, atMs: parts.now(), ...line }, ["sealed"]);
  }

  #note(text: string, streams: readonly RecordingStream[] = this.#inputStreams): void {
    const parts = this.#parts;
    this.#write({ kind: "note", operation: parts.operation, atMs: parts.now(), text }, streams);
  }

  #write(line: TranscriptLine, streams: readonly RecordingStream[]): void {
    for (const stream of streams) if (!this.#parts.recording.write(stream, line)) this.#parts.full();
  }
}

type RawLine = Extract<TranscriptLine, { kind: "raw" }>;
type EndLine = Extract<TranscriptLine, { kind: "end" }>;

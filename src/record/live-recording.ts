/** A recording while its session runs: lines become segments, which are handed to the writer within bounds. */
import { RecordingFailed } from "../core/recording.ts";
import type {
  RecordingKind,
  RecordingStream,
  SessionRecording,
  TerminalLine,
  TranscriptLine,
} from "../core/recording.ts";
import { messageOf } from "../core/message-of.ts";
import { AsciicastWriter } from "./asciicast.ts";
import { RECORDING_BYTES_MAX, SEGMENT_MS_MAX, SESSION_WAITING_BYTES_END, SESSION_WAITING_BYTES_MAX } from "./limits.ts";
import { SegmentBuffer } from "./segment-buffer.ts";
import { encodeTranscriptLine } from "./transcript.ts";

/** What waits to be stored, of all recordings. */
export class Waiting {
  bytes = 0;
}

/** A segment that is complete. */
export type FullSegment = {
  readonly stream: RecordingStream;
  readonly number: number;
  readonly startedMs: number;
  readonly data: Uint8Array<ArrayBuffer>;
  readonly length: number;
};

export type LiveParts = {
  readonly id: string;
  readonly kind: RecordingKind;
  readonly isSealed: boolean;
  /** Shared by all recordings. */
  readonly waiting: Waiting;
  readonly waitingBytesMax: number;
  now(): number;
  keep(segment: FullSegment): void;
  /** Called once: nothing more comes. */
  ended(reason: string): void;
  onFailure(failure: RecordingFailed): void;
};

class Stream {
  readonly name: RecordingStream;
  readonly buffer = new SegmentBuffer();
  readonly cast = new AsciicastWriter();
  number = 0;
  startedMs = 0;
  timer: ReturnType<typeof setTimeout> | null = null;

  constructor(name: RecordingStream) {
    this.name = name;
  }
}

export class LiveRecording implements SessionRecording {
  readonly id: string;
  readonly #parts: LiveParts;
  readonly #streams: Readonly<Record<RecordingStream, Stream>> = {
    clear: new Stream("clear"),
    sealed: new Stream("sealed"),
  };
  #failure: RecordingFailed | null = null;
  #hasEnded = false;
  /** Gathered or handed over, and not stored yet. */
  #waitingBytes = 0;
  #totalBytes = 0;
  #isPaused = false;
  readonly #onDrain = new Set<() => void>();
  #isStalled = false;
  readonly #onStall = new Set<() => void>();

  constructor(parts: LiveParts) {
    this.id = parts.id;
    this.#parts = parts;
  }

  get failure(): RecordingFailed | null {
    return this.#failure;
  }

  write(streamName: RecordingStream, line: TranscriptLine | TerminalLine): boolean {
    if (this.#failure !== null) throw this.#failure;
    if (this.#hasEnded) throw new RecordingFailed("the recording has ended with its session");
    if (streamName === "sealed" && !this.#parts.isSealed) {
      throw this.#fail(new RecordingFailed("nothing can be sealed: the gateway has nobody to seal it to"), "failed");
    }
    const stream = this.#streams[streamName];
    for (const text of this.#encode(stream, line)) this.#add(stream, text);
    return this.#mayGoOn();
  }

  onDrain(callback: () => void): () => void {
    this.#onDrain.add(callback);
    return () => this.#onDrain.delete(callback);
  }

  get isStalled(): boolean {
    return this.#isStalled && this.#failure === null;
  }

  onStall(callback: () => void): () => void {
    this.#onStall.add(callback);
    if (this.isStalled) callback();
    return () => this.#onStall.delete(callback);
  }

  /** Nothing is being stored, or something is again. */
  stall(isStalled: boolean): void {
    this.#isStalled = isStalled;
    if (!isStalled) return this.drain();
    this.#isPaused = true;
    for (const callback of Array.from(this.#onStall)) callback();
  }

  end(): void {
    this.#end("closed");
  }

  /** So many bytes of plaintext were stored. */
  stored(bytes: number): void {
    this.#waitingBytes -= bytes;
    this.#parts.waiting.bytes -= bytes;
  }

  /** Goes on if it was told to pause and there is room again. */
  drain(): void {
    const { waiting, waitingBytesMax } = this.#parts;
    if (!this.#isPaused || this.#isStalled || this.#failure !== null) return;
    if (this.#waitingBytes > SESSION_WAITING_BYTES_MAX / 2 || waiting.bytes > waitingBytesMax / 2) return;
    this.#isPaused = false;
    for (const callback of Array.from(this.#onDrain)) callback();
  }

  /** Nothing more can be stored: what waits is lost. */
  abandon(failure: RecordingFailed): void {
    this.#parts.waiting.bytes -= this.#waitingBytes;
    this.#waitingBytes = 0;
    for (const stream of Object.values(this.#streams)) stopTimer(stream);
    const isOver = this.#hasEnded;
    this.#hasEnded = true;
    if (this.#failure !== null) return;
    this.#failure = failure;
    if (!isOver) this.#parts.onFailure(failure);
  }

  /** It cannot go on, but what was written can still be kept. */
  stop(failure: RecordingFailed): void {
    this.#fail(failure, "failed");
  }

  #encode(stream: Stream, line: TranscriptLine | TerminalLine): string[] {
    const { kind } = this.#parts;
    try {
      if (line.kind === "terminal" || line.kind === "event") {
        if (kind === "asciicast") return stream.cast.encode(line);
      } else if (kind === "transcript") return encodeTranscriptLine(line);
    } catch (error) {
      const detail = messageOf(error);
      throw this.#fail(new RecordingFailed("what happened in this session cannot be written down", detail), "failed");
    }
    throw this.#fail(new RecordingFailed(`the recording is no ${kind}`), "failed");
  }

  #add(stream: Stream, text: string): void {
    let bytes = stream.buffer.add(text);
    if (bytes === -1) {
      this.#cut(stream);
      bytes = stream.buffer.add(text);
    }
    if (bytes === -1)
      throw this.#fail(new RecordingFailed("a line of the recording is longer than a segment"), "failed");
    if (stream.timer === null) {
      stream.startedMs = this.#parts.now();
      stream.timer = setTimeout(() => this.#cut(stream), SEGMENT_MS_MAX);
      stream.timer.unref();
    }
    this.#waitingBytes += bytes;
    this.#parts.waiting.bytes += bytes;
    this.#totalBytes += bytes;
    if (this.#totalBytes > RECORDING_BYTES_MAX) {
      const message = `the recording of this session has grown to ${RECORDING_BYTES_MAX} bytes, the most for one session`;
      throw this.#fail(new RecordingFailed(message), "limit");
    }
    if (this.#waitingBytes > SESSION_WAITING_BYTES_END) {
      throw this.#fail(new RecordingFailed("the recording of this session cannot keep up with it"), "failed");
    }
  }

  #mayGoOn(): boolean {
    const { waiting, waitingBytesMax } = this.#parts;
    const isRoom = this.#waitingBytes <= SESSION_WAITING_BYTES_MAX && waiting.bytes <= waitingBytesMax;
    if (isRoom && !this.#isStalled) return true;
    this.#isPaused = true;
    // Not left to gather: it is what is waited for.
    for (const stream of Object.values(this.#streams)) this.#cut(stream);
    return false;
  }

  /** Hands over what was gathered. */
  #cut(stream: Stream): void {
    stopTimer(stream);
    if (stream.buffer.length === 0) return;
    const { startedMs } = stream;
    this.#parts.keep({ stream: stream.name, number: stream.number++, startedMs, ...stream.buffer.take() });
  }

  #fail(failure: RecordingFailed, reason: string): RecordingFailed {
    if (this.#failure !== null || this.#hasEnded) return failure;
    this.#failure = failure;
    this.#end(reason);
    this.#parts.onFailure(failure);
    return failure;
  }

  #end(reason: string): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    for (const stream of Object.values(this.#streams)) this.#cut(stream);
    this.#parts.ended(reason);
  }
}

function stopTimer(stream: Stream): void {
  if (stream.timer !== null) clearTimeout(stream.timer);
  stream.timer = null;
}

/** A recording that keeps what it is given in memory, and says that it is full, or fails, when told to. */
import { NO_RULES } from "../src/core/decision.ts";
import type { RecordKind } from "../src/core/obligation.ts";
import type { Door, Permit } from "../src/core/ports.ts";
import {
  RecordingFailed,
  type Recording,
  type RecordingStream,
  type TerminalLine,
  type TranscriptLine,
} from "../src/core/recording.ts";

import { isCastHeader, readCastLine, type CastEvent, type CastHeader } from "../src/record/asciicast.ts";
import { encodeTranscriptLine } from "../src/record/transcript.ts";

export class KeptRecording implements Recording {
  readonly id = "R";
  readonly clear: (TranscriptLine | TerminalLine)[] = [];
  readonly sealed: (TranscriptLine | TerminalLine)[] = [];
  isFull = false;
  failure: RecordingFailed | null = null;
  readonly listeners = new Set<() => void>();
  isStalled = false;
  readonly stallListeners = new Set<() => void>();

  write(stream: RecordingStream, line: TranscriptLine | TerminalLine): boolean {
    if (this.failure !== null) throw this.failure;
    this[stream].push(line);
    return !this.isFull;
  }

  onStall(callback: () => void): () => void {
    this.stallListeners.add(callback);
    if (this.isStalled) callback();
    return () => this.stallListeners.delete(callback);
  }

  onDrain(callback: () => void): () => void {
    this.listeners.add(callback);
    return () => this.listeners.delete(callback);
  }

  fail(): void {
    this.failure = new RecordingFailed("the disk is full");
  }

  /** The lines of a stream of one kind. */
  lines<Kind extends (TranscriptLine | TerminalLine)["kind"]>(
    stream: RecordingStream,
    kind: Kind,
  ): Extract<TranscriptLine | TerminalLine, { kind: Kind }>[] {
    return this[stream].filter((line): line is Extract<typeof line, { kind: Kind }> => line.kind === kind);
  }
}

/** A door behind which there is this recording, as long as it can go on, or nothing to record. */
export function doorTo(recording: Recording | null): Pick<Door, "recording"> {
  return {
    recording: () => {
      if (recording instanceof KeptRecording && recording.failure !== null) throw recording.failure;
      return recording;
    },
  };
}

export function permitTo(...record: readonly RecordKind[]): Permit {
  return { operation: "OP", rules: NO_RULES, obligations: record.length === 0 ? {} : { record } };
}

/** The lines of JSON that one line of a transcript becomes. */
export function writtenLines(line: TranscriptLine): string[] {
  return encodeTranscriptLine(line);
}

/** An asciicast as it is read again; throws when it is none. */
export function castOf(lines: readonly string[]): { readonly header: CastHeader; readonly events: CastEvent[] } {
  const [header, ...events] = lines.map((line) => {
    const read = readCastLine(line);
    if (read === null || read === "comment") throw new Error(`this is no line of an asciicast: ${line}`);
    return read;
  });
  if (header === undefined || !isCastHeader(header)) throw new Error("it has no header");
  return { header, events: events.filter((event): event is CastEvent => !isCastHeader(event)) };
}

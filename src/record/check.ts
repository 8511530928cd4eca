/** Holds a recording's stored segments against what the log names. */
import { createHash } from "node:crypto";
import * as v from "valibot";
import { RECORDING_STREAMS, type RecordingStream } from "../core/recording.ts";
import type { RecordingFacts, Segment } from "./reader.ts";

const namedSchema = v.object({ stream: v.picklist(RECORDING_STREAMS), number: v.number(), sha256: v.string() });
const keySchema = v.object({ keySha256: v.string() });

/** An event of the log, as a reader of it has them. */
export type LogEvent = { readonly event: string; readonly facts: unknown };

export class SegmentCheck {
  readonly #facts: RecordingFacts;
  /** By place; null: there is no log to hold them against. */
  readonly #named: ReadonlyMap<string, string> | null;
  /** The SHA-256 of the wrapped key; null: the log does not say. */
  readonly #keySha256: string | null;
  readonly #seen = new Set<string>();
  /** The log says that it has ended, or does not know that it began: nothing more of it is still to come. */
  readonly #isOver: boolean;

  /** `events` are all of this recording's; null: there is no log. */
  constructor(facts: RecordingFacts, events: readonly LogEvent[] | null) {
    this.#facts = facts;
    if (events === null) {
      this.#named = null;
      this.#keySha256 = null;
      this.#isOver = false;
      return;
    }
    const named = new Map<string, string>();
    let keySha256: string | null = null;
    for (const { event, facts: said } of events) {
      if (event === "recording.started") {
        const read = v.safeParse(keySchema, said);
        if (read.success) keySha256 ??= read.output.keySha256;
      }
      if (event !== "recording.segment") continue;
      const read = v.safeParse(namedSchema, said);
      // Told twice after a crash; what was told first counts.
      if (read.success && !named.has(place(read.output))) named.set(place(read.output), read.output.sha256);
    }
    this.#named = named;
    this.#keySha256 = keySha256;
    const isKnown = (kind: string): boolean => events.some(({ event }) => event === kind);
    this.#isOver = facts.endedMs !== null || isKnown("recording.ended") || !isKnown("recording.started");
  }

  /** What is wrong with the stored key, as a sentence; null when it is what was stored, or the log does not say. */
  keyProblem(wrapped: Uint8Array): string | null {
    const sha256 = createHash("sha256").update(wrapped).digest("hex");
    if (this.#keySha256 === null || this.#keySha256 === sha256) return null;
    return `the key of ${this.#facts.id} was exchanged: its SHA-256 is ${sha256}, and the log says ${this.#keySha256}`;
  }

  /** What is wrong with a stored segment, as a sentence; null when it is what was kept. */
  problem(segment: Segment): string | null {
    const { sha256, sha256Said } = segment;
    const named = this.#named?.get(place(segment));
    this.#seen.add(place(segment));
    const which = `${nameOf(segment)} of ${this.#facts.id}`;
    if (sha256 !== sha256Said || (named !== undefined && sha256 !== named)) {
      return `${which} was changed: its SHA-256 is ${sha256}, and ${named === undefined ? "was" : "the log says"} ${named ?? sha256Said}`;
    }
    // The log comes a moment after the file, and after a crash with the next start.
    if (this.#named !== null && named === undefined && this.#isOver) return `${which} is not in the log`;
    return null;
  }

  /** What the log names in these streams and was not seen, as sentences. */
  missing(streams: readonly RecordingStream[]): string[] {
    const missing = [...(this.#named?.keys() ?? [])].filter(
      (key) => !this.#seen.has(key) && streams.some((stream) => key.startsWith(`${stream} `)),
    );
    return missing.map((key) => {
      const [stream, number] = key.split(" ");
      return `segment ${number} (${stream}) of ${this.#facts.id} is missing: the log names it`;
    });
  }
}

/** How messages name a segment. */
export function nameOf({ stream, number }: Pick<Segment, "stream" | "number">): string {
  return `segment ${number} (${stream})`;
}

function place({ stream, number }: Pick<Segment, "stream" | "number">): string {
  return `${stream} ${number}`;
}

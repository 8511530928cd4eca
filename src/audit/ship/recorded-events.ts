/** Which entries of the log speak of a recording, and of what of it: a copy gets that before it gets the entry. */
import * as v from "valibot";
import { createHash } from "node:crypto";
import type { Source, SourceEntry, SourceSegment } from "./destination.ts";

export type RecordedEvent =
  | { readonly kind: "started" | "ended" | "shredded"; readonly recording: string }
  | {
      readonly kind: "segment";
      readonly recording: string;
      readonly stream: string;
      readonly number: number;
      /** Lower-case hex, of what is stored. */
      readonly sha256: string;
    };

const MARK = Buffer.from('"recording.');

const leafSchema = v.object({ event: v.string(), facts: v.looseObject({ recording: v.string() }) });
const segmentSchema = v.looseObject({
  stream: v.picklist(["clear", "sealed"]),
  number: v.number(),
  sha256: v.string(),
});

/** What an entry says of a recording; null: nothing. */
export function recordedEvent({ leaf }: SourceEntry): RecordedEvent | null {
  if (!Buffer.from(leaf.buffer, leaf.byteOffset, leaf.length).includes(MARK)) return null;
  const read = v.safeParse(leafSchema, parse(leaf));
  if (!read.success) return null;
  const { event, facts } = read.output;
  const { recording } = facts;
  if (event === "recording.started") return { kind: "started", recording };
  if (event === "recording.ended") return { kind: "ended", recording };
  if (event === "recording.shredded") return { kind: "shredded", recording };
  const segment = event === "recording.segment" ? v.safeParse(segmentSchema, facts) : null;
  return segment?.success === true ? { kind: "segment", recording, ...segment.output } : null;
}

/** What a copy says of itself that lacks a segment because the one in the folder is another. */
export function strangeSegment({ recording, stream, number }: RecordedEvent & { readonly kind: "segment" }): string {
  return `${stream} segment ${number} of the recording ${recording} is not copied: it is not the one that the log names`;
}

/** The segment that an entry names; null: it is no longer there (pruned). "strange": what is there is another. */
export function namedSegment(
  source: Source,
  { recording, stream, number, sha256 }: RecordedEvent & { readonly kind: "segment" },
): SourceSegment | "strange" | null {
  const segment = source.segment(recording, stream, number);
  if (segment === null) return null;
  return createHash("sha256").update(segment.data).digest("hex") === sha256 ? segment : "strange";
}

function parse(leaf: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(leaf.buffer, leaf.byteOffset, leaf.length).toString("utf8"));
  } catch {
    return null;
  }
}

/** Transcripts as JSON lines: written within the limit of a line, and read again. */
import * as v from "valibot";
import { OUTPUT_STREAMS, type TranscriptLine } from "../core/recording.ts";
import { LINE_BYTES_MAX } from "./limits.ts";

/** How much of each text a line keeps that is too long, in UTF-16 units: the first of these with which it fits. */
const TEXT_UNITS_KEPT = [262_144, 65_536, 4_096, 256, 16, 0] as const;
/** A line of rows with more text than this becomes several lines: each is read on its own. */
const ROWS_UNITS_MAX = 262_144;

/** The line as JSON, without its newline. More than one when it has many rows; with `cut` when texts were cut. */
export function encodeTranscriptLine(line: TranscriptLine, bytesMax = LINE_BYTES_MAX): string[] {
  const units = textUnits(line);
  if (line.kind === "rows" && units > ROWS_UNITS_MAX && line.rows.length > 1) {
    const half = line.rows.length >> 1;
    return [line.rows.slice(0, half), line.rows.slice(half)].flatMap((rows) =>
      encodeTranscriptLine({ ...line, rows }, bytesMax),
    );
  }
  if (units <= bytesMax) {
    const json = JSON.stringify(line);
    // Three bytes a unit are the most; counting them is left out where it changes nothing.
    if (json.length * 3 <= bytesMax || Buffer.byteLength(json) <= bytesMax) return [json];
  }
  for (const kept of TEXT_UNITS_KEPT) {
    const json = JSON.stringify(cutLine(line, kept, units));
    if (Buffer.byteLength(json) <= bytesMax) return [json];
  }
  const { kind, atMs } = line;
  return [
    JSON.stringify({ kind: "note", atMs, text: `a line of ${kind} was left out: it is too long (${units} units)` }),
  ];
}

/** How much text there is in a line, roughly: what else it holds is bounded. */
function textUnits(line: TranscriptLine): number {
  switch (line.kind) {
    case "input":
      return line.text.length + unitsOf(line.parameters ?? []);
    case "columns":
      return unitsOf(line.names);
    case "output":
      return (line.text?.length ?? 0) + (line.base64?.length ?? 0);
    case "data":
      return line.of.length;
    case "rows":
      return rowUnits(line.rows);
    case "raw":
      return line.relation.length + unitsOf(line.names) + rowUnits(line.rows);
    case "end":
      return line.message?.length ?? 0;
    case "note":
      return line.text.length;
  }
}

function rowUnits(rows: readonly (readonly (string | null)[])[]): number {
  let units = 0;
  for (const row of rows) units += unitsOf(row);
  return units;
}

function unitsOf(texts: readonly (string | null)[]): number {
  let units = 0;
  for (const text of texts) units += 4 + (text?.length ?? 0);
  return units;
}

/** The line with its texts cut, and `cut`: how many were, and how much text there was before. */
function cutLine(line: TranscriptLine, unitsMax: number, units: number): object {
  let texts = 0;
  const cut = (text: string): string => {
    if (text.length <= unitsMax) return text;
    texts++;
    return text.slice(0, unitsMax).toWellFormed();
  };
  const each = (value: string | null): string | null => (value === null ? null : cut(value));
  const shorter = (): TranscriptLine => {
    switch (line.kind) {
      case "input":
        return {
          ...line,
          text: cut(line.text),
          ...(line.parameters === undefined ? {} : { parameters: line.parameters.map(each) }),
        };
      case "columns":
        return { ...line, names: line.names.map(cut) };
      case "rows":
      case "raw":
        return { ...line, rows: line.rows.map((row) => row.map(each)) };
      case "output":
        return {
          ...line,
          ...(line.text === undefined ? {} : { text: cut(line.text) }),
          ...(line.base64 === undefined ? {} : { base64: cut(line.base64) }),
        };
      case "data":
        return { ...line, of: cut(line.of) };
      case "end":
        return line.message === undefined ? line : { ...line, message: cut(line.message) };
      case "note":
        return { ...line, text: cut(line.text) };
    }
  };
  const kept = shorter();
  return texts === 0 ? kept : { ...kept, cut: { texts, units } };
}

const value = v.nullable(v.string());
const at = { atMs: v.number(), operation: v.string() };
/** How many texts were cut, and how many UTF-16 units of text the line had. */
const cut = v.optional(v.object({ texts: v.number(), units: v.number() }));

const lineSchema = v.variant("kind", [
  v.object({ kind: v.literal("input"), ...at, text: v.string(), parameters: v.optional(v.array(value)), cut }),
  v.object({ kind: v.literal("columns"), ...at, names: v.array(v.string()), cut }),
  v.object({ kind: v.literal("rows"), ...at, rows: v.array(v.array(value)), cut }),
  v.object({
    kind: v.literal("output"),
    ...at,
    stream: v.picklist(OUTPUT_STREAMS),
    text: v.optional(v.string()),
    base64: v.optional(v.string()),
    cut,
  }),
  v.object({ kind: v.literal("data"), ...at, of: v.string(), bytes: v.number(), sha256: v.string(), cut }),
  v.object({
    kind: v.literal("raw"),
    ...at,
    relation: v.string(),
    names: v.array(v.string()),
    rows: v.array(v.array(value)),
    unproven: v.optional(v.array(v.number())),
    cut,
  }),
  v.object({
    kind: v.literal("end"),
    ...at,
    status: v.string(),
    code: v.optional(v.string()),
    rows: v.optional(v.number()),
    message: v.optional(v.string()),
    cut,
  }),
  v.object({ kind: v.literal("note"), atMs: v.number(), operation: v.optional(v.string()), text: v.string(), cut }),
]);

/** A line as a reader finds it. */
export type KeptLine = v.InferOutput<typeof lineSchema>;

/** Reads one line of a transcript; null when it is none. */
export function readTranscriptLine(json: string): KeptLine | null {
  try {
    const read = v.safeParse(lineSchema, JSON.parse(json));
    return read.success ? read.output : null;
  } catch {
    return null;
  }
}

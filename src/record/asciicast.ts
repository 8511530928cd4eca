/** Terminal recordings as asciicast v3 (https://docs.asciinema.org/manual/asciicast/v3/), playable by asciinema. */
import * as v from "valibot";
import type { TerminalLine } from "../core/recording.ts";

/** A longer event becomes several with no time between them. In UTF-16 units, each at most six bytes of JSON. */
const EVENT_UNITS_MAX = 65_536;
/** A longer command is cut in the header, and says so. */
const COMMAND_UNITS_MAX = 65_536;

/** Writes one stream: its header, then events with the time since the one before. */
export class AsciicastWriter {
  #previousMs: number | null = null;

  /** The lines for one event, without newlines. Throws when the first one is not a `terminal`, or another is. */
  encode(line: TerminalLine): string[] {
    const previousMs = this.#previousMs;
    if (line.kind === "terminal") {
      if (previousMs !== null) throw new Error("an asciicast has one header; another size is an event");
      this.#previousMs = line.atMs;
      return [header(line)];
    }
    if (previousMs === null) throw new Error("an asciicast begins with the terminal it shows");
    // Times are whole milliseconds, so nothing is lost by taking differences; a clock that goes back costs nothing.
    const sinceMs = Math.max(0, line.atMs - previousMs);
    this.#previousMs = Math.max(previousMs, line.atMs);
    return pieces(line.data).map((piece, index) =>
      JSON.stringify([index === 0 ? sinceMs / 1000 : 0, line.code, piece]),
    );
  }
}

function header({ atMs, columns, rows, type, command }: Extract<TerminalLine, { kind: "terminal" }>): string {
  const term = { cols: columns, rows, ...(type === undefined ? {} : { type }) };
  return JSON.stringify({
    version: 3,
    term,
    timestamp: Math.floor(atMs / 1000),
    ...(command === undefined ? {} : { command: shortened(command) }),
  });
}

function shortened(command: string): string {
  if (command.length <= COMMAND_UNITS_MAX) return command.toWellFormed();
  return `${command.slice(0, COMMAND_UNITS_MAX).toWellFormed()} (cut: of ${command.length} units)`;
}

/** At least one, and no character torn apart. */
function pieces(text: string): string[] {
  const wellFormed = text.toWellFormed();
  const parts: string[] = [];
  let from = 0;
  do {
    let to = Math.min(from + EVENT_UNITS_MAX, wellFormed.length);
    const unit = wellFormed.charCodeAt(to);
    // A low surrogate belongs to what stands before it.
    if (to < wellFormed.length && unit >= 0xdc_00 && unit <= 0xdf_ff) to--;
    parts.push(wellFormed.slice(from, to));
    from = to;
  } while (from < wellFormed.length);
  return parts;
}

const headerSchema = v.object({
  version: v.literal(3),
  term: v.object({ cols: v.number(), rows: v.number(), type: v.optional(v.string()) }),
  timestamp: v.optional(v.number()),
  command: v.optional(v.string()),
});
const eventSchema = v.tuple([v.pipe(v.number(), v.minValue(0)), v.string(), v.string()]);

export type CastHeader = v.InferOutput<typeof headerSchema>;
/** One event: seconds since the one before, its code, its data. */
export type CastEvent = v.InferOutput<typeof eventSchema>;

/** Reads one line of an asciicast; null when it is none, `comment` when it says nothing. */
export function readCastLine(line: string): CastHeader | CastEvent | "comment" | null {
  if (line === "" || line.startsWith("#")) return "comment";
  try {
    const read = v.safeParse(v.union([headerSchema, eventSchema]), JSON.parse(line));
    return read.success ? read.output : null;
  } catch {
    return null;
  }
}

/** The header of an asciicast, as opposed to its events. */
export function isCastHeader(line: CastHeader | CastEvent): line is CastHeader {
  return !Array.isArray(line);
}
